package cudnn

import (
	"cmp"
	"fmt"
)

// Activation describes a function of single numbers.
type Activation struct{ descriptor[RawActivation] }

// NewActivation describes an activation. coef is the bound of ClippedReLU and
// alpha of ELU (cudnnSetActivationDescriptor).
func (l *Library) NewActivation(mode ActivationMode, nan NanPropagation, coef float64) (*Activation, error) {
	text := fmt.Sprintf("mode %d, NaN %d, coefficient %g", mode, nan, coef)
	desc, err := newDescriptor(l, "Activation", text, l.f.CreateActivationDescriptor, l.f.DestroyActivationDescriptor, func(raw RawActivation) error {
		if s := l.f.SetActivationDescriptor(raw, mode, nan, coef); s != Success {
			return l.failure(s, "cudnnSetActivationDescriptor(%s)", text)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Activation{desc}, nil
}

// WrapActivation returns a descriptor that somebody else made and will destroy.
func (l *Library) WrapActivation(raw RawActivation) (*Activation, error) {
	desc, err := foreign(raw)
	return &Activation{desc}, err
}

func (a *Activation) use() error {
	if a == nil {
		return errNil
	}
	return a.life.Use()
}

// PoolingOptions say what a pool takes together. A stride of 0 stands for 1.
type PoolingOptions struct {
	Mode             PoolingMode
	Nan              NanPropagation
	WindowH, WindowW int
	PadH, PadW       int
	StrideH, StrideW int
}

// Pooling describes the windows of a pool.
type Pooling struct{ descriptor[RawPooling] }

// NewPooling describes a pool (cudnnSetPooling2dDescriptor).
func (l *Library) NewPooling(o PoolingOptions) (*Pooling, error) {
	o.StrideH, o.StrideW = cmp.Or(o.StrideH, 1), cmp.Or(o.StrideW, 1)
	text := fmt.Sprintf("mode %d, NaN %d, window %dx%d, pad %dx%d, stride %dx%d", o.Mode, o.Nan, o.WindowH, o.WindowW, o.PadH, o.PadW, o.StrideH, o.StrideW)
	if err := fit("pooling "+text, o.WindowH, o.WindowW, o.PadH, o.PadW, o.StrideH, o.StrideW); err != nil {
		return nil, err
	}
	desc, err := newDescriptor(l, "Pooling", text, l.f.CreatePoolingDescriptor, l.f.DestroyPoolingDescriptor, func(raw RawPooling) error {
		if s := l.f.SetPooling2dDescriptor(raw, o.Mode, o.Nan, int32(o.WindowH), int32(o.WindowW),
			int32(o.PadH), int32(o.PadW), int32(o.StrideH), int32(o.StrideW)); s != Success {
			return l.failure(s, "cudnnSetPooling2dDescriptor(%s)", text)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Pooling{desc}, nil
}

// WrapPooling returns a descriptor that somebody else made and will destroy.
func (l *Library) WrapPooling(raw RawPooling) (*Pooling, error) {
	desc, err := foreign(raw)
	return &Pooling{desc}, err
}

func (p *Pooling) use() error {
	if p == nil {
		return errNil
	}
	return p.life.Use()
}

// LRN describes a normalisation over neighbouring channels.
type LRN struct{ descriptor[RawLRN] }

// NewLRN describes a normalisation over n channels: x is divided by
// (k + alpha/n·Σx²)^beta. cuDNN takes n from 1 to 16, k from 1e-5 and beta from
// 0.01 (cudnnSetLRNDescriptor).
func (l *Library) NewLRN(n int, alpha, beta, k float64) (*LRN, error) {
	text := fmt.Sprintf("n %d, alpha %g, beta %g, k %g", n, alpha, beta, k)
	if err := fit("normalisation "+text, n); err != nil {
		return nil, err
	}
	if n < 0 { // C's type is unsigned
		return nil, fmt.Errorf("normalisation %s: over less than no channels", text)
	}
	desc, err := newDescriptor(l, "LRN", text, l.f.CreateLRNDescriptor, l.f.DestroyLRNDescriptor, func(raw RawLRN) error {
		if s := l.f.SetLRNDescriptor(raw, uint32(n), alpha, beta, k); s != Success {
			return l.failure(s, "cudnnSetLRNDescriptor(%s)", text)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &LRN{desc}, nil
}

// WrapLRN returns a descriptor that somebody else made and will destroy.
func (l *Library) WrapLRN(raw RawLRN) (*LRN, error) {
	desc, err := foreign(raw)
	return &LRN{desc}, err
}

func (n *LRN) use() error {
	if n == nil {
		return errNil
	}
	return n.life.Use()
}
