package cpu

import "alexnet/dnn"

// pool checks the geometry and returns the sizes of all maps of x and of y.
// Every window must hold a pixel.
func (p *preparation) pool(op dnn.Pool) (in, out int) {
	in = p.count(op.Batch, op.In.C, op.In.H, op.In.W)
	out = p.count(op.Batch, op.Out.C, op.Out.H, op.Out.W)
	p.window(op.Window, op.In, op.Out)
	if op.In.C != op.Out.C {
		p.fail("%d maps into %d", op.In.C, op.Out.C)
	}
	w := op.Window
	if p.err == nil && (w.Pad >= min(w.H, w.W) || (op.Out.H-1)*w.Stride-w.Pad >= op.In.H || (op.Out.W-1)*w.Stride-w.Pad >= op.In.W) {
		p.fail("of %dx%d windows of %dx%d, stride %d, pad %d, some hold no pixel of %dx%d",
			op.Out.H, op.Out.W, w.H, w.W, w.Stride, w.Pad, op.In.H, op.In.W)
	}
	return in, out
}

// window checks a window and the sides of the maps it slides over and makes, and
// that no place in them overflows.
func (p *preparation) window(w dnn.Window, in, out dnn.Shape) {
	const limit = 1 << 24
	if w.H < 1 || w.W < 1 || w.Stride < 1 || w.Pad < 0 || max(w.H, w.W, w.Stride, w.Pad) > limit {
		p.fail("window %dx%d, stride %d, pad %d: sides and stride must be 1 or more, pad 0 or more, all at most %d", w.H, w.W, w.Stride, w.Pad, limit)
	}
	if side := max(in.H, in.W, out.H, out.W); side > limit {
		p.fail("maps with a side of %d; at most %d", side, limit)
	}
}

// span returns the part inside the input of side n of window number o, side
// size.
func span(o, size, n int, w dnn.Window) (from, to int) {
	from = o*w.Stride - w.Pad
	return max(from, 0), min(from+size, n)
}

// maps returns a loop over all maps of a batch. body does one map of in numbers
// on one side and out on the other.
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
	in, out := p.pool(op.Pool)
	x, y, where := p.floats("X", op.X, in), p.floats("Y", op.Y, out), p.ints("Where", op.Where, out)
	if p.err != nil {
		return nil
	}
	w := op.Window
	return maps(op.Pool, func(in, out int) {
		x := x[in:][:op.In.H*op.In.W]
		for i := range op.Out.H {
			top, bottom := span(i, w.H, op.In.H, w)
			for j := range op.Out.W {
				left, right := span(j, w.W, op.In.W, w)
				place := top*op.In.W + left
				best := x[place]
				for row := top; row < bottom; row++ {
					for col, v := range x[row*op.In.W+left : row*op.In.W+right] {
						if v > best || v != v && best == best { // greater, or the first NaN
							best, place = v, row*op.In.W+left+col
						}
					}
				}
				y[out], where[out] = best, int32(place)
				out++
			}
		}
	})
}

func (p *preparation) maxPoolBackward(op dnn.MaxPoolBackward) []loop {
	in, out := p.pool(op.Pool)
	dx, dy, where := p.floats("DX", op.DX, in), p.floats("DY", op.DY, out), p.ints("Where", op.Where, out)
	if p.err != nil {
		return nil
	}
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
	in, out := p.pool(op.Pool)
	x, y := p.floats("X", op.X, in), p.floats("Y", op.Y, out)
	if p.err != nil {
		return nil
	}
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
	in, out := p.pool(op.Pool)
	dx, dy := p.floats("DX", op.DX, in), p.floats("DY", op.DY, out)
	if p.err != nil {
		return nil
	}
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
