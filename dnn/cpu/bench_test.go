package cpu

// The layers of the paper's network at batch 32, both columns merged into
// groups.

import (
	"testing"

	"alexnet/dnn"
)

const benchBatch = 32

var benchConvs = []struct {
	name string
	dnn.Conv
}{
	{"conv1", dnn.Conv{Groups: 1, In: dnn.Shape{C: 3, H: 224, W: 224}, Out: dnn.Shape{C: 96, H: 55, W: 55}, Window: dnn.Window{H: 11, W: 11, Stride: 4, Pad: 2}}},
	{"conv2", dnn.Conv{Groups: 2, In: dnn.Shape{C: 96, H: 27, W: 27}, Out: dnn.Shape{C: 256, H: 27, W: 27}, Window: dnn.Window{H: 5, W: 5, Stride: 1, Pad: 2}}},
	{"conv3", dnn.Conv{Groups: 1, In: dnn.Shape{C: 256, H: 13, W: 13}, Out: dnn.Shape{C: 384, H: 13, W: 13}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}}},
	{"conv4", dnn.Conv{Groups: 2, In: dnn.Shape{C: 384, H: 13, W: 13}, Out: dnn.Shape{C: 384, H: 13, W: 13}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}}},
	{"conv5", dnn.Conv{Groups: 2, In: dnn.Shape{C: 384, H: 13, W: 13}, Out: dnn.Shape{C: 256, H: 13, W: 13}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}}},
}

// bench times an operation on a batch; flop is what it takes.
func (r *rig) bench(b *testing.B, name string, op dnn.Op, flop int) {
	b.Run(name, func(b *testing.B) {
		task := r.prepare(op)
		for b.Loop() {
			r.launch(task)
		}
		seconds := b.Elapsed().Seconds() / float64(b.N)
		b.ReportMetric(benchBatch/seconds, "images/s")
		if flop > 0 {
			b.ReportMetric(float64(flop)/seconds/1e9, "GFLOP/s")
		}
	})
}

func BenchmarkConv(b *testing.B) {
	for _, c := range benchConvs {
		c.Batch = benchBatch
		r, s := newRig(b), newSource(1)
		b.Run(c.name, func(b *testing.B) {
			flop := 2 * c.Batch * c.Out.Size() * c.KernelSize()
			x, w, bias, y := r.floats(s.normals(c.Batch*c.In.Size())), r.floats(s.normals(c.Out.C*c.KernelSize())), r.floats(s.normals(c.Out.C)), r.floats(s.normals(c.Batch*c.Out.Size()))
			r.bench(b, "forward", dnn.ConvForward{Conv: c.Conv, X: x, W: w, B: bias, Y: y}, flop)
			r.bench(b, "weights", dnn.ConvBackwardWeights{Conv: c.Conv, X: x, DY: y, DW: w, DB: bias}, flop)
			if c.name != "conv1" { // whose data is the image
				r.bench(b, "data", dnn.ConvBackwardData{Conv: c.Conv, W: w, DY: y, DX: x}, flop)
			}
		})
	}
}

func BenchmarkFull(b *testing.B) {
	for _, f := range []struct {
		name string
		dnn.Full
	}{
		{"fc6", dnn.Full{Groups: 1, In: 9216, Out: 4096}},
		{"fc7", dnn.Full{Groups: 1, In: 4096, Out: 4096}},
		{"fc8", dnn.Full{Groups: 1, In: 4096, Out: 1000}},
	} {
		f.Batch = benchBatch
		r, s := newRig(b), newSource(1)
		b.Run(f.name, func(b *testing.B) {
			flop := 2 * f.Batch * f.In * f.Out
			x, w, bias, y := r.floats(s.normals(f.Batch*f.In)), r.floats(make([]float32, f.In*f.Out)), r.floats(s.normals(f.Out)), r.floats(s.normals(f.Batch*f.Out))
			v, control := r.floats(make([]float32, f.In*f.Out)), r.control(0, 0)
			r.bench(b, "forward", dnn.FullForward{Full: f.Full, X: x, W: w, B: bias, Y: y}, flop)
			r.bench(b, "weights", dnn.FullBackwardWeights{Full: f.Full, X: x, DY: y, DW: w, DB: bias}, flop)
			r.bench(b, "data", dnn.FullBackwardData{Full: f.Full, W: w, DY: y, DX: x}, flop)
			r.bench(b, "update", dnn.Update{Momentum: 0.9, Control: control, Params: []dnn.Param{{Count: f.In * f.Out, Kernels: single, G: w, W: w, V: v}}}, 0)
		})
	}
}

func BenchmarkRest(b *testing.B) {
	for _, c := range []struct {
		name  string
		shape dnn.Shape
		lrn   bool
	}{
		{"1", dnn.Shape{C: 96, H: 55, W: 55}, true},
		{"2", dnn.Shape{C: 256, H: 27, W: 27}, true},
		{"5", dnn.Shape{C: 256, H: 13, W: 13}, false},
	} {
		r, s := newRig(b), newSource(1)
		n := benchBatch * c.shape.Size()
		x, y, dy, dx := r.floats(s.normals(n)), r.floats(s.normals(n)), r.floats(s.normals(n)), r.poison(n)
		b.Run(c.name, func(b *testing.B) {
			r.bench(b, "relu", dnn.ActivationForward{Count: n, X: x, Y: y}, 0)
			r.bench(b, "relu gradient", dnn.ActivationBackward{Count: n, Y: x, DY: dy, DX: dx}, 0)
			if c.lrn {
				l := dnn.LRN{Batch: benchBatch, Groups: 2, Shape: c.shape, Size: 5, Alpha: 1e-4, Beta: 0.75, K: 2}
				r.bench(b, "lrn", dnn.LRNForward{LRN: l, X: x, Y: y}, 0)
				r.bench(b, "lrn gradient", dnn.LRNBackward{LRN: l, X: x, Y: y, DY: dy, DX: dx}, 0)
			}
			p := dnn.Pool{Batch: benchBatch, In: c.shape, Out: dnn.Shape{C: c.shape.C, H: (c.shape.H - 1) / 2, W: (c.shape.W - 1) / 2}, Window: dnn.Window{H: 3, W: 3, Stride: 2}}
			out := benchBatch * p.Out.Size()
			py, where := r.floats(s.normals(out)), r.poison(out)
			r.bench(b, "maxpool", dnn.MaxPoolForward{Pool: p, X: x, Y: py, Where: where}, 0)
			r.bench(b, "maxpool gradient", dnn.MaxPoolBackward{Pool: p, Where: where, DY: py, DX: dx}, 0)
		})
	}
	r, s := newRig(b), newSource(1)
	n := benchBatch * 4096
	x, control := r.floats(s.normals(n)), r.control(0, 0)
	r.bench(b, "dropout", dnn.Dropout{Batch: benchBatch, Count: 4096, Features: 4096, Rate: 0.5, Control: control, X: x, Y: x}, 0)
}
