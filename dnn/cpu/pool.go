package cpu

import (
	"math"

	"alexnet/dnn"
	"alexnet/dnn/cpu/vec"
)

// reach returns which of n windows, lo to hi, have column k inside the input's
// size columns, and where the first of them has it if there
// is one.
func reach(w dnn.Window, k, size, n int) (lo, hi, first int) {
	lo = min(n, ceil(max(0, w.Pad-k), w.Stride))
	hi = max(lo, min(n, ceil(max(0, size+w.Pad-k), w.Stride)))
	return lo, hi, lo*w.Stride - w.Pad + k
}

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
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	x, y, where := p.floats(op.X, in), p.floats(op.Y, out), p.ints(op.Where, out)
	w, width := op.Window, op.In.W
	return maps(op.Pool, 2*(width+op.Out.W), func(worker *worker, in, out int) {
		x := x[in:][:op.In.H*width]
		ranks := worker.ints(width + op.Out.W)
		columns, windows := ranks[:width], ranks[width:]
		for i := range op.Out.H {
			fill(columns, math.MinInt64)
			top, bottom := span(i, w.H, op.In.H, w)
			for row := top; row < bottom; row++ {
				vec.RaiseByPixels(columns, x[row*width:], row*width)
			}
			fill(windows, math.MinInt64)
			for k := range w.W {
				if lo, hi, first := reach(w, k, width, op.Out.W); lo < hi {
					vec.Raise(windows[lo:hi], columns[first:], w.Stride)
				}
			}
			y, where := y[out:][:len(windows)], where[out:][:len(windows)]
			for j, r := range windows {
				place := math.MaxInt32 - int32(r)
				y[j], where[j] = x[place], place
			}
			out += len(windows)
		}
	})
}

func (p *preparation) maxPoolBackward(op dnn.MaxPoolBackward) []loop {
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

func (p *preparation) avgPoolForward(op dnn.AvgPoolForward) []loop {
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	x, y := p.floats(op.X, in), p.floats(op.Y, out)
	w := op.Window
	return maps(op.Pool, 0, func(_ *worker, in, out int) {
		for i := range op.Out.H {
			top, bottom := span(i, w.H, op.In.H, w)
			for j := range op.Out.W {
				left, right := span(j, w.W, op.In.W, w)
				var sum float32
				for row := top; row < bottom; row++ {
					for _, v := range x[in+row*op.In.W+left : in+row*op.In.W+right] {
						sum += v
					}
				}
				y[out] = sum / float32((bottom-top)*(right-left))
				out++
			}
		}
	})
}

func (p *preparation) avgPoolBackward(op dnn.AvgPoolBackward) []loop {
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	dx, dy := p.floats(op.DX, in), p.floats(op.DY, out)
	w := op.Window
	return maps(op.Pool, 0, func(_ *worker, in, out int) {
		clear(dx[in:][:op.In.H*op.In.W])
		for i := range op.Out.H {
			top, bottom := span(i, w.H, op.In.H, w)
			for j := range op.Out.W {
				left, right := span(j, w.W, op.In.W, w)
				share := dy[out] / float32((bottom-top)*(right-left))
				for row := top; row < bottom; row++ {
					line := dx[in+row*op.In.W+left : in+row*op.In.W+right]
					for k := range line {
						line[k] += share
					}
				}
				out++
			}
		}
	})
}
