package sim

import (
	"math"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/bfloat16"
	"alexnet/internal/raw"
)

// ofBFloat16 reports whether a kernel is one of those that TestKernelsOfBFloat16 tries.
func ofBFloat16(name string) bool {
	return strings.HasSuffix(name, "_half") || strings.HasSuffix(name, "_last") || strings.HasPrefix(name, "norm_pool") || name == "narrow_weights"
}

// blockOf is numbers, [count, channels, places], in both kinds.
type blockOf struct {
	count, channels, places int
	last                    bool // of the bfloat16: channels
}

func (m blockOf) size() int { return m.count * m.channels * m.places }

// at returns where number i, channels first, stands in the bfloat16.
func (m blockOf) at(i int) int {
	if !m.last {
		return i
	}
	n, c, p := i/(m.channels*m.places), i/m.places%m.channels, i%m.places
	return (n*m.places+p)*m.channels + c
}

// both returns random maps as bfloat16, and the same in float32.
func (m blockOf) both(l *lab) (half, plain cu.DevicePtr) {
	x := l.normals(m.size())
	h := make([]uint16, len(x))
	for i, v := range x {
		h[m.at(i)] = bfloat16.From(v)
		x[i] = bfloat16.Round(v)
	}
	return l.bytes(raw.Bytes(h)), l.bytes(raw.Bytes(x))
}

// Every kernel of bfloat16 against the one of float32 that does the same, which
// TestKernels holds against the reference: of the simulation this shows that it takes
// each argument for what it is.
func TestKernelsOfBFloat16(t *testing.T) {
	for seed := range uint64(5) {
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
		// same launches a kernel of each kind and compares what they make. Rounding may
		// go the other way where the sums are made in another order.
		same := func(m blockOf, half, plain func(to cu.DevicePtr) kernels.Args) {
			t.Helper()
			ht, pt := l.alloc(int64(2*m.size())), l.alloc(int64(4*m.size()))
			a := half(ht)
			run(a)
			run(plain(pt))
			got, want := halves(l.read(ht, 2*m.size())), floats(l.read(pt, 4*m.size()))
			var diff, norm float64
			for i, w := range want {
				d := float64(bfloat16.Float32(got[m.at(i)]) - bfloat16.Round(w))
				diff, norm = diff+d*d, norm+float64(w)*float64(w)
			}
			if !(math.Sqrt(diff) <= 2e-3*math.Sqrt(norm)) {
				t.Errorf("%+v is off by %.3g of its norm", a, math.Sqrt(diff/norm))
			}
		}
		i32 := func(n int) int32 { return int32(n) }

		in, out := blockOf{2, 8 * l.between(1, 2), 35, true}, blockOf{2, 0, 6, true}
		out.channels = in.channels
		// Maps of 5x7 to 2x3, windows of 3x3.
		g := kernels.Geometry{InC: i32(in.channels), InH: 5, InW: 7, OutC: i32(in.channels), OutH: 2, OutW: 3, KH: 3, KW: 3, Stride: 2}
		one := g
		one.InC, one.OutC = 1, 1
		planes := i32(2 * in.channels)
		x, px := in.both(l)
		dy, pdy := out.both(l)
		where, pwhere := l.alloc(int64(4*out.size())), l.alloc(int64(4*out.size()))
		same(out, func(to cu.DevicePtr) kernels.Args {
			return kernels.MaxPoolForwardLast{X: x, Y: to, Where: where, Batch: 2, Geometry: g}
		}, func(to cu.DevicePtr) kernels.Args {
			return kernels.MaxPoolForward{X: px, Y: to, Where: pwhere, Planes: planes, Geometry: one}
		})
		places, first := ints(l.read(where, 4*out.size())), ints(l.read(pwhere, 4*out.size()))
		for i, w := range first {
			if places[out.at(i)] != w {
				t.Fatalf("the largest pixel of window %d is at %d, want %d", i, places[out.at(i)], w)
			}
		}
		same(in, func(to cu.DevicePtr) kernels.Args {
			return kernels.MaxPoolBackwardLast{Where: where, DY: dy, DX: to, Batch: 2, Geometry: g}
		}, func(to cu.DevicePtr) kernels.Args {
			return kernels.MaxPoolBackward{Where: pwhere, DY: pdy, DX: to, Planes: planes, Geometry: one}
		})
		same(out, func(to cu.DevicePtr) kernels.Args {
			return kernels.AvgPoolForwardLast{X: x, Y: to, Batch: 2, Geometry: g}
		}, func(to cu.DevicePtr) kernels.Args {
			return kernels.AvgPoolForward{X: px, Y: to, Planes: planes, Geometry: one}
		})
		same(in, func(to cu.DevicePtr) kernels.Args {
			return kernels.AvgPoolBackwardLast{DY: dy, DX: to, Batch: 2, Geometry: g}
		}, func(to cu.DevicePtr) kernels.Args {
			return kernels.AvgPoolBackward{DY: pdy, DX: to, Planes: planes, Geometry: one}
		})

		// Normalisation and pool in one are the two of float32 one after the other.
		lrn := kernels.LRNAcrossForward{X: px, Y: l.alloc(int64(4 * in.size())), Batch: 2, Groups: 2, C: i32(in.channels), H: 5, W: 7, Size: 5, Alpha: 0.1, Beta: 0.75, K: 2}
		normed, at := kernels.NormPoolForward{X: x, Where: l.alloc(int64(out.size())), Batch: 2, Groups: 2, Size: 5, Alpha: 0.1, Beta: 0.75, K: 2, Geometry: g}, l.alloc(int64(4*out.size()))
		same(out, func(to cu.DevicePtr) kernels.Args { normed.Y = to; return normed }, func(to cu.DevicePtr) kernels.Args {
			run(lrn)
			return kernels.MaxPoolForward{X: lrn.Y, Y: to, Where: at, Planes: planes, Geometry: one}
		})
		same(in, func(to cu.DevicePtr) kernels.Args {
			return kernels.NormPoolBackward{X: x, Where: normed.Where, DY: dy, DX: to, Batch: 2, Groups: 2, Size: 5, Alpha: 0.1, Beta: 0.75, K: 2, Relu: i32(int(seed % 2)), Geometry: g}
		}, func(to cu.DevicePtr) kernels.Args {
			between := l.alloc(int64(4 * in.size()))
			run(kernels.MaxPoolBackward{Where: at, DY: pdy, DX: between, Planes: planes, Geometry: one})
			run(kernels.LRNAcrossBackward{X: px, Y: lrn.Y, DY: between, DX: to, Batch: 2, Groups: 2, C: lrn.C, H: 5, W: 7, Size: 5, Alpha: 0.1, Beta: 0.75, K: 2})
			if seed%2 == 0 {
				return kernels.Scale{X: to, Y: to, Count: int64(in.size()), Factor: 1}
			}
			masked := floats(l.read(to, 4*in.size()))
			for i, v := range floats(l.read(px, 4*in.size())) {
				if v <= 0 {
					masked[i] = 0
				}
			}
			return kernels.Scale{X: l.bytes(raw.Bytes(masked)), Y: to, Count: int64(in.size()), Factor: 1}
		})

		line := blockOf{1, 40, 1, false}
		a, pa := line.both(l)
		b, pb := line.both(l)
		for f := range dnn.Sigmoid + 1 { // whose own kernels are cuDNN's
			run(kernels.ActivationForwardHalf{X: a, Y: l.alloc(80), Count: 40, Function: i32(int(f))})
		}
		positive := l.alloc(80)
		run(kernels.ActivationForwardHalf{X: a, Y: positive, Count: 40})
		slope := l.alloc(80)
		run(kernels.ActivationBackwardHalf{Y: positive, DY: b, DX: slope, Count: 40})
		values, gradients, result, slopes := halves(l.read(a, 80)), halves(l.read(b, 80)), halves(l.read(positive, 80)), halves(l.read(slope, 80))
		for i, v := range values {
			up := bfloat16.Float32(v) > 0
			if up && (result[i] != v || slopes[i] != gradients[i]) || !up && (result[i] != 0 || slopes[i] != 0) {
				t.Errorf("relu of %g is %g, its gradient of %g %g", bfloat16.Float32(v), bfloat16.Float32(result[i]), bfloat16.Float32(gradients[i]), bfloat16.Float32(slopes[i]))
			}
		}
		same(line, func(to cu.DevicePtr) kernels.Args { return kernels.ScaleHalf{X: a, Y: to, Count: 40, Factor: -3} },
			func(to cu.DevicePtr) kernels.Args { return kernels.Scale{X: pa, Y: to, Count: 40, Factor: -3} })
		same(line, func(to cu.DevicePtr) kernels.Args {
			run(kernels.ScaleHalf{X: a, Y: to, Count: 40, Factor: 1})
			return kernels.AddBiasHalf{B: b, Y: to, Rows: 4, Width: 10, Relu: 1}
		}, func(to cu.DevicePtr) kernels.Args {
			run(kernels.Scale{X: pa, Y: to, Count: 40, Factor: 1})
			return kernels.AddBias{B: pb, Y: to, Rows: 4, Width: 10, Relu: 1}
		})
		control := l.bytes(raw.Bytes([]uint32{3, 0}))
		drop := kernels.Dropout{Control: control, Seed: 9, Threshold: 1 << 31, Batch: 4, Before: 3, Count: 10, First: 2, Features: 13, Purpose: 5}
		same(line, func(to cu.DevicePtr) kernels.Args { d := drop; d.X, d.Y = a, to; return kernels.DropoutHalf(d) },
			func(to cu.DevicePtr) kernels.Args { d := drop; d.X, d.Y = pa, to; return d })
		slab := kernels.Slab{Rows: 3, Width: 5, XOffset: 2, XStride: 9, YOffset: 1, YStride: 11, Add: 1}
		same(line, func(to cu.DevicePtr) kernels.Args {
			run(kernels.ScaleHalf{X: b, Y: to, Count: 40, Factor: 1})
			s := slab
			s.X, s.Y = a, to
			return kernels.SlabHalf(s)
		}, func(to cu.DevicePtr) kernels.Args {
			run(kernels.Scale{X: pb, Y: to, Count: 40, Factor: 1})
			s := slab
			s.X, s.Y = pa, to
			return s
		})
		sum, psum := l.alloc(4*3*4), l.alloc(4*3*4)
		run(kernels.SumColumnsHalf{X: a, Y: sum, Rows: 10, Width: 4, Most: 4})
		run(kernels.SumColumns{X: pa, Y: psum, Rows: 10, Width: 4, Most: 4})
		if !slices.Equal(l.read(sum, 48), l.read(psum, 48)) {
			t.Error("the sums of columns differ")
		}

		wider := blockOf{2, in.channels, 48, true} // 6x8
		same(wider, func(to cu.DevicePtr) kernels.Args {
			return kernels.FitLast{X: x, Y: to, Batch: 2, C: i32(in.channels), H: 5, W: 7, OutH: 6, OutW: 8}
		}, func(to cu.DevicePtr) kernels.Args {
			return kernels.Fit{X: px, Y: to, Planes: planes, H: 5, W: 7, OutH: 6, OutW: 8}
		})

		// Images that are not folded, folded ones, and weights likewise.
		pixels := make([]byte, 2*60)
		for i := range pixels {
			pixels[i] = byte(l.random.Uint32())
		}
		views := l.bytes(raw.Bytes([]float32{1, 2, 1, 10, 20, 30, 0, 1, 0, 0, 0, 0}))
		p, mean := l.bytes(pixels), l.bytes(raw.Bytes(l.normals(6*7*3)))
		image := blockOf{2, 3, 20, true} // 4x5
		same(image, func(to cu.DevicePtr) kernels.Args {
			return kernels.InputLast{Pixels: p, Views: views, Mean: mean, Y: to, Batch: 2, C: 3, H: 4, W: 5, MeanH: 6, MeanW: 7, Side: 1, Channels: 3, OutH: 4, OutW: 5}
		}, func(to cu.DevicePtr) kernels.Args {
			return kernels.Input{Pixels: p, Views: views, Mean: mean, Y: to, Batch: 2, C: 3, H: 4, W: 5, MeanH: 6, MeanW: 7}
		})
		whole := l.alloc(4 * 120)
		run(kernels.Input{Pixels: p, Views: views, Mean: mean, Y: whole, Batch: 2, C: 3, H: 4, W: 5, MeanH: 6, MeanW: 7})
		folded := l.alloc(2 * 2 * 3 * 3 * 13)
		run(kernels.InputLast{Pixels: p, Views: views, Mean: mean, Y: folded, Batch: 2, C: 3, H: 4, W: 5, MeanH: 6, MeanW: 7, Side: 2, Pad: 1, Channels: 13, OutH: 3, OutW: 3})
		shown, got := floats(l.read(whole, 480)), halves(l.read(folded, 468))
		for i, h := range got { // [image, 3, 3, a, b, c], and a channel of zeros
			channel, want := i%13, float32(0)
			row, column := i/39%3*2+channel/6-1, i/13%3*2+channel/3%2-1
			if channel < 12 && row >= 0 && row < 4 && column >= 0 && column < 5 {
				want = shown[(i/117*3+channel%3)*20+row*5+column]
			}
			if h != bfloat16.From(want) {
				t.Fatalf("number %d of the folded images is %g, want %g", i, bfloat16.Float32(h), want)
			}
		}
		weights := l.normals(2 * 3 * 3 * 3)
		copied := l.alloc(2 * 2 * 2 * 2 * 13)
		run(kernels.NarrowWeights{X: l.bytes(raw.Bytes(weights)), Y: copied, Count: 2, C: 3, H: 3, W: 3, Side: 2, Channels: 13})
		for i, h := range halves(l.read(copied, 208)) {
			channel, want := i%13, float32(0)
			row, column := i/26%2*2+channel/6, i/13%2*2+channel/3%2
			if channel < 12 && row < 3 && column < 3 {
				want = weights[i/52*27+channel%3*9+row*3+column]
			}
			if h != bfloat16.From(want) {
				t.Fatalf("number %d of the copy is %g, want %g", i, bfloat16.Float32(h), want)
			}
		}
		// An update of which gradient and copy are bfloat16.
		v, w := l.bytes(raw.Bytes(make([]float32, 40))), l.bytes(raw.Bytes(make([]float32, 40)))
		half := l.alloc(80)
		run(kernels.NewUpdate(l.bytes(raw.Bytes([]float32{0, 1})), 0, []kernels.Parameter{{G: a, W: w, V: v, Copy: half, Count: 40, C: 1, H: 1, Wide: 1, Side: 1, Channels: 1, Narrow: 1, Rate: -1}}))
		if !slices.Equal(l.read(half, 80), l.read(a, 80)) || !slices.Equal(l.read(w, 160), l.read(pa, 160)) {
			t.Error("weights of 0 are not their gradients after a step of -1")
		}

		for _, name := range kernels.Names() {
			if ofBFloat16(name) && !tried[name] {
				t.Errorf("%s was not tried", name)
			}
		}
	}
}
