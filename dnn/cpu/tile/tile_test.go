package tile

import (
	"math"
	"math/rand/v2"
	"testing"
)

func numbers(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// TestBlock holds every kernel that this machine can run against sums in float64:
// all ways to begin, all strides, and nothing written beside the block.
func TestBlock(t *testing.T) {
	kernels := kernels()
	if !Fast() {
		t.Log("there is no fast kernel here: only the one in Go is tested")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 400 {
		outer, inner := 1+r.IntN(4), 1+r.IntN(40)
		stepA, stepB := 1+r.IntN(5), Cols+r.IntN(9)
		jumpA, jumpB := r.IntN(60), r.IntN(300)
		a := numbers(r, 500+outer*jumpA+inner*stepA)
		b := numbers(r, outer*jumpB+inner*stepB+Cols)
		ldc, ldi := Cols+r.IntN(7), r.IntN(2)*(Cols+r.IntN(3))
		init := numbers(r, Rows*ldi+Cols)
		for name, kernel := range kernels {
			for _, narrow := range []int{0, 1} {
				c := make([]float32, Rows*ldc+Cols)
				for i := range c {
					c[i] = 77
				}
				block := Block{B: &b[0], C: &c[0], Outer: outer, Inner: inner, StepA: stepA, JumpA: jumpA, StepB: stepB, JumpB: jumpB, LDC: ldc, LDInit: ldi, Narrow: narrow}
				var from [Rows]int
				for m := range Rows {
					from[m] = r.IntN(500)
					block.A[m] = &a[from[m]]
				}
				if round%3 > 0 {
					block.Init = &init[0]
				}
				kernel(&block)
				cols := Cols - narrow*Half
				for i, got := range c {
					m, n := i/ldc, i%ldc
					if m >= Rows || n >= cols {
						if got != 77 {
							t.Fatalf("%s: number %d, outside the block, was written", name, i)
						}
						continue
					}
					var want, size float64
					if block.Init != nil {
						want = float64(init[m*ldi+n])
					}
					for o := range outer {
						for k := range inner {
							v := float64(a[from[m]+o*jumpA+k*stepA]) * float64(b[o*jumpB+k*stepB+n])
							want += v
							size += math.Abs(v)
						}
					}
					if math.Abs(float64(got)-want) > 1e-6*(1+size) {
						t.Fatalf("%s, %+v: c[%d][%d] is %g, want %g", name, block, m, n, got, want)
					}
				}
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for rows := 1; rows < 27; rows++ {
		for cols := 1; cols < 27; cols++ {
			lds, ldd := cols+r.IntN(4), rows+r.IntN(4)
			src := numbers(r, (rows-1)*lds+cols)
			dst := make([]float32, (cols-1)*ldd+rows)
			Transpose(dst, ldd, src, lds, rows, cols)
			for i, got := range dst {
				want := float32(0)
				if c, row := i/ldd, i%ldd; row < rows {
					want = src[row*lds+c]
				}
				if got != want {
					t.Fatalf("%d x %d: number %d is %g, want %g", rows, cols, i, got, want)
				}
			}
		}
	}
}

// BenchmarkBlock is the most that a core can do: both operands in its cache.
func BenchmarkBlock(b *testing.B) {
	const inner = 256
	x, y, z := make([]float32, Rows*inner), make([]float32, inner*Cols), make([]float32, Rows*Cols)
	block := Block{B: &y[0], C: &z[0], Outer: 1, Inner: inner, StepA: 1, StepB: Cols, LDC: Cols}
	for m := range Rows {
		block.A[m] = &x[m*inner]
	}
	for name, kernel := range kernels() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				kernel(&block)
			}
			b.ReportMetric(2*Rows*Cols*inner/(b.Elapsed().Seconds()/float64(b.N))/1e9, "GFLOP/s")
		})
	}
}

func BenchmarkTranspose(b *testing.B) {
	const rows, cols = 32, 256
	x, y := make([]float32, rows*cols), make([]float32, rows*cols)
	for b.Loop() {
		Transpose(y, rows, x, cols, rows, cols)
	}
	b.SetBytes(4 * rows * cols)
}
