package cpu

import (
	"sync"

	"alexnet/dnn/cpu/tile"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// blocked is gonum's implementation with a matrix product of our own, by blocks of
// package tile. Of b, panels of 32 columns and at most panelRows rows are copied
// into one piece, which stays in a core's first-level cache; a is read where it
// lies.
type blocked struct{ gonum.Implementation }

const panelRows = 256

// panels is the memory that one product needs.
type panels struct {
	b [panelRows * tile.Cols]float32
	c [tile.Rows * tile.Cols]float32 // of a block that reaches beyond the edge
}

var panelPool = sync.Pool{New: func() any { return new(panels) }}

func (z blocked) Sgemm(ta, tb blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if k == 0 || alpha != 1 || beta != 0 && beta != 1 {
		tiled(z).Sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	// Assembly does not know where the memory ends.
	mustHold("a", a, ta, m, k, lda)
	mustHold("b", b, tb, k, n, ldb)
	mustHold("c", c, blas.NoTrans, m, n, ldc)
	p := panelPool.Get().(*panels)
	defer panelPool.Put(p)
	for col := 0; col < n; col += tile.Cols {
		for row := 0; row < k; row += panelRows {
			depth, width := min(panelRows, k-row), min(tile.Cols, n-col)
			p.pack(b[part(tb, row, col, ldb):], tb, ldb, depth, width)
			p.multiply(a[part(ta, 0, row, lda):], ta, lda, m, depth, width, row > 0 || beta == 1, c[col:], ldc)
		}
	}
}

// pack copies depth rows and width columns of op(b), and zeros for the columns
// that are not there.
func (p *panels) pack(b []float32, t blas.Transpose, ld, depth, width int) {
	if width < tile.Cols {
		clear(p.b[:depth*tile.Cols])
	}
	if t != blas.NoTrans {
		tile.Transpose(p.b[:], tile.Cols, b, ld, width, depth)
		return
	}
	for i := range depth {
		copy(p.b[i*tile.Cols:][:width], b[i*ld:])
	}
}

// multiply multiplies m rows of op(a) with the panel, and adds to what is in c or
// overwrites it.
func (p *panels) multiply(a []float32, t blas.Transpose, ld, m, depth, width int, add bool, c []float32, ldc int) {
	row, step := ld, 1
	if t != blas.NoTrans {
		row, step = 1, ld
	}
	block := tile.Block{B: &p.b[0], Outer: 1, Inner: depth, StepA: step, StepB: tile.Cols}
	if width <= tile.Half {
		block.Narrow = 1
	}
	for i := 0; i < m; i += tile.Rows {
		for r := range block.A {
			block.A[r] = &a[min(i+r, m-1)*row]
		}
		whole := i+tile.Rows <= m && (width == tile.Cols || width == tile.Half)
		to, ldTo := c[i*ldc:], ldc
		if !whole {
			if to, ldTo = p.c[:], tile.Cols; add {
				for r := range min(tile.Rows, m-i) {
					copy(p.c[r*tile.Cols:][:width], c[(i+r)*ldc:])
				}
			}
		}
		block.C, block.LDC = &to[0], ldTo
		block.Init, block.LDInit = nil, 0
		if add {
			block.Init, block.LDInit = block.C, ldTo
		}
		block.Run()
		if !whole {
			for r := range min(tile.Rows, m-i) {
				copy(c[(i+r)*ldc:][:width], p.c[r*tile.Cols:])
			}
		}
	}
}
