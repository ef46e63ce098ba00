package cpu

import "alexnet/dnn"

// patches is the matrix of all patches that a kernel sees of one group's maps of
// one image. Row (c, i, j) is the pixel at i, j of every window in map c; there
// is a column for every place of the output.
type patches struct {
	in, out dnn.Shape // C of a group
	window  dnn.Window
}

func (g patches) rows() int { return g.in.C * g.window.H * g.window.W }

// same reports whether the matrix is the image itself.
func (g patches) same() bool {
	return g.window == dnn.Window{H: 1, W: 1, Stride: 1} && g.in.H == g.out.H && g.in.W == g.out.W
}

// line is where row r meets the pixels: map c; row i of a window; of the
// columns, those from lo to hi are inside, the first at pixel first.
func (g patches) line(r int) (c, i, lo, hi, first int) {
	w := g.window
	c, i = r/(w.H*w.W), r/w.W%w.H
	lo, hi, first = reach(w, r%w.W, g.in.W, g.out.W)
	return c, i, lo, hi, first
}

// gather writes rows from r0 to r1, for output rows y0 to y1, to dst, where rows
// are ld apart. x is the group's maps.
func (g patches) gather(dst []float32, ld int, x []float32, r0, r1, y0, y1 int) {
	stride, width := g.window.Stride, g.out.W
	for r := r0; r < r1; r++ {
		c, i, lo, hi, first := g.line(r)
		line := dst[(r-r0)*ld:][:(y1-y0)*width]
		for y := y0; y < y1; y++ {
			out := line[:width]
			line = line[width:]
			row := y*stride - g.window.Pad + i
			if row < 0 || row >= g.in.H || lo == hi {
				clear(out)
				continue
			}
			clear(out[:lo])
			clear(out[hi:])
			in := x[(c*g.in.H+row)*g.in.W+first:]
			out = out[lo:hi]
			if stride == 1 {
				copy(out, in)
				continue
			}
			for k := range out {
				out[k] = in[k*stride]
			}
		}
	}
}

// scatter adds what gather would have written there to the pixels.
func (g patches) scatter(src []float32, ld int, x []float32, r0, r1, y0, y1 int) {
	stride, width := g.window.Stride, g.out.W
	for r := r0; r < r1; r++ {
		c, i, lo, hi, first := g.line(r)
		line := src[(r-r0)*ld:][:(y1-y0)*width]
		for y := y0; y < y1; y++ {
			out := line[:width]
			line = line[width:]
			row := y*stride - g.window.Pad + i
			if row < 0 || row >= g.in.H || lo == hi {
				continue
			}
			in := x[(c*g.in.H+row)*g.in.W+first:]
			out = out[lo:hi]
			if stride == 1 {
				in = in[:len(out)]
				for k, v := range out {
					in[k] += v
				}
				continue
			}
			for k, v := range out {
				in[k*stride] += v
			}
		}
	}
}

// reach returns which of n windows, lo to hi, have column k inside the input's
// size columns, and where the first of them has it if there is one.
func reach(w dnn.Window, k, size, n int) (lo, hi, first int) {
	lo = min(n, ceil(max(0, w.Pad-k), w.Stride))
	hi = max(lo, min(n, ceil(max(0, size+w.Pad-k), w.Stride)))
	return lo, hi, lo*w.Stride - w.Pad + k
}
