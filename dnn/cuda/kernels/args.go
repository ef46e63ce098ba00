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
	// SumColumns adds rows, Most at a time: y is [⌈Rows/Most⌉, Width].
	SumColumns struct {
		X, Y              cu.DevicePtr
		Rows, Width, Most int32
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
		Control, X, Y                         cu.DevicePtr
		Seed, Threshold                       uint64
		Batch, Before, Count, First, Features int32
		Purpose                               uint32
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
		Y, Labels, DX          cu.DevicePtr
		Batch, Images, Classes int32
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
	// Update changes all parameters of a list, which NewUpdate makes.
	Update struct {
		Control  cu.DevicePtr
		Momentum float32
		Chunks   int64
		Params   [MaxParams]Parameter
	}
)

// MaxParams is the most parameters that one Update takes: a kernel's arguments have
// 4 KB.
const MaxParams = 32

// Parameter is a weight or a bias, of Count kernels of C x H x Wide, with the bfloat16
// copy that dnn.Kernels describes; Copy is 0 if there is none. If Narrow is 1, G stands
// like the copy.
type Parameter struct {
	G, W, V, Copy                             cu.DevicePtr
	Count, FirstChunk                         int64
	C, H, Wide, Side, Channels, Narrow, Index int32
	Decay, Rate                               float32
}

// NewUpdate returns the update of up to MaxParams parameters.
func NewUpdate(control cu.DevicePtr, momentum float32, list []Parameter) Update {
	const chunk = 4096 // as in update.cu
	u := Update{Control: control, Momentum: momentum}
	for i, p := range list {
		p.FirstChunk = u.Chunks
		u.Chunks += (p.Count*int64(p.C)*int64(p.H)*int64(p.Wide) + chunk - 1) / chunk
		u.Params[i] = p
	}
	return u
}

// The kernels of bfloat16. Those named after Last have channels last.
type (
	// Convert copies maps from one format to another: XHalf and YHalf are 1 where that
	// side is bfloat16, XLast and YLast where its channels are last.
	Convert struct {
		X, Y                       cu.DevicePtr
		Batch, Channels, Places    int32
		XHalf, XLast, YHalf, YLast int32
	}
	// NarrowWeights makes the copy of a weight; see dnn.Kernels.
	NarrowWeights struct {
		X, Y                           cu.DevicePtr
		Count, C, H, W, Side, Channels int32
	}
	ScaleHalf      Scale
	AddBiasHalf    AddBias
	DropoutHalf    Dropout
	SlabHalf       Slab
	SumColumnsHalf SumColumns // Y is float32
	// ActivationForwardHalf has functions as package dnn counts them.
	ActivationForwardHalf struct {
		X, Y     cu.DevicePtr
		Count    int64
		Function int32
	}
	ActivationBackwardHalf struct {
		Y, DY, DX cu.DevicePtr
		Count     int64
		Function  int32
	}
	// InputLast folds Side x Side pixels into one with Channels numbers.
	InputLast struct {
		Pixels, Views, Mean, Y          cu.DevicePtr
		Batch, C, H, W, MeanH, MeanW    int32
		Side, Pad, Channels, OutH, OutW int32
	}
	// FitLast is Fit.
	FitLast struct {
		X, Y                       cu.DevicePtr
		Batch, C, H, W, OutH, OutW int32
	}
	MaxPoolForwardLast struct {
		X, Y, Where cu.DevicePtr
		Batch       int32
		Geometry
	}
	MaxPoolBackwardLast struct {
		Where, DY, DX cu.DevicePtr
		Batch         int32
		Geometry
	}
	AvgPoolForwardLast struct {
		X, Y  cu.DevicePtr
		Batch int32
		Geometry
	}
	AvgPoolBackwardLast struct {
		DY, DX cu.DevicePtr
		Batch  int32
		Geometry
	}
	// NormPoolForward normalises across maps and pools. If Where is 0, it is not
	// remembered where the largest pixels were, and backward it counts as if all were.
	NormPoolForward struct {
		X, Y, Where         cu.DevicePtr
		Batch, Groups, Size int32
		Alpha, Beta, K      float32
		Geometry
	}
	NormPoolBackward struct {
		X, Where, DY, DX    cu.DevicePtr
		Batch, Groups, Size int32
		Alpha, Beta, K      float32
		Relu                int32 // 1: x was made by a ReLU, and dx is the gradient by what it read
		Geometry
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

// SumColumns has a block for each 64 columns of Most rows.
func (a SumColumns) Kernel() (string, int64, int64) {
	most := int64(max(a.Most, 1))
	return "sum_columns", (int64(a.Width) + 63) / 64 * ((int64(a.Rows) + most - 1) / most), Threads
}
func (a SumColumnsHalf) Kernel() (string, int64, int64) {
	_, blocks, threads := SumColumns(a).Kernel()
	return "sum_columns_half", blocks, threads
}
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

// Update has a block for each chunk.
func (a Update) Kernel() (string, int64, int64) { return "update", a.Chunks, Threads }

func (a Convert) Kernel() (string, int64, int64) {
	return each("convert", int64(a.Batch)*int64(a.Channels)*int64(a.Places))
}
func (a NarrowWeights) Kernel() (string, int64, int64) {
	return each("narrow_weights", int64(a.Count)*int64(a.C)*int64(a.H)*int64(a.W))
}
func (a ScaleHalf) Kernel() (string, int64, int64) { return each("scale_half", a.Count) }
func (a AddBiasHalf) Kernel() (string, int64, int64) {
	return each("add_bias_half", int64(a.Rows)*int64(a.Width))
}
func (a DropoutHalf) Kernel() (string, int64, int64) {
	return each("dropout_half", int64(a.Batch)*int64(a.Count))
}
func (a SlabHalf) Kernel() (string, int64, int64) {
	return each("slab_half", int64(a.Rows)*int64(a.Width))
}
func (a InputLast) Kernel() (string, int64, int64) {
	return each("input_last", int64(a.Batch)*int64(a.OutH)*int64(a.OutW)*int64(a.Side))
}
func (a FitLast) Kernel() (string, int64, int64) {
	return each("fit_last", int64(a.Batch)*int64(a.C)*int64(a.OutH)*int64(a.OutW))
}

// packs returns the launch of a kernel with a thread for each eight of n results.
func packs(name string, n int64) (string, int64, int64) { return each(name, (n+7)/8) }

func (a ActivationForwardHalf) Kernel() (string, int64, int64) {
	return packs("activation_forward_half", a.Count)
}
func (a ActivationBackwardHalf) Kernel() (string, int64, int64) {
	return packs("activation_backward_half", a.Count)
}
func (a MaxPoolForwardLast) Kernel() (string, int64, int64) {
	return packs("max_pool_forward_last", int64(a.Batch)*a.out())
}
func (a MaxPoolBackwardLast) Kernel() (string, int64, int64) {
	return packs("max_pool_backward_last", int64(a.Batch)*a.in())
}
func (a AvgPoolForwardLast) Kernel() (string, int64, int64) {
	return each("avg_pool_forward_last", int64(a.Batch)*a.out())
}
func (a AvgPoolBackwardLast) Kernel() (string, int64, int64) {
	return each("avg_pool_backward_last", int64(a.Batch)*a.in())
}
func (a NormPoolForward) Kernel() (string, int64, int64) {
	return packs("norm_pool_forward", int64(a.Batch)*a.out())
}
func (a NormPoolBackward) Kernel() (string, int64, int64) {
	return packs("norm_pool_backward", int64(a.Batch)*a.in())
}
