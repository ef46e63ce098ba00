package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/internal/bfloat16"
	"alexnet/internal/raw"
)

// halves returns a tensor of x, [count, channels, places], in a format.
func (r *rig) halves(x []float32, f dnn.Format, count, channels, places int) dnn.Tensor {
	r.Helper()
	if f == dnn.Float32 {
		return r.floats(x)
	}
	h := make([]uint16, len(x))
	for n := range count {
		for c := range channels {
			for p := range places {
				to := (n*channels+c)*places + p
				if f == dnn.BFloat16Last {
					to = (n*places+p)*channels + c
				}
				h[to] = bfloat16.From(x[(n*channels+c)*places+p])
			}
		}
	}
	return r.bytes(raw.Bytes(h))
}

// rounded returns x as a bfloat16 can say it.
func rounded(x []float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = bfloat16.Round(v)
	}
	return y
}

// TestFormats: an operation on bfloat16 makes what it makes of the same numbers in
// float32, rounded, and in the order of its format.
func TestFormats(t *testing.T) {
	s := newSource(50)
	w := dnn.Window{H: 3, W: 2, Stride: 2, Pad: 1}
	in, out := dnn.Shape{C: 4, H: 7, W: 6}, dnn.Shape{C: 6, H: 4, W: 4}
	pooled := dnn.Shape{C: 4, H: 4, W: 4}
	for _, f := range []dnn.Format{dnn.BFloat16, dnn.BFloat16Last} {
		conv := dnn.Conv{Batch: 3, Groups: 2, Format: f, In: in, Out: out, Window: w}
		pool := dnn.Pool{Batch: 3, Format: f, In: in, Out: pooled, Window: w}
		lrn := dnn.LRN{Batch: 3, Groups: 2, Format: f, Shape: in, Size: 3, Alpha: 0.1, Beta: 0.75, K: 2}
		n := 3 * in.Size()
		ops := []dnn.Op{
			dnn.ActivationForward{Count: n, Format: f, Func: dnn.Tanh, X: 1, Y: 1}, dnn.ActivationBackward{Count: n, Format: f, Y: 1, DY: 2, DX: 2},
			dnn.Scale{Count: n, Format: f, Factor: 0.3, X: 1, Y: 2},
			dnn.Sum{Rows: 5, Width: 7, Format: f, X: []dnn.Slab{{T: 1, Offset: 1, Stride: 9}, {T: 2, Stride: 7}}, Y: dnn.Slab{T: 3, Offset: 2, Stride: 8}},
		}
		if f == dnn.BFloat16Last {
			ops = append(ops,
				dnn.ConvForward{Conv: conv, Relu: true, X: 1, W: 2, B: 3, Y: 4}, dnn.ConvBackwardData{Conv: conv, W: 1, DY: 2, DX: 3},
				dnn.ConvBackwardWeights{Conv: conv, X: 1, DY: 2, DW: 3, DB: 4},
				dnn.MaxPoolForward{Pool: pool, X: 1, Y: 2, Where: 3}, dnn.AvgPoolForward{Pool: pool, X: 1, Y: 2}, dnn.AvgPoolBackward{Pool: pool, DY: 1, DX: 2},
				dnn.LRNForward{LRN: lrn, X: 1, Y: 2}, dnn.LRNBackward{LRN: lrn, X: 1, Y: 2, DY: 3, DX: 4})
		}
		if f == dnn.BFloat16 {
			full := dnn.Full{Batch: 3, Groups: 2, In: 10, Out: 8, Format: f}
			ops = append(ops, dnn.FullForward{Full: full, X: 1, W: 2, B: 3, Y: 4}, dnn.FullBackwardData{Full: full, W: 1, DY: 2, DX: 3},
				dnn.FullBackwardWeights{Full: full, X: 1, DY: 2, DW: 3, DB: 4},
				dnn.Dropout{Batch: 3, Count: 10, Format: f, Features: 10, Rate: 0.5, Control: 1, X: 2, Y: 3})
		}
		for _, op := range ops {
			t.Run(fmt.Sprintf("%s %v", dnn.NameOf(op), f), func(t *testing.T) {
				r := newRig(t)
				needs, err := dnn.Needs(op)
				check(t, err)
				half, plain := map[dnn.Tensor]dnn.Tensor{}, map[dnn.Tensor]dnn.Tensor{}
				for _, n := range needs {
					if half[n.Tensor] != 0 {
						continue
					}
					x := make([]float32, max(n.Bytes/4, 1))
					if n.Numbers {
						x = rounded(s.normals(n.Count * n.Channels * n.Places))
					}
					half[n.Tensor], plain[n.Tensor] = r.halves(x, n.Format, n.Count, n.Channels, n.Places), r.floats(x)
				}
				for _, c := range []struct {
					op dnn.Op
					at map[dnn.Tensor]dnn.Tensor
				}{{op, half}, {dnn.InFloat32(op), plain}} {
					task, err := r.device.Prepare(c.op, func(x dnn.Tensor) dnn.Buffer { return r.at(c.at[x]) })
					check(t, err)
					r.launch(task)
				}
				_, writes := op.Operands()
				for _, n := range needs {
					for _, w := range writes {
						if w != n.Tensor {
							continue
						}
						got, want := r.read(half[w]), r.read(plain[w])
						if p, ok := op.(dnn.MaxPoolForward); ok && n.Name == "Where" && f == dnn.BFloat16Last {
							first := want
							want = slices.Clone(first)
							for i := range first { // of [image, map, place]
								area := p.Out.H * p.Out.W
								image, c, at := i/p.Out.Size(), i/area%p.Out.C, i%area
								want[(image*area+at)*p.Out.C+c] = first[i]
							}
						}
						if n.Numbers && n.Format != dnn.Float32 {
							want = r.read(r.halves(want, n.Format, n.Count, n.Channels, n.Places))
						}
						for i := range want {
							if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
								t.Fatalf("%s: word %d is %#x, want %#x", n.Name, i, math.Float32bits(got[i]), math.Float32bits(want[i]))
							}
						}
					}
				}
			})
		}
	}
}

// TestConvert goes from each format to each.
func TestConvert(t *testing.T) {
	s := newSource(51)
	r := newRig(t)
	shape := dnn.Shape{C: 4, H: 3, W: 5}
	x := rounded(s.normals(2 * shape.Size()))
	for from := range dnn.BFloat16Last + 1 {
		for to := range dnn.BFloat16Last + 1 {
			tx, want := r.halves(x, from, 2, 4, 15), r.halves(x, to, 2, 4, 15)
			y := r.bytes(make([]byte, to.Bytes()*int64(len(x))))
			r.launch(r.prepare(dnn.Convert{Batch: 2, Shape: shape, From: from, To: to, X: tx, Y: y}))
			if got := r.read(y); fmt.Sprint(got) != fmt.Sprint(r.read(want)) {
				t.Errorf("from %v to %v: %v", from, to, got)
			}
		}
	}
}

// TestFold: a convolution over a folded image with folded kernels is the one over
// the image; and the weights learn the same. The numbers are so small and whole that
// a bfloat16 holds all of them, sums of them included.
func TestFold(t *testing.T) {
	s := newSource(52)
	small := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(s.IntN(3) - 1)
		}
		return x
	}
	for _, c := range []struct{ side, size, pad, out, channels int }{
		{4, 11, 2, 3, 48}, // as conv1 of AlexNet
		{4, 11, 0, 3, 56}, // hanging over the edge
		{2, 3, 1, 8, 16}, {1, 5, 2, 15, 8}, {3, 3, 0, 5, 27},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := newRig(t)
			const batch, kernels, height, width = 2, 5, 15, 15
			taps := (c.size + c.side - 1) / c.side
			folded := dnn.Shape{C: c.channels, H: c.out - 1 + taps, W: c.out - 1 + taps}
			pixels := make([]byte, batch*height*width*3)
			for i := range pixels {
				pixels[i] = byte(s.IntN(3))
			}
			input := dnn.Input{Batch: batch, Out: dnn.Shape{C: 3, H: height, W: width}, MeanH: height, MeanW: width,
				Pixels: r.bytes(pixels), Views: r.floats(make([]float32, batch*dnn.ViewFloats)), Mean: r.floats(make([]float32, height*width*3))}
			plain := input
			plain.Y = r.poison(batch * height * width * 3)
			input.Format, input.Fold, input.Pad, input.Folded = dnn.BFloat16Last, dnn.Fold{Side: c.side, Channels: c.channels}, c.pad, folded
			input.Y = r.bytes(make([]byte, 2*batch*folded.Size()))

			k := dnn.Kernels{C: 3, H: c.size, W: c.size, Fold: input.Fold}
			w := small(kernels * k.Size())
			tw, tb := r.floats(w), r.floats(make([]float32, kernels))
			copied := dnn.Narrow{Count: kernels, Kernels: k, X: tw, Y: r.bytes(make([]byte, 2*kernels*k.Copied().Size()))}
			out := dnn.Shape{C: kernels, H: c.out, W: c.out}
			conv := dnn.Conv{Batch: batch, Groups: 1, In: plain.Out, Out: out, Window: dnn.Window{H: c.size, W: c.size, Stride: c.side, Pad: c.pad}}
			narrow := dnn.Conv{Batch: batch, Groups: 1, Format: dnn.BFloat16Last, In: folded, Out: out, Window: dnn.Window{H: taps, W: taps, Stride: 1}}
			y, half := r.poison(batch*out.Size()), r.bytes(make([]byte, 2*batch*out.Size()))
			dy := small(batch * out.Size())
			for i := range dy {
				if i%7 > 0 { // so that sums stay small
					dy[i] = 0
				}
			}
			dw, dhalf := r.poison(len(w)), r.bytes(make([]byte, 2*kernels*k.Copied().Size()))
			db := [2]dnn.Tensor{r.poison(kernels), r.poison(kernels)}
			v := [2]dnn.Tensor{r.floats(make([]float32, len(w))), r.floats(make([]float32, len(w)))}
			w2 := r.floats(w)
			control := r.control(0, 1)
			for _, op := range []dnn.Op{
				plain, input, copied,
				dnn.ConvForward{Conv: conv, X: plain.Y, W: tw, B: tb, Y: y},
				dnn.ConvForward{Conv: narrow, X: input.Y, W: copied.Y, B: r.halves(make([]float32, kernels), dnn.BFloat16, 1, 1, kernels), Y: half},
				dnn.ConvBackwardWeights{Conv: conv, X: plain.Y, DY: r.floats(dy), DW: dw, DB: db[0]},
				dnn.ConvBackwardWeights{Conv: narrow, X: input.Y, DY: r.halves(dy, dnn.BFloat16Last, batch, kernels, c.out*c.out), DW: dhalf, DB: db[1]},
				dnn.Update{Control: control, Params: []dnn.Param{
					{Count: kernels, Kernels: k, Rate: 1, G: dw, W: tw, V: v[0]},
					{Count: kernels, Kernels: k, Rate: 1, G: dhalf, W: w2, V: v[1], Narrow: true, Copy: copied.Y}}},
			} {
				r.launch(r.prepare(op))
			}
			equal := func(what string, got, want dnn.Tensor) {
				t.Helper()
				g, w := r.read(got), r.read(want)
				for i := range w {
					if g[i] != w[i] {
						t.Fatalf("%s: word %d is %g, want %g", what, i, g[i], w[i])
					}
				}
			}
			back := r.poison(batch * out.Size())
			r.launch(r.prepare(dnn.Convert{Batch: batch, Shape: out, From: dnn.BFloat16Last, X: half, Y: back}))
			equal("y", back, y)
			equal("db", db[1], db[0])
			equal("w", w2, tw)
			again := r.bytes(make([]byte, 2*kernels*k.Copied().Size()))
			r.launch(r.prepare(dnn.Narrow{Count: kernels, Kernels: k, X: w2, Y: again}))
			equal("copy of w", copied.Y, again)
		})
	}
}

// TestNormPool: normalisation and pool in one operation are the two one after the
// other, and backward likewise.
func TestNormPool(t *testing.T) {
	s := newSource(53)
	for _, f := range []dnn.Format{dnn.Float32, dnn.BFloat16Last} {
		for _, relu := range []bool{false, true} {
			r := newRig(t)
			in, out := dnn.Shape{C: 6, H: 7, W: 8}, dnn.Shape{C: 6, H: 3, W: 4}
			const batch = 2
			lrn := dnn.LRN{Batch: batch, Groups: 2, Format: f, Shape: in, Size: 3, Alpha: 0.1, Beta: 0.75, K: 2}
			pool := dnn.Pool{Batch: batch, Format: f, In: in, Out: out, Window: dnn.Window{H: 3, W: 3, Stride: 2}}
			both := dnn.NormPool{LRN: lrn, Pool: pool}
			tensor := func(shape dnn.Shape) dnn.Tensor {
				x := rounded(s.normals(batch * shape.Size()))
				for i := range x {
					x[i] = max(x[i], 0)
				}
				return r.halves(x, f, batch, shape.C, shape.H*shape.W)
			}
			none := func(shape dnn.Shape) dnn.Tensor { return r.bytes(make([]byte, f.Bytes()*batch*int64(shape.Size()))) }
			x, dy, y, dx := tensor(in), tensor(out), none(out), none(in)
			where := r.bytes(make([]byte, batch*out.Size()))
			r.launch(r.prepare(dnn.NormPoolForward{NormPool: both, X: x, Y: y, Where: where}))
			r.launch(r.prepare(dnn.NormPoolBackward{NormPool: both, Relu: relu, X: x, Where: where, DY: dy, DX: dx}))

			// One after the other, in float32 in between.
			plain := func(shape dnn.Shape) dnn.Tensor { return r.poison(batch * shape.Size()) }
			convert := func(shape dnn.Shape, from, to dnn.Format, x, y dnn.Tensor) dnn.Tensor {
				r.launch(r.prepare(dnn.Convert{Batch: batch, Shape: shape, From: from, To: to, X: x, Y: y}))
				return y
			}
			px, pdy := convert(in, f, dnn.Float32, x, plain(in)), convert(out, f, dnn.Float32, dy, plain(out))
			lrn.Format, pool.Format = dnn.Float32, dnn.Float32
			normed, py, places, dnormed, pdx := plain(in), plain(out), plain(out), plain(in), plain(in)
			for _, op := range []dnn.Op{
				dnn.LRNForward{LRN: lrn, X: px, Y: normed}, dnn.MaxPoolForward{Pool: pool, X: normed, Y: py, Where: places},
				dnn.MaxPoolBackward{Pool: pool, Where: places, DY: pdy, DX: dnormed}, dnn.LRNBackward{LRN: lrn, X: px, Y: normed, DY: dnormed, DX: pdx}} {
				r.launch(r.prepare(op))
			}
			if relu {
				r.launch(r.prepare(dnn.ActivationBackward{Count: batch * in.Size(), Y: px, DY: pdx, DX: pdx}))
			}
			for _, c := range []struct{ got, want dnn.Tensor }{
				{y, convert(out, dnn.Float32, f, py, none(out))}, {dx, convert(in, dnn.Float32, f, pdx, none(in))}} {
				got, want := r.read(c.got), r.read(c.want)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%v, relu %v: word %d is %g, want %g", f, relu, i, got[i], want[i])
					}
				}
			}
		}
	}
}
