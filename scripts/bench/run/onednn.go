package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"alexnet/internal/process"
)

// errNoOneDNN says that oneDNN is left out.
var errNoOneDNN = errors.New("no oneDNN")

// compilers of C++ are tried one after the other.
var compilers = []string{"c++", "g++", "clang++"}

// buildOneDNN builds onednn_step.cpp in root into dir. The error is errNoOneDNN where
// there is no compiler or no library for it.
func buildOneDNN(ctx context.Context, root, dir string) (program string, err error) {
	probe := filepath.Join(dir, "probe.cpp")
	const source = "#include <dnnl.hpp>\nstatic_assert(DNNL_VERSION_MAJOR == 2, \"oneDNN 2 is wanted\");\nint main() { return dnnl_version()->major != 2; }\n"
	if err := os.WriteFile(probe, []byte(source), 0o666); err != nil {
		return "", err
	}
	var whys []string
	program = filepath.Join(dir, "onednn_step")
	compile := func(compiler, source string) error {
		_, err := process.Run(ctx, "", nil, compiler, "-O3", "-march=native", "-fopenmp", source, "-ldnnl", "-o", program)
		return err
	}
	for _, name := range compilers {
		compiler, err := exec.LookPath(name)
		if err == nil {
			err = compile(compiler, probe)
		}
		if err == nil {
			return program, compile(compiler, filepath.Join(root, "scripts", "bench", "onednn_step.cpp"))
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		whys = append(whys, fmt.Sprintf("%s: %v", name, err))
	}
	return "", fmt.Errorf("%w: it needs a C++ compiler and the library, version 2 (Debian: g++, libdnnl-dev): %s", errNoOneDNN, strings.Join(whys, "; "))
}
