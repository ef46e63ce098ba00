package cuda

import (
	"fmt"
	"strings"
)

// Precision says with what numbers convolutions and matrix products are done.
// Parameters and their momentum are kept in float32.
type Precision uint8

// The precisions.
const (
	FP32 Precision = iota // float32 throughout
	TF32                  // factors rounded to 10 bits of mantissa, sums in float32
	BF16                  // factors, and what lies between layers, rounded to 7 bits of mantissa, sums in float32; see plan
)

var precisions = [...]string{"fp32", "tf32", "bf16"}

func (p Precision) String() string { return precisions[p] }

// ParsePrecision is the reverse of String.
func ParsePrecision(s string) (Precision, error) {
	for i, name := range precisions {
		if s == name {
			return Precision(i), nil
		}
	}
	return 0, fmt.Errorf("there is no precision %q; there are %s", s, strings.Join(precisions[:], ", "))
}

// Options are what the user can choose about a device. The zero value is good.
type Options struct {
	Precision Precision
	// Autotune measures the algorithms of each convolution and matrix product on
	// the device when it is prepared, instead of asking the library which ought to
	// be the fastest.
	Autotune bool
	// Workspace bounds the memory in bytes that an algorithm may ask for;
	// 0 stands for DefaultWorkspace, less than 0 for none.
	Workspace int64
	// NoGraphs launches every operation by itself. Otherwise joined tasks are CUDA
	// graphs.
	NoGraphs bool
	// KernelCache is the folder of compiled kernels, and of what Autotune found out; see
	// kernels.Load.
	KernelCache string
}

// DefaultWorkspace leaves out few algorithms.
const DefaultWorkspace = 256 << 20

func (o Options) workspace() int64 {
	switch {
	case o.Workspace == 0:
		return DefaultWorkspace
	case o.Workspace < 0:
		return 0
	}
	return o.Workspace
}
