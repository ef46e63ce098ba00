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
func maps(op dnn.Pool, body func(in, out int)) []loop {
	in, out := op.In.H*op.In.W, op.Out.H*op.Out.W
	group := max(1, (8<<10)/(in+out)) // maps that are worth taking
	n := op.Batch * op.In.C
	return []loop{{n: ceil(n, group), body: func(_ *worker, i int) {
		for m := i * group; m < min((i+1)*group, n); m++ {
			body(m*in, m*out)
		}
	}}}
}

func (p *preparation) maxPoolForward(op dnn.MaxPoolForward) []loop {
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	x, y, where := p.floats(op.X, in), p.floats(op.Y, out), p.ints(op.Where, out)
	w, width := op.Window, op.In.W
	// Windows lo to hi are whole.
	lo := min(op.Out.W, ceil(w.Pad, w.Stride))
	hi := max(lo, min(op.Out.W, ceil(max(0, width+w.Pad-w.W+1), w.Stride)))
	return maps(op.Pool, func(in, out int) {
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
	in, out := op.Batch*op.In.Size(), op.Batch*op.Out.Size()
	dx, dy, where := p.floats(op.DX, in), p.floats(op.DY, out), p.ints(op.Where, out)
	return maps(op.Pool, func(in, out int) {
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
	return maps(op.Pool, func(in, out int) {
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
	return maps(op.Pool, func(in, out int) {
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
