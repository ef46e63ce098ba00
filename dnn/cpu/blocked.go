package cpu

import (
	"sync"

	"alexnet/dnn/cpu/tile"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// blocked is gonum's implementation with a matrix product of our own, by blocks of
// package tile, whose operands are copied first: of a, as much as a core's
// second-level cache holds; of b, a panel of 32 columns, which stays in the
// first-level cache while all of that goes by. Each panel is summed apart and then
// added, so that rounding grows slowly with the depth (see package tile).
type blocked struct{ gonum.Implementation }

const (
	panelDepth = cached / tile.Cols // of what is summed over
	panelRows  = 40 * tile.Rows     // of a
)

// panels is the memory that one product needs.
type panels struct {
	a [panelRows * panelDepth]float32 // [row][depth], or [depth][row] for each group of rows
	b [panelDepth * tile.Cols]float32 // [depth][column]
	c [tile.Rows * tile.Cols]float32  // of a block that reaches beyond the edge
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
	for l := 0; l < k; l += panelDepth {
		depth := min(panelDepth, k-l)
		for row := 0; row < m; row += panelRows {
			rows := min(panelRows, m-row)
			step, next := p.packA(a[part(ta, row, l, lda):], ta, lda, rows, depth)
			for col := 0; col < n; col += tile.Cols {
				width := min(tile.Cols, n-col)
				p.packB(b[part(tb, l, col, ldb):], tb, ldb, depth, width)
				p.multiply(rows, step, next, depth, width, l > 0 || beta == 1, c[row*ldc+col:], ldc)
			}
		}
	}
}

// packA copies rows x depth numbers of op(a), in groups of tile.Rows: a row after
// the other, or if it is transposed a number of each after the other. It returns
// how far the numbers of a row, and the rows, are apart then. What is beyond the
// rows in the last group of them is left as it is, and used for nothing that is
// kept.
func (p *panels) packA(a []float32, t blas.Transpose, ld, rows, depth int) (step, row int) {
	for i := 0; i < rows; i += tile.Rows {
		to, n := p.a[i*depth:], min(tile.Rows, rows-i)
		if t == blas.NoTrans {
			for r := range n {
				copy(to[r*depth:][:depth], a[(i+r)*ld:])
			}
			continue
		}
		for l := range depth {
			copy(to[l*tile.Rows:][:n], a[l*ld+i:])
		}
	}
	if t == blas.NoTrans {
		return 1, depth
	}
	return tile.Rows, 1
}

// packB copies depth rows and width columns of op(b), and zeros for the columns
// that are not there.
func (p *panels) packB(b []float32, t blas.Transpose, ld, depth, width int) {
	if width < tile.Cols {
		clear(p.b[:depth*tile.Cols])
	}
	if t != blas.NoTrans {
		tile.Transpose(p.b[:], tile.Cols, b, ld, width, depth)
		return
	}
	for l := range depth {
		copy(p.b[l*tile.Cols:][:width], b[l*ld:])
	}
}

// multiply multiplies the panels, and adds the product to what is in c or
// overwrites it.
func (p *panels) multiply(m, step, row, depth, width int, add bool, c []float32, ldc int) {
	block := tile.Block{B: &p.b[0], Outer: 1, Inner: depth, StepA: step, StepB: tile.Cols, Narrow: narrow(width)}
	for i := 0; i < m; i += tile.Rows {
		for r := range block.A {
			block.A[r] = &p.a[i*depth+r*row]
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
