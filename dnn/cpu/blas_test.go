package cpu

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"alexnet/dnn/cpu/tile"

	"gonum.org/v1/gonum/blas"
)

// products returns the matrix products that can be had here.
func products(t testing.TB) map[string]blas.Float32 {
	p := map[string]blas.Float32{"gonum": tiled{}, "own": blocked{}}
	if b, _, err := openOpenBLAS(openBLASNames); err != nil {
		t.Log("without OpenBLAS:", err)
	} else {
		p["openblas"] = b
	}
	return p
}

func TestGemm(t *testing.T) {
	for name, b := range products(t) {
		t.Run(name, func(t *testing.T) {
			s := newSource(30)
			for n := 1; n <= 70; n++ {
				testGemm(t, b, s, [3]int{n, n, n})
			}
			size := func() [3]int { return [3]int{s.between(1, 70), s.between(1, 70), s.between(1, 70)} }
			for range 10 {
				testGemm(t, b, s, size())
			}
			for _, big := range [][3]int{{130, 193, 66}, {64, 192, 64}, {65, 193, 65}, {3, 4, 0}, {31, 45, 1000}, {200, 16, 300}} {
				testGemm(t, b, s, big)
			}
		})
	}
}

func testGemm(t *testing.T, impl blas.Float32, s *source, size [3]int) {
	t.Helper()
	m, n, k := size[0], size[1], size[2]
	at := func(t blas.Transpose, i, j, ld int) int {
		if t == blas.Trans {
			return j*ld + i
		}
		return i*ld + j
	}
	for _, ta := range []blas.Transpose{blas.NoTrans, blas.Trans} {
		for _, tb := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			for _, beta := range []float32{0, 1, 0.5} {
				sides := func(t blas.Transpose, rows, cols int) (int, int) {
					if t == blas.Trans {
						rows, cols = cols, rows
					}
					ld := max(1, cols) + s.between(0, 3)
					return max(0, (rows-1)*ld+cols), ld
				}
				na, lda := sides(ta, m, k)
				nb, ldb := sides(tb, k, n)
				nc, ldc := sides(blas.NoTrans, m, n)
				a, b, c := s.normals(na), s.normals(nb), s.normals(nc)
				if beta == 0 {
					fill(c, float32(math.NaN())) // must not be read
				}
				before := append([]float32(nil), c...)
				impl.Sgemm(ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc)
				what := fmt.Sprintf("%dx%dx%d %c%c beta %g", m, n, k, ta, tb, beta)
				var diff, norm float64
				for i := range m {
					for j := range n {
						want := 0.0
						if beta != 0 {
							want = float64(beta) * float64(before[i*ldc+j])
						}
						for l := range k {
							want += float64(a[at(ta, i, l, lda)]) * float64(b[at(tb, l, j, ldb)])
						}
						d := float64(c[i*ldc+j]) - want
						diff, norm = diff+d*d, norm+want*want
						c[i*ldc+j], before[i*ldc+j] = 0, 0
					}
				}
				// Rounding grows with the square root of k, at most 1000 here.
				if !(math.Sqrt(diff) <= 2e-6*math.Sqrt(norm)) {
					t.Errorf("%s: relative error %.3g", what, math.Sqrt(diff/norm))
				}
				for i := range c {
					if math.Float32bits(c[i]) != math.Float32bits(before[i]) {
						t.Fatalf("%s: wrote c[%d], between the rows", what, i)
					}
				}
			}
		}
	}
}

// What does not fit must not reach a library that knows no bounds.
func TestGemmChecksBounds(t *testing.T) {
	for name, b := range products(t) {
		x := make([]float32, 99)
		for i, call := range []func(){
			func() { b.Sgemm(blas.NoTrans, blas.NoTrans, 10, 10, 10, 1, x, 10, x[:0], 10, 0, x, 10) },
			func() { b.Sgemm(blas.NoTrans, blas.NoTrans, 9, 9, 11, 1, x, 11, x, 9, 0, x[:80], 9) },
			func() { b.Sgemm(blas.NoTrans, blas.Trans, 5, 5, 5, 1, x, 4, x, 5, 0, x, 5) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: call %d was let through", name, i)
					}
				}()
				call()
			}()
		}
	}
}

func TestChooseBLAS(t *testing.T) {
	if _, name, err := chooseBLAS("gonum"); err != nil || name != "gonum" {
		t.Errorf("gonum: %q, %v", name, err)
	}
	if _, name, err := chooseBLAS("own"); (err == nil) != tile.Fast() || err == nil && name != "own, "+tile.Name() {
		t.Errorf("own: %q, %v", name, err)
	}
	chosen, name, err := chooseBLAS("")
	if err != nil || name == "" {
		t.Errorf("no choice: %q, %v", name, err)
	}
	if b, ok := chosen.(openBLAS); ok && tile.Fast() && !b.uses(tile.Name()) {
		t.Errorf("chosen is %s, of core %s, which does not use %s", name, b.core, tile.Name())
	}
	for core, want := range map[string]string{"Prescott": "", "Nehalem": "", "Haswell": "AVX2", "ZEN": "AVX2", "SkylakeX": "AVX-512"} {
		for _, vectors := range []string{"AVX2", "AVX-512"} {
			if got := (openBLAS{core: core}).uses(vectors); got != (vectors == want) {
				t.Errorf("core %s uses %s: %v", core, vectors, got)
			}
		}
	}
	for _, bad := range []string{"mkl", "/absent/libopenblas.so"} {
		if _, _, err := chooseBLAS(bad); err == nil || !strings.Contains(err.Error(), blasVariable+"="+bad) {
			t.Errorf("%s: error %v, want one that repeats the setting", bad, err)
		}
	}
	_, haveOpenBLAS := products(t)["openblas"]
	if _, name, err := chooseBLAS("openblas"); (err == nil) != haveOpenBLAS || err == nil && !strings.HasPrefix(name, "openblas /") {
		t.Errorf("openblas: %q, %v", name, err)
	}
}

func BenchmarkGemm(b *testing.B) {
	for name, impl := range products(b) {
		b.Run(name, func(b *testing.B) {
			const n = 1024
			x := newSource(1).normals(n * n)
			y := make([]float32, n*n)
			for b.Loop() {
				impl.Sgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x, n, x, n, 0, y, n)
			}
			b.ReportMetric(2*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
