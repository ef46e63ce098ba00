package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/internal/philox"
	"alexnet/internal/reference"
)

// randomConv draws a geometry: odd sides, rectangular windows, windows over
// every edge, groups.
func randomConv(s *source) dnn.Conv {
	g := s.between(1, 3)
	c := dnn.Conv{Batch: s.between(1, 5), Groups: g}
	c.In = dnn.Shape{C: g * s.between(1, 4), H: s.between(1, 13), W: s.between(1, 13)}
	c.Out.C = g * s.between(1, 5)
	c.Window, c.Out.H, c.Out.W = randomWindow(s, c.In)
	return c
}

// randomWindow also draws the output sides, rounded down or up.
func randomWindow(s *source, in dnn.Shape) (w dnn.Window, h, width int) {
	w = dnn.Window{H: s.between(1, 5), W: s.between(1, 5), Stride: s.between(1, 4)}
	w.Pad = s.between(0, min(w.H, w.W)-1)
	side := func(n, size int) int {
		free := n + 2*w.Pad - size
		if free < 0 {
			return 1
		}
		o := free/w.Stride + 1
		if s.IntN(2) == 0 && o*w.Stride-w.Pad < n { // one more, over the edge
			o++
		}
		return o
	}
	return w, side(in.H, w.H), side(in.W, w.W)
}

func TestConv(t *testing.T) {
	s := newSource(1)
	cases := []dnn.Conv{
		// The product is the image itself.
		{Batch: 2, Groups: 2, In: dnn.Shape{C: 6, H: 5, W: 7}, Out: dnn.Shape{C: 4, H: 5, W: 7}, Window: dnn.Window{H: 1, W: 1, Stride: 1}},
		{Batch: 1, Groups: 1, In: dnn.Shape{C: 3, H: 40, W: 33}, Out: dnn.Shape{C: 4, H: 40, W: 33}, Window: dnn.Window{H: 1, W: 1, Stride: 1}},
		// Bands of rows.
		{Batch: 1, Groups: 1, In: dnn.Shape{C: 3, H: 67, W: 67}, Out: dnn.Shape{C: 8, H: 33, W: 33}, Window: dnn.Window{H: 5, W: 5, Stride: 2, Pad: 1}},
		{Batch: 17, Groups: 1, In: dnn.Shape{C: 2, H: 35, W: 31}, Out: dnn.Shape{C: 3, H: 35, W: 31}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}},
		// Several images in one product, the last block not full.
		{Batch: 35, Groups: 1, In: dnn.Shape{C: 3, H: 6, W: 6}, Out: dnn.Shape{C: 5, H: 6, W: 6}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}},
		{Batch: 33, Groups: 2, In: dnn.Shape{C: 4, H: 3, W: 3}, Out: dnn.Shape{C: 6, H: 3, W: 3}, Window: dnn.Window{H: 1, W: 1, Stride: 1}},
		// More rows of patches than one unit takes.
		{Batch: 2, Groups: 1, In: dnn.Shape{C: 67, H: 5, W: 5}, Out: dnn.Shape{C: 3, H: 3, W: 3}, Window: dnn.Window{H: 3, W: 3, Stride: 1}},
		// Windows larger than the input, and ones that see nothing of it.
		{Batch: 2, Groups: 1, In: dnn.Shape{C: 2, H: 2, W: 3}, Out: dnn.Shape{C: 2, H: 1, W: 1}, Window: dnn.Window{H: 5, W: 6, Stride: 1}},
		{Batch: 2, Groups: 1, In: dnn.Shape{C: 2, H: 3, W: 3}, Out: dnn.Shape{C: 2, H: 5, W: 5}, Window: dnn.Window{H: 2, W: 2, Stride: 3, Pad: 4}},
	}
	for range 60 {
		cases = append(cases, randomConv(s))
	}
	for _, local := range []bool{false, true} {
		for _, c := range cases {
			t.Run(fmt.Sprintf("local=%v/%+v", local, c), func(t *testing.T) { testConv(t, s, c, local) })
		}
	}
}

func testConv(t *testing.T, s *source, c dnn.Conv, local bool) {
	r := newRig(t)
	kernels := c.Out.C
	if local {
		kernels = c.Out.Size()
	}
	x, w, b := s.normals(c.Batch*c.In.Size()), s.normals(kernels*c.KernelSize()), s.normals(kernels)
	dy := s.normals(c.Batch * c.Out.Size())
	tx, tw, tb, tdy := r.floats(x), r.floats(w), r.floats(b), r.floats(dy)
	ty, tdx, tdw, tdb := r.poison(len(dy)), r.poison(len(x)), r.poison(len(w)), r.poison(len(b))
	if local {
		r.run(dnn.LocalForward{Conv: c, X: tx, W: tw, B: tb, Y: ty})
		r.run(dnn.LocalBackwardData{Conv: c, W: tw, DY: tdy, DX: tdx})
		r.run(dnn.LocalBackwardWeights{Conv: c, X: tx, DY: tdy, DW: tdw, DB: tdb})
	} else {
		r.run(dnn.ConvForward{Conv: c, X: tx, W: tw, B: tb, Y: ty})
		r.run(dnn.ConvBackwardData{Conv: c, W: tw, DY: tdy, DX: tdx})
		r.run(dnn.ConvBackwardWeights{Conv: c, X: tx, DY: tdy, DW: tdw, DB: tdb})
	}
	dw, db := reference.ConvWeights(c, local, wide(x), wide(dy))
	y := reference.Conv(c, local, wide(x), wide(w), wide(b))
	r.near("y", r.read(ty), y)
	if !local {
		ty := r.poison(len(dy))
		r.run(dnn.ConvForward{Conv: c, Relu: true, X: tx, W: tw, B: tb, Y: ty})
		r.near("y", r.read(ty), reference.Activation(dnn.Relu, y))
	}
	r.near("dx", r.read(tdx), reference.ConvData(c, local, wide(w), wide(dy)))
	r.near("dw", r.read(tdw), dw)
	r.near("db", r.read(tdb), db)
}

func TestFull(t *testing.T) {
	s := newSource(2)
	cases := []dnn.Full{{Batch: 3, Groups: 2, In: 2 * 520, Out: 2 * 130}, {Batch: 9, Groups: 1, In: 513, Out: 129}}
	for range 20 {
		g := s.between(1, 3)
		cases = append(cases, dnn.Full{Batch: s.between(1, 9), Groups: g, In: g * s.between(1, 40), Out: g * s.between(1, 40)})
	}
	for _, f := range cases {
		t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
			r := newRig(t)
			x, w, b := s.normals(f.Batch*f.In), s.normals(f.Out*f.In/f.Groups), s.normals(f.Out)
			dy := s.normals(f.Batch * f.Out)
			tx, tw, tb, tdy := r.floats(x), r.floats(w), r.floats(b), r.floats(dy)
			ty, tdx, tdw, tdb := r.poison(len(dy)), r.poison(len(x)), r.poison(len(w)), r.poison(len(b))
			r.run(dnn.FullForward{Full: f, X: tx, W: tw, B: tb, Y: ty})
			r.run(dnn.FullBackwardData{Full: f, W: tw, DY: tdy, DX: tdx})
			r.run(dnn.FullBackwardWeights{Full: f, X: tx, DY: tdy, DW: tdw, DB: tdb})
			c := reference.FullAsConv(f)
			dw, db := reference.ConvWeights(c, false, wide(x), wide(dy))
			sums := reference.Conv(c, false, wide(x), wide(w), wide(b))
			r.near("y", r.read(ty), sums)
			r.near("dx", r.read(tdx), reference.ConvData(c, false, wide(w), wide(dy)))
			r.near("dw", r.read(tdw), dw)
			r.near("db", r.read(tdb), db)
			r.run(dnn.FullForward{Full: f, Relu: true, X: tx, W: tw, B: tb, Y: ty})
			r.near("y", r.read(ty), reference.Activation(dnn.Relu, sums))
		})
	}
}

func TestActivation(t *testing.T) {
	s := newSource(3)
	for f, name := range []string{dnn.Relu: "relu", dnn.Tanh: "tanh", dnn.Sigmoid: "sigmoid"} {
		for _, n := range []int{1, 7, 16<<10 + 1} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				r := newRig(t)
				fn := dnn.Func(f)
				x, dy := s.normals(n), s.normals(n)
				tx, tdy, ty, tdx := r.floats(x), r.floats(dy), r.poison(n), r.poison(n)
				r.run(dnn.ActivationForward{Count: n, Func: fn, X: tx, Y: ty})
				r.run(dnn.ActivationBackward{Count: n, Func: fn, Y: ty, DY: tdy, DX: tdx})
				want := reference.Activation(fn, wide(x))
				r.near("y", r.read(ty), want)
				r.near("dx", r.read(tdx), reference.ActivationData(fn, want, wide(dy)))
				// In place.
				r.run(dnn.ActivationForward{Count: n, Func: fn, X: tx, Y: tx})
				r.run(dnn.ActivationBackward{Count: n, Func: fn, Y: tx, DY: tdy, DX: tdy})
				r.near("y in place", r.read(tx), want)
				r.near("dx in place", r.read(tdy), reference.ActivationData(fn, want, wide(dy)))
			})
		}
	}
}

func TestReluKeepsNaN(t *testing.T) {
	r := newRig(t)
	x := r.floats([]float32{float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(1))})
	r.run(dnn.ActivationForward{Count: 3, Func: dnn.Relu, X: x, Y: x})
	if y := r.read(x); y[0] == y[0] || y[1] != 0 || !math.IsInf(float64(y[2]), 1) {
		t.Errorf("relu of NaN, -Inf, +Inf = %v", y)
	}
}

func randomPool(s *source) dnn.Pool {
	p := dnn.Pool{Batch: s.between(1, 4), In: dnn.Shape{C: s.between(1, 5), H: s.between(1, 13), W: s.between(1, 13)}}
	p.Out.C = p.In.C
	p.Window, p.Out.H, p.Out.W = randomWindow(s, p.In)
	return p
}

func TestPools(t *testing.T) {
	s := newSource(4)
	cases := []dnn.Pool{
		// The 2012 code: 3x3 stride 2 on 32 gives 16; AlexNet's first.
		{Batch: 2, In: dnn.Shape{C: 3, H: 32, W: 32}, Out: dnn.Shape{C: 3, H: 16, W: 16}, Window: dnn.Window{H: 3, W: 3, Stride: 2}},
		{Batch: 1, In: dnn.Shape{C: 5, H: 55, W: 55}, Out: dnn.Shape{C: 5, H: 27, W: 27}, Window: dnn.Window{H: 3, W: 3, Stride: 2}},
		{Batch: 2, In: dnn.Shape{C: 2, H: 2, W: 3}, Out: dnn.Shape{C: 2, H: 1, W: 1}, Window: dnn.Window{H: 9, W: 7, Stride: 5, Pad: 1}},
	}
	for range 60 {
		cases = append(cases, randomPool(s))
	}
	for _, p := range cases {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			r := newRig(t)
			x, dy := s.normals(p.Batch*p.In.Size()), s.normals(p.Batch*p.Out.Size())
			for i := range x { // coarse, for ties
				x[i] = float32(math.Round(float64(x[i]) * 2))
			}
			tx, tdy := r.floats(x), r.floats(dy)
			ty, tw, tdx := r.poison(len(dy)), r.poison(len(dy)), r.poison(len(x))
			r.run(dnn.MaxPoolForward{Pool: p, X: tx, Y: ty, Where: tw})
			r.run(dnn.MaxPoolBackward{Pool: p, Where: tw, DY: tdy, DX: tdx})
			y, where := reference.MaxPool(p, wide(x))
			r.near("max y", r.read(ty), y)
			for i, got := range readAs[int32](r, tw) {
				if got != where[i] {
					t.Fatalf("where[%d] = %d, want %d", i, got, where[i])
				}
			}
			r.near("max dx", r.read(tdx), reference.MaxPoolData(p, where, wide(dy)))
			ty, tdx = r.poison(len(dy)), r.poison(len(x))
			r.run(dnn.AvgPoolForward{Pool: p, X: tx, Y: ty})
			r.run(dnn.AvgPoolBackward{Pool: p, DY: tdy, DX: tdx})
			r.near("avg y", r.read(ty), reference.AvgPool(p, wide(x)))
			r.near("avg dx", r.read(tdx), reference.AvgPoolData(p, wide(dy)))
		})
	}
}

func TestMaxPoolTiesAndNaN(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(-1))
	p := dnn.Pool{Batch: 1, In: dnn.Shape{C: 4, H: 2, W: 2}, Out: dnn.Shape{C: 4, H: 1, W: 1}, Window: dnn.Window{H: 2, W: 2, Stride: 2}}
	r := newRig(t)
	x := r.floats([]float32{1, 3, 3, 2, 5, nan, 9, nan, inf, inf, inf, inf, nan, 1, 2, 3})
	y, where := r.poison(4), r.poison(4)
	r.run(dnn.MaxPoolForward{Pool: p, X: x, Y: y, Where: where})
	got, at := r.read(y), readAs[int32](r, where)
	if got[0] != 3 || got[1] == got[1] || got[2] != inf || got[3] == got[3] {
		t.Errorf("y = %v, want [3 NaN -Inf NaN]", got)
	}
	for i, want := range []int32{1, 1, 0, 0} {
		if at[i] != want {
			t.Errorf("where[%d] = %d, want %d: the first of equal ones, NaN largest", i, at[i], want)
		}
	}
}

func TestLRN(t *testing.T) {
	s := newSource(5)
	var cases []dnn.LRN
	for i := range 40 {
		g := s.between(1, 3)
		l := dnn.LRN{Batch: s.between(1, 3), Groups: g, Shape: dnn.Shape{C: g * s.between(1, 9), H: s.between(1, 11), W: s.between(1, 13)},
			Size: s.between(1, 7), Alpha: 0.3, K: 1.5, Within: i%2 == 1}
		l.Beta = []float64{0.75, 0.5, 1, 0.6}[i/2%4]
		cases = append(cases, l)
	}
	cases = append(cases,
		dnn.LRN{Batch: 1, Groups: 2, Shape: dnn.Shape{C: 96, H: 7, W: 7}, Size: 5, Alpha: 1e-4, Beta: 0.75, K: 2},
		dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 3, H: 9, W: 70}, Size: 5, Alpha: 1e-3, Beta: 0.75, K: 1, Within: true},
		dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 3, H: 5, W: 5}, Size: 100, Alpha: 0.01, Beta: 0.75, K: 1},
		dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 3, H: 5, W: 5}, Size: 100, Alpha: 0.01, Beta: 0.75, K: 1, Within: true})
	for _, l := range cases {
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			r := newRig(t)
			n := l.Batch * l.Shape.Size()
			x, dy := s.normals(n), s.normals(n)
			tx, tdy, ty, tdx := r.floats(x), r.floats(dy), r.poison(n), r.poison(n)
			r.run(dnn.LRNForward{LRN: l, X: tx, Y: ty})
			r.run(dnn.LRNBackward{LRN: l, X: tx, Y: ty, DY: tdy, DX: tdx})
			r.near("y", r.read(ty), reference.LRN(l, wide(x)))
			r.near("dx", r.read(tdx), reference.LRNData(l, wide(x), wide(dy)))
		})
	}
}

// A sum must not remember large numbers that have left its window.
func TestLRNForgetsWhatLeft(t *testing.T) {
	l := dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 8, H: 1, W: 1}, Size: 3, Alpha: 1, Beta: 0.75, K: 1e-3}
	r := newRig(t)
	x := []float32{1e5, 1, 1, 1, 1, 1, 1, 1}
	y := r.poison(8)
	r.run(dnn.LRNForward{LRN: l, X: r.floats(x), Y: y})
	r.near("y after the large number", r.read(y)[2:], reference.LRN(l, wide(x))[2:])
}

func TestDropout(t *testing.T) {
	const batch, features, seed, step = 6, 101, 77, 9
	s := newSource(6)
	x := s.normals(batch * features)
	drop := func(t *testing.T, rate float64, first, count int) []float32 {
		r := newRig(t)
		part := make([]float32, 0, batch*count)
		for n := range batch {
			part = append(part, x[n*features+first:][:count]...)
		}
		y := r.poison(batch * count)
		r.run(dnn.Dropout{Batch: batch, Count: count, First: first, Features: features, Rate: rate, Seed: seed, Layer: 3,
			Control: r.control(step, 0), X: r.floats(part), Y: y})
		return r.read(y)
	}
	t.Run("rule", func(t *testing.T) {
		for i, v := range drop(t, 0.3, 0, features) {
			want := x[i]
			if philox.At(seed, philox.Dropout.Layer(3), step, uint64(i)/4)[i%4] < 1288490189 { // round(0.3 * 2^32)
				want = 0
			}
			if v != want {
				t.Fatalf("y[%d] = %g, want %g", i, v, want)
			}
		}
	})
	t.Run("columns", func(t *testing.T) {
		whole := drop(t, 0.5, 0, features)
		for _, c := range []struct{ first, count int }{{0, 50}, {50, 51}, {7, 1}, {3, 9}} {
			for i, v := range drop(t, 0.5, c.first, c.count) {
				if want := whole[i/c.count*features+c.first+i%c.count]; v != want {
					t.Fatalf("numbers from %d: y[%d] = %g, want %g as without columns", c.first, i, v, want)
				}
			}
		}
	})
	t.Run("replicas", func(t *testing.T) {
		const before = 2
		whole, r := drop(t, 0.5, 0, features), newRig(t)
		y := r.poison((batch - before) * features)
		r.run(dnn.Dropout{Batch: batch - before, Before: before, Count: features, Features: features, Rate: 0.5, Seed: seed, Layer: 3,
			Control: r.control(step, 0), X: r.floats(x[before*features:]), Y: y})
		if got := r.read(y); !slices.Equal(got, whole[before*features:]) {
			t.Error("the images of another replica are not dropped as they are in the whole batch")
		}
	})
	t.Run("none and all", func(t *testing.T) {
		for i, v := range drop(t, 0, 0, features) {
			if v != x[i] {
				t.Fatalf("rate 0 changed y[%d]", i)
			}
		}
		for i, v := range drop(t, 1, 0, features) {
			if v != 0 {
				t.Fatalf("rate 1 kept y[%d]", i)
			}
		}
	})
	t.Run("fraction", func(t *testing.T) {
		const n, rate = 200_000, 0.3
		r := newRig(t)
		ones := make([]float32, n)
		fill(ones, 1)
		ty := r.poison(n)
		r.run(dnn.Dropout{Batch: 2, Count: n / 2, Features: n / 2, Rate: rate, Control: r.control(0, 0), X: r.floats(ones), Y: ty})
		kept := 0.0
		for _, v := range r.read(ty) {
			kept += float64(v)
		}
		if want, dev := n*(1-rate), math.Sqrt(n*rate*(1-rate)); math.Abs(kept-want) > 5*dev {
			t.Errorf("kept %g of %d, want %g within five deviations of %.0f", kept, n, want, dev)
		}
	})
}

func TestScale(t *testing.T) {
	s := newSource(7)
	r := newRig(t)
	x := s.normals(1001)
	tx, ty := r.floats(x), r.poison(1001)
	r.run(dnn.Scale{Count: 1001, Factor: 0.5, X: tx, Y: ty})
	r.run(dnn.Scale{Count: 1001, Factor: 0.5, X: tx, Y: tx})
	want := wide(x)
	for i := range want {
		want[i] /= 2
	}
	r.near("y", r.read(ty), want)
	r.near("in place", r.read(tx), want)
}

func TestSoftmax(t *testing.T) {
	s := newSource(8)
	for _, classes := range []int{1, 2, 5, 6, 100} {
		t.Run(fmt.Sprint(classes), func(t *testing.T) {
			r := newRig(t)
			const batch = 13
			x, labels := s.normals(batch*classes), make([]int32, batch)
			for n := range labels {
				labels[n] = int32(s.between(-1, classes-1))
			}
			for i := range x { // coarse, for ties
				x[i] = float32(math.Round(float64(x[i])*2)) / 2
			}
			tl := r.ints(labels)
			ty, tdx, stats := r.poison(len(x)), r.poison(len(x)), r.poison(dnn.StatFloats)
			r.run(dnn.SoftmaxForward{Batch: batch, Classes: classes, X: r.floats(x), Y: ty, Labels: tl, Stats: stats})
			r.run(dnn.SoftmaxBackward{Batch: batch, Images: 2 * batch, Classes: classes, Y: ty, Labels: tl, DX: tdx})
			y, want := reference.Softmax(classes, wide(x), labels)
			r.near("y", r.read(ty), y)
			r.near("stats", r.read(stats), want)
			r.near("dx", r.read(tdx), reference.SoftmaxData(2*batch, classes, y, labels))
		})
	}
}

func TestSoftmaxExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name  string
		x     []float32
		label int32
		y     []float64
		stats []float64
	}{
		{"huge", []float32{1e30, 1e30, -1e30}, 0, []float64{0.5, 0.5, 0}, []float64{math.Ln2, 0, 0}},
		{"hopeless", []float32{300, 0, 0}, 1, []float64{1, 0, 0}, []float64{300, 1, 0}},
		{"six equal", []float32{2, 2, 2, 2, 2, 2}, 5, []float64{1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6}, []float64{math.Log(6), 1, 1}},
		{"minus infinity", []float32{0, -inf}, 0, []float64{1, 0}, []float64{0, 0, 0}},
		{"NaN", []float32{0, nan, 0, 0, 0, 0}, 0, nil, []float64{math.NaN(), 1, 0}},
		{"NaN label", []float32{0, nan, 0, 0, 0, 0}, 1, nil, []float64{math.NaN(), 1, 1}},
		{"infinity", []float32{0, inf}, 1, nil, []float64{math.NaN(), 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			y, stats := r.poison(len(c.x)), r.poison(dnn.StatFloats)
			r.run(dnn.SoftmaxForward{Batch: 1, Classes: len(c.x), X: r.floats(c.x), Y: y, Labels: r.ints([]int32{c.label}), Stats: stats})
			if c.y != nil {
				r.near("y", r.read(y), c.y)
			}
			for i, got := range r.read(stats) {
				if want := c.stats[i]; math.Abs(float64(got)-want) > tolerance*math.Abs(want) || math.IsNaN(want) != (got != got) {
					t.Errorf("stats[%d] = %g, want %g", i, got, want)
				}
			}
		})
	}
}

func TestSum(t *testing.T) {
	s := newSource(9)
	for range 40 {
		r := newRig(t)
		op := dnn.Sum{Rows: s.between(1, 5), Width: s.between(1, 1500)}
		size := 0
		slab := func() dnn.Slab {
			sl := dnn.Slab{Offset: s.between(0, 9), Stride: op.Width + s.between(0, 7)}
			size = sl.Offset + (op.Rows-1)*sl.Stride + op.Width
			return sl
		}
		want := make([]float64, op.Rows*op.Width)
		for range s.between(1, 4) {
			x := slab()
			data := s.normals(size)
			x.T = r.floats(data)
			op.X = append(op.X, x)
			for i := range want {
				want[i] += float64(data[x.Offset+i/op.Width*x.Stride+i%op.Width])
			}
		}
		if k := s.IntN(len(op.X) + 1); k < len(op.X) {
			op.Y = op.X[k]
		} else {
			op.Y = slab()
			op.Y.T = r.poison(size)
		}
		before := r.read(op.Y.T)
		r.run(op)
		after := r.read(op.Y.T)
		for i := range want {
			at := op.Y.Offset + i/op.Width*op.Y.Stride + i%op.Width
			if e := math.Abs(float64(after[at]) - want[i]); !(e < 1e-5) { // four normal numbers at most
				t.Fatalf("%+v: y[%d] = %g, want %g", op, at, after[at], want[i])
			}
			after[at], before[at] = 0, 0
		}
		for i := range after {
			if math.Float32bits(after[i]) != math.Float32bits(before[i]) {
				t.Fatalf("%+v: y[%d], between the rows, was written", op, i)
			}
		}
	}
}

// single are the kernels of what is no weight of a convolution.
var single = dnn.Kernels{C: 1, H: 1, W: 1}

func TestUpdate(t *testing.T) {
	s := newSource(10)
	const n, momentum, decay, factor, rate = 20_000, 0.9, 0.0005, 2, 0.01
	r := newRig(t)
	w := s.normals(n)
	ww, wv := wide(w), make([]float64, n)
	tw, tv, tg, tc := r.floats(w), r.floats(make([]float32, n)), r.poison(n), r.control(0, 77, rate)
	task := r.prepare(dnn.Update{Momentum: momentum, Control: tc, Params: []dnn.Param{{Count: n, Kernels: single, Decay: decay, Rate: factor, Index: 1, G: tg, W: tw, V: tv}}})
	for range 5 {
		g := s.normals(n)
		check(t, r.stream.Upload(r.at(tg), bytesOf(g)))
		r.launch(task)
		for i := range g {
			wv[i] = momentum*wv[i] - decay*factor*rate*ww[i] - factor*rate*float64(g[i])
			ww[i] += wv[i]
		}
	}
	r.near("v", r.read(tv), wv)
	r.near("w", r.read(tw), ww)
}

func TestInput(t *testing.T) {
	s := newSource(11)
	for _, channels := range []int{1, 3} {
		op := dnn.Input{Batch: 4, Out: dnn.Shape{C: channels, H: 5, W: 7}, MeanH: 8, MeanW: 9}
		area := op.Out.H * op.Out.W
		pixels := make([]byte, op.Batch*area*channels)
		for i := range pixels {
			pixels[i] = byte(s.Uint32())
		}
		mean := s.normals(op.MeanH * op.MeanW * channels)
		views := s.normals(op.Batch * dnn.ViewFloats)
		want := make([]float64, len(pixels))
		for n := range op.Batch {
			v := views[n*dnn.ViewFloats:][:dnn.ViewFloats]
			v[0], v[1], v[2] = float32(s.between(0, 3)), float32(s.between(0, 2)), float32(n%2)
			for i := range area * channels {
				c, y, x := i/area, i%area/op.Out.W, i%op.Out.W
				mx := int(v[1]) + x
				if v[2] == 1 {
					mx = int(v[1]) + op.Out.W - 1 - x
				}
				want[n*area*channels+i] = float64(pixels[((n*op.Out.H+y)*op.Out.W+x)*channels+c]) -
					float64(mean[((int(v[0])+y)*op.MeanW+mx)*channels+c]) + float64(v[3+c])
			}
		}
		r := newRig(t)
		op.Pixels, op.Views, op.Mean, op.Y = r.bytes(pixels), r.floats(views), r.floats(mean), r.poison(len(want))
		r.run(op)
		r.near("y", r.read(op.Y), want)
	}
}
