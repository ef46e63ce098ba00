package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func numbers(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// TestArithmetic holds every loop against Go, number by number, at every length up
// to a few registers, from any address.
func TestArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		from := r.IntN(8)
		x := func() []float32 { return numbers(r, n+8)[from:][:n] }
		positive := func() []float32 {
			p := x()
			for i, v := range p {
				p[i] = v*v + 0.1
			}
			return p
		}
		a, b, c, d, p := x(), x(), x(), x(), positive()
		for name, op := range map[string]struct {
			do   func(dst []float32)
			want func(i int, was float64) float64
		}{
			"Add":      {func(dst []float32) { Add(dst, a) }, func(i int, was float64) float64 { return was + float64(a[i]) }},
			"Square":   {func(dst []float32) { Square(dst, a) }, func(i int, _ float64) float64 { return float64(a[i]) * float64(a[i]) }},
			"Mul":      {func(dst []float32) { Mul(dst, a, b) }, func(i int, _ float64) float64 { return float64(a[i]) * float64(b[i]) }},
			"in place": {func(dst []float32) { Mul(dst, dst, b) }, func(i int, was float64) float64 { return was * float64(b[i]) }},
			"Affine":   {func(dst []float32) { Affine(dst, 2, -3) }, func(_ int, was float64) float64 { return 2 - 3*was }},
			"MulDiv":   {func(dst []float32) { MulDiv(dst, a, b, p) }, func(i int, _ float64) float64 { return float64(a[i]) * float64(b[i]) / float64(p[i]) }},
			"MulSub": {func(dst []float32) { MulSub(dst, a, b, c, d, 0.5) }, func(i int, _ float64) float64 {
				return float64(a[i])*float64(b[i]) - 0.5*float64(c[i])*float64(d[i])
			}},
			"Power75": {func(dst []float32) { copy(dst, p); Power75(dst) }, func(i int, _ float64) float64 { return math.Pow(float64(p[i]), -0.75) }},
		} {
			dst := numbers(r, n+16)
			was := slices.Clone(dst)
			op.do(dst[from:][:n])
			for i, v := range dst {
				want := float64(was[i])
				if i >= from && i < from+n {
					want = op.want(i-from, want)
				}
				if math.Abs(float64(v)-want) > 1e-5*(1+math.Abs(want)) {
					t.Fatalf("%s of %d numbers: number %d is %g, want %g", name, n, i-from, v, want)
				}
			}
		}
	}
}

// TestRaise: the rank of the largest pixel, the first of equal ones, NaN above all.
func TestRaise(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -1, 1, math.MaxFloat32, math.SmallestNonzeroFloat32}
	rank := func(v float32, place int) int64 {
		number := int64(math.MaxInt32)
		if !math.IsNaN(float64(v)) {
			number = int64(math.Float32bits(float32(math.Abs(float64(v)))))
			if v < 0 {
				number = -number
			}
		}
		return number<<32 | int64(math.MaxInt32-place)
	}
	for n := range 40 {
		x := numbers(r, n)
		for i := range x {
			if r.IntN(2) == 0 {
				x[i] = odd[r.IntN(len(odd))]
			}
		}
		place := r.IntN(1 << 30)
		ranks := make([]int64, n)
		for i := range ranks {
			ranks[i] = math.MinInt64
			if r.IntN(3) == 0 {
				ranks[i] = rank(odd[r.IntN(len(odd))], r.IntN(1<<30))
			}
		}
		was := slices.Clone(ranks)
		RaiseByPixels(ranks, x, place)
		for i, got := range ranks {
			if want := max(was[i], rank(x[i], place+i)); got != want {
				t.Fatalf("%d pixels: rank %d of %g is %d, want %d", n, i, x[i], got, want)
			}
		}
		for stride := 1; stride <= 4; stride++ {
			others := make([]int64, max(0, n-1)*stride+1+r.IntN(2))
			for i := range others {
				others[i] = r.Int64() - 1<<62
			}
			ranks := slices.Clone(was)
			Raise(ranks, others, stride)
			for i, got := range ranks {
				if want := max(was[i], others[i*stride]); got != want {
					t.Fatalf("%d ranks, stride %d: rank %d is %d, want %d", n, stride, i, got, want)
				}
			}
		}
	}
}

// TestTanh: good to four units in the last place from the smallest numbers to the
// largest, and NaN stays NaN.
func TestTanh(t *testing.T) {
	x := []float32{0, 1e-45, -1e-30, 1e-8, 9, 9.4, 9.6, 100, -100, float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, float32(math.NaN()), 1, 2, 3}
	r := rand.New(rand.NewPCG(5, 6))
	for range 10_000 {
		x = append(x, float32(r.NormFloat64()*math.Pow(10, 4*r.Float64()-3)))
	}
	y := make([]float32, len(x))
	Tanh(y, x)
	for i, v := range x {
		want := math.Tanh(float64(v))
		if math.IsNaN(want) != math.IsNaN(float64(y[i])) || math.Abs(float64(y[i])-want) > 4*math.Abs(want)*math.Pow(2, -23)+1e-45 {
			t.Errorf("tanh %g is %g, want %g", v, y[i], want)
		}
	}
	Tanh(x, x) // in place
	for i := range x {
		if math.Float32bits(x[i]) != math.Float32bits(y[i]) && y[i] == y[i] {
			t.Fatalf("in place number %d is %g, want %g", i, x[i], y[i])
		}
	}
}
