package cpu

import (
	"math"

	"alexnet/dnn"
	"alexnet/dnn/cpu/vec"
)

// lrn is response normalisation cut into blocks, each a matrix of which every
// number's sum runs over rows of its column (across maps: rows are maps, columns
// places), or over rows and columns (within a map).
//
// With s = k + α Σ a², before the numbers ahead of its own that a sum takes:
//
//	y  = x s^-β
//	dx = dy s^-β − 2αβ x Σ' dy y / s
//
// where Σ' runs over the numbers whose sums take this one, so that it takes
// size-1-before ahead.
type lrn struct {
	op       dnn.LRN
	maps     int // of a group
	area     int // places of a map
	cut      int // blocks that a group's maps are cut into
	k, alpha float32
	power    func(s []float32) // s becomes s^-β
}

// lrnColumns is the most columns of a block across maps: few enough that a block
// stays in the second-level cache, and enough to keep a line of it busy.
const lrnColumns = 64

// newLRN returns the blocks, and the count of all numbers.
func newLRN(op dnn.LRN) (l *lrn, n int) {
	l = &lrn{op: op, maps: op.Shape.C / op.Groups, area: op.Shape.H * op.Shape.W, k: float32(op.K), alpha: float32(op.Alpha)}
	l.cut = ceil(l.area, lrnColumns)
	if op.Within {
		l.cut = l.maps
	}
	switch op.Beta {
	case 0.5:
		l.power = func(s []float32) {
			for i, v := range s {
				s[i] = 1 / sqrt(v)
			}
		}
	case 0.75:
		l.power = vec.Power75
	case 1:
		l.power = func(s []float32) {
			for i, v := range s {
				s[i] = 1 / v
			}
		}
	default:
		l.power = func(s []float32) {
			for i, v := range s {
				s[i] = float32(math.Pow(float64(v), -op.Beta))
			}
		}
	}
	return l, op.Batch * op.Shape.Size()
}

func sqrt(v float32) float32 { return float32(math.Sqrt(float64(v))) }

// loop returns a loop over all blocks; scratch is how many matrices as large as
// a block body takes.
func (l *lrn) loop(scratch int, body func(b matrix, scratch []float32)) []loop {
	size := l.maps * min(l.area, lrnColumns)
	if l.op.Within {
		size = l.area
	}
	return []loop{{n: l.op.Batch * l.op.Groups * l.cut, scratch: scratch * size, body: func(w *worker, i int) {
		var b matrix
		if l.op.Within {
			b = matrix{i * l.area, l.op.Shape.H, l.op.Shape.W, l.op.Shape.W}
		} else {
			place := i % l.cut * lrnColumns
			b = matrix{i/l.cut*l.maps*l.area + place, l.maps, min(lrnColumns, l.area-place), l.area}
		}
		body(b, w.floats(scratch*size))
	}}}
}

// matrix is where the rows of a block are in a tensor. In scratch memory nothing
// is between the rows.
type matrix struct{ start, rows, cols, stride int }

func (m matrix) size() int { return m.rows * m.cols }

// row returns a block's row of a tensor.
func (m matrix) row(x []float32, r int) []float32 { return x[m.start+r*m.stride:][:m.cols] }

// own returns a row of scratch memory.
func (m matrix) own(x []float32, r int) []float32 { return x[r*m.cols:][:m.cols] }

func (p *preparation) lrnForward(op dnn.LRNForward) []loop {
	l, n := newLRN(op.LRN)
	x, y := p.floats(op.X, n), p.floats(op.Y, n)
	return l.loop(3, func(b matrix, scratch []float32) {
		size := b.size()
		s, t1, t2 := scratch[:size], scratch[size:2*size], scratch[2*size:3*size]
		l.scales(s, x, b, t1, t2)
		l.power(s)
		for r := range b.rows {
			vec.Mul(b.row(y, r), b.row(x, r), b.own(s, r))
		}
	})
}

func (p *preparation) lrnBackward(op dnn.LRNBackward) []loop {
	l, n := newLRN(op.LRN)
	x, y := p.floats(op.X, n), p.floats(op.Y, n)
	dy, dx := p.floats(op.DY, n), p.floats(op.DX, n)
	twice := float32(2 * op.Alpha * op.Beta)
	return l.loop(4, func(b matrix, scratch []float32) {
		size := b.size()
		s, t1, t2, sums := scratch[:size], scratch[size:2*size], scratch[2*size:3*size], scratch[3*size:4*size]
		l.scales(s, x, b, t1, t2)
		for r := range b.rows {
			vec.MulDiv(b.own(t1, r), b.row(dy, r), b.row(y, r), b.own(s, r))
		}
		l.sums(sums, t1, b, op.Size-1-op.Size/2, t2)
		l.power(s)
		for r := range b.rows {
			vec.MulSub(b.row(dx, r), b.row(dy, r), b.own(s, r), b.row(x, r), b.own(sums, r), twice)
		}
	})
}

// scales makes s = k + α Σ x² of a block.
func (l *lrn) scales(s, x []float32, b matrix, squares, scratch []float32) {
	for r := range b.rows {
		vec.Square(b.own(squares, r), b.row(x, r))
	}
	l.sums(s, squares, b, l.op.Size/2, scratch)
	vec.Affine(s, l.k, l.alpha)
}

// slideFrom is the size of windows from which on their sums slide: what enters is
// added and what leaves taken off again, in float64, so that nothing is left of
// it. Smaller ones are added up afresh, whole rows at a time.
const slideFrom = 16

// sums makes of each number the sum over its window, in scratch matrices of b's
// sides.
func (l *lrn) sums(dst, src []float32, b matrix, before int, scratch []float32) {
	down, along := addDown, addAlong
	if l.op.Size >= slideFrom {
		down, along = slideDown, slideAlong
	}
	if !l.op.Within {
		down(dst, src, b, before, l.op.Size)
		return
	}
	down(scratch, src, b, before, l.op.Size)
	for r := range b.rows {
		along(b.own(dst, r), b.own(scratch, r), before, l.op.Size)
	}
}

// addDown makes each number the sum of those from before rows above it, size of
// them.
func addDown(dst, src []float32, b matrix, before, size int) {
	for r := range b.rows {
		sum := b.own(dst, r)
		first, last := max(0, r-before), min(b.rows-1, r-before+size-1)
		copy(sum, b.own(src, first))
		for other := first + 1; other <= last; other++ {
			vec.Add(sum, b.own(src, other))
		}
	}
}

// addAlong is addDown along one row.
func addAlong(dst, src []float32, before, size int) {
	n := len(dst)
	copy(dst, src)
	for shift := -before; shift < size-before; shift++ {
		if shift == 0 || shift <= -n || shift >= n {
			continue
		}
		if shift < 0 {
			vec.Add(dst[-shift:], src[:n+shift])
		} else {
			vec.Add(dst[:n-shift], src[shift:])
		}
	}
}

// slideDown is addDown for large windows.
func slideDown(dst, src []float32, b matrix, before, size int) {
	var sums [lrnColumns]float64
	ahead := size - before - 1
	for j := 0; j < b.cols; j += lrnColumns {
		sum := sums[:min(lrnColumns, b.cols-j)]
		clear(sum)
		for r := range min(ahead, b.rows) {
			for k, v := range b.own(src, r)[j:][:len(sum)] {
				sum[k] += float64(v)
			}
		}
		for r := range b.rows {
			if enter := r + ahead; enter < b.rows {
				for k, v := range b.own(src, enter)[j:][:len(sum)] {
					sum[k] += float64(v)
				}
			}
			if leave := r - before - 1; leave >= 0 {
				for k, v := range b.own(src, leave)[j:][:len(sum)] {
					sum[k] -= float64(v)
				}
			}
			row := b.own(dst, r)[j:][:len(sum)]
			for k, v := range sum {
				row[k] = float32(v)
			}
		}
	}
}

// slideAlong is slideDown along one row.
func slideAlong(dst, src []float32, before, size int) {
	ahead := size - before - 1
	sum := 0.0
	for _, v := range src[:min(ahead, len(src))] {
		sum += float64(v)
	}
	for i := range dst {
		if enter := i + ahead; enter < len(src) {
			sum += float64(src[enter])
		}
		if leave := i - before - 1; leave >= 0 {
			sum -= float64(src[leave])
		}
		dst[i] = float32(sum)
	}
}
