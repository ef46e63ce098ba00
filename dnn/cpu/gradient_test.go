package cpu

import (
	"math"
	"testing"

	"alexnet/dnn"
	"alexnet/internal/reference"
)

// gradient holds the gradient that the device made in float32 of Σ dy y against
// central differences of a reference in float64. With a step of 1e-5 the
// differences are good to about 1e-9; 1e-3 of the gradient's usual size is what
// float32 must reach in every single number.
func (r *rig) gradient(what string, got []float32, x, dy []float64, forward func(x []float64) []float64) {
	r.Helper()
	dot := func() (sum float64) {
		for i, y := range forward(x) {
			sum += y * dy[i]
		}
		return sum
	}
	want := make([]float64, len(x))
	var square float64
	for i := range x {
		const h = 1e-5
		v := x[i]
		x[i] = v + h
		up := dot()
		x[i] = v - h
		want[i] = (up - dot()) / (2 * h)
		x[i] = v
		square += want[i] * want[i]
	}
	usual := math.Sqrt(square / float64(len(x)))
	if usual == 0 {
		r.Fatalf("%s: the gradient is zero, which tests nothing", what)
	}
	for i, w := range want {
		if e := math.Abs(float64(got[i])-w) / math.Max(math.Abs(w), usual); !(e < 1e-3) {
			r.Fatalf("%s: gradient by number %d is %g, differences say %g", what, i, got[i], w)
		}
	}
}

func TestGradients(t *testing.T) {
	s := newSource(20)
	for _, local := range []bool{false, true} {
		t.Run(map[bool]string{false: "conv", true: "local"}[local], func(t *testing.T) {
			c := dnn.Conv{Batch: 2, Groups: 2, In: dnn.Shape{C: 4, H: 4, W: 5}, Out: dnn.Shape{C: 4, H: 2, W: 3}, Window: dnn.Window{H: 3, W: 2, Stride: 2, Pad: 1}}
			kernels := c.Out.C
			if local {
				kernels = c.Out.Size()
			}
			r := newRig(t)
			x, w, b, dy := s.normals(c.Batch*c.In.Size()), s.normals(kernels*c.KernelSize()), s.normals(kernels), s.normals(c.Batch*c.Out.Size())
			tx, tw, tdy := r.floats(x), r.floats(w), r.floats(dy)
			tdx, tdw, tdb := r.poison(len(x)), r.poison(len(w)), r.poison(len(b))
			if local {
				r.run(dnn.LocalBackwardData{Conv: c, W: tw, DY: tdy, DX: tdx})
				r.run(dnn.LocalBackwardWeights{Conv: c, X: tx, DY: tdy, DW: tdw, DB: tdb})
			} else {
				r.run(dnn.ConvBackwardData{Conv: c, W: tw, DY: tdy, DX: tdx})
				r.run(dnn.ConvBackwardWeights{Conv: c, X: tx, DY: tdy, DW: tdw, DB: tdb})
			}
			x64, w64, b64, dy64 := wide(x), wide(w), wide(b), wide(dy)
			r.gradient("x", r.read(tdx), x64, dy64, func(x []float64) []float64 { return reference.Conv(c, local, x, w64, b64) })
			r.gradient("w", r.read(tdw), w64, dy64, func(w []float64) []float64 { return reference.Conv(c, local, x64, w, b64) })
			r.gradient("b", r.read(tdb), b64, dy64, func(b []float64) []float64 { return reference.Conv(c, local, x64, w64, b) })
		})
	}
	t.Run("full", func(t *testing.T) {
		f := dnn.Full{Batch: 3, Groups: 2, In: 14, Out: 10}
		c := reference.FullAsConv(f)
		r := newRig(t)
		x, w, b, dy := s.normals(f.Batch*f.In), s.normals(f.Out*f.In/f.Groups), s.normals(f.Out), s.normals(f.Batch*f.Out)
		tx, tw, tdy := r.floats(x), r.floats(w), r.floats(dy)
		tdx, tdw, tdb := r.poison(len(x)), r.poison(len(w)), r.poison(len(b))
		r.run(dnn.FullBackwardData{Full: f, W: tw, DY: tdy, DX: tdx})
		r.run(dnn.FullBackwardWeights{Full: f, X: tx, DY: tdy, DW: tdw, DB: tdb})
		x64, w64, b64, dy64 := wide(x), wide(w), wide(b), wide(dy)
		r.gradient("x", r.read(tdx), x64, dy64, func(x []float64) []float64 { return reference.Conv(c, false, x, w64, b64) })
		r.gradient("w", r.read(tdw), w64, dy64, func(w []float64) []float64 { return reference.Conv(c, false, x64, w, b64) })
		r.gradient("b", r.read(tdb), b64, dy64, func(b []float64) []float64 { return reference.Conv(c, false, x64, w64, b) })
	})
	for f, name := range []string{dnn.Relu: "relu", dnn.Tanh: "tanh", dnn.Sigmoid: "sigmoid"} {
		t.Run(name, func(t *testing.T) {
			const n = 50
			r := newRig(t)
			x, dy := s.normals(n), s.normals(n)
			ty, tdx := r.poison(n), r.poison(n)
			r.run(dnn.ActivationForward{Count: n, Func: dnn.Func(f), X: r.floats(x), Y: ty})
			r.run(dnn.ActivationBackward{Count: n, Func: dnn.Func(f), Y: ty, DY: r.floats(dy), DX: tdx})
			r.gradient("x", r.read(tdx), wide(x), wide(dy), func(x []float64) []float64 { return reference.Activation(dnn.Func(f), x) })
		})
	}
	t.Run("pools", func(t *testing.T) {
		p := dnn.Pool{Batch: 2, In: dnn.Shape{C: 2, H: 6, W: 7}, Out: dnn.Shape{C: 2, H: 3, W: 4}, Window: dnn.Window{H: 3, W: 3, Stride: 2, Pad: 1}}
		r := newRig(t)
		x, dy := s.normals(p.Batch*p.In.Size()), s.normals(p.Batch*p.Out.Size())
		tdy, where, ty := r.floats(dy), r.poison(len(dy)), r.poison(len(dy))
		tmax, tavg := r.poison(len(x)), r.poison(len(x))
		r.run(dnn.MaxPoolForward{Pool: p, X: r.floats(x), Y: ty, Where: where})
		r.run(dnn.MaxPoolBackward{Pool: p, Where: where, DY: tdy, DX: tmax})
		r.run(dnn.AvgPoolBackward{Pool: p, DY: tdy, DX: tavg})
		r.gradient("max x", r.read(tmax), wide(x), wide(dy), func(x []float64) []float64 { y, _ := reference.MaxPool(p, x); return y })
		r.gradient("avg x", r.read(tavg), wide(x), wide(dy), func(x []float64) []float64 { return reference.AvgPool(p, x) })
	})
	for _, within := range []bool{false, true} {
		t.Run(map[bool]string{false: "lrn across", true: "lrn within"}[within], func(t *testing.T) {
			for _, size := range []int{4, 5} {
				l := dnn.LRN{Batch: 2, Groups: 2, Shape: dnn.Shape{C: 10, H: 3, W: 4}, Size: size, Alpha: 0.5, Beta: 0.75, K: 2, Within: within}
				r := newRig(t)
				n := l.Batch * l.Shape.Size()
				x, dy := s.normals(n), s.normals(n)
				tx, ty, tdx := r.floats(x), r.poison(n), r.poison(n)
				r.run(dnn.LRNForward{LRN: l, X: tx, Y: ty})
				r.run(dnn.LRNBackward{LRN: l, X: tx, Y: ty, DY: r.floats(dy), DX: tdx})
				r.gradient("x", r.read(tdx), wide(x), wide(dy), func(x []float64) []float64 { return reference.LRN(l, x) })
			}
		})
	}
	t.Run("softmax", func(t *testing.T) {
		const batch, classes = 4, 7
		r := newRig(t)
		x, labels := s.normals(batch*classes), []int32{3, -1, 0, 6}
		tl, ty, stats, tdx := r.ints(labels), r.poison(len(x)), r.poison(dnn.StatFloats), r.poison(len(x))
		r.run(dnn.SoftmaxForward{Batch: batch, Classes: classes, X: r.floats(x), Y: ty, Labels: tl, Stats: stats})
		r.run(dnn.SoftmaxBackward{Batch: batch, Images: batch, Classes: classes, Y: ty, Labels: tl, DX: tdx})
		r.gradient("x", r.read(tdx), wide(x), []float64{1. / batch}, func(x []float64) []float64 {
			_, stats := reference.Softmax(classes, x, labels)
			return stats[dnn.StatLoss:][:1]
		})
	})
}
