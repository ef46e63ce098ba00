package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"alexnet/internal/process"
)

// pythons are tried one after the other: where the first is of a version manager,
// the second is often the system's, with packages of its own.
var pythons = []string{"python3", "/usr/bin/python3"}

// noPython is a -python that leaves PyTorch out.
const noPython = "none"

// errNoPython says that PyTorch is left out.
var errNoPython = errors.New("no PyTorch")

// findPython returns the first of the candidates that can import the modules. If
// none can the error says why not, for each of them.
func findPython(ctx context.Context, candidates []string, modules string) (string, error) {
	errs := []error{errNoPython}
	for _, name := range candidates {
		path, err := exec.LookPath(name)
		if err == nil {
			if _, err = process.Output(ctx, "", nil, path, "-c", "import "+modules); err == nil {
				return path, nil
			}
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return "", errors.Join(errs...)
}

// choosePython finds the python3 of -python, which must then work, or any.
func choosePython(ctx context.Context, flag, modules string) (string, error) {
	switch flag {
	case "":
		return findPython(ctx, pythons, modules)
	case noPython:
		return "", fmt.Errorf("%w: -python none", errNoPython)
	}
	path, err := findPython(ctx, []string{flag}, modules)
	if errors.Is(err, errNoPython) {
		return "", usagef("-python %s cannot import %s; give another, or -python none\n%v", flag, modules, err)
	}
	return path, err
}

// torchVariables suit PyTorch: by default the C library gives large blocks back to the
// system after each operation, and takes them, page by page, again.
var torchVariables = []string{"MALLOC_TRIM_THRESHOLD_=4294967296", "MALLOC_MMAP_THRESHOLD_=4294967296"}
