package sim

import (
	"fmt"
	"math"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
	"alexnet/internal/reference"
)

// Every kernel against the reference: of the simulation this shows that it takes
// each argument for what it is.
func TestKernels(t *testing.T) {
	for seed := range uint64(10) {
		l := newLab(t, Options{Seed: seed})
		code := own(l, func(dir string) (*kernels.Module, error) { return kernels.Load(l.ctx, l.libs.NVRTC, dir) })(t.TempDir())
		tried := map[string]bool{}
		run := func(a kernels.Args) {
			t.Helper()
			name, _, _ := a.Kernel()
			tried[name] = true
			launch, err := code.Prepare(a)
			check(t, err)
			check(t, launch.On(l.stream))
		}
		// test launches a kernel whose results, of as many numbers as are wanted, are new.
		test := func(make func(to []cu.DevicePtr) kernels.Args, want ...[]float64) {
			t.Helper()
			var to []cu.DevicePtr
			for _, w := range want {
				to = append(to, l.alloc(int64(4*len(w))))
			}
			a := make(to)
			run(a)
			for i, w := range want {
				near(t, fmt.Sprintf("%+v result %d", a, i), floats(l.read(to[i], 4*len(w))), w, limits[0])
			}
		}
		num := func(n int) (cu.DevicePtr, []float64) {
			x := l.normals(n)
			return l.bytes(raw.Bytes(x)), wide(x)
		}
		i32 := func(n int) int32 { return int32(n) }

		groups := l.between(1, 2)
		c := dnn.Conv{Batch: l.between(1, 3), Groups: groups, In: dnn.Shape{C: groups * l.between(1, 3), H: l.between(3, 7), W: l.between(3, 7)},
			Window: dnn.Window{H: l.between(1, 3), W: l.between(1, 3), Stride: l.between(1, 2)}}
		if min(c.Window.H, c.Window.W) > 1 {
			c.Window.Pad = l.between(0, 1)
		}
		c.Out = dnn.Shape{C: groups * l.between(1, 3), H: (c.In.H+2*c.Window.Pad-c.Window.H)/c.Window.Stride + 1, W: (c.In.W+2*c.Window.Pad-c.Window.W)/c.Window.Stride + 1}
		g := kernels.Geometry{InC: i32(c.In.C), InH: i32(c.In.H), InW: i32(c.In.W), OutC: i32(c.Out.C), OutH: i32(c.Out.H), OutW: i32(c.Out.W),
			KH: i32(c.Window.H), KW: i32(c.Window.W), Stride: i32(c.Window.Stride), Pad: i32(c.Window.Pad)}
		batch := i32(c.Batch)

		x, xs := num(c.Batch * c.In.Size())
		w, ws := num(c.Out.Size() * c.KernelSize())
		b, bs := num(c.Out.Size())
		dy, dys := num(c.Batch * c.Out.Size())
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.LocalForward{X: x, W: w, B: b, Y: to[0], Batch: batch, Groups: i32(groups), Geometry: g}
		}, reference.Conv(c, true, xs, ws, bs))
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.LocalBackwardData{W: w, DY: dy, DX: to[0], Batch: batch, Groups: i32(groups), Geometry: g}
		}, reference.ConvData(c, true, ws, dys))
		dw, db := reference.ConvWeights(c, true, xs, dys)
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.LocalBackwardWeights{X: x, DY: dy, DW: to[0], Batch: batch, Groups: i32(groups), Geometry: g}
		}, dw)
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.SumColumns{X: dy, Y: to[0], Rows: batch, Width: i32(c.Out.Size()), Most: batch}
		}, db)
		for relu := range int32(2) {
			v, vs := num(c.Batch * c.Out.Size())
			for i := range vs {
				if vs[i] += bs[i%len(bs)]; relu == 1 {
					vs[i] = max(vs[i], 0)
				}
			}
			run(kernels.AddBias{B: b, Y: v, Rows: batch, Width: i32(len(bs)), Relu: relu})
			near(t, "biases", floats(l.read(v, 4*len(vs))), vs, limits[0])
		}

		pool := dnn.Pool{Batch: c.Batch, In: c.In, Out: dnn.Shape{C: c.In.C, H: c.Out.H, W: c.Out.W}, Window: c.Window}
		if (pool.Out.H)*c.Window.Stride-c.Window.Pad < c.In.H { // a window that hangs over
			pool.Out.H++
		}
		planes, pg := i32(c.Batch*c.In.C), g
		pg.InC, pg.OutC, pg.OutH = 1, 1, i32(pool.Out.H)
		pdy, pdys := num(c.Batch * pool.Out.Size())
		y, where := reference.MaxPool(pool, xs)
		at := l.alloc(int64(4 * len(where)))
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.MaxPoolForward{X: x, Y: to[0], Where: at, Planes: planes, Geometry: pg}
		}, y)
		for i, w := range ints(l.read(at, 4*len(where))) {
			if w != where[i] {
				t.Fatalf("pool place %d: %d, want %d", i, w, where[i])
			}
		}
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.MaxPoolBackward{Where: at, DY: pdy, DX: to[0], Planes: planes, Geometry: pg}
		}, reference.MaxPoolData(pool, where, pdys))
		// Of four windows over 2x2 pixels, three remember places that they do not see.
		lost, one := l.bytes(raw.Bytes([]int32{-1, 0, 4, 3})), l.bytes(raw.Bytes([]float32{1, 2, 3, 4}))
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.MaxPoolBackward{Where: lost, DY: one, DX: to[0], Planes: 1, Geometry: kernels.Geometry{InC: 1, InH: 2, InW: 2, OutC: 1, OutH: 2, OutW: 2, KH: 2, KW: 2, Stride: 2, Pad: 1}}
		}, []float64{0, 0, 0, 4})
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.AvgPoolForward{X: x, Y: to[0], Planes: planes, Geometry: pg}
		}, reference.AvgPool(pool, xs))
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.AvgPoolBackward{DY: pdy, DX: to[0], Planes: planes, Geometry: pg}
		}, reference.AvgPoolData(pool, pdys))

		lrn := dnn.LRN{Batch: c.Batch, Groups: groups, Shape: c.In, Size: l.between(1, 5), Alpha: 0.25, Beta: 0.75, K: 2}
		xdy, xdys := num(len(xs))
		for range 2 {
			ly := reference.LRN(lrn, xs)
			lyp := l.bytes(raw.Bytes(narrow(ly)))
			h, wd, size := i32(c.In.H), i32(c.In.W), i32(lrn.Size)
			test(func(to []cu.DevicePtr) kernels.Args {
				if lrn.Within {
					return kernels.LRNWithinForward{X: x, Y: to[0], Planes: planes, H: h, W: wd, Size: size, Alpha: 0.25, Beta: 0.75, K: 2}
				}
				return kernels.LRNAcrossForward{X: x, Y: to[0], Batch: batch, Groups: i32(groups), C: i32(c.In.C), H: h, W: wd, Size: size, Alpha: 0.25, Beta: 0.75, K: 2}
			}, ly)
			test(func(to []cu.DevicePtr) kernels.Args {
				if lrn.Within {
					return kernels.LRNWithinBackward{X: x, Y: lyp, DY: xdy, DX: to[0], Planes: planes, H: h, W: wd, Size: size, Alpha: 0.25, Beta: 0.75, K: 2}
				}
				return kernels.LRNAcrossBackward{X: x, Y: lyp, DY: xdy, DX: to[0], Batch: batch, Groups: i32(groups), C: i32(c.In.C), H: h, W: wd, Size: size, Alpha: 0.25, Beta: 0.75, K: 2}
			}, reference.LRNData(lrn, xs, xdys))
			lrn.Within = true
		}

		// Copies.
		var cut []float64
		for p := range int(planes) {
			for i := range c.In.H + 1 {
				for j := range c.In.W - 1 {
					v := 0.0
					if i < c.In.H {
						v = xs[(p*c.In.H+i)*c.In.W+j]
					}
					cut = append(cut, v)
				}
			}
		}
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.Fit{X: x, Y: to[0], Planes: planes, H: i32(c.In.H), W: i32(c.In.W), OutH: i32(c.In.H + 1), OutW: i32(c.In.W - 1)}
		}, cut)
		from, froms := num(40)
		to, tos := num(50)
		run(kernels.Slab{X: from, Y: to, Rows: 4, Width: 3, XOffset: 2, XStride: 7, YOffset: 1, YStride: 10})
		run(kernels.Slab{X: from, Y: to, Rows: 4, Width: 3, XOffset: 0, XStride: 3, YOffset: 2, YStride: 10, Add: 1})
		for i := range 4 {
			copy(tos[1+10*i:][:3], froms[2+7*i:])
		}
		for i := range 12 {
			tos[2+i/3*10+i%3] += froms[i]
		}
		near(t, "slabs", floats(l.read(to, 200)), tos, limits[0])
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.Scale{X: from, Y: to[0], Count: 40, Factor: -3}
		}, blend(-3, froms, 0, nil))
		halves := l.alloc(80)
		run(kernels.Convert{X: from, Y: halves, Batch: 1, Channels: 40, Places: 1, YHalf: 1})
		short := make([]float64, 40)
		for i, v := range froms {
			short[i] = rounded(v, 8, math.RoundToEven)
		}
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.Convert{X: halves, Y: to[0], Batch: 1, Channels: 40, Places: 1, XHalf: 1}
		}, short)

		// Softmax, with labels that are none (-1) and, at last, one that is no class.
		const images, classes = 5, 7
		logits, ls := num(images * classes)
		labels := []int32{3, -1, 0, 6, 2}
		lp := l.bytes(raw.Bytes(labels))
		probabilities, stats := reference.Softmax(classes, ls, labels)
		each := l.alloc(4 * 3 * images)
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.SoftmaxForward{X: logits, Y: to[0], Labels: lp, Each: each, Batch: images, Classes: classes}
		}, probabilities)
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.SoftmaxStats{Each: each, Stats: to[0], Batch: images}
		}, stats)
		py := l.bytes(raw.Bytes(narrow(probabilities)))
		test(func(to []cu.DevicePtr) kernels.Args {
			return kernels.SoftmaxBackward{Y: py, Labels: lp, DX: to[0], Batch: images, Images: images + 2, Classes: classes}
		}, reference.SoftmaxData(images+2, classes, probabilities, labels))
		lp = l.bytes(raw.Bytes([]int32{classes, 1, 2, 3, 4}))
		run(kernels.SoftmaxForward{X: logits, Y: py, Labels: lp, Each: each, Batch: images, Classes: classes})
		if e := floats(l.read(each, 12)); e[0] == e[0] || e[1] != 1 || e[2] != 1 {
			t.Errorf("a label that is no class: %v", e)
		}
		run(kernels.SoftmaxBackward{Y: py, Labels: lp, DX: logits, Batch: images, Images: images, Classes: classes})
		if dx := floats(l.read(logits, 4*images*classes)); !allNaN(dx[:classes]) || allNaN(dx[classes:]) {
			t.Errorf("its gradient: %v", dx)
		}

		// Those that read the step and a rate.
		control := l.bytes(raw.Bytes([]uint32{9, math.Float32bits(7), math.Float32bits(0.5)}))
		const features, first, count, before = 11, 4, 6, 3
		masked, ms := num(c.Batch * count)
		for n := range c.Batch {
			for f := range count {
				e := uint64((before+n)*features + first + f)
				if philox.At(77, philox.Dropout.Layer(3), 9, e/4)[e%4] < 1<<31 {
					ms[n*count+f] = 0
				}
			}
		}
		drop := kernels.Dropout{Control: control, X: masked, Y: masked, Seed: 77, Threshold: 1 << 31, Batch: batch, Before: before, Count: count, First: first, Features: features, Purpose: uint32(philox.Dropout.Layer(3))}
		run(drop)
		near(t, "dropout", floats(l.read(masked, 4*len(ms))), ms, 0)
		weights, wts := num(20)
		velocity, vs := num(20)
		grads, gs := num(20)
		run(kernels.NewUpdate(control, 0.75, []kernels.Parameter{{G: grads, W: weights, V: velocity, Count: 20, C: 1, H: 1, Wide: 1, Side: 1, Channels: 1, Decay: 0.25, Rate: 2, Index: 1}}))
		for i := range wts {
			vs[i] = 0.75*vs[i] - 0.25*wts[i] - gs[i] // the rate is 2 * 0.5
			wts[i] += vs[i]
		}
		near(t, "velocity", floats(l.read(velocity, 80)), vs, limits[0])
		near(t, "weights", floats(l.read(weights, 80)), wts, limits[0])

		in := dnn.Input{Batch: 2, Out: dnn.Shape{C: 3, H: 4, W: 5}, MeanH: 6, MeanW: 7}
		mean, means := num(6 * 7 * 3)
		views := []float32{1, 2, 1, 10, 20, 30, 3, 0, 0, 0, 0, 0} // of the second image the patch is not inside
		pixels := make([]byte, 2*60)
		for i := range pixels {
			pixels[i] = byte(l.random.Uint32())
		}
		shown := make([]float64, 60)
		for i := range shown {
			ch, row, col := i/20, i/5%4, i%5
			shown[i] = float64(pixels[(row*5+col)*3+ch]) - means[((1+row)*7+2+4-col)*3+ch] + float64(10*(ch+1))
		}
		image := l.alloc(480)
		run(kernels.Input{Pixels: l.bytes(append([]byte{0}, pixels...)) + 1, Views: l.bytes(raw.Bytes(views)), Mean: mean, Y: image, Batch: 2, C: 3, H: 4, W: 5, MeanH: i32(in.MeanH), MeanW: i32(in.MeanW)})
		got := floats(l.read(image, 480))
		near(t, "input", got[:60], shown, limits[0])
		if !allNaN(got[60:]) {
			t.Error("a patch that is not inside the mean is no NaN")
		}
		for _, name := range kernels.Names() {
			if !tried[name] && !ofBFloat16(name) {
				t.Errorf("%s was not tried", name)
			}
		}
	}
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
