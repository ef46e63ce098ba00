package sim

import (
	"cmp"
	"math"
	"slices"

	"alexnet/dnn/cuda/cudnn"
	"alexnet/internal/bfloat16"
)

// toTF32 rounds to 10 bits of mantissa, halves away from zero, as the factors of
// a product of matrices are.
func toTF32(v float32) float32 {
	const dropped = 13 // bits
	bits := math.Float32bits(v)
	if bits&(0xff<<23) == 0xff<<23 { // infinite, or NaN
		return v
	}
	return math.Float32frombits((bits + 1<<(dropped-1)) &^ (1<<dropped - 1))
}

// roundTF32 rounds a copy.
func roundTF32(x []float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = toTF32(v)
	}
	return y
}

// tensor is numbers in memory: of each dimension, outermost first, how many and
// how far apart. Filters, [kernels, channels, height, width], are tensors too.
type tensor struct {
	kind    cudnn.DataType
	dims    [4]int
	strides [4]int
}

// packed returns a tensor without anything between its numbers.
func packed(kind cudnn.DataType, f cudnn.TensorFormat, n, c, h, w int) tensor {
	t := tensor{kind: kind, dims: [4]int{n, c, h, w}, strides: [4]int{c * h * w, h * w, w, 1}}
	if f == cudnn.NHWC {
		t.strides = [4]int{c * h * w, 1, w * c, c}
	}
	return t
}

func (t tensor) count() int { return t.dims[0] * t.dims[1] * t.dims[2] * t.dims[3] }

// size returns the bytes of one number.
func (t tensor) size() int64 {
	if t.kind == cudnn.BFloat16 {
		return 2
	}
	return 4
}

// bytes returns the size from the first number to the last.
func (t tensor) bytes() int64 {
	last := 0
	for i, d := range t.dims {
		last += (d - 1) * t.strides[i]
	}
	return t.size() * int64(last+1)
}

// areas returns the bytes that numbers stand in.
func (t tensor) areas() []area {
	one := area{0, 1, t.size(), 0}
	order := []int{0, 1, 2, 3}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(t.strides[a], t.strides[b]) })
	list := []area{one}
	for _, i := range order {
		n, stride := int64(t.dims[i]), t.size()*int64(t.strides[i])
		switch {
		case n == 1:
		case one.rows == 1 && stride == one.width:
			one.width *= n
			list = []area{one}
		case one.rows == 1:
			one.rows, one.stride = n, stride
			list = []area{one}
		default:
			for _, a := range list {
				for k := int64(1); k < n; k++ {
					list = append(list, area{a.start + k*stride, a.rows, a.width, a.stride})
				}
			}
		}
	}
	return list
}

// is reports whether the tensor is packed in the order of f. A dimension of 1 may
// have any stride.
func (t tensor) is(f cudnn.TensorFormat) bool {
	p := packed(t.kind, f, t.dims[0], t.dims[1], t.dims[2], t.dims[3])
	for i, d := range t.dims {
		if d > 1 && t.strides[i] != p.strides[i] {
			return false
		}
	}
	return true
}

// each calls f for each number with its place in a packed NCHW tensor and in
// memory.
func (t tensor) each(f func(i, at int)) {
	i := 0
	for n := range t.dims[0] {
		for c := range t.dims[1] {
			for h := range t.dims[2] {
				at := n*t.strides[0] + c*t.strides[1] + h*t.strides[2]
				for range t.dims[3] {
					f(i, at)
					i++
					at += t.strides[3]
				}
			}
		}
	}
}

// load returns the numbers in NCHW order, which may be those in memory.
func (t tensor) load(mem []byte) []float32 {
	if t.kind == cudnn.Float && t.is(cudnn.NCHW) {
		return floats(mem)
	}
	x := make([]float32, t.count())
	if t.kind == cudnn.BFloat16 {
		h := halves(mem)
		t.each(func(i, at int) { x[i] = bfloat16.Float32(h[at]) })
	} else {
		f := floats(mem)
		t.each(func(i, at int) { x[i] = f[at] })
	}
	return x
}

// store makes alpha * result + beta * what is there of the numbers; if beta is 0
// what is there is not read.
func (t tensor) store(mem []byte, s scales, result []float32) {
	blend := func(r, old float32) float32 {
		if s.beta == 0 {
			return s.alpha * r
		}
		return s.alpha*r + s.beta*old
	}
	if t.kind == cudnn.BFloat16 {
		y := halves(mem)
		t.each(func(i, at int) { y[at] = bfloat16.From(blend(result[i], bfloat16.Float32(y[at]))) })
		return
	}
	y := floats(mem)
	t.each(func(i, at int) { y[at] = blend(result[i], y[at]) })
}

// scales are what a result and what was there before are multiplied by.
type scales struct{ alpha, beta float32 }
