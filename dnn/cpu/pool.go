package cpu

import (
	"alexnet/dnn"
	"alexnet/dnn/cpu/vec"
)

// span returns the part inside the input of side n of window number o, side
// size.
func span(o, size, n int, w dnn.Window) (from, to int) {
	from = o*w.Stride - w.Pad
	return max(from, 0), min(from+size, n)
}

// maps returns a loop over all maps of a batch. body does one map, whose first
// number is number in on one side and out on the other.
func maps(op dnn.Pool, scratch int, body func(w *worker, in, out int)) []loop {
	in, out := op.In.H*op.In.W, op.Out.H*op.Out.W
	group := max(1, (8<<10)/(in+out)) // maps that are worth taking
	n := op.Batch * op.In.C
	return []loop{{n: ceil(n, group), scratch: scratch, body: func(w *worker, i int) {
		for m := i * group; m < min((i+1)*group, n); m++ {
			body(w, m*in, m*out)
		}
	}}}
}

func (p *preparation) maxPoolForward(op dnn.MaxPoolForward) []loop {
	if !p.last {
		return p.largest(op)
	}
	last, first := p.wherePlaces(op.Pool, &op.Where)
	return append(p.largest(op), blocks(len(last), func(from, to int) {
		for i := from; i < to; i++ {
			last[channelsLast(i, op.Out.C, op.Out.H*op.Out.W)] = first[i]
		}
	})...)
}

// wherePlaces puts a tensor with channels first in the place of one with channels last,
// and returns the numbers of both.
func (p *preparation) wherePlaces(op dnn.Pool, where *dnn.Tensor) (last, first []int32) {
	n := op.Batch * op.Out.Size()
	last = p.ints(*where, n)
	*where = p.temporary(4 * n)
	return last, p.ints(*where, n)
}

// largest is maxPoolForward with channels first.
func (p *preparation) largest(op dnn.MaxPoolForward) []loop {
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	x, y, where := p.floats(op.X, in), p.floats(op.Y, out), p.ints(op.Where, out)
	w, width := op.Window, op.In.W
	// Windows lo to hi are whole.
	lo := min(op.Out.W, ceil(w.Pad, w.Stride))
	hi := max(lo, min(op.Out.W, ceil(max(0, width+w.Pad-w.W+1), w.Stride)))
	return maps(op.Pool, 0, func(_ *worker, in, out int) {
		x := x[in:][:op.In.H*width]
		for i := range op.Out.H {
			top, bottom := span(i, w.H, op.In.H, w)
			windows := func(from, to int) {
				left, right := span(from, w.W, width, w)
				first := top*width + left
				vec.MaxWindows(y[out+from:out+to], where[out+from:], x[first:], bottom-top, right-left, width, w.Stride, int32(first))
			}
			for j := range lo {
				windows(j, j+1)
			}
			if lo < hi {
				windows(lo, hi)
			}
			for j := hi; j < op.Out.W; j++ {
				windows(j, j+1)
			}
			out += op.Out.W
		}
	})
}

func (p *preparation) maxPoolBackward(op dnn.MaxPoolBackward) []loop {
	if !p.last {
		return p.unpooled(op)
	}
	last, first := p.wherePlaces(op.Pool, &op.Where)
	return append(blocks(len(last), func(from, to int) {
		for i := from; i < to; i++ {
			first[i] = last[channelsLast(i, op.Out.C, op.Out.H*op.Out.W)]
		}
	}), p.unpooled(op)...)
}

// unpooled is maxPoolBackward with channels first.
func (p *preparation) unpooled(op dnn.MaxPoolBackward) []loop {
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	dx, dy, where := p.floats(op.DX, in), p.floats(op.DY, out), p.ints(op.Where, out)
	return maps(op.Pool, 0, func(_ *worker, in, out int) {
		dx := dx[in:][:op.In.H*op.In.W]
		clear(dx)
		where := where[out:][:op.Out.H*op.Out.W]
		for i, g := range dy[out:][:len(where)] {
			dx[where[i]] += g
		}
	})
}

// avgPoolForward adds the rows of windows up, and then the numbers of each window
// along them.
func (p *preparation) avgPoolForward(op dnn.AvgPoolForward) []loop {
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	x, y := p.floats(op.X, in), p.floats(op.Y, out)
	w, width := op.Window, op.In.W
	return maps(op.Pool, width, func(worker *worker, in, out int) {
		sums := worker.floats(width)
		for i := range op.Out.H {
			top, bottom := span(i, w.H, op.In.H, w)
			copy(sums, x[in+top*width:])
			for row := top + 1; row < bottom; row++ {
				vec.Add(sums, x[in+row*width:])
			}
			for j := range op.Out.W {
				left, right := span(j, w.W, width, w)
				var sum float32
				for _, v := range sums[left:right] {
					sum += v
				}
				y[out+j] = sum / float32((bottom-top)*(right-left))
			}
			out += op.Out.W
		}
	})
}

// avgPoolBackward is avgPoolForward the other way.
func (p *preparation) avgPoolBackward(op dnn.AvgPoolBackward) []loop {
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	dx, dy := p.floats(op.DX, in), p.floats(op.DY, out)
	w, width := op.Window, op.In.W
	return maps(op.Pool, width, func(worker *worker, in, out int) {
		shares := worker.floats(width)
		clear(dx[in:][:op.In.H*width])
		for i := range op.Out.H {
			top, bottom := span(i, w.H, op.In.H, w)
			clear(shares)
			for j := range op.Out.W {
				left, right := span(j, w.W, width, w)
				share := dy[out+j] / float32((bottom-top)*(right-left))
				for k := left; k < right; k++ {
					shares[k] += share
				}
			}
			for row := top; row < bottom; row++ {
				vec.Add(dx[in+row*width:][:width], shares)
			}
			out += op.Out.W
		}
	})
}
