package cpu

// What must hold for every operation launched again and again: the same bits,
// and no allocation.

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/internal/testenv"

	"gonum.org/v1/gonum/blas/blas32"
)

// everyOp returns one of each operation, of sizes that take several workers.
func everyOp(r *rig) []dnn.Op {
	s := newSource(40)
	x := func(n int) dnn.Tensor { return r.floats(s.normals(n)) }
	control := r.control(5, 0.01)
	var ops []dnn.Op
	for _, c := range []dnn.Conv{
		{Batch: 3, Groups: 2, In: dnn.Shape{C: 6, H: 21, W: 23}, Out: dnn.Shape{C: 8, H: 10, W: 11}, Window: dnn.Window{H: 5, W: 5, Stride: 2, Pad: 1}},
		{Batch: 40, Groups: 1, In: dnn.Shape{C: 5, H: 7, W: 7}, Out: dnn.Shape{C: 6, H: 7, W: 7}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}},
	} {
		in, out, w := c.Batch*c.In.Size(), c.Batch*c.Out.Size(), c.Out.C*c.KernelSize()
		ops = append(ops, dnn.ConvForward{Conv: c, X: x(in), W: x(w), B: x(c.Out.C), Y: r.poison(out)},
			dnn.ConvBackwardData{Conv: c, W: x(w), DY: x(out), DX: r.poison(in)},
			dnn.ConvBackwardWeights{Conv: c, X: x(in), DY: x(out), DW: r.poison(w), DB: r.poison(c.Out.C)})
		w = c.Out.Size() * c.KernelSize()
		ops = append(ops, dnn.LocalForward{Conv: c, X: x(in), W: x(w), B: x(c.Out.Size()), Y: r.poison(out)},
			dnn.LocalBackwardData{Conv: c, W: x(w), DY: x(out), DX: r.poison(in)},
			dnn.LocalBackwardWeights{Conv: c, X: x(in), DY: x(out), DW: r.poison(w), DB: r.poison(c.Out.Size())})
	}
	f := dnn.Full{Batch: 9, Groups: 1, In: 600, Out: 300}
	ops = append(ops, dnn.FullForward{Full: f, X: x(9 * 600), W: x(600 * 300), B: x(300), Y: r.poison(9 * 300)},
		dnn.FullBackwardData{Full: f, W: x(600 * 300), DY: x(9 * 300), DX: r.poison(9 * 600)},
		dnn.FullBackwardWeights{Full: f, X: x(9 * 600), DY: x(9 * 300), DW: r.poison(600 * 300), DB: r.poison(300)})
	const n = 50_000
	for fn := range dnn.Sigmoid + 1 {
		ops = append(ops, dnn.ActivationForward{Count: n, Func: fn, X: x(n), Y: r.poison(n)},
			dnn.ActivationBackward{Count: n, Func: fn, Y: x(n), DY: x(n), DX: r.poison(n)})
	}
	p := dnn.Pool{Batch: 3, In: dnn.Shape{C: 16, H: 27, W: 27}, Out: dnn.Shape{C: 16, H: 13, W: 13}, Window: dnn.Window{H: 3, W: 3, Stride: 2}}
	in, out := p.Batch*p.In.Size(), p.Batch*p.Out.Size()
	ops = append(ops, dnn.MaxPoolForward{Pool: p, X: x(in), Y: r.poison(out), Where: r.poison(out)},
		dnn.MaxPoolBackward{Pool: p, Where: r.ints(make([]int32, out)), DY: x(out), DX: r.poison(in)},
		dnn.AvgPoolForward{Pool: p, X: x(in), Y: r.poison(out)},
		dnn.AvgPoolBackward{Pool: p, DY: x(out), DX: r.poison(in)})
	for _, within := range []bool{false, true} {
		l := dnn.LRN{Batch: 2, Groups: 2, Shape: dnn.Shape{C: 12, H: 13, W: 13}, Size: 5, Alpha: 0.1, Beta: 0.75, K: 2, Within: within}
		n := l.Batch * l.Shape.Size()
		ops = append(ops, dnn.LRNForward{LRN: l, X: x(n), Y: r.poison(n)},
			dnn.LRNBackward{LRN: l, X: x(n), Y: x(n), DY: x(n), DX: r.poison(n)})
	}
	labels := r.ints([]int32{1, -1, 9, 0})
	return append(ops,
		dnn.Dropout{Batch: 5, Count: n / 5, Features: n / 5, Rate: 0.5, Seed: 1, Control: control, X: x(n), Y: r.poison(n)},
		dnn.Scale{Count: n, Factor: 0.5, X: x(n), Y: r.poison(n)},
		dnn.SoftmaxForward{Batch: 4, Classes: 10, X: x(40), Y: r.poison(40), Labels: labels, Stats: r.poison(dnn.StatFloats)},
		dnn.SoftmaxBackward{Batch: 4, Images: 4, Classes: 10, Y: x(40), Labels: labels, DX: r.poison(40)},
		dnn.Sum{Rows: 50, Width: n / 50, X: []dnn.Slab{{T: x(n), Stride: n / 50}, {T: x(n), Stride: n / 50}}, Y: dnn.Slab{T: r.poison(n), Stride: n / 50}},
		dnn.Update{Momentum: 0.9, Control: control, Params: []dnn.Param{{Count: n, Kernels: single, Decay: 0.1, Rate: 1, G: x(n), W: x(n), V: x(n)}}},
		dnn.Input{Batch: 4, Out: dnn.Shape{C: 3, H: 24, W: 24}, MeanH: 32, MeanW: 32, Pixels: r.bytes(make([]byte, 4*24*24*3)),
			Views: r.floats(make([]float32, 4*dnn.ViewFloats)), Mean: x(32 * 32 * 3), Y: r.poison(4 * 24 * 24 * 3)})
}

// The bits must depend neither on the count of workers nor on chance.
func TestSameBits(t *testing.T) {
	var want [][]uint32
	for _, procs := range []int{1, 2, 5, 5} {
		t.Run(fmt.Sprintf("%d workers", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			r := newRig(t)
			var got [][]uint32
			for _, op := range everyOp(r) {
				r.run(op)
				_, writes := op.Operands()
				for _, w := range writes {
					var bits []uint32
					for _, v := range r.read(w) {
						bits = append(bits, math.Float32bits(v))
					}
					got = append(got, bits)
				}
			}
			if want == nil {
				want = got
			}
			for i := range got {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("result %d differs from that of the first run", i)
				}
			}
		})
	}
}

func TestLaunchesDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector makes pools forget on purpose")
	}
	inUse := blas32.Implementation()
	defer blas32.Use(inUse)
	for name, b := range products(t) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			blas32.Use(b)
			event, err := r.device.NewEvent()
			check(t, err)
			ctx, host := t.Context(), make([]byte, 64)
			for _, op := range everyOp(r) {
				task := r.prepare(op)
				_, writes := op.Operands()
				buffer := r.at(writes[0])
				rows := dnn.Rows{Count: 1, Width: 1, DstOffset: 1}
				step := func() {
					err := r.stream.Launch(task)
					if err == nil {
						err = r.stream.Record(event)
					}
					if err == nil {
						err = r.stream.Wait(event)
					}
					if err == nil {
						err = r.stream.Copy(buffer, buffer, rows)
					}
					if err == nil {
						err = r.stream.Download(host[:4], buffer)
					}
					if err == nil {
						err = event.Synchronize(ctx)
					}
					if err == nil {
						err = r.stream.Synchronize(ctx)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				for range 5 {
					step()
				}
				if n := testing.AllocsPerRun(20, step); n != 0 {
					t.Errorf("%s allocates %g times a launch", dnn.NameOf(op), n)
				}
			}
		})
	}
}
