package dnn

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Need is what an operation uses of the memory of one operand, from its start
// on.
type Need struct {
	Name   string // the operand's field: DX
	Tensor Tensor
	Bytes  int64
	Size   int64 // bytes of a number, at a multiple of which it starts

	// Of numbers that have a format: which, and how many there are, in the order
	// [Count, Channels, Places], or with channels last [Count, Places, Channels].
	Numbers                 bool
	Format                  Format
	Count, Channels, Places int
}

// Needs checks the sizes of op and returns what it uses of each operand. A
// device that finds that much memory behind each can do op without reaching
// outside.
func Needs(op Op) ([]Need, error) {
	n := &needs{}
	n.of(op)
	if n.err != nil {
		return nil, n.err
	}
	return n.list, nil
}

// NameOf returns the name of an operation: ConvForward.
func NameOf(op Op) string { return strings.TrimPrefix(fmt.Sprintf("%T", op), "dnn.") }

// needs collects the operands of one operation and keeps the first error.
type needs struct {
	list []Need
	err  error
}

func (n *needs) fail(format string, args ...any) {
	if n.err == nil {
		n.err = fmt.Errorf(format, args...)
	}
}

// maxCount bounds the numbers in one tensor, so that no sum of places and sizes
// overflows.
const maxCount = math.MaxInt64 / 64

// count returns the product of sizes, each of which must be 1 or more.
func (n *needs) count(sizes ...int) int64 {
	product := int64(1)
	for _, s := range sizes {
		if s < 1 {
			n.fail("sizes %v must be 1 or more", sizes)
			return 1
		}
		if product > maxCount/int64(s) {
			n.fail("sizes %v make too large a tensor", sizes)
			return 1
		}
		product *= int64(s)
	}
	return product
}

func (n *needs) bytes(name string, t Tensor, bytes int64) {
	if t == 0 {
		n.fail("%s is no tensor", name)
	}
	n.list = append(n.list, Need{Name: name, Tensor: t, Bytes: bytes, Size: 1})
}

// numbers adds an operand of numbers in a format.
func (n *needs) numbers(name string, t Tensor, f Format, count, channels, places int) {
	if f > BFloat16Last {
		n.fail("unknown format %d", f)
		return
	}
	n.bytes(name, t, f.Bytes()*n.count(count, channels, places))
	n.size(f.Bytes())
	last := &n.list[len(n.list)-1]
	last.Numbers, last.Format, last.Count, last.Channels, last.Places = true, f, count, channels, places
}

// line adds an operand of numbers whose order does not matter.
func (n *needs) line(name string, t Tensor, f Format, sizes ...int) {
	n.numbers(name, t, f, int(n.count(sizes...)), 1, 1)
}

// words adds an operand of numbers of 4 bytes.
func (n *needs) words(name string, t Tensor, sizes ...int) {
	n.bytes(name, t, 4*n.count(sizes...))
	n.size(4)
}

// size sets the size of the numbers of the operand that was added last.
func (n *needs) size(bytes int64) { n.list[len(n.list)-1].Size = bytes }

func (n *needs) of(op Op) {
	switch o := op.(type) {
	case Input:
		n.input(o)
	case Convert:
		n.maps("X", o.X, o.From, o.Batch, o.Shape)
		n.maps("Y", o.Y, o.To, o.Batch, o.Shape)
	case Narrow:
		n.kernels("X", o.X, Float32, o.Count, o.Kernels)
		n.kernels("Y", o.Y, BFloat16Last, o.Count, o.Kernels)
	case ConvForward:
		n.conv(o.Conv)
		n.maps("X", o.X, o.Format, o.Batch, o.In)
		n.weights("W", o.W, o.Conv)
		n.line("B", o.B, o.Format, o.Out.C)
		n.maps("Y", o.Y, o.Format, o.Batch, o.Out)
	case ConvBackwardData:
		n.conv(o.Conv)
		n.weights("W", o.W, o.Conv)
		n.maps("DY", o.DY, o.Format, o.Batch, o.Out)
		n.maps("DX", o.DX, o.Format, o.Batch, o.In)
	case ConvBackwardWeights:
		n.conv(o.Conv)
		n.maps("X", o.X, o.Format, o.Batch, o.In)
		n.maps("DY", o.DY, o.Format, o.Batch, o.Out)
		n.weights("DW", o.DW, o.Conv)
		n.words("DB", o.DB, o.Out.C)
	case LocalForward:
		n.conv(o.Conv)
		n.only(o.Format, Float32)
		n.maps("X", o.X, Float32, o.Batch, o.In)
		n.words("W", o.W, o.Out.C, o.Out.H, o.Out.W, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.maps("B", o.B, Float32, 1, o.Out)
		n.maps("Y", o.Y, Float32, o.Batch, o.Out)
	case LocalBackwardData:
		n.conv(o.Conv)
		n.only(o.Format, Float32)
		n.words("W", o.W, o.Out.C, o.Out.H, o.Out.W, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.maps("DY", o.DY, Float32, o.Batch, o.Out)
		n.maps("DX", o.DX, Float32, o.Batch, o.In)
	case LocalBackwardWeights:
		n.conv(o.Conv)
		n.only(o.Format, Float32)
		n.maps("X", o.X, Float32, o.Batch, o.In)
		n.maps("DY", o.DY, Float32, o.Batch, o.Out)
		n.words("DW", o.DW, o.Out.C, o.Out.H, o.Out.W, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.maps("DB", o.DB, Float32, 1, o.Out)
	case FullForward:
		n.full(o.Full)
		n.line("X", o.X, o.Format, o.Batch, o.In)
		n.line("W", o.W, o.Format, o.Out, o.In/max(o.Groups, 1))
		n.line("B", o.B, o.Format, o.Out)
		n.line("Y", o.Y, o.Format, o.Batch, o.Out)
	case FullBackwardData:
		n.full(o.Full)
		n.line("W", o.W, o.Format, o.Out, o.In/max(o.Groups, 1))
		n.line("DY", o.DY, o.Format, o.Batch, o.Out)
		n.line("DX", o.DX, o.Format, o.Batch, o.In)
	case FullBackwardWeights:
		n.full(o.Full)
		n.line("X", o.X, o.Format, o.Batch, o.In)
		n.line("DY", o.DY, o.Format, o.Batch, o.Out)
		n.line("DW", o.DW, o.Format, o.Out, o.In/max(o.Groups, 1))
		n.words("DB", o.DB, o.Out)
	case ActivationForward:
		n.function(o.Func)
		n.line("X", o.X, o.Format, o.Count)
		n.line("Y", o.Y, o.Format, o.Count)
	case ActivationBackward:
		n.function(o.Func)
		n.line("Y", o.Y, o.Format, o.Count)
		n.line("DY", o.DY, o.Format, o.Count)
		n.line("DX", o.DX, o.Format, o.Count)
	case MaxPoolForward:
		n.pool(o.Pool)
		n.maps("X", o.X, o.Format, o.Batch, o.In)
		n.maps("Y", o.Y, o.Format, o.Batch, o.Out)
		n.words("Where", o.Where, o.Batch, o.Out.C, o.Out.H, o.Out.W)
	case MaxPoolBackward:
		n.pool(o.Pool)
		n.words("Where", o.Where, o.Batch, o.Out.C, o.Out.H, o.Out.W)
		n.maps("DY", o.DY, o.Format, o.Batch, o.Out)
		n.maps("DX", o.DX, o.Format, o.Batch, o.In)
	case AvgPoolForward:
		n.pool(o.Pool)
		n.maps("X", o.X, o.Format, o.Batch, o.In)
		n.maps("Y", o.Y, o.Format, o.Batch, o.Out)
	case AvgPoolBackward:
		n.pool(o.Pool)
		n.maps("DY", o.DY, o.Format, o.Batch, o.Out)
		n.maps("DX", o.DX, o.Format, o.Batch, o.In)
	case LRNForward:
		n.lrn(o.LRN)
		n.maps("X", o.X, o.Format, o.Batch, o.Shape)
		n.maps("Y", o.Y, o.Format, o.Batch, o.Shape)
	case LRNBackward:
		n.lrn(o.LRN)
		n.maps("X", o.X, o.Format, o.Batch, o.Shape)
		n.maps("Y", o.Y, o.Format, o.Batch, o.Shape)
		n.maps("DY", o.DY, o.Format, o.Batch, o.Shape)
		n.maps("DX", o.DX, o.Format, o.Batch, o.Shape)
	case NormPoolForward:
		n.normPool(o.NormPool)
		n.maps("X", o.X, o.LRN.Format, o.LRN.Batch, o.LRN.Shape)
		n.maps("Y", o.Y, o.LRN.Format, o.LRN.Batch, o.Pool.Out)
		n.bytes("Where", o.Where, n.count(o.LRN.Batch, o.Pool.Out.C, o.Pool.Out.H, o.Pool.Out.W))
	case NormPoolBackward:
		n.normPool(o.NormPool)
		n.maps("X", o.X, o.LRN.Format, o.LRN.Batch, o.LRN.Shape)
		n.bytes("Where", o.Where, n.count(o.LRN.Batch, o.Pool.Out.C, o.Pool.Out.H, o.Pool.Out.W))
		n.maps("DY", o.DY, o.LRN.Format, o.LRN.Batch, o.Pool.Out)
		n.maps("DX", o.DX, o.LRN.Format, o.LRN.Batch, o.LRN.Shape)
	case Dropout:
		n.dropout(o)
	case Scale:
		n.line("X", o.X, o.Format, o.Count)
		n.line("Y", o.Y, o.Format, o.Count)
	case SoftmaxForward:
		n.words("X", o.X, o.Batch, o.Classes)
		n.words("Y", o.Y, o.Batch, o.Classes)
		n.words("Labels", o.Labels, o.Batch)
		n.words("Stats", o.Stats, StatFloats)
	case SoftmaxBackward:
		if o.Images < o.Batch || o.Images > maxCount {
			n.fail("%d images, of which %d are here", o.Images, o.Batch)
		}
		n.words("Y", o.Y, o.Batch, o.Classes)
		n.words("Labels", o.Labels, o.Batch)
		n.words("DX", o.DX, o.Batch, o.Classes)
	case Sum:
		n.sum(o)
	case Update:
		n.update(o)
	default:
		n.err = errors.New("not an operation of package dnn")
	}
}

func (n *needs) maps(name string, t Tensor, f Format, batch int, s Shape) {
	n.area("maps", s.H, s.W)
	n.numbers(name, t, f, batch, s.C, s.H*s.W)
}

// weights adds a convolution's weights or their gradients.
func (n *needs) weights(name string, t Tensor, c Conv) {
	n.numbers(name, t, c.Format, c.Out.C, c.In.C/max(c.Groups, 1), c.Window.H*c.Window.W)
}

// kernels adds a weight: itself, in float32, or its copy.
func (n *needs) kernels(name string, t Tensor, f Format, count int, k Kernels) {
	n.count(k.C, k.H, k.W)
	if k.Fold != (Fold{}) && (k.Side < 1 || k.Channels < 1 || k.Side > maxSide || n.count(k.Side, k.Side, k.C) > int64(k.Channels)) {
		n.fail("kernels of %d channels, folded by %d into %d", k.C, k.Side, k.Channels)
		return
	}
	if f == Float32 {
		n.words(name, t, count, k.C, k.H, k.W)
		return
	}
	s := k.Copied()
	n.bytes(name, t, f.Bytes()*n.count(count, s.C, s.H, s.W))
	n.size(f.Bytes())
}

func (n *needs) only(f, can Format) {
	if f != can {
		n.fail("numbers in %v, but it is done in %v alone", f, can)
	}
}

// area checks that the places of a map or a window can be counted in an int32.
func (n *needs) area(what string, h, w int) {
	if n.count(h, w) > math.MaxInt32 {
		n.fail("%s of %dx%d: more than %d places", what, h, w, math.MaxInt32)
	}
}

func (n *needs) input(o Input) {
	const colours = 3 // of a view
	if o.Out.C > colours {
		n.fail("%d channels; an image has red, green and blue", o.Out.C)
	}
	if o.MeanH < o.Out.H || o.MeanW < o.Out.W {
		n.fail("the mean is %dx%d, smaller than the patch, %dx%d", o.MeanH, o.MeanW, o.Out.H, o.Out.W)
	}
	n.bytes("Pixels", o.Pixels, n.count(o.Batch, o.Out.H, o.Out.W, o.Out.C))
	n.words("Views", o.Views, o.Batch, ViewFloats)
	n.words("Mean", o.Mean, o.MeanH, o.MeanW, o.Out.C)
	n.maps("Y", o.Y, o.Format, o.Batch, n.made(o))
}

// made returns the shape of an image that Input makes.
func (n *needs) made(o Input) Shape {
	f := o.Fold
	switch {
	case f == (Fold{}):
		return o.Out
	case f.Side < 1 || f.Channels < 1 || o.Pad < 0 || max(f.Side, o.Pad) > maxSide || n.count(f.Side, f.Side, o.Out.C) > int64(f.Channels) || o.Folded.C != f.Channels:
		n.fail("images of %d channels, with a pad of %d, folded by %d into %d, in maps of %d channels", o.Out.C, o.Pad, f.Side, f.Channels, o.Folded.C)
	}
	return o.Folded
}

// maxSide bounds sides, strides and pads, so that no place overflows.
const maxSide = 1 << 24

// window checks a window and the sides of the maps it slides over and makes, and
// that no place in them overflows.
func (n *needs) window(w Window, in, out Shape) {
	if w.H < 1 || w.W < 1 || w.Stride < 1 || w.Pad < 0 || max(w.H, w.W, w.Stride, w.Pad) > maxSide {
		n.fail("window %dx%d, stride %d, pad %d: sides and stride must be 1 or more, pad 0 or more, all at most %d", w.H, w.W, w.Stride, w.Pad, maxSide)
	}
	if side := max(in.H, in.W, out.H, out.W); side > maxSide {
		n.fail("maps with a side of %d; at most %d", side, maxSide)
	}
	n.area("windows", w.H, w.W)
}

// conv checks the geometry.
func (n *needs) conv(c Conv) {
	n.placed(c.Format)
	n.window(c.Window, c.In, c.Out)
	n.groups(c.Groups, c.In.C, c.Out.C, "maps")
}

func (n *needs) full(f Full) {
	n.groups(f.Groups, f.In, f.Out, "numbers")
	n.flat(f.Format)
}

// flat checks the format of an operation that sees no places, placed that of one that
// does.
func (n *needs) flat(f Format) {
	if f == BFloat16Last {
		n.fail("numbers in %v, but it sees no places: %v or %v", f, Float32, BFloat16)
	}
}

func (n *needs) placed(f Format) {
	if f == BFloat16 {
		n.fail("maps in %v: %v or %v", f, Float32, BFloat16Last)
	}
}

func (n *needs) groups(groups, in, out int, what string) {
	if groups < 1 || in%groups != 0 || out%groups != 0 {
		n.fail("%d %s into %d in %d groups", in, what, out, groups)
	}
}

func (n *needs) function(f Func) {
	if f > Sigmoid {
		n.fail("unknown function %d", f)
	}
}

// pool checks the geometry. Every window must hold a pixel.
func (n *needs) pool(o Pool) {
	n.placed(o.Format)
	n.window(o.Window, o.In, o.Out)
	if o.In.C != o.Out.C {
		n.fail("%d maps into %d", o.In.C, o.Out.C)
	}
	w := o.Window
	if w.Pad >= min(w.H, w.W) || (o.Out.H-1)*w.Stride-w.Pad >= o.In.H || (o.Out.W-1)*w.Stride-w.Pad >= o.In.W {
		n.fail("of %dx%d windows of %dx%d, stride %d, pad %d, some hold no pixel of %dx%d",
			o.Out.H, o.Out.W, w.H, w.W, w.Stride, w.Pad, o.In.H, o.In.W)
	}
}

func (n *needs) lrn(o LRN) {
	n.placed(o.Format)
	n.count(o.Size)
	if o.Within {
		n.only(o.Format, Float32)
	}
	n.groups(o.Groups, o.Shape.C, o.Shape.C, "maps")
}

// normPool checks that the pool takes what the normalisation makes.
func (n *needs) normPool(o NormPool) {
	n.lrn(o.LRN)
	n.pool(o.Pool)
	if o.LRN.Within || o.LRN.Batch != o.Pool.Batch || o.LRN.Format != o.Pool.Format || o.LRN.Shape != o.Pool.In {
		n.fail("a pool of %d images of %v in %v after a normalisation of %d of %v in %v, within maps: %v",
			o.Pool.Batch, o.Pool.In, o.Pool.Format, o.LRN.Batch, o.LRN.Shape, o.LRN.Format, o.LRN.Within)
	}
	const most = 256 // places that a byte can tell
	if n.count(o.Pool.Window.H, o.Pool.Window.W) > most {
		n.fail("windows of %dx%d: more than %d places", o.Pool.Window.H, o.Pool.Window.W, most)
	}
}

func (n *needs) dropout(o Dropout) {
	n.flat(o.Format)
	if o.Before < 0 || o.Before > maxCount {
		n.fail("%d images before these", o.Before)
		return
	}
	n.count(o.Before+o.Batch, o.Features)
	if o.First < 0 || o.First > o.Features-o.Count {
		n.fail("numbers %d to %d of an image that has %d", o.First, o.First+o.Count, o.Features)
	}
	if !(o.Rate >= 0 && o.Rate <= 1) {
		n.fail("rate %g is not in 0 to 1", o.Rate)
	}
	n.bytes("Control", o.Control, ControlBytes(0))
	n.size(4)
	n.line("X", o.X, o.Format, o.Batch, o.Count)
	n.line("Y", o.Y, o.Format, o.Batch, o.Count)
}

func (n *needs) update(o Update) {
	rates := 0
	for _, p := range o.Params {
		if p.Index < 0 || p.Index > maxCount {
			n.fail("rate number %d", p.Index)
			return
		}
		rates = max(rates, p.Index+1)
	}
	n.bytes("Control", o.Control, ControlBytes(rates))
	n.size(4)
	for i, p := range o.Params {
		name := func(s string) string { return fmt.Sprintf("Params[%d].%s", i, s) }
		g := Float32
		if p.Narrow {
			g = BFloat16Last
		}
		n.kernels(name("G"), p.G, g, p.Count, p.Kernels)
		n.kernels(name("W"), p.W, Float32, p.Count, p.Kernels)
		n.kernels(name("V"), p.V, Float32, p.Count, p.Kernels)
		if p.Copy != 0 {
			n.kernels(name("Copy"), p.Copy, BFloat16Last, p.Count, p.Kernels)
		}
	}
}

func (n *needs) sum(o Sum) {
	n.count(o.Rows, o.Width)
	if len(o.X) == 0 {
		n.fail("nothing to add")
	}
	if o.Rows > 1 && o.Y.Stride < o.Width {
		n.fail("rows of Y overlap: %d numbers, %d apart", o.Width, o.Y.Stride)
	}
	for i, x := range o.X {
		n.slab(fmt.Sprintf("X[%d]", i), x, o)
	}
	n.slab("Y", o.Y, o)
}

func (n *needs) slab(name string, s Slab, o Sum) {
	if s.Offset < 0 || s.Stride < 0 || s.Offset > maxCount || o.Rows > 1 && int64(s.Stride) > maxCount/int64(o.Rows) {
		n.fail("%s: rows start at %d, %d apart", name, s.Offset, s.Stride)
		return
	}
	n.line(name, s.T, o.Format, s.Offset+(o.Rows-1)*s.Stride+o.Width)
}
