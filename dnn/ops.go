package dnn

// Op describes one operation with all its sizes. The structs of this file are
// all there are.
type Op interface {
	// Operands returns the tensors read and those written.
	Operands() (reads, writes []Tensor)
}

// Input makes network input of cropped images: to float, minus the mean, plus
// colour (sections 2 and 4.1). Mirrored rows have been mirrored already; the
// mean is mirrored with them.
type Input struct {
	Batch        int
	Format       Format
	Out          Shape // of the patch
	MeanH, MeanW int   // of the stored images

	// If Fold is not zero, Y is the patch with Pad zeros before each row and column
	// and as many behind as there is room for, folded to a shape of Folded.
	Fold   Fold
	Pad    int
	Folded Shape

	Pixels Tensor // uint8 [batch, height, width, channels]
	Views  Tensor // [batch, ViewFloats]
	Mean   Tensor // [mean height, mean width, channels]
	Y      Tensor
}

// Convert makes maps of another format.
type Convert struct {
	Batch    int
	Shape    Shape
	From, To Format
	X, Y     Tensor
}

// Narrow makes the bfloat16 copy of a weight, [Count, C, H, W] of Kernels.
type Narrow struct {
	Count   int
	Kernels Kernels
	X, Y    Tensor
}

// Window is a sliding window. Pixels outside the input are zero for
// convolutions and do not exist for pools; how far windows may reach over the
// right and bottom edge follows from the output size.
type Window struct{ H, W, Stride, Pad int }

// Conv is the geometry of a convolution, with kernels shared between places or,
// for the Local operations, which are float32, not shared. Weights and their
// gradients have the order and the numbers of the maps' format, Float32 or
// BFloat16Last, and so have biases the numbers; gradients of biases are float32.
type Conv struct {
	Batch, Groups int
	Format        Format
	In, Out       Shape
	Window        Window
}

// KernelSize returns the count of weights in one kernel.
func (c Conv) KernelSize() int { return c.In.C / c.Groups * c.Window.H * c.Window.W }

// ConvForward: y = w * x + b or, with Relu, max(w * x + b, 0).
type ConvForward struct {
	Conv
	Relu       bool
	X, W, B, Y Tensor // w [out channels, in channels/groups, height, width], b [out channels]
}

// ConvBackwardData makes the gradient by x.
type ConvBackwardData struct {
	Conv
	W, DY, DX Tensor
}

// ConvBackwardWeights makes the gradients by w and b.
type ConvBackwardWeights struct {
	Conv
	X, DY, DW, DB Tensor
}

// LocalForward is an unshared convolution.
type LocalForward struct {
	Conv
	X, W, B, Y Tensor // w [out channels, out height, out width, kernel size], b [out channels, out height, out width]
}

// LocalBackwardData makes the gradient by x.
type LocalBackwardData struct {
	Conv
	W, DY, DX Tensor
}

// LocalBackwardWeights makes the gradients by w and b.
type LocalBackwardWeights struct {
	Conv
	X, DY, DW, DB Tensor
}

// Full is the geometry of a fully connected layer. Groups parts of the inputs
// feed Groups parts of the outputs. All tensors have the numbers of the format,
// Float32 or BFloat16, but for gradients of biases, which are float32.
type Full struct {
	Batch, Groups, In, Out int
	Format                 Format
}

// FullForward: y = x wᵀ + b or, with Relu, max(x wᵀ + b, 0).
type FullForward struct {
	Full
	Relu       bool
	X, W, B, Y Tensor // w [out, in/groups], b [out]
}

// FullBackwardData makes the gradient by x.
type FullBackwardData struct {
	Full
	W, DY, DX Tensor
}

// FullBackwardWeights makes the gradients by w and b.
type FullBackwardWeights struct {
	Full
	X, DY, DW, DB Tensor
}

// Func is the function of an activation.
type Func uint8

// The functions.
const (
	Relu Func = iota
	Tanh
	Sigmoid
)

// ActivationForward: y = f(x). Y may be X.
type ActivationForward struct {
	Count  int
	Format Format
	Func   Func
	X, Y   Tensor
}

// ActivationBackward makes the gradient by x from that by y. DX may be DY.
type ActivationBackward struct {
	Count     int
	Format    Format
	Func      Func
	Y, DY, DX Tensor
}

// Pool is the geometry of a pool of maps in Float32 or BFloat16Last.
type Pool struct {
	Batch   int
	Format  Format
	In, Out Shape
	Window  Window
}

// MaxPoolForward: the largest pixel of each window, the first of equal ones. A
// NaN counts as largest.
type MaxPoolForward struct {
	Pool
	X, Y  Tensor
	Where Tensor // int32, in the order of y: place of the largest pixel in its map
}

// MaxPoolBackward gives each gradient to the pixel that was largest.
type MaxPoolBackward struct {
	Pool
	Where, DY, DX Tensor
}

// AvgPoolForward: the mean over the pixels of each window that exist.
type AvgPoolForward struct {
	Pool
	X, Y Tensor
}

// AvgPoolBackward shares each gradient among the pixels that exist.
type AvgPoolBackward struct {
	Pool
	DY, DX Tensor
}

// LRN is response normalisation, b = a / (k + α Σ a²)^β: over Size adjacent maps
// of the same group, Size/2 of them (rounded down) before, or if Within over the
// Size x Size pixels around in the same map. Alpha is the paper's, not divided
// by the count of terms; cuDNN's lrnAlpha is Alpha times that count.
type LRN struct {
	Batch, Groups  int
	Format         Format // Float32 or, if not Within, BFloat16Last
	Shape          Shape
	Size           int
	Alpha, Beta, K float64
	Within         bool
}

// LRNForward normalises.
type LRNForward struct {
	LRN
	X, Y Tensor
}

// LRNBackward makes the gradient by x.
type LRNBackward struct {
	LRN
	X, Y, DY, DX Tensor
}

// NormPool is response normalisation across maps with a max pool of what it makes,
// which is not kept. Batch and format of both are the same, and so are the shape
// that is normalised and what the pool reads. Windows have at most 256 pixels.
type NormPool struct {
	LRN  LRN
	Pool Pool
}

// NormPoolForward normalises and pools.
type NormPoolForward struct {
	NormPool
	X, Y  Tensor
	Where Tensor // uint8, in the order of y: place of the largest pixel in its window
}

// NormPoolBackward makes the gradient by x. If Relu, x is what a ReLU made, and dx
// the gradient by what it made it of: 0 where x is.
type NormPoolBackward struct {
	NormPool
	Relu             bool
	X, Where, DY, DX Tensor
}

// Dropout sets numbers to zero with probability Rate. Which, depends on the seed
// and, over the whole network's batch, on the step and the number's place, so
// that columns on different devices and columns merged on one drop the same, and so
// do replicas that share the batch: feature f of image i is number
// (Before+i)*Features + First + f.
type Dropout struct {
	Batch, Count    int    // Count numbers of each image
	Before          int    // images of the batch, which other replicas have
	Format          Format // Float32 or BFloat16
	First, Features int
	Rate            float64
	Seed            uint64
	Layer           int // place in the network

	Control, X, Y Tensor // backward: X is the gradient by y, Y that by x
}

// Scale: y = Factor x. Y may be X.
type Scale struct {
	Count  int
	Format Format
	Factor float32
	X, Y   Tensor
}

// SoftmaxForward makes probabilities of logits, and the sums of loss and
// errors. Among equal logits the lower class counts as likelier.
type SoftmaxForward struct {
	Batch, Classes int
	X, Y           Tensor
	Labels         Tensor // int32 [batch]; less than 0 is no label
	Stats          Tensor // [StatFloats]
}

// SoftmaxBackward makes the gradient by the logits of the mean loss over Images
// images: the batch, and those that other replicas have. Images without a label have
// none.
type SoftmaxBackward struct {
	Batch, Images, Classes int
	Y, Labels, DX          Tensor
}

// Slab is Width consecutive numbers, given apart, of each of a count of rows
// that stand Stride apart.
type Slab struct {
	T              Tensor
	Offset, Stride int
}

// Sum adds slabs: y = x1 + x2 + ... A sum of one is a copy. Y may be X[0].
type Sum struct {
	Rows, Width int
	Format      Format
	X           []Slab
	Y           Slab
}

// Update is the step of section 5 for each of a network's parameters,
//
//	v ← Momentum v − Decay ε w − ε g,  w ← w + v
//
// with ε = Rate times rate number Index of Control.
type Update struct {
	Momentum float32
	Control  Tensor
	Params   []Param
}

// Param is a weight, or a bias, that is updated: Count kernels.
type Param struct {
	Count       int
	Kernels     Kernels
	Decay, Rate float32
	Index       int
	G, W, V     Tensor
	Narrow      bool   // g is bfloat16 in the order of the copy; else it is like w
	Copy        Tensor // if there is one, the bfloat16 copy of w, of which the zeros that fill up are left as they are
}

func (o Input) Operands() (r, w []Tensor) {
	return []Tensor{o.Pixels, o.Views, o.Mean}, []Tensor{o.Y}
}
func (o Convert) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y}
}
func (o Narrow) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y}
}
func (o ConvForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.W, o.B}, []Tensor{o.Y}
}
func (o ConvBackwardData) Operands() (r, w []Tensor) {
	return []Tensor{o.W, o.DY}, []Tensor{o.DX}
}
func (o ConvBackwardWeights) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.DY}, []Tensor{o.DW, o.DB}
}
func (o LocalForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.W, o.B}, []Tensor{o.Y}
}
func (o LocalBackwardData) Operands() (r, w []Tensor) {
	return []Tensor{o.W, o.DY}, []Tensor{o.DX}
}
func (o LocalBackwardWeights) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.DY}, []Tensor{o.DW, o.DB}
}
func (o FullForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.W, o.B}, []Tensor{o.Y}
}
func (o FullBackwardData) Operands() (r, w []Tensor) {
	return []Tensor{o.W, o.DY}, []Tensor{o.DX}
}
func (o FullBackwardWeights) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.DY}, []Tensor{o.DW, o.DB}
}
func (o ActivationForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y}
}
func (o ActivationBackward) Operands() (r, w []Tensor) {
	return []Tensor{o.Y, o.DY}, []Tensor{o.DX}
}
func (o MaxPoolForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y, o.Where}
}
func (o MaxPoolBackward) Operands() (r, w []Tensor) {
	return []Tensor{o.Where, o.DY}, []Tensor{o.DX}
}
func (o AvgPoolForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y}
}
func (o AvgPoolBackward) Operands() (r, w []Tensor) {
	return []Tensor{o.DY}, []Tensor{o.DX}
}
func (o LRNForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y}
}
func (o LRNBackward) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.Y, o.DY}, []Tensor{o.DX}
}
func (o NormPoolForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y, o.Where}
}
func (o NormPoolBackward) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.Where, o.DY}, []Tensor{o.DX}
}
func (o Dropout) Operands() (r, w []Tensor) {
	return []Tensor{o.Control, o.X}, []Tensor{o.Y}
}
func (o Scale) Operands() (r, w []Tensor) {
	return []Tensor{o.X}, []Tensor{o.Y}
}
func (o SoftmaxForward) Operands() (r, w []Tensor) {
	return []Tensor{o.X, o.Labels}, []Tensor{o.Y, o.Stats}
}
func (o SoftmaxBackward) Operands() (r, w []Tensor) {
	return []Tensor{o.Y, o.Labels}, []Tensor{o.DX}
}
func (o Sum) Operands() (r, w []Tensor) {
	for _, x := range o.X {
		r = append(r, x.T)
	}
	return r, []Tensor{o.Y.T}
}
func (o Update) Operands() (r, w []Tensor) {
	r = append(r, o.Control)
	for _, p := range o.Params {
		r = append(r, p.G, p.W, p.V)
		w = append(w, p.W, p.V)
		if p.Copy != 0 { // whose zeros stay
			r, w = append(r, p.Copy), append(w, p.Copy)
		}
	}
	return r, w
}
