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

// TestRelu: NaN of either sign goes through, and its gradient.
func TestRelu(t *testing.T) {
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Copysign(math.NaN(), -1)), float32(math.Inf(1)), float32(math.Inf(-1)), 1, -1, math.SmallestNonzeroFloat32, -math.MaxFloat32}
	r := rand.New(rand.NewPCG(9, 10))
	for n := range 70 {
		a, dy, y, dx := make([]float32, n), numbers(r, n), make([]float32, n), make([]float32, n)
		for i := range a {
			a[i] = odd[r.IntN(len(odd))]
		}
		Relu(y, a)
		ReluGradient(dx, y, dy)
		for i, v := range a {
			want, gradient := v, dy[i]
			if v <= 0 {
				want, gradient = 0, 0
			}
			if y[i] != want && (y[i] == y[i] || v == v) {
				t.Fatalf("number %d of %d: %g becomes %g, want %g", i, n, v, y[i], want)
			}
			if dx[i] != gradient {
				t.Fatalf("number %d of %d: the gradient of %g by %g is %g, want %g", i, n, dy[i], v, dx[i], gradient)
			}
		}
	}
}

// TestMaxWindows: the largest number of each window, the first of equal ones, NaN
// before all, and nothing written or read around them.
func TestMaxWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -1, 1, math.MaxFloat32, math.SmallestNonzeroFloat32}
	for trial := range 4000 {
		n, rows, cols, stride := r.IntN(40), 1+r.IntN(4), 1+r.IntN(4), 1+trial%4
		pitch := max(0, n-1)*stride + cols + r.IntN(3)
		x := numbers(r, (rows-1)*pitch+max(0, n-1)*stride+cols)
		for i := range x {
			if r.IntN(trial%3+1) > 0 {
				x[i] = odd[r.IntN(len(odd))]
			}
		}
		y, where, place := make([]float32, n+2), make([]int32, n+2), r.Int32N(1<<20)
		MaxWindows(y[1:n+1], where[1:], x[:len(x):len(x)], rows, cols, pitch, stride, place)
		if y[0] != 0 || where[0] != 0 || y[n+1] != 0 || where[n+1] != 0 {
			t.Fatalf("%d windows: written around them", n)
		}
		for i := range n {
			want := i * stride
			for at := range rows * cols {
				at = i*stride + at/cols*pitch + at%cols
				if x[at] > x[want] || x[at] != x[at] && x[want] == x[want] {
					want = at
				}
			}
			if got := int(where[i+1] - place); got != want || math.Float32bits(y[i+1]) != math.Float32bits(x[want]) {
				t.Fatalf("%d windows of %dx%d, stride %d: number %d is %g at %d, want %g at %d", n, rows, cols, stride, i, y[i+1], got, x[want], want)
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
