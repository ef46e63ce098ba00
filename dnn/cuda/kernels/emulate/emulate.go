// Package emulate runs the kernels on the CPU. The .cu files are compiled, as
// they are, by the machine's C++ compiler against a header that stands in for
// CUDA, emulate.h: this shows without a GPU that a kernel computes what it
// should, stays inside its memory and does not depend on the grid. Speed it does
// not show, nor what only another compiler or processor could do wrong.
package emulate

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/native"
)

//go:embed emulate.h
var header string

// ErrUnavailable says that the machine cannot emulate: it has no C++ compiler, or
// does not run Linux.
var ErrUnavailable = errors.New("kernels cannot be emulated here")

// Emulator is the kernels as functions of this process. Its methods may be called
// from any goroutine.
type Emulator struct{ kernels map[string]entry }

// entry is the function that emulate.h makes of a kernel.
type entry func(args *unsafe.Pointer, blocks, threads uint32, backwards int32) int32

// options: no product and sum in one rounding, as the kernels are compiled for
// GPUs; jumps from stack to stack, which a fortified longjmp takes for mistakes;
// undefined behaviour, such as an int that overflows, ends the process.
var options = []string{"-std=c++17", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-U_FORTIFY_SOURCE",
	"-fsanitize=undefined,float-cast-overflow", "-fsanitize-undefined-trap-on-error"}

// Open returns an emulator that all of the process shares. The first call
// compiles it, which takes seconds.
var Open = sync.OnceValues(func() (*Emulator, error) {
	dir, err := os.MkdirTemp("", "alexnet-emulate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // an open library needs its file no more
	return Build(dir)
})

// Build compiles the kernels to a library in dir and opens it. The compiler is
// that of the environment variable CXX, else g++, clang++ or c++.
func Build(dir string) (*Emulator, error) {
	return build(dir, kernels.Source(), kernels.Names())
}

func build(dir, cuda string, names []string) (*Emulator, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%w: needs Linux", ErrUnavailable)
	}
	compiler, err := findCompiler()
	if err != nil {
		return nil, err
	}
	source, library := filepath.Join(dir, "kernels.cpp"), filepath.Join(dir, "libkernels.so")
	if err := os.WriteFile(source, []byte(translate(cuda, names)), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command(compiler, append(options, "-o", library, source)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s of %s: %w\n%s", compiler, source, err, out)
	}
	lib, err := native.Open([]string{library}, nil)
	if err != nil {
		return nil, err
	}
	e := &Emulator{kernels: map[string]entry{}}
	for _, name := range names {
		var f func(*unsafe.Pointer, uint32, uint32, int32) int32
		if err := lib.Bind([]native.Binding{native.Func4(&f, "int emulate_"+name+"(void **args, unsigned blocks, unsigned threads, int backwards)")}); err != nil {
			return nil, err
		}
		e.kernels[name] = f
	}
	return e, nil
}

func findCompiler() (string, error) {
	if c := os.Getenv("CXX"); c != "" {
		return c, nil
	}
	for _, name := range []string{"g++", "clang++", "c++"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: there is no g++, clang++ or c++", ErrUnavailable)
}

// translate returns the kernels as C++.
func translate(cuda string, names []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#line 1 \"emulate.h\"\n%s\n%s\n", header, cuda)
	for _, name := range names {
		fmt.Fprintf(&b, "KERNEL(%s)\n", name)
	}
	return b.String()
}

// Launch runs a kernel to its end. The device pointers of a are addresses in this
// process. Any blocks and threads above 0 give the same numbers; one thread alone
// is quickest.
func (e *Emulator) Launch(a kernels.Args, blocks, threads uint32) error {
	return e.launch(a, blocks, threads, false)
}

// LaunchBackwards is Launch with the last block and, up to each barrier, the last
// thread first: a kernel whose threads get in each other's way gives other numbers
// than with Launch.
func (e *Emulator) LaunchBackwards(a kernels.Args, blocks, threads uint32) error {
	return e.launch(a, blocks, threads, true)
}

func (e *Emulator) launch(a kernels.Args, blocks, threads uint32, backwards bool) error {
	name, _, _ := a.Kernel()
	return e.call(name, kernels.Params(a), blocks, threads, backwards)
}

func (e *Emulator) call(name string, params []unsafe.Pointer, blocks, threads uint32, backwards bool) error {
	f, ok := e.kernels[name]
	if !ok {
		return fmt.Errorf("no kernel is named %q", name)
	}
	if blocks == 0 || threads == 0 || threads > kernels.MaxThreads {
		return fmt.Errorf("kernel %s: %d blocks of %d threads; GPUs have at least 1 of 1 to %d", name, blocks, threads, kernels.MaxThreads)
	}
	var order int32
	if backwards {
		order = 1
	}
	switch f(unsafe.SliceData(params), blocks, threads, order) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("kernel %s: no memory for the stacks of %d threads", name, threads)
	default:
		return fmt.Errorf("kernel %s: some threads of a block ended or went on while others waited at __syncthreads", name)
	}
}
