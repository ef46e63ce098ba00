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
	n.list = append(n.list, Need{name, t, bytes})
}

// words adds an operand of numbers of 4 bytes.
func (n *needs) words(name string, t Tensor, sizes ...int) {
	n.bytes(name, t, 4*n.count(sizes...))
}

func (n *needs) of(op Op) {
	switch o := op.(type) {
	case Input:
		n.input(o)
	case ConvForward:
		n.conv(o.Conv)
		n.maps("X", o.X, o.Batch, o.In)
		n.words("W", o.W, o.Out.C, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.words("B", o.B, o.Out.C)
		n.maps("Y", o.Y, o.Batch, o.Out)
	case ConvBackwardData:
		n.conv(o.Conv)
		n.words("W", o.W, o.Out.C, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.maps("DY", o.DY, o.Batch, o.Out)
		n.maps("DX", o.DX, o.Batch, o.In)
	case ConvBackwardWeights:
		n.conv(o.Conv)
		n.maps("X", o.X, o.Batch, o.In)
		n.maps("DY", o.DY, o.Batch, o.Out)
		n.words("DW", o.DW, o.Out.C, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.words("DB", o.DB, o.Out.C)
	case LocalForward:
		n.conv(o.Conv)
		n.maps("X", o.X, o.Batch, o.In)
		n.words("W", o.W, o.Out.C, o.Out.H, o.Out.W, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.maps("B", o.B, 1, o.Out)
		n.maps("Y", o.Y, o.Batch, o.Out)
	case LocalBackwardData:
		n.conv(o.Conv)
		n.words("W", o.W, o.Out.C, o.Out.H, o.Out.W, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.maps("DY", o.DY, o.Batch, o.Out)
		n.maps("DX", o.DX, o.Batch, o.In)
	case LocalBackwardWeights:
		n.conv(o.Conv)
		n.maps("X", o.X, o.Batch, o.In)
		n.maps("DY", o.DY, o.Batch, o.Out)
		n.words("DW", o.DW, o.Out.C, o.Out.H, o.Out.W, o.In.C/max(o.Groups, 1), o.Window.H, o.Window.W)
		n.maps("DB", o.DB, 1, o.Out)
	case FullForward:
		n.full(o.Full)
		n.words("X", o.X, o.Batch, o.In)
		n.words("W", o.W, o.Out, o.In/max(o.Groups, 1))
		n.words("B", o.B, o.Out)
		n.words("Y", o.Y, o.Batch, o.Out)
	case FullBackwardData:
		n.full(o.Full)
		n.words("W", o.W, o.Out, o.In/max(o.Groups, 1))
		n.words("DY", o.DY, o.Batch, o.Out)
		n.words("DX", o.DX, o.Batch, o.In)
	case FullBackwardWeights:
		n.full(o.Full)
		n.words("X", o.X, o.Batch, o.In)
		n.words("DY", o.DY, o.Batch, o.Out)
		n.words("DW", o.DW, o.Out, o.In/max(o.Groups, 1))
		n.words("DB", o.DB, o.Out)
	case ActivationForward:
		n.function(o.Func)
		n.words("X", o.X, o.Count)
		n.words("Y", o.Y, o.Count)
	case ActivationBackward:
		n.function(o.Func)
		n.words("Y", o.Y, o.Count)
		n.words("DY", o.DY, o.Count)
		n.words("DX", o.DX, o.Count)
	case MaxPoolForward:
		n.pool(o.Pool)
		n.maps("X", o.X, o.Batch, o.In)
		n.maps("Y", o.Y, o.Batch, o.Out)
		n.maps("Where", o.Where, o.Batch, o.Out)
	case MaxPoolBackward:
		n.pool(o.Pool)
		n.maps("Where", o.Where, o.Batch, o.Out)
		n.maps("DY", o.DY, o.Batch, o.Out)
		n.maps("DX", o.DX, o.Batch, o.In)
	case AvgPoolForward:
		n.pool(o.Pool)
		n.maps("X", o.X, o.Batch, o.In)
		n.maps("Y", o.Y, o.Batch, o.Out)
	case AvgPoolBackward:
		n.pool(o.Pool)
		n.maps("DY", o.DY, o.Batch, o.Out)
		n.maps("DX", o.DX, o.Batch, o.In)
	case LRNForward:
		n.lrn(o.LRN)
		n.maps("X", o.X, o.Batch, o.Shape)
		n.maps("Y", o.Y, o.Batch, o.Shape)
	case LRNBackward:
		n.lrn(o.LRN)
		n.maps("X", o.X, o.Batch, o.Shape)
		n.maps("Y", o.Y, o.Batch, o.Shape)
		n.maps("DY", o.DY, o.Batch, o.Shape)
		n.maps("DX", o.DX, o.Batch, o.Shape)
	case Dropout:
		n.dropout(o)
	case Scale:
		n.words("X", o.X, o.Count)
		n.words("Y", o.Y, o.Count)
	case SoftmaxForward:
		n.words("X", o.X, o.Batch, o.Classes)
		n.words("Y", o.Y, o.Batch, o.Classes)
		n.words("Labels", o.Labels, o.Batch)
		n.words("Stats", o.Stats, StatFloats)
	case SoftmaxBackward:
		n.words("Y", o.Y, o.Batch, o.Classes)
		n.words("Labels", o.Labels, o.Batch)
		n.words("DX", o.DX, o.Batch, o.Classes)
	case Sum:
		n.sum(o)
	case Update:
		if o.Index < 0 || o.Index > maxCount {
			n.fail("rate number %d", o.Index)
			return
		}
		n.bytes("Control", o.Control, ControlBytes(o.Index+1))
		n.words("G", o.G, o.Count)
		n.words("W", o.W, o.Count)
		n.words("V", o.V, o.Count)
	default:
		n.err = errors.New("not an operation of package dnn")
	}
}

func (n *needs) maps(name string, t Tensor, batch int, s Shape) {
	n.area("maps", s.H, s.W)
	n.words(name, t, batch, s.C, s.H, s.W)
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
	n.maps("Y", o.Y, o.Batch, o.Out)
}

// window checks a window and the sides of the maps it slides over and makes, and
// that no place in them overflows.
func (n *needs) window(w Window, in, out Shape) {
	const limit = 1 << 24
	if w.H < 1 || w.W < 1 || w.Stride < 1 || w.Pad < 0 || max(w.H, w.W, w.Stride, w.Pad) > limit {
		n.fail("window %dx%d, stride %d, pad %d: sides and stride must be 1 or more, pad 0 or more, all at most %d", w.H, w.W, w.Stride, w.Pad, limit)
	}
	if side := max(in.H, in.W, out.H, out.W); side > limit {
		n.fail("maps with a side of %d; at most %d", side, limit)
	}
	n.area("windows", w.H, w.W)
}

// conv checks the geometry.
func (n *needs) conv(c Conv) {
	n.window(c.Window, c.In, c.Out)
	n.groups(c.Groups, c.In.C, c.Out.C, "maps")
}

func (n *needs) full(f Full) { n.groups(f.Groups, f.In, f.Out, "numbers") }

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
	n.count(o.Size)
	n.groups(o.Groups, o.Shape.C, o.Shape.C, "maps")
}

func (n *needs) dropout(o Dropout) {
	n.count(o.Batch, o.Features)
	if o.First < 0 || o.First > o.Features-o.Count {
		n.fail("numbers %d to %d of an image that has %d", o.First, o.First+o.Count, o.Features)
	}
	if !(o.Rate >= 0 && o.Rate <= 1) {
		n.fail("rate %g is not in 0 to 1", o.Rate)
	}
	n.bytes("Control", o.Control, ControlBytes(0))
	n.words("X", o.X, o.Batch, o.Count)
	n.words("Y", o.Y, o.Batch, o.Count)
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
	n.bytes(name, s.T, 4*(int64(s.Offset)+int64(o.Rows-1)*int64(s.Stride)+int64(o.Width)))
}
