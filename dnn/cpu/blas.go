package cpu

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"alexnet/dnn/cpu/tile"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/gonum"
)

// blasVariable chooses the matrix product: own, gonum, openblas, or the path of a
// library that has OpenBLAS's functions. Unset, OpenBLAS is used where it is found
// and has the vectors of our own; else our own where there is assembly for the
// processor, or gonum's.
const blasVariable = "ALEXNET_BLAS"

var chosen struct {
	once sync.Once
	name string
	err  error
}

// useBLAS gives the chosen matrix product to blas32, once a process.
func useBLAS() error {
	chosen.once.Do(func() {
		var b blas.Float32
		b, chosen.name, chosen.err = chooseBLAS(os.Getenv(blasVariable))
		if chosen.err == nil {
			blas32.Use(b)
		}
	})
	return chosen.err
}

// BLAS says which matrix product is in use, or why the one that the environment
// asks for is not.
func BLAS() string {
	if err := useBLAS(); err != nil {
		return err.Error()
	}
	return chosen.name
}

func chooseBLAS(want string) (blas.Float32, string, error) {
	switch want {
	case "gonum":
		return tiled{}, "gonum", nil
	case "own":
		if !tile.Fast() {
			return nil, "", fmt.Errorf("%s=own: there is no assembly for this processor, which would need AVX2 or NEON; set %s=gonum", blasVariable, blasVariable)
		}
		return blocked{}, "own, " + tile.Name(), nil
	}
	names := openBLASNames
	if want != "" && want != "openblas" {
		names = []string{want}
		if !strings.ContainsRune(want, os.PathSeparator) {
			return nil, "", fmt.Errorf("%s=%s: want own, gonum, openblas, or the path of an OpenBLAS library", blasVariable, want)
		}
	}
	b, name, err := openOpenBLAS(names)
	switch {
	case want == "" && tile.Fast() && (err != nil || !b.uses(tile.Name())):
		return blocked{}, "own, " + tile.Name(), nil
	case err == nil:
		return b, name, nil
	case want == "":
		return tiled{}, "gonum", nil
	}
	return nil, "", fmt.Errorf("%s=%s: %w; install OpenBLAS (Debian: libopenblas0-pthread), or set %s=gonum", blasVariable, want, err, blasVariable)
}

// gemm is c = op(a) op(b) + beta c, row-major: op(a) is m x k, op(b) k x n, c
// m x n, and op transposes if t is blas.Trans. Rows stand lda, ldb, ldc apart.
func gemm(ta, tb blas.Transpose, m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	am, an := m, k
	if ta != blas.NoTrans {
		am, an = k, m
	}
	bm, bn := k, n
	if tb != blas.NoTrans {
		bm, bn = n, k
	}
	blas32.Gemm(ta, tb, 1, blas32.General{Rows: am, Cols: an, Stride: lda, Data: a},
		blas32.General{Rows: bm, Cols: bn, Stride: ldb, Data: b},
		beta, blas32.General{Rows: m, Cols: n, Stride: ldc, Data: c})
}

// tiled is gonum's implementation with products cut into tiles. Above a size
// gonum starts goroutines, which would fight with the team's; a tile stays below
// it, and fits the first-level cache. Tiles of what is summed over are summed apart and
// then added, so that rounding grows slowly with the depth (see package tile).
type tiled struct{ gonum.Implementation }

// Tile sides: gonum goes parallel from 4 blocks of 64x64 of c on.
const tileM, tileN, tileK = 64, 192, 64

var tilePool = sync.Pool{New: func() any { return new([tileM * tileN]float32) }}

func (t tiled) Sgemm(ta, tb blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if k == 0 {
		t.Implementation.Sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	sums := tilePool.Get().(*[tileM * tileN]float32)
	defer tilePool.Put(sums)
	for j := 0; j < n; j += tileN {
		width := min(tileN, n-j)
		for l := 0; l < k; l += tileK {
			y := beta
			if l > 0 {
				y = 1
			}
			b := b[part(tb, l, j, ldb):]
			for i := 0; i < m; i += tileM {
				to, ldTo, height := c[i*ldc+j:], ldc, min(tileM, m-i)
				if y != 0 {
					to, ldTo = sums[:], width
				}
				t.Implementation.Sgemm(ta, tb, height, width, min(tileK, k-l), alpha, a[part(ta, i, l, lda):], lda, b, ldb, 0, to, ldTo)
				if y == 0 {
					continue
				}
				for r := range height {
					for x, v := range sums[r*width:][:width] {
						c[(i+r)*ldc+j+x] = y*c[(i+r)*ldc+j+x] + v
					}
				}
			}
		}
	}
}

// part is the place of element i, j of an operand.
func part(t blas.Transpose, i, j, ld int) int {
	if t == blas.NoTrans {
		return i*ld + j
	}
	return j*ld + i
}
