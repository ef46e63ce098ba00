package cudnn

import "fmt"

// Tensor describes four dimensions of numbers on the device: images, channels,
// rows, columns.
type Tensor struct {
	descriptor[RawTensor]
	of DataType
}

// NewTensor describes a tensor without gaps, in the order that f says
// (cudnnSetTensor4dDescriptorEx).
func (l *Library) NewTensor(t DataType, f TensorFormat, n, c, h, w int) (*Tensor, error) {
	text := fmt.Sprintf("%s %s %dx%dx%dx%d", t, f, n, c, h, w)
	if err := fit("tensor "+text, n, c, h, w); err != nil {
		return nil, err
	}
	hw := h * w // the dimensions have 31 bits each: this fits, and so does c*h*w once this does
	if err := fit("tensor "+text, hw); err != nil {
		return nil, err
	}
	chw := c * hw
	switch f {
	case NCHW:
		return l.newTensor(text, t, [4]int{n, c, h, w}, [4]int{chw, hw, w, 1})
	case NHWC:
		return l.newTensor(text, t, [4]int{n, c, h, w}, [4]int{chw, 1, w * c, c})
	}
	return nil, fmt.Errorf("tensor %s: the format is neither NCHW nor NHWC", text)
}

// NewTensorStrided describes a tensor of images, channels, rows and columns,
// whose neighbours in each dimension stand strides numbers apart
// (cudnnSetTensor4dDescriptorEx).
func (l *Library) NewTensorStrided(t DataType, shape, strides [4]int) (*Tensor, error) {
	return l.newTensor(fmt.Sprintf("%s %dx%dx%dx%d strides %v", t, shape[0], shape[1], shape[2], shape[3], strides), t, shape, strides)
}

func (l *Library) newTensor(text string, t DataType, d, s [4]int) (*Tensor, error) {
	if err := fit("tensor "+text, append(d[:], s[:]...)...); err != nil {
		return nil, err
	}
	desc, err := newDescriptor(l, "Tensor", text, l.f.CreateTensorDescriptor, l.f.DestroyTensorDescriptor, func(raw RawTensor) error {
		if status := l.f.SetTensor4dDescriptorEx(raw, t, int32(d[0]), int32(d[1]), int32(d[2]), int32(d[3]),
			int32(s[0]), int32(s[1]), int32(s[2]), int32(s[3])); status != Success {
			return l.failure(status, "cudnnSetTensor4dDescriptorEx(%s, n %d, c %d, h %d, w %d, strides %v)", t, d[0], d[1], d[2], d[3], s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Tensor{desc, t}, nil
}

// WrapTensor returns a descriptor, of numbers of type t, that somebody else made
// and will destroy.
func (l *Library) WrapTensor(t DataType, raw RawTensor) (*Tensor, error) {
	desc, err := foreign(raw)
	return &Tensor{desc, t}, err
}

func (t *Tensor) use() error {
	if t == nil {
		return errNil
	}
	return t.life.Use()
}

// Filter describes the weights of a convolution: kernels, channels of a group,
// rows, columns.
type Filter struct {
	descriptor[RawFilter]
	of DataType
}

// NewFilter describes weights [k, c, h, w] in the order that f says, where NHWC
// stands for [k, h, w, c] (cudnnSetFilter4dDescriptor).
func (l *Library) NewFilter(t DataType, f TensorFormat, k, c, h, w int) (*Filter, error) {
	text := fmt.Sprintf("%s %s %dx%dx%dx%d", t, f, k, c, h, w)
	if err := fit("filter "+text, k, c, h, w); err != nil {
		return nil, err
	}
	desc, err := newDescriptor(l, "Filter", text, l.f.CreateFilterDescriptor, l.f.DestroyFilterDescriptor, func(raw RawFilter) error {
		if status := l.f.SetFilter4dDescriptor(raw, t, f, int32(k), int32(c), int32(h), int32(w)); status != Success {
			return l.failure(status, "cudnnSetFilter4dDescriptor(%s, %s, k %d, c %d, h %d, w %d)", t, f, k, c, h, w)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Filter{desc, t}, nil
}

// WrapFilter returns a descriptor, of numbers of type t, that somebody else made
// and will destroy.
func (l *Library) WrapFilter(t DataType, raw RawFilter) (*Filter, error) {
	desc, err := foreign(raw)
	return &Filter{desc, t}, err
}

func (f *Filter) use() error {
	if f == nil {
		return errNil
	}
	return f.life.Use()
}
