package cpu

import (
	"fmt"

	"alexnet/dnn"
	"alexnet/dnn/cpu/tile"
	"alexnet/dnn/cpu/vec"
)

// direct is a convolution by blocks of package tile, without a matrix of patches.
// For one group of one image, a worker lays out the pixels with their channels
// last and a border of zeros around. Then the part of a patch that lies in one row
// of pixels is a run of consecutive numbers, window width x channels, and a block's
// rows are patches, wherever they lie:
//
//	y[place][kernel] = b[kernel] + Σ over window rows i, run r  x[place + i, r] w[i, r][kernel]
//	dw[i, r][kernel] = Σ over images, places                    x[place + i, r] dy[place][kernel]
//
// The gradient by the pixels, where windows are a pixel apart, is the first of
// these again: of dy, with the window turned around.
type direct struct {
	dnn.Conv
	c, kernels int // of a group
	run        int // numbers of a patch in one row of pixels
	cols       int // kernels, rounded up to what blocks have
	h, w       int // of the pixels with their border
	places     int
}

// useTiles says whether convolutions are direct. Tests compute both ways.
var useTiles = tile.Fast()

func newDirect(op dnn.Conv) direct {
	g := direct{Conv: op, c: op.In.C / op.Groups, kernels: op.Out.C / op.Groups, places: op.Out.H * op.Out.W}
	g.run = op.Window.W * g.c
	g.cols = ceil(g.kernels, tile.Half) * tile.Half
	g.h = (op.Out.H-1)*op.Window.Stride + op.Window.H
	g.w = (op.Out.W-1)*op.Window.Stride + op.Window.W
	return g
}

// turned returns the convolution that makes the gradient by the pixels of op, of
// stride 1, from that by its result.
func turned(op dnn.Conv) direct {
	back := op
	back.In, back.Out = op.Out, op.In
	return newDirect(back)
}

// A block's second operand, weights or gradients, lies in panels of as many kernels
// as a block has columns: [panel][row][kernel of the panel]. Rows of all kernels
// would be a power of two apart, or nearly, and meet in few lines of a cache.

// panel returns which kernels share a panel with kernel k: first, and how many.
func (g *direct) panel(k int) (first, width int) {
	first = k / tile.Cols * tile.Cols
	return first, min(tile.Cols, g.cols-first)
}

// pixels is the count of numbers of one group's pixels with their border, and a
// few more, which blocks read and do not use.
func (g *direct) pixels() int { return g.h*g.w*g.c + tile.Rows }

// layOut writes rows y0 to y1 of c maps, of height x width, with channels last and a
// border of zeros of which top and left are given; what lies beyond g.h and g.w is
// left out. to begins with row y0.
func (g *direct) layOut(to, maps []float32, c, height, width, top, left, y0, y1 int) {
	line := g.w * c
	from, n := 0, min(width, g.w-left)
	if left < 0 {
		from, n = -left, min(width+left, g.w)
		left = 0
	}
	for y := y0; y < y1; y++ {
		row := to[(y-y0)*line:][:line]
		at := y - top
		if at < 0 || at >= height || n <= 0 {
			clear(row)
			continue
		}
		clear(row[:left*c])
		clear(row[(left+n)*c:])
		tile.Transpose(row[left*c:], c, maps[at*width+from:], height*width, c, n)
	}
}

// cached is about how many numbers of a block's second operand stay in a core's
// first cache beside the other operands.
const cached = 6 << 10

// convolve makes the result at output rows y0 to y1 of pixels that were laid out
// from the first that they need, as [place][cols]. bias is a row of cols, or nil.
// A slice of the weights at a time is used for all places, so that it is read from
// the first cache: some rows of the window, or a part of one.
func (g *direct) convolve(to, x, w, bias []float32, y0, y1 int) {
	line, stride := g.w*g.c, g.Window.Stride
	rows := min(g.Window.H, max(1, cached/(g.run*tile.Cols)))
	run := min(g.run, cached/tile.Cols)
	if run < g.run {
		run = ceil(g.run, ceil(g.run, run)) // all alike
	}
	size := g.run * g.Window.H
	block := tile.Block{StepA: 1, JumpA: line, LDC: g.cols}
	places := (y1 - y0) * g.Out.W
	for first := 0; first < g.cols; first += tile.Cols {
		_, width := g.panel(first)
		block.StepB, block.JumpB = width, g.run*width
		block.Narrow = narrow(width)
		for row := 0; row < g.Window.H; row += rows {
			block.Outer = min(rows, g.Window.H-row)
			for r := 0; r < g.run; r += run {
				block.Inner = min(run, g.run-r)
				block.B = &w[first*size+(row*g.run+r)*width]
				for place := 0; place < places; place += tile.Rows {
					for m := range block.A {
						p := min(place+m, places-1)
						block.A[m] = &x[(p/g.Out.W*stride+row)*line+p%g.Out.W*stride*g.c+r]
					}
					block.C = &to[place*g.cols+first]
					switch {
					case row > 0 || r > 0:
						block.Init, block.LDInit = block.C, g.cols
					case bias != nil:
						block.Init, block.LDInit = &bias[first], 0
					default:
						block.Init = nil
					}
					block.Run()
				}
			}
		}
	}
}

// narrow is Block's mark for so many columns, some of which may not be used.
func narrow(width int) int {
	if width <= tile.Half {
		return 1
	}
	return 0
}

// bands returns into how many bands of output rows the work on an image is cut: so
// that there are enough units, and a band's result stays in a core's cache.
func (g *direct) bands() (rows, bands int) {
	const most = 128 << 10 // numbers
	bands = max(1, ceil(convUnits, g.Batch*g.Groups), ceil(g.places*g.cols, most))
	rows = ceil(g.Out.H, min(bands, g.Out.H))
	return rows, ceil(g.Out.H, rows)
}

// over returns the loop that convolves maps of in with weights w, and writes the
// result to maps of out. top is the height of the border above, as that to the
// left.
func (g direct) over(in, out, w, bias []float32, relu bool, height, width, top int) loop {
	rows, bands := g.bands()
	line, stride := g.w*g.c, g.Window.Stride
	tall := (rows-1)*stride + g.Window.H // pixels that a band needs
	pixels := tall*line + tile.Rows
	size := g.run * g.Window.H * g.cols // of a group's weights
	results := ceil(rows*g.Out.W, tile.Rows) * tile.Rows * g.cols
	return loop{n: g.Batch * g.Groups * bands, scratch: pixels + results, body: func(worker *worker, i int) {
		image, group, y0 := i/(g.Groups*bands), i/bands%g.Groups, i%bands*rows
		y1 := min(y0+rows, g.Out.H)
		scratch := worker.floats(pixels + results)
		x, y := scratch[:pixels], scratch[pixels:]
		g.layOut(x, groupMaps(in, image, g.Groups, group, g.c*height*width), g.c, height, width, top, top, y0*stride, (y1-1)*stride+g.Window.H)
		var b []float32
		if bias != nil {
			b = bias[group*g.cols:]
		}
		g.convolve(y, x, w[group*size:], b, y0, y1)
		if relu {
			y := y[:(y1-y0)*g.Out.W*g.cols]
			vec.Relu(y, y)
		}
		result := groupMaps(out, image, g.Groups, group, g.kernels*g.places)
		tile.Transpose(result[y0*g.Out.W:], g.places, y, g.cols, (y1-y0)*g.Out.W, g.kernels)
	}}
}

// zeros returns n numbers, or nil if they do not fit into memory.
func (p *preparation) zeros(what string, n int) []float32 {
	if err := fits(4 * int64(n)); err != nil {
		p.err = fmt.Errorf("%s of %w", what, err)
		return nil
	}
	return make([]float32, n)
}

func (p *preparation) directForward(op dnn.ConvForward) []loop {
	g := newDirect(op.Conv)
	x, y := p.floats(op.X, op.Batch*op.In.Size()), p.floats(op.Y, op.Batch*op.Out.Size())
	w, b := p.floats(op.W, op.Out.C, g.run*op.Window.H), p.floats(op.B, op.Out.C)
	window := op.Window.H * op.Window.W
	packed := p.zeros("rearranged weights", g.Groups*g.run*op.Window.H*g.cols)
	bias := p.zeros("rearranged biases", g.Groups*g.cols)
	if p.err != nil {
		return nil
	}
	return []loop{
		{n: g.Groups, body: func(_ *worker, group int) {
			copy(bias[group*g.cols:], b[group*g.kernels:][:g.kernels])
			for k := range g.kernels {
				first, width := g.panel(k)
				kernel := w[(group*g.kernels+k)*window*g.c:]
				to := packed[(group*g.cols+first)*window*g.c+k-first:]
				for c := range g.c {
					for at, v := range kernel[c*window:][:window] {
						to[(at*g.c+c)*width] = v
					}
				}
			}
		}},
		g.over(x, y, packed, bias, op.Relu, op.In.H, op.In.W, op.Window.Pad),
	}
}

// turnable reports whether the gradient by the pixels can be made by convolving.
func turnable(op dnn.Conv) bool {
	w := op.Window
	return w.Stride == 1 && w.Pad < w.H && w.Pad < w.W && w.H == w.W
}

func (p *preparation) directBackwardData(op dnn.ConvBackwardData) []loop {
	g := turned(op.Conv)
	dx, dy := p.floats(op.DX, op.Batch*op.In.Size()), p.floats(op.DY, op.Batch*op.Out.Size())
	w := p.floats(op.W, op.Out.C, g.kernels*op.Window.H*op.Window.W)
	window := op.Window.H * op.Window.W
	packed := p.zeros("rearranged weights", g.Groups*g.run*op.Window.H*g.cols)
	if p.err != nil {
		return nil
	}
	return []loop{
		{n: g.Groups * g.c, body: func(_ *worker, i int) { // a map of the result, which is a channel here
			group, k := i/g.c, i%g.c
			kernel := w[i*g.kernels*window:]
			for c := range g.kernels {
				first, width := g.panel(c)
				to := packed[(group*g.cols+first)*window*g.c+k*width+c-first:]
				for at, v := range kernel[c*window:][:window] {
					to[(window-1-at)*g.c*width] = v
				}
			}
		}},
		g.over(dy, dx, packed, nil, false, op.Out.H, op.Out.W, op.Window.H-1-op.Window.Pad),
	}
}

// directBackwardWeights cuts the images into parts, whose sums are added, and if
// there is little to add the rows of the window are units of their own. Pixels are
// laid out a few channels at a time, so that a block's places lie side by side.
func (p *preparation) directBackwardWeights(op dnn.ConvBackwardWeights) []loop {
	g := newDirect(op.Conv)
	x, dy := p.floats(op.X, op.Batch*op.In.Size()), p.floats(op.DY, op.Batch*op.Out.Size())
	dw, db := p.floats(op.DW, op.Out.C, g.run*op.Window.H), p.floats(op.DB, op.Out.C)
	chunk := g.c // channels
	if g.c%8 == 0 {
		chunk = 8
	}
	chunks := g.c / chunk
	run := ceil(op.Window.W*chunk, tile.Rows) * tile.Rows
	lines := op.Window.H * chunks * run // of sums: [panel][row of the window][chunk][run][kernel of the panel]
	size := lines * g.cols              // of a group
	const most = 4 << 20                // numbers of all partial sums
	parts := min(convUnits, max(1, most/(size*g.Groups)), op.Batch)
	each := ceil(op.Batch, parts)
	parts = ceil(op.Batch, each)
	cut := 1 // of the window's rows
	if parts*g.Groups < convUnits {
		cut = op.Window.H
	}
	sums := p.zeros("partial sums", parts*g.Groups*size)
	if p.err != nil {
		return nil
	}
	plane := g.h * g.w * chunk
	pixels, gradients := g.pixels(), g.places*g.cols
	rows := max(1, cached/(op.Out.W*tile.Cols)) // of the result, in a slice
	line, stride, window := g.w*chunk, op.Window.Stride, op.Window.H*op.Window.W
	loops := []loop{{n: parts * g.Groups * cut, scratch: pixels + gradients, body: func(worker *worker, i int) {
		part, group := i/(g.Groups*cut), i/cut%g.Groups
		from, to := 0, op.Window.H // rows of the window
		if cut > 1 {
			from, to = i%cut, i%cut+1
		}
		scratch := worker.floats(pixels + gradients)
		xs, dys := scratch[:pixels], scratch[pixels:]
		if g.cols > g.kernels {
			clear(dys)
		}
		sum := sums[(part*g.Groups+group)*size:][:size]
		block := tile.Block{Inner: op.Out.W, StepA: stride * chunk, JumpA: stride * line}
		for image := part * each; image < min((part+1)*each, op.Batch); image++ {
			maps := groupMaps(x, image, op.Groups, group, g.c*op.In.H*op.In.W)
			for c := range chunks {
				g.layOut(xs[c*plane:], maps[c*chunk*op.In.H*op.In.W:], chunk, op.In.H, op.In.W, op.Window.Pad, op.Window.Pad, from, from+(op.Out.H-1)*stride+to-from)
			}
			maps = groupMaps(dy, image, op.Groups, group, g.kernels*g.places)
			for first := 0; first < g.cols; first += tile.Cols {
				_, width := g.panel(first)
				panel := dys[first*g.places:][:g.places*width]
				tile.Transpose(panel, width, maps[first*g.places:], g.places, min(width, g.kernels-first), g.places)
				block.Narrow = narrow(width)
				block.StepB, block.JumpB = width, op.Out.W*width
				block.LDC, block.LDInit = width, width
				for y := 0; y < op.Out.H; y += rows {
					block.Outer = min(rows, op.Out.H-y)
					block.B = &panel[y*op.Out.W*width]
					for row := from; row < to; row++ {
						for c := range chunks {
							pixels := xs[c*plane+(y*stride+row-from)*line:]
							result := sum[first*lines+(row*chunks+c)*run*width:]
							for r := 0; r < run; r += tile.Rows {
								for m := range block.A {
									block.A[m] = &pixels[r+m]
								}
								block.C = &result[r*width]
								block.Init = block.C
								if image == part*each && y == 0 {
									block.Init = nil
								}
								block.Run()
							}
						}
					}
				}
			}
		}
	}}}
	const piece = 4 << 10 // of the sums, which every part's are added to those of the first
	all := g.Groups * size
	loops = append(loops, loop{n: ceil(all, piece), body: func(_ *worker, i int) {
		total := sums[i*piece : min((i+1)*piece, all)]
		for part := 1; part < parts; part++ {
			vec.Add(total, sums[part*all+i*piece:])
		}
	}}, loop{n: op.Out.C, body: func(_ *worker, kernel int) {
		group, k := kernel/g.kernels, kernel%g.kernels
		first, width := g.panel(k)
		sum := sums[group*size+first*lines+k-first:]
		to := dw[kernel*window*g.c:][:window*g.c]
		for at := range window {
			for c := range g.c {
				r := (at/op.Window.W*chunks+c/chunk)*run + at%op.Window.W*chunk + c%chunk
				to[c*window+at] = sum[r*width]
			}
		}
	}})
	return append(loops, biasGradient(op.Conv, dy, db))
}

// biasGradient sums dy over images and places.
func biasGradient(op dnn.Conv, dy, db []float32) loop {
	places := op.Out.H * op.Out.W
	return loop{n: op.Out.C, body: func(_ *worker, k int) {
		var sum float64
		for image := range op.Batch {
			sum += total(dy[(image*op.Out.C+k)*places:][:places])
		}
		db[k] = float32(sum)
	}}
}
