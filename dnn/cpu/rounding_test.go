package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cpu/tile"
	"alexnet/internal/reference"
	"alexnet/internal/testenv"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// rounding bounds the distance of long sums from float64, relative to its norm. One
// chain of n float32 is off by about 2e-8 sqrt(n): 2e-6 for 12,288 terms, 4e-6 for
// 43,264. Sums of at most some hundred terms, which are added then, are off by 2e-7 to
// 6e-7.
const rounding = 8e-7

// longSums are depths of products: inputs of a full layer, places of a convolution.
var longSums = []int{12288, 43264}

func (r *rig) rounds(what string, got []float32, want []float64) {
	r.Helper()
	var diff, norm float64
	for i, w := range want {
		diff += (float64(got[i]) - w) * (float64(got[i]) - w)
		norm += w * w
	}
	if e := math.Sqrt(diff / norm); !(e <= rounding) {
		r.Errorf("%s: relative error %.3g, want at most %g", what, e, rounding)
	}
}

// ours are the matrix products that are not OpenBLAS's.
var ours = map[string]blas.Float32{"gonum": tiled{}, "own": blocked{}}

// TestLongProducts: rounding grows slowly with the depth of a product, also where the
// product is added to what is there.
func TestLongProducts(t *testing.T) {
	const m, n = 7, 37
	s := newSource(40)
	for _, k := range longSums {
		a, b := s.normals(m*k), s.normals(k*n)
		for _, trans := range []bool{false, true} {
			ta, tb, lda, ldb := blas.NoTrans, blas.NoTrans, k, n
			if trans {
				ta, tb, lda, ldb = blas.Trans, blas.Trans, m, k
			}
			before, product := s.normals(m*n), make([]float64, m*n)
			for i := range product {
				for l := range k {
					product[i] += float64(a[part(ta, i/n, l, lda)]) * float64(b[part(tb, l, i%n, ldb)])
				}
			}
			for name, impl := range ours {
				for _, beta := range []float32{0, 1} {
					c, want := slices.Clone(before), make([]float64, m*n)
					for i := range want {
						want[i] = float64(beta*c[i]) + product[i]
					}
					impl.Sgemm(ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, n)
					(&rig{TB: t}).rounds(fmt.Sprintf("%s, depth %d, transposed %v, beta %g", name, k, trans, beta), c, want)
				}
			}
		}
	}
}

// TestLongSums: what layers sum over channels, windows, places and images is as near to
// float64, whichever product and whichever way to convolve they use.
func TestLongSums(t *testing.T) {
	if testenv.Race {
		t.Skip("it takes long with the race detector")
	}
	full := func(f dnn.Full) dnn.Conv { f.Groups = 1; return reference.FullAsConv(f) }
	for which, c := range map[string]dnn.Conv{
		"channels": {Batch: 2, Groups: 1, In: dnn.Shape{C: 1400, H: 4, W: 4}, Out: dnn.Shape{C: 18, H: 2, W: 2}, Window: dnn.Window{H: 3, W: 3, Stride: 1}},
		"window":   {Batch: 3, Groups: 1, In: dnn.Shape{C: 3, H: 66, W: 66}, Out: dnn.Shape{C: 5, H: 3, W: 3}, Window: dnn.Window{H: 64, W: 64, Stride: 1}},
		"places":   {Batch: 1, Groups: 1, In: dnn.Shape{C: 3, H: 208, W: 208}, Out: dnn.Shape{C: 4, H: 208, W: 208}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}},
		"images":   {Batch: 3000, Groups: 1, In: dnn.Shape{C: 2, H: 2, W: 2}, Out: dnn.Shape{C: 3, H: 2, W: 2}, Window: dnn.Window{H: 1, W: 1, Stride: 1}},
		"kernels":  {Batch: 2, Groups: 1, In: dnn.Shape{C: 3, H: 4, W: 4}, Out: dnn.Shape{C: 1400, H: 4, W: 4}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}},
		"inputs":   full(dnn.Full{Batch: 3, In: 43264, Out: 9}),
		"outputs":  full(dnn.Full{Batch: 3, In: 9, Out: 12288}),
		"batch":    full(dnn.Full{Batch: 12288, In: 4, Out: 5}),
	} {
		testLongSums(t, which, c, false)
		if which != "places" { // over which unshared kernels do not sum
			testLongSums(t, which, c, true)
		}
	}
}

func testLongSums(t *testing.T, which string, c dnn.Conv, local bool) {
	defer func(use bool, b blas.Float32) { useTiles = use; blas32.Use(b) }(useTiles, blas32.Implementation())
	kernels := c.Out.C
	if local {
		kernels = c.Out.Size()
	}
	s := newSource(41)
	x, w, b, dy := s.normals(c.Batch*c.In.Size()), s.normals(kernels*c.KernelSize()), s.normals(kernels), s.normals(c.Batch*c.Out.Size())
	y, dx := reference.Conv(c, local, wide(x), wide(w), wide(b)), reference.ConvData(c, local, wide(w), wide(dy))
	dw, db := reference.ConvWeights(c, local, wide(x), wide(dy))
	for name, impl := range ours {
		for _, tiles := range []bool{false, true} {
			if tiles && (!tile.Fast() || local) { // which makes no difference
				continue
			}
			r := newRig(t) // which chooses a product
			useTiles = tiles
			blas32.Use(impl)
			tx, tw, tb, tdy := r.floats(x), r.floats(w), r.floats(b), r.floats(dy)
			ty, tdx, tdw, tdb := r.poison(len(dy)), r.poison(len(x)), r.poison(len(w)), r.poison(len(b))
			switch full := (dnn.Full{Batch: c.Batch, Groups: 1, In: c.In.Size(), Out: c.Out.Size()}); {
			case local:
				r.run(dnn.LocalForward{Conv: c, X: tx, W: tw, B: tb, Y: ty})
				r.run(dnn.LocalBackwardData{Conv: c, W: tw, DY: tdy, DX: tdx})
				r.run(dnn.LocalBackwardWeights{Conv: c, X: tx, DY: tdy, DW: tdw, DB: tdb})
			case c.In.H == 1:
				r.run(dnn.FullForward{Full: full, X: tx, W: tw, B: tb, Y: ty})
				r.run(dnn.FullBackwardData{Full: full, W: tw, DY: tdy, DX: tdx})
				r.run(dnn.FullBackwardWeights{Full: full, X: tx, DY: tdy, DW: tdw, DB: tdb})
			default:
				r.run(dnn.ConvForward{Conv: c, X: tx, W: tw, B: tb, Y: ty})
				r.run(dnn.ConvBackwardData{Conv: c, W: tw, DY: tdy, DX: tdx})
				r.run(dnn.ConvBackwardWeights{Conv: c, X: tx, DY: tdy, DW: tdw, DB: tdb})
			}
			what := fmt.Sprintf("%s, %s, tiles %v, local %v: ", name, which, tiles, local)
			r.rounds(what+"y", r.read(ty), y)
			r.rounds(what+"dx", r.read(tdx), dx)
			r.rounds(what+"dw", r.read(tdw), dw)
			r.rounds(what+"db", r.read(tdb), db)
		}
	}
}
