package kernels

import (
	"errors"
	"fmt"
	"strings"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/nvrtc"
)

// options are those of every compilation. Products and sums are rounded apart, so
// that a GPU computes what the tests have seen on a CPU; that costs nothing where
// memory sets the pace. Division and square roots are exact by default.
var options = []string{"--std=c++17", "--fmad=false"}

// Load returns the kernels, compiled for the context's GPU. What was compiled is
// kept in the folder dir, for other processes and later: if dir is "" in
// alexnet/kernels of the user's cache folder. A folder that cannot be used is no
// error: the kernels are compiled at each start.
func Load(ctx *cu.Context, rtc *nvrtc.Library, dir string) (*Module, error) {
	major, minor, err := ctx.ComputeCapability()
	if err != nil {
		return nil, err
	}
	options := append([]string{fmt.Sprintf("--gpu-architecture=sm_%d%d", major, minor)}, options...)
	file := openCache(dir, rtc, Source(), options)
	if cubin, ok := file.read(); ok {
		// What the driver refuses is compiled again.
		if m, err := ctx.LoadData(cubin); err == nil {
			return &Module{m}, nil
		}
	}
	cubin, err := rtc.Compile(Source(), "kernels.cu", options...)
	if err != nil {
		return nil, explain(err, rtc, major, minor)
	}
	m, err := ctx.LoadData(cubin)
	if err != nil {
		return nil, err
	}
	file.write(cubin)
	return &Module{m}, nil
}

// explain says what to do about an error of the compiler.
func explain(err error, rtc *nvrtc.Library, major, minor int) error {
	release, update := rtc.Version()
	what := fmt.Sprintf("NVRTC %d.%d (%s)", release, update, rtc.Path())
	var c *nvrtc.CompileError
	if errors.As(err, &c) && strings.Contains(c.Log, "--gpu-architecture") {
		return fmt.Errorf("%s cannot compile for this GPU, of compute capability %d.%d: install the NVRTC of a newer CUDA, or for a GPU older than CUDA 13 knows of CUDA 12: %w",
			what, major, minor, err)
	}
	return fmt.Errorf("the kernels cannot be compiled with %s for compute capability %d.%d: %w", what, major, minor, err)
}
