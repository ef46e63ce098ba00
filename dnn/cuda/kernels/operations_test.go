package kernels_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/bfloat16"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
)

// Where the arithmetic is the CPU's, in the same order, results have the same
// bits. Else sums in float32 of some hundred terms may be off by a few 1e-7, and
// powf by a unit in the last place, 6e-8.
const (
	exact    = 0
	sums     = 2e-6
	rounding = 2e-7 // of single numbers, from double
)

func TestInput(t *testing.T) {
	s := newSource(1)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct{ batch, c, h, w, meanH, meanW int }{{1, 1, 1, 1, 1, 1}, {5, 3, 7, 5, 9, 11}, {4, 3, 6, 6, 6, 6}, {3, 1, 4, 9, 5, 9}, {2, 2, 3, 1, 4, 8}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			image := c.c * c.h * c.w
			pixels := make([]uint8, c.batch*image)
			for i := range pixels {
				pixels[i] = uint8(s.IntN(256))
			}
			views := s.normals(c.batch * dnn.ViewFloats)
			for v := range slices.Chunk(views, dnn.ViewFloats) {
				v[0], v[1], v[2] = float32(s.between(0, c.meanH-c.h)), float32(s.between(0, c.meanW-c.w)), float32(s.IntN(2))
			}
			r := newRig(t)
			o := dnn.Input{Batch: c.batch, Out: dnn.Shape{C: c.c, H: c.h, W: c.w}, MeanH: c.meanH, MeanW: c.meanW,
				Pixels: tensor(r, pixels), Views: tensor(r, views), Mean: tensor(r, s.normals(c.meanH*c.meanW*c.c)), Y: r.poison(len(pixels))}
			a := kernels.Input{Pixels: ptr(o.Pixels), Views: ptr(o.Views), Mean: ptr(o.Mean), Y: ptr(o.Y),
				Batch: int32(c.batch), C: int32(c.c), H: int32(c.h), W: int32(c.w), MeanH: int32(c.meanH), MeanW: int32(c.meanW)}
			r.same(exact, o, a)
			want := floats(r.tensors[o.Y-1])

			// Whatever the last image's view is, it touches nothing outside the mean,
			// and the other images are as they were.
			for k := range 2 {
				for _, bad := range []float32{nan, inf, -inf, -1, -1e-6, math.MaxFloat32, -math.MaxFloat32, 1 << 31, 1 << 32, float32(max(c.meanH, c.meanW))} {
					v := slices.Clone(views)
					v[(c.batch-1)*dnn.ViewFloats+k] = bad
					copy(r.tensors[o.Views-1], raw.Bytes(v))
					for i, y := range floats(r.all(a)[o.Y-1]) {
						if last := i >= (c.batch-1)*image; last && y == y || !last && y != want[i] {
							t.Fatalf("view[%d] = %g: y[%d] = %g", k, bad, i, y)
						}
					}
				}
			}
		})
	}
}

func TestFit(t *testing.T) {
	s := newSource(2)
	for range 20 {
		planes, h, w, outH, outW := s.between(1, 5), s.between(1, 7), s.between(1, 7), s.between(1, 9), s.between(1, 9)
		r := newRig(t)
		x := s.normals(planes * h * w)
		want := make([]float32, planes*outH*outW)
		for p := range planes {
			for i := range min(h, outH) {
				copy(want[(p*outH+i)*outW:][:outW], x[(p*h+i)*w:][:w])
			}
		}
		tx, ty := tensor(r, x), r.poison(len(want))
		got := r.all(kernels.Fit{X: ptr(tx), Y: ptr(ty), Planes: int32(planes), H: int32(h), W: int32(w), OutH: int32(outH), OutW: int32(outW)})
		if !slices.Equal(floats(got[ty-1]), want) {
			t.Errorf("%d planes of %dx%d to %dx%d: %v to %v, want %v", planes, h, w, outH, outW, x, floats(got[ty-1]), want)
		}
	}
}

// randomWindow draws a window over maps: rectangular, over every edge, the output
// rounded down or up.
func randomWindow(s *source, in dnn.Shape) (w dnn.Window, h, width int) {
	w = dnn.Window{H: s.between(1, 5), W: s.between(1, 5), Stride: s.between(1, 4)}
	w.Pad = s.between(0, min(w.H, w.W)-1)
	side := func(n, size int) int {
		o := max(0, n+2*w.Pad-size)/w.Stride + 1
		if s.IntN(2) == 0 && o*w.Stride-w.Pad < n { // one more, over the edge
			o++
		}
		return o
	}
	return w, side(in.H, w.H), side(in.W, w.W)
}

func geometry(in, out dnn.Shape, w dnn.Window) kernels.Geometry {
	return kernels.Geometry{InC: int32(in.C), InH: int32(in.H), InW: int32(in.W), OutC: int32(out.C), OutH: int32(out.H), OutW: int32(out.W),
		KH: int32(w.H), KW: int32(w.W), Stride: int32(w.Stride), Pad: int32(w.Pad)}
}

func TestLocal(t *testing.T) {
	s := newSource(3)
	cases := []dnn.Conv{
		// Windows larger than the input, ones that see nothing of it, and ones that
		// stand further away than an int can say.
		{Batch: 2, Groups: 1, In: dnn.Shape{C: 2, H: 2, W: 3}, Out: dnn.Shape{C: 2, H: 1, W: 1}, Window: dnn.Window{H: 5, W: 6, Stride: 1}},
		{Batch: 2, Groups: 1, In: dnn.Shape{C: 2, H: 3, W: 3}, Out: dnn.Shape{C: 2, H: 5, W: 5}, Window: dnn.Window{H: 2, W: 2, Stride: 3, Pad: 4}},
		{Batch: 1, Groups: 1, In: dnn.Shape{C: 1, H: 2, W: 2}, Out: dnn.Shape{C: 1, H: 257, W: 3}, Window: dnn.Window{H: 2, W: 2, Stride: 1 << 24, Pad: 1}},
	}
	for range 25 {
		g := s.between(1, 3)
		c := dnn.Conv{Batch: s.between(1, 5), Groups: g, In: dnn.Shape{C: g * s.between(1, 4), H: s.between(1, 9), W: s.between(1, 9)}}
		c.Out.C = g * s.between(1, 4)
		c.Window, c.Out.H, c.Out.W = randomWindow(s, c.In)
		cases = append(cases, c)
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := newRig(t)
			weights, in, out := c.Out.Size()*c.KernelSize(), c.Batch*c.In.Size(), c.Batch*c.Out.Size()
			x, w, b, dy := tensor(r, s.normals(in)), tensor(r, s.normals(weights)), tensor(r, s.normals(c.Out.Size())), tensor(r, s.normals(out))
			y, dx, dw, db := r.poison(out), r.poison(in), r.poison(weights), r.poison(c.Out.Size())
			batch, groups, g := int32(c.Batch), int32(c.Groups), geometry(c.In, c.Out, c.Window)
			r.same(sums, dnn.LocalForward{Conv: c, X: x, W: w, B: b, Y: y},
				kernels.LocalForward{X: ptr(x), W: ptr(w), B: ptr(b), Y: ptr(y), Batch: batch, Groups: groups, Geometry: g})
			r.same(sums, dnn.LocalBackwardData{Conv: c, W: w, DY: dy, DX: dx},
				kernels.LocalBackwardData{W: ptr(w), DY: ptr(dy), DX: ptr(dx), Batch: batch, Groups: groups, Geometry: g})
			r.same(sums, dnn.LocalBackwardWeights{Conv: c, X: x, DY: dy, DW: dw, DB: db},
				kernels.LocalBackwardWeights{X: ptr(x), DY: ptr(dy), DW: ptr(dw), Batch: batch, Groups: groups, Geometry: g},
				kernels.SumColumns{X: ptr(dy), Y: ptr(db), Rows: batch, Width: int32(c.Out.Size()), Most: batch})
		})
	}
}

func TestSumColumns(t *testing.T) {
	s := newSource(4)
	for _, c := range []struct{ rows, width, most int }{{1, 1, 1}, {1000, 1, 1000}, {1, 1000, 16}, {129, 37, 129}, {1000, 70, 64}, {333, 130, 100}, {5, 3, 1}} {
		for _, half := range []bool{false, true} {
			r := newRig(t)
			x := s.normals(c.rows * c.width)
			tx := tensor(r, x)
			if half {
				for i, v := range x {
					x[i] = bfloat16.Round(v)
				}
				tx = halves(r, x)
			}
			parts := (c.rows + c.most - 1) / c.most
			want := make([]float32, parts*c.width)
			for i := range want {
				var sum float64
				for row := i / c.width * c.most; row < min((i/c.width+1)*c.most, c.rows); row++ {
					sum += float64(x[row*c.width+i%c.width])
				}
				want[i] = float32(sum)
			}
			ty := r.poison(len(want))
			a := kernels.SumColumns{X: ptr(tx), Y: ptr(ty), Rows: int32(c.rows), Width: int32(c.width), Most: int32(c.most)}
			var args kernels.Args = a
			if half {
				args = kernels.SumColumnsHalf(a)
			}
			if err := near(r.all(args)[ty-1], raw.Bytes(want), sums); err != nil {
				t.Errorf("%+v, bfloat16 %v: %v", c, half, err)
			}
		}
	}
}

func TestAddBias(t *testing.T) {
	s := newSource(13)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	odd := []float32{nan, inf, -inf, 0, -1 / inf, 1, -1, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32}
	for _, c := range []struct{ rows, width int }{{1, 1}, {1000, 1}, {1, 1000}, {129, 37}, {len(odd), len(odd)}} {
		for relu := range int32(2) {
			r := newRig(t)
			b, y := s.normals(c.width), s.normals(c.rows*c.width)
			if c.width == len(odd) { // each with each
				copy(b, odd)
				for i := range y {
					y[i] = odd[i/c.width]
				}
			}
			tb, ty := tensor(r, b), tensor(r, y)
			want := slices.Clone(y)
			for i := range want {
				if want[i] += b[i%c.width]; relu == 1 {
					want[i] = max(want[i], 0)
				}
			}
			got := r.all(kernels.AddBias{B: ptr(tb), Y: ptr(ty), Rows: int32(c.rows), Width: int32(c.width), Relu: relu})
			if err := near(got[ty-1], raw.Bytes(want), exact); err != nil {
				t.Errorf("%d rows of %d, relu %d: %v", c.rows, c.width, relu, err)
			}
		}
	}
}

func TestPools(t *testing.T) {
	s := newSource(5)
	cases := []dnn.Pool{
		// The 2012 code: 3x3 stride 2 on 32 gives 16; a window larger than the map.
		{Batch: 2, In: dnn.Shape{C: 3, H: 32, W: 32}, Out: dnn.Shape{C: 3, H: 16, W: 16}, Window: dnn.Window{H: 3, W: 3, Stride: 2}},
		{Batch: 2, In: dnn.Shape{C: 2, H: 2, W: 3}, Out: dnn.Shape{C: 2, H: 1, W: 1}, Window: dnn.Window{H: 9, W: 7, Stride: 5, Pad: 1}},
	}
	for range 40 {
		p := dnn.Pool{Batch: s.between(1, 4), In: dnn.Shape{C: s.between(1, 5), H: s.between(1, 13), W: s.between(1, 13)}}
		p.Out.C = p.In.C
		p.Window, p.Out.H, p.Out.W = randomWindow(s, p.In)
		cases = append(cases, p)
	}
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Copysign(0, -1)), 0}
	for i, p := range cases {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			r := newRig(t)
			x := s.normals(p.Batch * p.In.Size())
			for j := range x { // coarse, for ties
				x[j] = float32(math.Round(float64(x[j]) * 2))
				if i%2 == 1 && s.IntN(3) == 0 {
					x[j] = odd[s.IntN(len(odd))]
				}
			}
			in, out := len(x), p.Batch*p.Out.Size()
			one := func(shape dnn.Shape) dnn.Shape { shape.C = 1; return shape }
			planes, g := int32(p.Batch*p.In.C), geometry(one(p.In), one(p.Out), p.Window)
			tx, dy, y, where, dx := tensor(r, x), tensor(r, s.normals(out)), r.poison(out), r.poison(out), r.poison(in)
			r.same(exact, dnn.MaxPoolForward{Pool: p, X: tx, Y: y, Where: where},
				kernels.MaxPoolForward{X: ptr(tx), Y: ptr(y), Where: ptr(where), Planes: planes, Geometry: g})
			r.same(exact, dnn.MaxPoolBackward{Pool: p, Where: where, DY: dy, DX: dx},
				kernels.MaxPoolBackward{Where: ptr(where), DY: ptr(dy), DX: ptr(dx), Planes: planes, Geometry: g})
			dx, tx = r.poison(in), tensor(r, s.normals(in))
			r.same(sums, dnn.AvgPoolForward{Pool: p, X: tx, Y: y},
				kernels.AvgPoolForward{X: ptr(tx), Y: ptr(y), Planes: planes, Geometry: g})
			r.same(sums, dnn.AvgPoolBackward{Pool: p, DY: dy, DX: dx},
				kernels.AvgPoolBackward{DY: ptr(dy), DX: ptr(dx), Planes: planes, Geometry: g})
		})
	}
}

func TestLRN(t *testing.T) {
	s := newSource(6)
	var cases []dnn.LRN
	for i := range 40 {
		g := s.between(1, 3)
		cases = append(cases, dnn.LRN{Batch: s.between(1, 3), Groups: g, Shape: dnn.Shape{C: g * s.between(1, 9), H: s.between(1, 9), W: s.between(1, 9)},
			Size: s.between(1, 7), Alpha: 0.3, K: 1.5, Within: i%2 == 1, Beta: []float64{0.75, 0.5, 1, 0.6}[i/2%4]})
	}
	cases = append(cases,
		dnn.LRN{Batch: 1, Groups: 2, Shape: dnn.Shape{C: 96, H: 7, W: 7}, Size: 5, Alpha: 1e-4, Beta: 0.75, K: 2},
		dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 8, H: 1, W: 1}, Size: 3, Alpha: 1, Beta: 0.75, K: 1e-3},
		dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 3, H: 5, W: 5}, Size: 100, Alpha: 0.01, Beta: 0.75, K: 1},
		dnn.LRN{Batch: 1, Groups: 1, Shape: dnn.Shape{C: 3, H: 5, W: 5}, Size: math.MaxInt32, Alpha: 0.01, Beta: 0.75, K: 1, Within: true})
	for _, l := range cases {
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			r := newRig(t)
			n := l.Batch * l.Shape.Size()
			x, dy, y, dx := tensor(r, s.normals(n)), tensor(r, s.normals(n)), r.poison(n), r.poison(n)
			var forward, backward kernels.Args
			h, w, size := int32(l.Shape.H), int32(l.Shape.W), int32(l.Size)
			alpha, beta, k := float32(l.Alpha), float32(l.Beta), float32(l.K)
			if l.Within {
				planes := int32(l.Batch * l.Shape.C)
				forward = kernels.LRNWithinForward{X: ptr(x), Y: ptr(y), Planes: planes, H: h, W: w, Size: size, Alpha: alpha, Beta: beta, K: k}
				backward = kernels.LRNWithinBackward{X: ptr(x), Y: ptr(y), DY: ptr(dy), DX: ptr(dx), Planes: planes, H: h, W: w, Size: size, Alpha: alpha, Beta: beta, K: k}
			} else {
				batch, groups, c := int32(l.Batch), int32(l.Groups), int32(l.Shape.C)
				forward = kernels.LRNAcrossForward{X: ptr(x), Y: ptr(y), Batch: batch, Groups: groups, C: c, H: h, W: w, Size: size, Alpha: alpha, Beta: beta, K: k}
				backward = kernels.LRNAcrossBackward{X: ptr(x), Y: ptr(y), DY: ptr(dy), DX: ptr(dx), Batch: batch, Groups: groups, C: c, H: h, W: w, Size: size, Alpha: alpha, Beta: beta, K: k}
			}
			r.same(sums, dnn.LRNForward{LRN: l, X: x, Y: y}, forward)
			r.same(sums, dnn.LRNBackward{LRN: l, X: x, Y: y, DY: dy, DX: dx}, backward)
		})
	}
}

func TestDropout(t *testing.T) {
	const step = 0xfffffff1
	s := newSource(7)
	// The rate at which the first number is as large as the threshold: it is kept.
	equal := float64(philox.At(5, philox.Dropout.Layer(0), step, 0)[0]) / (1 << 32)
	for _, o := range []dnn.Dropout{
		{Batch: 6, Count: 101, Features: 101, Rate: 0.3, Seed: 77, Layer: 3},
		{Batch: 5, Before: 7, Count: 50, First: 51, Features: 101, Rate: 0.5, Seed: math.MaxUint64, Layer: 1},
		{Batch: 10, Count: 9, First: 1 << 29, Features: 1<<31 - 1, Rate: 0.5, Seed: 1 << 40}, // numbers beyond 2^34
		{Batch: 2, Count: 33, Features: 40, Rate: equal, Seed: 5},
		{Batch: 2, Count: 33, Features: 40, Rate: 0},
		{Batch: 2, Count: 33, Features: 40, Rate: 1},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			r := newRig(t)
			o.Control, o.X, o.Y = r.control(step, 0), tensor(r, s.normals(o.Batch*o.Count)), r.poison(o.Batch*o.Count)
			a := kernels.Dropout{Control: ptr(o.Control), X: ptr(o.X), Y: ptr(o.Y), Seed: o.Seed, Threshold: uint64(math.Round(o.Rate * (1 << 32))),
				Batch: int32(o.Batch), Before: int32(o.Before), Count: int32(o.Count), First: int32(o.First), Features: int32(o.Features), Purpose: uint32(philox.Dropout.Layer(o.Layer))}
			r.same(exact, o, a)
			o.Y, a.Y = o.X, a.X
			r.same(exact, o, a)
		})
	}
}

func TestScale(t *testing.T) {
	s := newSource(8)
	r := newRig(t)
	x, y := tensor(r, s.normals(1001)), r.poison(1001)
	for _, y := range []dnn.Tensor{y, x} {
		r.same(exact, dnn.Scale{Count: 1001, Factor: 0.3, X: x, Y: y}, kernels.Scale{X: ptr(x), Y: ptr(y), Count: 1001, Factor: 0.3})
	}
}

func TestSoftmax(t *testing.T) {
	s := newSource(9)
	for _, c := range []struct{ batch, classes int }{{1, 1}, {13, 2}, {13, 5}, {13, 6}, {7, 100}, {3, 256}, {3, 257}, {3, 1000}, {300, 3}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			x, labels := s.normals(c.batch*c.classes), make([]int32, c.batch)
			for n := range labels {
				labels[n] = int32(s.between(-1, c.classes-1))
			}
			for i := range x { // coarse, for ties
				x[i] = float32(math.Round(float64(x[i])*2)) / 2
			}
			newRig(t).softmax(c.classes, x, labels)
		})
	}
}

// softmax holds forward and backward against the CPU device.
func (r *rig) softmax(classes int, x []float32, labels []int32) {
	r.Helper()
	batch := len(labels)
	tl, tx, y, dx := tensor(r, labels), tensor(r, x), r.poison(len(x)), r.poison(len(x))
	stats, each := r.poison(dnn.StatFloats), r.poison(dnn.StatFloats*batch)
	r.same(rounding, dnn.SoftmaxForward{Batch: batch, Classes: classes, X: tx, Y: y, Labels: tl, Stats: stats},
		kernels.SoftmaxForward{X: ptr(tx), Y: ptr(y), Labels: ptr(tl), Each: ptr(each), Batch: int32(batch), Classes: int32(classes)},
		kernels.SoftmaxStats{Each: ptr(each), Stats: ptr(stats), Batch: int32(batch)})
	r.same(exact, dnn.SoftmaxBackward{Batch: batch, Images: batch + 2, Classes: classes, Y: y, Labels: tl, DX: dx},
		kernels.SoftmaxBackward{Y: ptr(y), Labels: ptr(tl), DX: ptr(dx), Batch: int32(batch), Images: int32(batch + 2), Classes: int32(classes)})
}

func TestSoftmaxExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for name, c := range map[string]struct {
		x     []float32
		label int32
	}{
		"huge":               {[]float32{1e30, 1e30, -1e30}, 0},
		"hopeless":           {[]float32{300, 0, 0}, 1},
		"six equal":          {[]float32{2, 2, 2, 2, 2, 2}, 5},
		"minus infinity":     {[]float32{0, -inf}, 0},
		"NaN":                {[]float32{0, nan, 0, 0, 0, 0}, 0},
		"NaN label":          {[]float32{0, nan, 0, 0, 0, 0}, 1},
		"NaN last":           {[]float32{0, 0, 0, 0, 0, nan}, 2},
		"infinity":           {[]float32{0, inf}, 1},
		"nothing but -Inf":   {[]float32{-inf, -inf}, 1},
		"certain of another": {[]float32{-math.MaxFloat32, math.MaxFloat32}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			newRig(t).softmax(len(c.x), c.x, []int32{c.label})
		})
	}
}

// A label that is no class, which the CPU device refuses, must not touch other
// memory, and is seen in the loss and the gradient.
func TestSoftmaxBadLabels(t *testing.T) {
	const batch, classes = 4, 3
	r := newRig(t)
	x, labels := tensor(r, newSource(10).normals(batch*classes)), tensor(r, []int32{3, 1, math.MaxInt32, math.MinInt32})
	y, dx, each, stats := r.poison(batch*classes), r.poison(batch*classes), r.poison(batch*dnn.StatFloats), r.poison(dnn.StatFloats)
	got := r.all(
		kernels.SoftmaxForward{X: ptr(x), Y: ptr(y), Labels: ptr(labels), Each: ptr(each), Batch: batch, Classes: classes},
		kernels.SoftmaxStats{Each: ptr(each), Stats: ptr(stats), Batch: batch},
		kernels.SoftmaxBackward{Y: ptr(y), Labels: ptr(labels), DX: ptr(dx), Batch: batch, Images: batch, Classes: classes})
	for n, bad := range []bool{true, false, true, false} {
		e := floats(got[each-1])[n*dnn.StatFloats:][:dnn.StatFloats]
		if bad != (e[dnn.StatLoss] != e[dnn.StatLoss]) || bad && (e[dnn.StatTop1] != 1 || e[dnn.StatTop5] != 1) || n == 3 && !slices.Equal(e, []float32{0, 0, 0}) {
			t.Errorf("image %d: loss and errors %v", n, e)
		}
		for c, g := range floats(got[dx-1])[n*classes:][:classes] {
			if p := floats(got[y-1])[n*classes+c]; bad != (g != g) || n == 3 && g != 0 || !(p > 0 && p < 1) {
				t.Errorf("image %d, class %d: probability %g, gradient %g", n, c, p, g)
			}
		}
	}
	if loss := floats(got[stats-1])[dnn.StatLoss]; loss == loss {
		t.Errorf("the loss is %g, want NaN", loss)
	}
}

func TestSlab(t *testing.T) {
	s := newSource(11)
	for range 30 {
		r := newRig(t)
		o := dnn.Sum{Rows: s.between(1, 5), Width: s.between(1, 300)}
		draw := func() (slab dnn.Slab, size int) {
			slab = dnn.Slab{Offset: s.between(0, 9), Stride: o.Width + s.between(0, 7)}
			return slab, slab.Offset + (o.Rows-1)*slab.Stride + o.Width
		}
		var size int
		o.Y, size = draw()
		o.Y.T = tensor(r, s.normals(size)) // what is between the rows stays
		var list []kernels.Args
		for i := range s.between(1, 4) {
			x, size := draw()
			if x.T = tensor(r, s.normals(size)); i == 0 && s.IntN(3) == 0 {
				x = o.Y
			}
			o.X = append(o.X, x)
			list = append(list, kernels.Slab{X: ptr(x.T), Y: ptr(o.Y.T), Rows: int32(o.Rows), Width: int32(o.Width),
				XOffset: int64(x.Offset), XStride: int64(x.Stride), YOffset: int64(o.Y.Offset), YStride: int64(o.Y.Stride), Add: int32(min(i, 1))})
		}
		r.same(exact, o, list...)
	}
}

// TestUpdate takes parameters of all kinds in one launch, of which some have more
// than one chunk, and some just one number in their last.
func TestUpdate(t *testing.T) {
	s := newSource(12)
	for _, list := range [][]dnn.Param{
		{{Count: 1, Kernels: single}}, {{Count: 3 * 4096, Kernels: single}, {Count: 4097, Kernels: single, Narrow: true}, {Count: 8192, Kernels: single, Narrow: true, Copy: 1}},
		{{Count: 5, Kernels: dnn.Kernels{C: 3, H: 2, W: 4}, Narrow: true, Copy: 1}, {Count: 7, Kernels: single, Copy: 1},
			{Count: 40, Kernels: dnn.Kernels{C: 3, H: 11, W: 11, Fold: dnn.Fold{Side: 4, Channels: 48}}, Narrow: true, Copy: 1},
			{Count: 2, Kernels: dnn.Kernels{C: 3, H: 5, W: 3, Fold: dnn.Fold{Side: 1, Channels: 8}}, Narrow: true, Copy: 1},
			{Count: 4096, Kernels: single, Copy: 1}},
		slices.Repeat([]dnn.Param{{Count: 3, Kernels: single}}, kernels.MaxParams),
	} {
		r := newRig(t)
		o := dnn.Update{Momentum: 0.9, Control: r.control(9, 0.1, 0.2, 0.3)}
		var params []kernels.Parameter
		for i, p := range list {
			n, copied := p.Count*p.Kernels.Size(), p.Count*p.Kernels.Copied().Size()
			p.Decay, p.Rate, p.Index = 5e-4*float32(i), 0.7, i%3
			p.W, p.V = tensor(r, s.normals(n)), tensor(r, s.normals(n))
			if p.Narrow {
				p.G = halves(r, s.normals(copied))
			} else {
				p.G = tensor(r, s.normals(n))
			}
			if p.Copy != 0 {
				p.Copy = halves(r, make([]float32, copied))
			}
			o.Params = append(o.Params, p)
			params = append(params, parameter(p))
		}
		r.same(exact, o, kernels.NewUpdate(ptr(o.Control), o.Momentum, params))
	}
}

var single = dnn.Kernels{C: 1, H: 1, W: 1}

// parameter returns the kernel's argument for p.
func parameter(p dnn.Param) kernels.Parameter {
	k := p.Kernels
	a := kernels.Parameter{G: ptr(p.G), W: ptr(p.W), V: ptr(p.V), Copy: ptr(p.Copy), Count: int64(p.Count), C: int32(k.C), H: int32(k.H), Wide: int32(k.W),
		Side: int32(max(k.Side, 1)), Channels: int32(k.Copied().C), Index: int32(p.Index), Decay: p.Decay, Rate: p.Rate}
	if p.Narrow {
		a.Narrow = 1
	}
	return a
}

// Every bfloat16 stays what it is by way of float32, and a float32 goes to the
// nearest bfloat16, of two equally near to the one whose last bit is 0.
func TestBFloat16(t *testing.T) {
	r := newRig(t)
	x := make([]float32, 0, 1<<16*7)
	for upper := range uint32(1 << 16) {
		for _, lower := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xc123, 0xffff} {
			x = append(x, math.Float32frombits(upper<<16|lower))
		}
	}
	tx, half, back := tensor(r, x), tensor(r, make([]uint8, 2*len(x))), r.poison(len(x))
	w := way{blocks: 100, threads: 256, above: true}
	got := r.emulate(r.tensors, w, []kernels.Args{
		kernels.Convert{X: ptr(tx), Y: ptr(half), Batch: 1, Channels: int32(len(x)), Places: 1, YHalf: 1},
		kernels.Convert{X: ptr(half), Y: ptr(back), Batch: 1, Channels: int32(len(x)), Places: 1, XHalf: 1}})
	// Beyond the largest bfloat16, infinity stands where the next one would.
	value := func(b uint16) float64 {
		if b&0x7fff == 0x7f80 {
			return math.Copysign(1<<127*2, float64(int16(b)))
		}
		return float64(math.Float32frombits(uint32(b) << 16))
	}
	for i, y := range floats(got[back-1]) {
		b := binary.LittleEndian.Uint16(got[half-1][2*i:])
		v, bits := float64(x[i]), math.Float32bits(x[i])
		switch {
		case math.Float32bits(y) != uint32(b)<<16:
			t.Fatalf("bfloat16 %#x became %#x", b, math.Float32bits(y))
		case bits&0xffff == 0 && v == v && uint32(b) != bits>>16:
			t.Fatalf("%g is a bfloat16 but became %#x", v, b)
		case (v != v) != (y != y), math.Signbit(v) != math.Signbit(float64(y)):
			t.Fatalf("%g became %g", v, y)
		case v != v || math.IsInf(v, 0):
			continue
		}
		for _, other := range []uint16{b - 1, b + 1} { // the next ones of the same sign
			if other>>15 != b>>15 || other&0x7fff > 0x7f80 {
				continue
			}
			own, others := math.Abs(v-value(b)), math.Abs(v-value(other))
			if own > others || own == others && b&1 == 1 {
				t.Fatalf("%g became %g, but %g is nearer, or as near and even", v, value(b), value(other))
			}
		}
	}
}

// Offsets are counted in 64 bits. Of 8 GiB of address space, three pages are used.
func TestSlabBeyondInt32(t *testing.T) {
	r := newRig(t)
	big, free := sparse(t, 8<<30+64)
	defer free()
	const stride = 1<<31 + 3
	for i := range 2 {
		copy(big[4*(5+i*stride):], raw.Bytes([]float32{1, 2, 3}))
	}
	y, freeY := fenced(t, 4*6, true)
	defer freeY()
	r.must(r.emulator.Launch(kernels.Slab{X: address(big), Y: address(y), Rows: 2, Width: 3, XOffset: 5, XStride: stride, YStride: 3}, 1, 2))
	if !slices.Equal(floats(y), []float32{1, 2, 3, 1, 2, 3}) {
		t.Errorf("read %v", floats(y))
	}
	r.must(r.emulator.Launch(kernels.Slab{X: address(y), Y: address(big), Rows: 2, Width: 3, XStride: 3, YOffset: 6, YStride: stride, Add: 1}, 1, 2))
	if got := floats(big[4*(5+stride):][:16]); !slices.Equal(got, []float32{1, 3, 5, 3}) {
		t.Errorf("added up to %v", got)
	}
}
