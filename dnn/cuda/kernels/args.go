package kernels

import "alexnet/dnn/cuda/cu"

// Args are the arguments of one kernel: a struct whose fields are the kernel's
// parameters in order. Device pointers are cu.DevicePtr, numbers have the width
// of the parameter.
type Args interface {
	// Kernel returns the name of the kernel in the .cu files, and over how many
	// blocks of how many threads it wants to be launched. More or fewer blocks
	// give the same numbers.
	Kernel() (name string, blocks, threads int64)
}

// Threads of a block, for every kernel.
const Threads = 256

// MaxThreads is the most threads that a block can have on any GPU.
const MaxThreads = 1024

// Geometry is a sliding window over maps: [C, H, W] in and out for convolutions;
// pools see each map apart, and C is 1.
type Geometry struct {
	InC, InH, InW    int32
	OutC, OutH, OutW int32
	KH, KW           int32
	Stride, Pad      int32
}

func (g Geometry) in() int64  { return int64(g.InC) * int64(g.InH) * int64(g.InW) }
func (g Geometry) out() int64 { return int64(g.OutC) * int64(g.OutH) * int64(g.OutW) }

// The kernels. See dnn's operations of the same names for what they compute.
type (
	// Input makes an image whose patch is not inside the mean all NaN.
	Input struct {
		Pixels, Views, Mean, Y       cu.DevicePtr
		Batch, C, H, W, MeanH, MeanW int32
	}
	// Fit copies planes [H, W] to planes [OutH, OutW]: cut off, or filled up with
	// zeros, on the right and at the bottom.
	Fit struct {
		X, Y                     cu.DevicePtr
		Planes, H, W, OutH, OutW int32
	}
	LocalForward struct {
		X, W, B, Y    cu.DevicePtr
		Batch, Groups int32
		Geometry
	}
	LocalBackwardData struct {
		W, DY, DX     cu.DevicePtr
		Batch, Groups int32
		Geometry
	}
	LocalBackwardWeights struct {
		X, DY, DW     cu.DevicePtr
		Batch, Groups int32
		Geometry
	}
	// SumRows: y[j] = Σ_i x[i, j] for x of [Rows, Width].
	SumRows struct {
		X, Y        cu.DevicePtr
		Rows, Width int32
	}
	// AddBias: y[i, j] += b[j] for y of [Rows, Width], in place; then, if Relu is 1,
	// max(y, 0), which keeps NaN.
	AddBias struct {
		B, Y              cu.DevicePtr
		Rows, Width, Relu int32
	}
	MaxPoolForward struct {
		X, Y, Where cu.DevicePtr
		Planes      int32
		Geometry
	}
	MaxPoolBackward struct {
		Where, DY, DX cu.DevicePtr
		Planes        int32
		Geometry
	}
	AvgPoolForward struct {
		X, Y   cu.DevicePtr
		Planes int32
		Geometry
	}
	AvgPoolBackward struct {
		DY, DX cu.DevicePtr
		Planes int32
		Geometry
	}
	LRNAcrossForward struct {
		X, Y           cu.DevicePtr
		Batch, Groups  int32
		C, H, W, Size  int32
		Alpha, Beta, K float32
	}
	LRNAcrossBackward struct {
		X, Y, DY, DX   cu.DevicePtr
		Batch, Groups  int32
		C, H, W, Size  int32
		Alpha, Beta, K float32
	}
	// LRNWithinForward normalises within each of Planes maps.
	LRNWithinForward struct {
		X, Y               cu.DevicePtr
		Planes, H, W, Size int32
		Alpha, Beta, K     float32
	}
	LRNWithinBackward struct {
		X, Y, DY, DX       cu.DevicePtr
		Planes, H, W, Size int32
		Alpha, Beta, K     float32
	}
	// Dropout drops what has a random number below Threshold, of 2^32.
	Dropout struct {
		Control, X, Y                 cu.DevicePtr
		Seed, Threshold               uint64
		Batch, Count, First, Features int32
		Purpose                       uint32
	}
	Scale struct {
		X, Y   cu.DevicePtr
		Count  int64
		Factor float32
	}
	// SoftmaxForward also makes each image's share of the statistics: Each is
	// [Batch, 3]. SoftmaxStats adds them up. A label that is no class makes a loss
	// of NaN.
	SoftmaxForward struct {
		X, Y, Labels, Each cu.DevicePtr
		Batch, Classes     int32
	}
	SoftmaxStats struct {
		Each, Stats cu.DevicePtr
		Batch       int32
	}
	// SoftmaxBackward makes the gradient of an image NaN whose label is no class.
	SoftmaxBackward struct {
		Y, Labels, DX  cu.DevicePtr
		Batch, Classes int32
	}
	// Slab copies rows of Width numbers, or if Add is 1 adds them to what is there.
	// Offsets and strides count numbers.
	Slab struct {
		X, Y             cu.DevicePtr
		Rows, Width      int32
		XOffset, XStride int64
		YOffset, YStride int64
		Add              int32
	}
	Update struct {
		Control, G, W, V      cu.DevicePtr
		Count                 int64
		Momentum, Decay, Rate float32
		Index                 int32 // of the rate in Control
	}
	// ToBFloat16 rounds to nearest even; a NaN stays one.
	ToBFloat16 struct {
		X, Y  cu.DevicePtr // float32, bfloat16
		Count int64
	}
	FromBFloat16 struct {
		X, Y  cu.DevicePtr // bfloat16, float32
		Count int64
	}
)

// each returns the launch of a kernel with a thread for each of n results.
func each(name string, n int64) (string, int64, int64) {
	return name, (n + Threads - 1) / Threads, Threads
}

func (a Input) Kernel() (string, int64, int64) {
	return each("input", int64(a.Batch)*int64(a.C)*int64(a.H)*int64(a.W))
}
func (a Fit) Kernel() (string, int64, int64) {
	return each("fit", int64(a.Planes)*int64(a.OutH)*int64(a.OutW))
}
func (a LocalForward) Kernel() (string, int64, int64) {
	return each("local_forward", int64(a.Batch)*a.out())
}
func (a LocalBackwardData) Kernel() (string, int64, int64) {
	return each("local_backward_data", int64(a.Batch)*a.in())
}
func (a LocalBackwardWeights) Kernel() (string, int64, int64) {
	return each("local_backward_weights", a.out()*int64(a.InC/max(a.Groups, 1))*int64(a.KH)*int64(a.KW))
}
func (a SumRows) Kernel() (string, int64, int64) { return each("sum_rows", int64(a.Width)) }
func (a AddBias) Kernel() (string, int64, int64) {
	return each("add_bias", int64(a.Rows)*int64(a.Width))
}
func (a MaxPoolForward) Kernel() (string, int64, int64) {
	return each("max_pool_forward", int64(a.Planes)*a.out())
}
func (a MaxPoolBackward) Kernel() (string, int64, int64) {
	return each("max_pool_backward", int64(a.Planes)*a.in())
}
func (a AvgPoolForward) Kernel() (string, int64, int64) {
	return each("avg_pool_forward", int64(a.Planes)*a.out())
}
func (a AvgPoolBackward) Kernel() (string, int64, int64) {
	return each("avg_pool_backward", int64(a.Planes)*a.in())
}
func (a LRNAcrossForward) Kernel() (string, int64, int64) {
	return each("lrn_across_forward", int64(a.Batch)*int64(a.C)*int64(a.H)*int64(a.W))
}
func (a LRNAcrossBackward) Kernel() (string, int64, int64) {
	return each("lrn_across_backward", int64(a.Batch)*int64(a.C)*int64(a.H)*int64(a.W))
}
func (a LRNWithinForward) Kernel() (string, int64, int64) {
	return each("lrn_within_forward", int64(a.Planes)*int64(a.H)*int64(a.W))
}
func (a LRNWithinBackward) Kernel() (string, int64, int64) {
	return each("lrn_within_backward", int64(a.Planes)*int64(a.H)*int64(a.W))
}
func (a Dropout) Kernel() (string, int64, int64) {
	return each("dropout", int64(a.Batch)*int64(a.Count))
}
func (a Scale) Kernel() (string, int64, int64) { return each("scale", a.Count) }

// SoftmaxForward and SoftmaxStats have a block for each row of numbers.

func (a SoftmaxForward) Kernel() (string, int64, int64) {
	return "softmax_forward", int64(a.Batch), Threads
}
func (a SoftmaxStats) Kernel() (string, int64, int64) { return "softmax_stats", 1, Threads }
func (a SoftmaxBackward) Kernel() (string, int64, int64) {
	return each("softmax_backward", int64(a.Batch)*int64(a.Classes))
}
func (a Slab) Kernel() (string, int64, int64) {
	return each("slab", int64(a.Rows)*int64(a.Width))
}
func (a Update) Kernel() (string, int64, int64)       { return each("update", a.Count) }
func (a ToBFloat16) Kernel() (string, int64, int64)   { return each("to_bfloat16", a.Count) }
func (a FromBFloat16) Kernel() (string, int64, int64) { return each("from_bfloat16", a.Count) }
