package cudnn

import (
	"cmp"
	"fmt"
)

// ConvolutionOptions say how a filter meets a tensor. A stride or dilation of 0,
// and 0 groups, stand for 1.
type ConvolutionOptions struct {
	PadH, PadW           int
	StrideH, StrideW     int
	DilationH, DilationW int
	Groups               int
	// Flip turns the kernels around (CUDNN_CONVOLUTION); what neural networks call
	// a convolution does not (CUDNN_CROSS_CORRELATION).
	Flip    bool
	Math    MathType
	Compute DataType // of the sums; Float also for factors of 16 bits
}

// Convolution describes how a filter meets a tensor.
type Convolution struct {
	descriptor[RawConvolution]
	lib   *Library
	exact bool // FmaMath
}

// NewConvolution describes a convolution over two dimensions
// (cudnnSetConvolution2dDescriptor, cudnnSetConvolutionGroupCount,
// cudnnSetConvolutionMathType).
func (l *Library) NewConvolution(o ConvolutionOptions) (*Convolution, error) {
	for _, v := range []*int{&o.StrideH, &o.StrideW, &o.DilationH, &o.DilationW, &o.Groups} {
		*v = cmp.Or(*v, 1)
	}
	mode := CrossCorrelation
	if o.Flip {
		mode = StandardConvolution
	}
	text := fmt.Sprintf("pad %dx%d, stride %dx%d, dilation %dx%d, %d groups, mode %d, math %d, sums in %s",
		o.PadH, o.PadW, o.StrideH, o.StrideW, o.DilationH, o.DilationW, o.Groups, mode, o.Math, o.Compute)
	if err := fit("convolution "+text, o.PadH, o.PadW, o.StrideH, o.StrideW, o.DilationH, o.DilationW, o.Groups); err != nil {
		return nil, err
	}
	desc, err := newDescriptor(l, "Convolution", text, l.f.CreateConvolutionDescriptor, l.f.DestroyConvolutionDescriptor, func(raw RawConvolution) error {
		if s := l.f.SetConvolution2dDescriptor(raw, int32(o.PadH), int32(o.PadW), int32(o.StrideH), int32(o.StrideW),
			int32(o.DilationH), int32(o.DilationW), mode, o.Compute); s != Success {
			return l.failure(s, "cudnnSetConvolution2dDescriptor(%s)", text)
		}
		if s := l.f.SetConvolutionGroupCount(raw, int32(o.Groups)); s != Success {
			return l.failure(s, "cudnnSetConvolutionGroupCount(%d)", o.Groups)
		}
		if s := l.f.SetConvolutionMathType(raw, o.Math); s != Success {
			return l.failure(s, "cudnnSetConvolutionMathType(%d)", o.Math)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Convolution{desc, l, o.Math == FmaMath}, nil
}

// WrapConvolution returns a descriptor that somebody else made and will destroy.
func (l *Library) WrapConvolution(raw RawConvolution) (*Convolution, error) {
	desc, err := foreign(raw)
	return &Convolution{desc, l, false}, err
}

func (c *Convolution) use() error {
	if c == nil {
		return errNil
	}
	return c.life.Use()
}

// OutputDim returns the shape of what comes out
// (cudnnGetConvolution2dForwardOutputDim).
func (c *Convolution) OutputDim(x *Tensor, w *Filter) (n, ch, h, wd int, err error) {
	const name = "cudnnGetConvolution2dForwardOutputDim"
	if err := inUse(c, x, w); err != nil {
		return 0, 0, 0, 0, fmt.Errorf("%s: %w", name, err)
	}
	var d [4]int32
	err = onThread(func() error {
		if s := c.lib.f.GetConvolution2dForwardOutputDim(c.raw, x.raw, w.raw, &d[0], &d[1], &d[2], &d[3]); s != Success {
			return c.lib.failure(s, name+"(%v, x %v, w %v)", c, x, w)
		}
		return nil
	})
	return int(d[0]), int(d[1]), int(d[2]), int(d[3]), err
}
