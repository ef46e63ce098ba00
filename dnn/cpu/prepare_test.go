package cpu

import (
	"math"
	"strings"
	"testing"

	"alexnet/dnn"
)

func TestPrepareRefuses(t *testing.T) {
	r, other := newRig(t), newRig(t)
	x, y := r.floats(make([]float32, 64)), r.poison(64)
	conv := func(change func(*dnn.Conv)) dnn.Op {
		c := dnn.Conv{Batch: 1, Groups: 1, In: dnn.Shape{C: 2, H: 4, W: 4}, Out: dnn.Shape{C: 2, H: 4, W: 4}, Window: dnn.Window{H: 1, W: 1, Stride: 1}}
		change(&c)
		return dnn.ConvForward{Conv: c, X: x, W: x, B: x, Y: y}
	}
	pool := func(change func(*dnn.Pool)) dnn.Op {
		p := dnn.Pool{Batch: 1, In: dnn.Shape{C: 2, H: 4, W: 4}, Out: dnn.Shape{C: 2, H: 2, W: 2}, Window: dnn.Window{H: 2, W: 2, Stride: 2}}
		change(&p)
		return dnn.MaxPoolForward{Pool: p, X: x, Y: y, Where: x}
	}
	update := func(p dnn.Param) dnn.Op {
		p.Kernels, p.G, p.W, p.V = single, x, x, y
		return dnn.Update{Control: x, Params: []dnn.Param{p}}
	}
	half := dnn.Full{Batch: 1, Groups: 1, In: 4, Out: 4, Format: dnn.BFloat16Last}
	fold := dnn.Kernels{C: 3, H: 2, W: 2, Fold: dnn.Fold{Side: 2, Channels: 11}}
	// What is right is accepted, so that the rest fails for its own reason.
	r.prepare(conv(func(*dnn.Conv) {}))
	r.prepare(pool(func(*dnn.Pool) {}))
	for _, c := range []struct {
		op   dnn.Op
		want string
	}{
		{dnn.Scale{Count: 65, X: x, Y: y}, "X needs 260 bytes, its buffer has 256"},
		{dnn.Scale{Count: 0, X: x, Y: y}, "must be 1 or more"},
		{dnn.Scale{Count: -5, X: x, Y: y}, "must be 1 or more"},
		{dnn.Scale{Count: math.MaxInt, X: x, Y: y}, "too large"},
		{dnn.Scale{Count: 1, X: x}, "Y is no tensor"},
		{&dnn.Scale{Count: 1, X: x, Y: y}, "not an operation"},
		{nil, "not an operation"},
		{conv(func(c *dnn.Conv) { c.Batch = 3 }), "X needs 384 bytes"},
		{conv(func(c *dnn.Conv) { c.Batch = math.MaxInt }), "too large"},
		{conv(func(c *dnn.Conv) { c.Groups = 0 }), "2 maps into 2 in 0 groups"},
		{conv(func(c *dnn.Conv) { c.Groups = 3 }), "2 maps into 2 in 3 groups"},
		{conv(func(c *dnn.Conv) { c.Window.Stride = 0 }), "stride 0"},
		{conv(func(c *dnn.Conv) { c.Window.Pad = -1 }), "pad -1"},
		{conv(func(c *dnn.Conv) { c.Window.Pad = math.MaxInt }), "at most"},
		{conv(func(c *dnn.Conv) { c.Window.H = 40 }), "W needs"},
		{conv(func(c *dnn.Conv) { c.In.H = 1 << 40 }), "at most"},
		{pool(func(p *dnn.Pool) { p.Out.C = 1 }), "2 maps into 1"},
		{pool(func(p *dnn.Pool) { p.Out.H = 3 }), "hold no pixel"},
		{pool(func(p *dnn.Pool) { p.Window.Pad = 2 }), "hold no pixel"},
		{pool(func(p *dnn.Pool) { p.Window.W = 0 }), "window 2x0"},
		{dnn.FullForward{Full: dnn.Full{Batch: 1, Groups: 2, In: 3, Out: 4}, X: x, W: x, B: x, Y: y}, "3 numbers into 4 in 2 groups"},
		{dnn.ActivationForward{Count: 1, Func: 9, X: x, Y: y}, "unknown function 9"},
		{dnn.ActivationBackward{Count: 1, Func: 9, Y: x, DY: x, DX: y}, "unknown function 9"},
		{dnn.LRNForward{LRN: dnn.LRN{Batch: 1, Groups: 2, Shape: dnn.Shape{C: 3, H: 1, W: 1}, Size: 5}, X: x, Y: y}, "3 maps into 3 in 2 groups"},
		{dnn.LRNForward{LRN: dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 3, H: 1, W: 1}}, X: x, Y: y}, "must be 1 or more"},
		{dnn.Dropout{Batch: 1, Count: 4, Features: 3, Control: x, X: x, Y: y}, "numbers 0 to 4 of an image that has 3"},
		{dnn.Dropout{Batch: 1, Before: -1, Count: 1, Features: 3, Control: x, X: x, Y: y}, "-1 images"},
		{dnn.SoftmaxBackward{Batch: 4, Images: 3, Classes: 1, Y: x, Labels: y, DX: y}, "3 images, of which 4"},
		{dnn.Dropout{Batch: 1, Count: 1, First: -1, Features: 3, Control: x, X: x, Y: y}, "numbers -1"},
		{dnn.Dropout{Batch: 1, Count: 1, Features: 3, Rate: math.NaN(), Control: x, X: x, Y: y}, "rate NaN"},
		{dnn.Dropout{Batch: 1, Count: 1, Features: 3, Rate: 1.5, Control: x, X: x, Y: y}, "rate 1.5"},
		{dnn.Sum{Rows: 1, Width: 1, Y: dnn.Slab{T: y}}, "nothing to add"},
		{dnn.Sum{Rows: 3, Width: 8, X: []dnn.Slab{{T: x, Offset: 30, Stride: 16}}, Y: dnn.Slab{T: y, Stride: 8}}, "X[0] needs 280 bytes, its buffer has 256"},
		{dnn.Sum{Rows: 2, Width: 8, X: []dnn.Slab{{T: x}}, Y: dnn.Slab{T: y, Stride: 7}}, "overlap"},
		{dnn.Sum{Rows: 2, Width: 8, X: []dnn.Slab{{T: x}}, Y: dnn.Slab{T: y, Offset: -1, Stride: 8}}, "Y: rows start at -1"},
		{dnn.Input{Batch: 1, Out: dnn.Shape{C: 4, H: 1, W: 1}, MeanH: 1, MeanW: 1, Pixels: x, Views: x, Mean: x, Y: y}, "4 channels"},
		{dnn.Input{Batch: 1, Out: dnn.Shape{C: 3, H: 2, W: 2}, MeanH: 1, MeanW: 2, Pixels: x, Views: x, Mean: x, Y: y}, "smaller than the patch"},
		{dnn.SoftmaxForward{Batch: 1, Classes: 65, X: x, Y: y, Labels: x, Stats: y}, "X needs 260 bytes"},
		{dnn.FullForward{Full: half, X: x, W: x, B: x, Y: y}, "it sees no places"},
		{dnn.Convert{Batch: 1, Shape: dnn.Shape{C: 1, H: 1, W: 1}, From: 7, X: x, Y: y}, "unknown format 7"},
		{dnn.Narrow{Count: 1, Kernels: fold, X: x, Y: y}, "kernels of 3 channels, folded by 2 into 11"},
		{dnn.LRNForward{LRN: dnn.LRN{Batch: 1, Groups: 1, Format: dnn.BFloat16Last, Shape: dnn.Shape{C: 3, H: 1, W: 1}, Size: 1, Within: true}, X: x, Y: y}, "float32 alone"},
		{conv(func(c *dnn.Conv) { c.Format = dnn.BFloat16 }), "maps in bfloat16: float32 or bfloat16 channels last"},
		{update(dnn.Param{Count: 65}), "Params[0].G needs 260 bytes"},
		{update(dnn.Param{Count: 64, Index: 63}), "Control needs 260 bytes"},
		{update(dnn.Param{Count: 64, Index: -1}), "rate number -1"},
	} {
		_, err := r.device.Prepare(c.op, r.at)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one that says %q", c.op, err, c.want)
		}
	}
	scale := dnn.Scale{Count: 1, X: x, Y: y}
	for want, at := range map[string]func(dnn.Tensor) dnn.Buffer{
		"no buffer":              func(dnn.Tensor) dnn.Buffer { return nil },
		"not memory of a CPU":    func(dnn.Tensor) dnn.Buffer { return struct{ dnn.Buffer }{} },
		"is memory of cpu:0":     func(dnn.Tensor) dnn.Buffer { return other.at(other.floats([]float32{1})) },
		"does not start at a mu": func(dnn.Tensor) dnn.Buffer { return r.at(x).Slice(2, 32) },
	} {
		if _, err := r.device.Prepare(scale, at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

// Whatever geometry is accepted must run without reaching outside its memory,
// which the bounds of slices tell.
func TestAnyGeometryRuns(t *testing.T) {
	s := newSource(50)
	r := newRig(t)
	x, y, z := r.floats(make([]float32, 1<<14)), r.floats(make([]float32, 1<<14)), r.floats(make([]float32, 1<<14))
	where := r.ints(make([]int32, 1<<14))
	ran := 0
	for range 3000 {
		odd := func(hi int) int {
			if s.IntN(40) == 0 {
				return []int{-1, 0, 100, 1 << 20, math.MaxInt}[s.IntN(5)]
			}
			return s.between(1, hi)
		}
		c := dnn.Conv{Batch: odd(2), Groups: odd(2), In: dnn.Shape{C: 2 * odd(2), H: odd(9), W: odd(9)}, Out: dnn.Shape{C: 2 * odd(2), H: odd(9), W: odd(9)},
			Window: dnn.Window{H: odd(9), W: odd(9), Stride: odd(5), Pad: odd(9) - 1}}
		pool := dnn.Pool{Batch: c.Batch, In: c.In, Out: dnn.Shape{C: c.In.C, H: c.Out.H, W: c.Out.W}, Window: c.Window}
		for _, op := range []dnn.Op{
			dnn.ConvForward{Conv: c, X: x, W: x, B: x, Y: y}, dnn.ConvBackwardData{Conv: c, W: x, DY: x, DX: y},
			dnn.ConvBackwardWeights{Conv: c, X: x, DY: x, DW: y, DB: z}, dnn.LocalForward{Conv: c, X: x, W: x, B: x, Y: y},
			dnn.LocalBackwardData{Conv: c, W: x, DY: x, DX: y}, dnn.LocalBackwardWeights{Conv: c, X: x, DY: x, DW: y, DB: z},
			dnn.MaxPoolForward{Pool: pool, X: x, Y: y, Where: where}, dnn.MaxPoolBackward{Pool: pool, Where: where, DY: x, DX: y},
			dnn.AvgPoolForward{Pool: pool, X: x, Y: y}, dnn.AvgPoolBackward{Pool: pool, DY: x, DX: y},
		} {
			task, err := r.device.Prepare(op, r.at)
			if err != nil {
				continue
			}
			ran++
			check(t, r.stream.Launch(task))
			if err := r.stream.Synchronize(t.Context()); err != nil {
				t.Fatalf("%+v: %v", op, err)
			}
		}
	}
	if ran < 1000 {
		t.Errorf("only %d operations were accepted, which tests too little", ran)
	}
}
