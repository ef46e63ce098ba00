package dnn

// Format says how the numbers of maps, and of the weights that make them, stand
// in memory.
type Format uint8

// The formats. A bfloat16 is the upper half of a float32: it has its range, and 8
// bits of precision.
const (
	Float32      Format = iota // float32: [batch, channels, height, width]
	BFloat16                   // bfloat16 in the same order
	BFloat16Last               // bfloat16: [batch, height, width, channels], the order in which the tensor cores of GPUs want them
)

func (f Format) String() string {
	return [...]string{"float32", "bfloat16", "bfloat16 channels last"}[f]
}

// Bytes returns the size of one number.
func (f Format) Bytes() int64 {
	if f == Float32 {
		return 4
	}
	return 2
}

// InBFloat16 reports whether devices, which compute alike, want maps in bfloat16: they
// say so by a method InBFloat16.
func InBFloat16(devices []Device) bool {
	d, ok := devices[0].(interface{ InBFloat16() bool })
	return ok && d.InBFloat16()
}

// Fold makes the channels of an image, 3, into as many as tensor cores want: Side
// x Side pixels become one, with zeros up to Channels. A convolution with stride
// Side over the image is one with stride 1 over the folded image, with windows that
// have as many fewer places. The zero Fold folds nothing.
//
// Channel (a*Side + b)*C + c of the folded pixel [i, j] is channel c, of C, of
// pixel [i*Side + a, j*Side + b].
type Fold struct{ Side, Channels int }

// Kernels is the shape of the kernels that a weight is made of, and how they stand
// in its bfloat16 copy: channels last, and folded as the image is that they see. A
// weight of Count kernels is
//
//	[Count, C, H, W]                                            in float32,
//	[Count, ⌈H / Side⌉, ⌈W / Side⌉, Side * Side * C, or Channels]  in its copy.
//
// The rows of a full layer's weight, and the numbers of a bias, are kernels of
// 1x1x1.
type Kernels struct {
	C, H, W int
	Fold
}

// Size returns the count of numbers of a kernel in float32.
func (k Kernels) Size() int { return k.C * k.H * k.W }

// Copied returns the shape of a kernel in the copy.
func (k Kernels) Copied() Shape {
	if k.Fold == (Fold{}) {
		return Shape{k.C, k.H, k.W}
	}
	return Shape{k.Channels, (k.H + k.Side - 1) / k.Side, (k.W + k.Side - 1) / k.Side}
}

// Place returns where in a kernel in float32 number i of a kernel in the copy
// comes from, or -1 if it is one of the zeros that fill up.
func (k Kernels) Place(i int) int {
	s, side := k.Copied(), max(k.Side, 1)
	pixel, channel := i/s.C, i%s.C
	if channel >= side*side*k.C {
		return -1
	}
	row, column := pixel/s.W*side+channel/k.C/side, pixel%s.W*side+channel/k.C%side
	if row >= k.H || column >= k.W {
		return -1
	}
	return (channel%k.C*k.H+row)*k.W + column
}

// InFloat32 returns op as it is in float32. Operations that are about formats,
// [Input], [Convert], [Narrow] and [Update], are returned as they are.
func InFloat32(op Op) Op {
	switch o := op.(type) {
	case ConvForward:
		o.Format = Float32
		return o
	case ConvBackwardData:
		o.Format = Float32
		return o
	case ConvBackwardWeights:
		o.Format = Float32
		return o
	case FullForward:
		o.Format = Float32
		return o
	case FullBackwardData:
		o.Format = Float32
		return o
	case FullBackwardWeights:
		o.Format = Float32
		return o
	case ActivationForward:
		o.Format = Float32
		return o
	case ActivationBackward:
		o.Format = Float32
		return o
	case MaxPoolForward:
		o.Format = Float32
		return o
	case MaxPoolBackward:
		o.Format = Float32
		return o
	case AvgPoolForward:
		o.Format = Float32
		return o
	case AvgPoolBackward:
		o.Format = Float32
		return o
	case LRNForward:
		o.Format = Float32
		return o
	case LRNBackward:
		o.Format = Float32
		return o
	case NormPoolForward:
		o.LRN.Format, o.Pool.Format = Float32, Float32
		return o
	case NormPoolBackward:
		o.LRN.Format, o.Pool.Format = Float32, Float32
		return o
	case Dropout:
		o.Format = Float32
		return o
	case Scale:
		o.Format = Float32
		return o
	case Sum:
		o.Format = Float32
		return o
	}
	return op
}
