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

// The kernels of bfloat16 are held against the CPU device, which does an operation
// in float32 and rounds. A sum that is off by a unit in its last place may be rounded
// to the other of two neighbours, 2^-8 apart: seldom, so that the distance of all
// stays far below.
const halfSums = 1e-3

// halves makes a tensor of bfloat16.
func halves(r *rig, x []float32) dnn.Tensor {
	h := make([]uint16, len(x))
	for i, v := range x {
		h[i] = bfloat16.From(v)
	}
	return tensor(r, h)
}

// spoiled makes a tensor of n NaN in bfloat16.
func spoiled(r *rig, n int) dnn.Tensor { return tensor(r, slices.Repeat([]uint16{0xffff}, n)) }

// sameHalf is same for operations whose results are bfloat16, but for those that are
// in exactly, which must have the same bits.
func (r *rig) sameHalf(tolerance float64, op dnn.Op, exactly []dnn.Tensor, list ...kernels.Args) {
	r.Helper()
	got := r.all(list...)
	r.cpu(op)
	_, writes := op.Operands()
	for _, t := range writes {
		a, b := got[t-1], r.tensors[t-1]
		if slices.Equal(a, b) {
			continue
		}
		if slices.Contains(exactly, t) {
			r.Errorf("%T: tensor %d differs", op, t)
			continue
		}
		if err := nearHalf(a, b, tolerance); err != nil {
			r.Errorf("%T: tensor %d: %v", op, t, err)
		}
	}
}

// nearHalf compares tensors of bfloat16. tolerance is on the distance relative to the
// norm.
func nearHalf(got, want []byte, tolerance float64) error {
	var diff, norm float64
	for i := 0; i < len(want); i += 2 {
		v := float64(bfloat16.Float32(binary.LittleEndian.Uint16(got[i:])))
		w := float64(bfloat16.Float32(binary.LittleEndian.Uint16(want[i:])))
		if v == w || v != v && w != w {
			w = min(math.Abs(w), 1) // infinity is no part of a norm
			if w == w {
				norm += w * w
			}
			continue
		}
		diff += (v - w) * (v - w)
		norm += w * w
	}
	if e := math.Sqrt(diff / norm); diff != 0 && !(e <= tolerance) {
		return fmt.Errorf("relative error %.3g, want at most %g", e, tolerance)
	}
	return nil
}

func TestConvert(t *testing.T) {
	s := newSource(20)
	flag := func(b bool) int32 {
		if b {
			return 1
		}
		return 0
	}
	for range 4 {
		shape := dnn.Shape{C: s.between(1, 9), H: s.between(1, 5), W: s.between(1, 5)}
		batch := s.between(1, 4)
		x := s.normals(batch * shape.Size())
		for from := range dnn.BFloat16Last + 1 {
			for to := range dnn.BFloat16Last + 1 {
				r := newRig(t)
				o := dnn.Convert{Batch: batch, Shape: shape, From: from, To: to, X: halves(r, x), Y: spoiled(r, len(x))}
				if from == dnn.Float32 {
					o.X = tensor(r, x)
				}
				if to == dnn.Float32 {
					o.Y = r.poison(len(x))
				}
				r.sameHalf(exact, o, nil, kernels.Convert{X: ptr(o.X), Y: ptr(o.Y), Batch: int32(batch), Channels: int32(shape.C), Places: int32(shape.H * shape.W),
					XHalf: flag(from != dnn.Float32), XLast: flag(from == dnn.BFloat16Last), YHalf: flag(to != dnn.Float32), YLast: flag(to == dnn.BFloat16Last)})
			}
		}
	}
}

func TestNarrowWeights(t *testing.T) {
	s := newSource(21)
	for _, k := range []dnn.Kernels{{C: 1, H: 1, W: 1}, {C: 4, H: 3, W: 5}, {C: 3, H: 11, W: 11, Fold: dnn.Fold{Side: 4, Channels: 48}}, {C: 3, H: 5, W: 4, Fold: dnn.Fold{Side: 2, Channels: 16}}} {
		r := newRig(t)
		const count = 7
		o := dnn.Narrow{Count: count, Kernels: k, X: tensor(r, s.normals(count*k.Size())), Y: spoiled(r, count*k.Copied().Size())}
		r.sameHalf(exact, o, nil, kernels.NarrowWeights{X: ptr(o.X), Y: ptr(o.Y), Count: count, C: int32(k.C), H: int32(k.H), W: int32(k.W),
			Side: int32(max(k.Side, 1)), Channels: int32(k.Copied().C)})
	}
}

func TestHalfElementwise(t *testing.T) {
	s := newSource(22)
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1)), 1e30}
	for _, n := range []int{1, 7, 8, 1001, 4096} {
		x := s.normals(n)
		copy(x, odd)
		for f := range dnn.Sigmoid + 1 {
			r := newRig(t)
			tx, dy, y, dx := halves(r, x), halves(r, s.normals(n)), spoiled(r, n), spoiled(r, n)
			tolerance := float64(exact)
			if f != dnn.Relu {
				tolerance = halfSums
			}
			r.sameHalf(tolerance, dnn.ActivationForward{Count: n, Format: dnn.BFloat16, Func: f, X: tx, Y: y}, nil,
				kernels.ActivationForwardHalf{X: ptr(tx), Y: ptr(y), Count: int64(n), Function: int32(f)})
			r.sameHalf(tolerance, dnn.ActivationBackward{Count: n, Format: dnn.BFloat16, Func: f, Y: y, DY: dy, DX: dx}, nil,
				kernels.ActivationBackwardHalf{Y: ptr(y), DY: ptr(dy), DX: ptr(dx), Count: int64(n), Function: int32(f)})
			r.sameHalf(tolerance, dnn.ActivationBackward{Count: n, Format: dnn.BFloat16, Func: f, Y: y, DY: dy, DX: dy}, nil,
				kernels.ActivationBackwardHalf{Y: ptr(y), DY: ptr(dy), DX: ptr(dy), Count: int64(n), Function: int32(f)})
		}
		r := newRig(t)
		tx, y := halves(r, x), spoiled(r, n)
		r.sameHalf(exact, dnn.Scale{Count: n, Format: dnn.BFloat16, Factor: 0.3, X: tx, Y: y}, nil, kernels.ScaleHalf{X: ptr(tx), Y: ptr(y), Count: int64(n), Factor: 0.3})
		rows := s.between(1, 4)
		o := dnn.Sum{Rows: rows, Width: max(n/8, 1), Format: dnn.BFloat16, Y: dnn.Slab{T: y, Offset: 1, Stride: max(n/8, 1)},
			X: []dnn.Slab{{T: halves(r, s.normals(2*n+8)), Offset: 2, Stride: n/8 + 1}, {T: halves(r, s.normals(n+8)), Stride: n / 8}}}
		if o.Rows*o.Width+1 > n {
			continue
		}
		var list []kernels.Args
		for i, x := range o.X {
			list = append(list, kernels.SlabHalf{X: ptr(x.T), Y: ptr(o.Y.T), Rows: int32(o.Rows), Width: int32(o.Width),
				XOffset: int64(x.Offset), XStride: int64(x.Stride), YOffset: int64(o.Y.Offset), YStride: int64(o.Y.Stride), Add: int32(i)})
		}
		r.sameHalf(halfSums, o, nil, list...)
	}
	o := dnn.Dropout{Batch: 6, Before: 5, Count: 101, Format: dnn.BFloat16, First: 3, Features: 107, Rate: 0.3, Seed: 77, Layer: 3}
	r := newRig(t)
	o.Control, o.X, o.Y = r.control(5, 0), halves(r, s.normals(606)), spoiled(r, 606)
	r.sameHalf(exact, o, nil, kernels.DropoutHalf{Control: ptr(o.Control), X: ptr(o.X), Y: ptr(o.Y), Seed: o.Seed, Threshold: uint64(math.Round(o.Rate * (1 << 32))),
		Batch: 6, Before: 5, Count: 101, First: 3, Features: 107, Purpose: uint32(philox.Dropout.Layer(3))})
}

func TestAddBiasHalf(t *testing.T) {
	s := newSource(23)
	for relu := range int32(2) {
		r := newRig(t)
		const rows, width = 9, 37
		b, y := s.normals(width), s.normals(rows*width)
		y[3] = float32(math.NaN())
		tb, ty := halves(r, b), halves(r, y)
		want := make([]uint16, len(y))
		for i, v := range y {
			v = bfloat16.Round(v) + bfloat16.Round(b[i%width])
			if relu == 1 {
				v = max(v, 0)
			}
			want[i] = bfloat16.From(v)
		}
		got := r.all(kernels.AddBiasHalf{B: ptr(tb), Y: ptr(ty), Rows: rows, Width: width, Relu: relu})[ty-1]
		if !slices.Equal(got, raw.Bytes(want)) {
			t.Errorf("relu %d: %x, want %x", relu, got, raw.Bytes(want))
		}
	}
}

func TestInputLast(t *testing.T) {
	s := newSource(24)
	for _, c := range []struct {
		fold        dnn.Fold
		pad, extraH int
	}{{dnn.Fold{}, 0, 0}, {dnn.Fold{Side: 1, Channels: 8}, 2, 3}, {dnn.Fold{Side: 4, Channels: 48}, 2, 1}, {dnn.Fold{Side: 3, Channels: 32}, 0, 0}} {
		r := newRig(t)
		const batch, h, w, meanH, meanW = 5, 13, 10, 15, 14
		pixels := make([]uint8, batch*h*w*3)
		for i := range pixels {
			pixels[i] = uint8(s.IntN(256))
		}
		views := s.normals(batch * dnn.ViewFloats)
		for v := range slices.Chunk(views, dnn.ViewFloats) {
			v[0], v[1], v[2] = float32(s.between(0, meanH-h)), float32(s.between(0, meanW-w)), float32(s.IntN(2))
		}
		o := dnn.Input{Batch: batch, Format: dnn.BFloat16Last, Out: dnn.Shape{C: 3, H: h, W: w}, MeanH: meanH, MeanW: meanW, Fold: c.fold, Pad: c.pad,
			Pixels: tensor(r, pixels), Views: tensor(r, views), Mean: tensor(r, s.normals(meanH*meanW*3))}
		made, side := o.Out, 1
		if c.fold.Side > 0 {
			side = c.fold.Side
			made = dnn.Shape{C: c.fold.Channels, H: (h+2*c.pad)/side + c.extraH, W: (w + 2*c.pad + side - 1) / side}
			o.Folded = made
		}
		o.Y = spoiled(r, batch*made.Size())
		a := kernels.InputLast{Pixels: ptr(o.Pixels), Views: ptr(o.Views), Mean: ptr(o.Mean), Y: ptr(o.Y), Batch: batch, C: 3, H: h, W: w, MeanH: meanH, MeanW: meanW,
			Side: int32(side), Pad: int32(c.pad), Channels: int32(made.C), OutH: int32(made.H), OutW: int32(made.W)}
		r.sameHalf(exact, o, nil, a)

		// A view outside the mean spoils its image alone.
		views[(batch-1)*dnn.ViewFloats] = meanH
		copy(r.tensors[o.Views-1], raw.Bytes(views))
		want := slices.Clone(r.tensors[o.Y-1])
		got := r.all(a)[o.Y-1]
		last := (batch - 1) * made.Size() * 2
		if !slices.Equal(got[:last], want[:last]) {
			t.Errorf("%+v: other images changed", c)
		}
		if v := bfloat16.Float32(binary.LittleEndian.Uint16(got[last:])); v == v {
			t.Errorf("%+v: the image outside the mean begins with %g", c, v)
		}
	}
}

func TestFitLast(t *testing.T) {
	s := newSource(25)
	for range 10 {
		batch, c, h, w, outH, outW := s.between(1, 3), s.between(1, 9), s.between(1, 7), s.between(1, 7), s.between(1, 9), s.between(1, 9)
		r := newRig(t)
		x := s.normals(batch * c * h * w)
		want := make([]uint16, batch*c*outH*outW)
		for n := range batch {
			for i := range min(h, outH) {
				for j := range min(w, outW) {
					for k := range c {
						want[((n*outH+i)*outW+j)*c+k] = bfloat16.From(x[((n*h+i)*w+j)*c+k])
					}
				}
			}
		}
		tx, ty := halves(r, x), spoiled(r, len(want))
		got := r.all(kernels.FitLast{X: ptr(tx), Y: ptr(ty), Batch: int32(batch), C: int32(c), H: int32(h), W: int32(w), OutH: int32(outH), OutW: int32(outW)})
		if !slices.Equal(got[ty-1], raw.Bytes(want)) {
			t.Errorf("%d images of %dx%dx%d to %dx%d", batch, c, h, w, outH, outW)
		}
	}
}

func TestPoolsLast(t *testing.T) {
	s := newSource(26)
	cases := []dnn.Pool{{Batch: 2, In: dnn.Shape{C: 16, H: 13, W: 13}, Out: dnn.Shape{C: 16, H: 6, W: 6}, Window: dnn.Window{H: 3, W: 3, Stride: 2}}}
	for range 20 {
		p := dnn.Pool{Batch: s.between(1, 4), In: dnn.Shape{C: s.between(1, 17), H: s.between(1, 11), W: s.between(1, 11)}}
		p.Out.C = p.In.C
		p.Window, p.Out.H, p.Out.W = randomWindow(s, p.In)
		cases = append(cases, p)
	}
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Copysign(0, -1)), 0}
	for i, p := range cases {
		p.Format = dnn.BFloat16Last
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
			tx, dy, y, dx := halves(r, x), halves(r, s.normals(out)), spoiled(r, out), spoiled(r, in)
			where := r.poison(out)
			batch, g := int32(p.Batch), geometry(p.In, p.Out, p.Window)
			r.sameHalf(exact, dnn.MaxPoolForward{Pool: p, X: tx, Y: y, Where: where}, []dnn.Tensor{where}, kernels.MaxPoolForwardLast{X: ptr(tx), Y: ptr(y), Where: ptr(where), Batch: batch, Geometry: g})
			r.sameHalf(halfSums, dnn.MaxPoolBackward{Pool: p, Where: where, DY: dy, DX: dx}, nil, kernels.MaxPoolBackwardLast{Where: ptr(where), DY: ptr(dy), DX: ptr(dx), Batch: batch, Geometry: g})
			tx, dx = halves(r, s.normals(in)), spoiled(r, in)
			r.sameHalf(halfSums, dnn.AvgPoolForward{Pool: p, X: tx, Y: y}, nil, kernels.AvgPoolForwardLast{X: ptr(tx), Y: ptr(y), Batch: batch, Geometry: g})
			r.sameHalf(halfSums, dnn.AvgPoolBackward{Pool: p, DY: dy, DX: dx}, nil, kernels.AvgPoolBackwardLast{DY: ptr(dy), DX: ptr(dx), Batch: batch, Geometry: g})
		})
	}
}

func TestNormPool(t *testing.T) {
	s := newSource(27)
	type small struct{ groups, maps, size, h, w int }
	cases := []small{{2, 8, 5, 7, 7}, {1, 24, 5, 9, 6}, {2, 16, 5, 5, 5}, {1, 7, 3, 6, 6}, {3, 5, 4, 7, 5}, {1, 16, 7, 4, 4}}
	for i, c := range cases {
		for _, relu := range []int32{0, 1} {
			t.Run(fmt.Sprintf("%+v relu %d", c, relu), func(t *testing.T) {
				r := newRig(t)
				in := dnn.Shape{C: c.groups * c.maps, H: c.h, W: c.w}
				lrn := dnn.LRN{Batch: 2, Groups: c.groups, Format: dnn.BFloat16Last, Shape: in, Size: c.size, Alpha: 0.1, Beta: []float64{0.75, 0.5}[i%2], K: 2}
				pool := dnn.Pool{Batch: 2, Format: dnn.BFloat16Last, In: in, Out: dnn.Shape{C: in.C}}
				pool.Window, pool.Out.H, pool.Out.W = randomWindow(s, in)
				if i == 0 {
					pool.Window, pool.Out.H, pool.Out.W = dnn.Window{H: 3, W: 3, Stride: 2}, 3, 3
				}
				n, out := 2*in.Size(), 2*pool.Out.Size()
				x, dy, y, dx := halves(r, s.normals(n)), halves(r, s.normals(out)), spoiled(r, out), spoiled(r, n)
				where := tensor(r, make([]uint8, out))
				both := dnn.NormPool{LRN: lrn, Pool: pool}
				g := geometry(in, pool.Out, pool.Window)
				alpha, beta, k := float32(lrn.Alpha), float32(lrn.Beta), float32(lrn.K)
				r.sameHalf(halfSums, dnn.NormPoolForward{NormPool: both, X: x, Y: y, Where: where}, []dnn.Tensor{where},
					kernels.NormPoolForward{X: ptr(x), Y: ptr(y), Where: ptr(where), Batch: 2, Groups: int32(c.groups), Size: int32(c.size), Alpha: alpha, Beta: beta, K: k, Geometry: g})
				r.sameHalf(halfSums, dnn.NormPoolBackward{NormPool: both, Relu: relu == 1, X: x, Where: where, DY: dy, DX: dx}, nil,
					kernels.NormPoolBackward{X: ptr(x), Where: ptr(where), DY: ptr(dy), DX: ptr(dx), Batch: 2, Groups: int32(c.groups), Size: int32(c.size), Alpha: alpha, Beta: beta, K: k, Relu: relu, Geometry: g})

				// Normalisation alone.
				one := geometry(in, in, dnn.Window{H: 1, W: 1, Stride: 1})
				ny, ndy := spoiled(r, n), halves(r, s.normals(n))
				r.sameHalf(halfSums, dnn.LRNForward{LRN: lrn, X: x, Y: ny}, nil,
					kernels.NormPoolForward{X: ptr(x), Y: ptr(ny), Batch: 2, Groups: int32(c.groups), Size: int32(c.size), Alpha: alpha, Beta: beta, K: k, Geometry: one})
				r.sameHalf(5*halfSums, dnn.LRNBackward{LRN: lrn, X: x, Y: ny, DY: ndy, DX: dx}, nil, // whose y was rounded
					kernels.NormPoolBackward{X: ptr(x), DY: ptr(ndy), DX: ptr(dx), Batch: 2, Groups: int32(c.groups), Size: int32(c.size), Alpha: alpha, Beta: beta, K: k, Geometry: one})
			})
		}
	}
}
