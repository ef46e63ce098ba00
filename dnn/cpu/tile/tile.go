// Package tile computes small blocks of matrix products, of which larger products
// and convolutions are made. The operands of a block are read where they lie: each
// row of the first has an address of its own, and both are walked in two nested
// loops with strides. So a convolution needs no matrix of patches. On amd64 with
// AVX2 or AVX-512, and on arm64, a block is computed by assembly.
package tile

import "unsafe"

// The size of a block: as many sums as the registers of AVX2 hold in two halves,
// beside the operands. A processor that begins two sums of products a cycle and
// ends each after four needs eight on their way, and some more to choose from.
const (
	Rows = 6
	Cols = 32
	Half = 16 // columns of a narrow block
)

// Block is a product of 6 rows and 32 columns:
//
//	c[m][n] = init[m][n] + Σ over o < Outer, i < Inner of a[m][o JumpA + i StepA] b[o JumpB + i StepB + n]
//
// The sum starts from 0, and init is added at its end. A long sum is made of several
// blocks. If each started from init, it would be one chain of additions, and each
// addition would be rounded to the size of the whole. All strides count numbers.
type Block struct {
	A            [Rows]*float32 // where each row starts
	B            *float32       // b[0]
	C            *float32       // c[0][0]
	Init         *float32       // init[0][0]; nil is 0
	Outer, Inner int            // 1 or more
	StepA, JumpA int
	StepB, JumpB int
	LDC          int // from a row of c to the next
	LDInit       int // of init; 0 if all rows start alike
	Narrow       int // 1: 16 columns alone
}

// run is the block in Go, for machines without a kernel and for the test of those
// that there are.
func (t *Block) run() {
	cols := Cols
	if t.Narrow != 0 {
		cols = Half
	}
	var sums [Rows][Cols]float32
	for o := range t.Outer {
		for i := range t.Inner {
			b := unsafe.Slice(at(t.B, o*t.JumpB+i*t.StepB), cols)
			for m := range Rows {
				a := *at(t.A[m], o*t.JumpA+i*t.StepA)
				for n, v := range b {
					sums[m][n] += a * v
				}
			}
		}
	}
	if t.Init != nil {
		for m := range Rows {
			for n, v := range unsafe.Slice(at(t.Init, m*t.LDInit), cols) {
				sums[m][n] += v
			}
		}
	}
	for m := range Rows {
		copy(unsafe.Slice(at(t.C, m*t.LDC), cols), sums[m][:cols])
	}
}

func at(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*n)) }

// Transpose writes rows x cols numbers of src, whose rows are lds apart, to dst,
// the other way round: dst[c*ldd+r] = src[r*lds+c].
func Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	_, _ = dst[(cols-1)*ldd+rows-1], src[(rows-1)*lds+cols-1]
	r := 0
	if blocks := cols / 8; fastTranspose && blocks > 0 {
		for ; r+8 <= rows; r += 8 {
			transpose8(&dst[r], ldd, &src[r*lds], lds, blocks)
			if done := 8 * blocks; done < cols {
				transposeGo(dst[done*ldd+r:], ldd, src[r*lds+done:], lds, 8, cols-done)
			}
		}
	}
	if r < rows {
		transposeGo(dst[r:], ldd, src[r*lds:], lds, rows-r, cols)
	}
}

func transposeGo(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	for r := range rows {
		at := r
		for _, v := range src[r*lds:][:cols] {
			dst[at] = v
			at += ldd
		}
	}
}
