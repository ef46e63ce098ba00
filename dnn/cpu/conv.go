package cpu

import (
	"alexnet/dnn"
	"alexnet/dnn/cpu/vec"

	"gonum.org/v1/gonum/blas"
)

// conv is a convolution as matrix products. For one group of one image, with
// kernels w [kernels, rows] and patches p [rows, places]:
//
//	y = w p + b,  dp = wᵀ dy,  dw = Σ over images dy pᵀ
//
// The products are cut into units, each done by one worker with a matrix of
// patches that it gathers for itself. How, follows from the sizes alone.
type conv struct {
	dnn.Conv
	patches
	kernels int // of a group
	k       int // rows of a kernel
	places  int
	inSize  int // pixels of a group's maps
}

// What a unit aims at.
const (
	convPlaces = 512 // columns of a product, which OpenBLAS needs to be quick
	convRows   = 256 // rows of the patches whose weights' gradient is one unit
	convUnits  = 16  // units, that many cores have work
)

// newConv returns the geometry, and the counts of all numbers of x and of y.
func newConv(op dnn.Conv) (g conv, in, out int) {
	g = conv{Conv: op, patches: patches{op.In, op.Out, op.Window}}
	g.in.C /= op.Groups
	g.out.C /= op.Groups
	g.kernels = g.out.C
	g.k = g.rows()
	g.places = op.Out.H * op.Out.W
	g.inSize = g.in.Size()
	return g, op.Batch * op.In.Size(), op.Batch * op.Out.Size()
}

// band returns how many output rows to take at once, so that there are about
// convPlaces columns; more, shorter bands if units would be too few.
func (g *conv) band(units int) int {
	bands := max(1, g.places/convPlaces, min(ceil(convUnits, units), g.places/64))
	return ceil(g.Out.H, min(bands, g.Out.H))
}

// images returns how many images to take at once, to make up convPlaces columns
// where one image has few.
func (g *conv) images() int {
	return max(1, min(convPlaces/g.places, g.Batch*g.Groups/convUnits))
}

// groupMaps returns one group's maps of one image, size numbers, of a tensor.
func groupMaps(x []float32, image, groups, group, size int) []float32 {
	return x[(image*groups+group)*size:][:size]
}

func (p *preparation) convForward(op dnn.ConvForward) []loop {
	if useTiles {
		return p.directForward(op)
	}
	g, in, out := newConv(op.Conv)
	x, y := p.floats(op.X, in), p.floats(op.Y, out)
	w, b := p.floats(op.W, op.Out.C, g.k), p.floats(op.B, op.Out.C)
	images := g.images()
	if images > 1 {
		return g.forwardImages(images, op.Relu, x, w, b, y)
	}
	band := g.band(op.Batch * op.Groups)
	bands := ceil(op.Out.H, band)
	scratch := g.k * band * op.Out.W
	if g.same() {
		scratch = 0
	}
	return []loop{{n: op.Batch * op.Groups * bands, scratch: scratch, body: func(worker *worker, i int) {
		image, group, y0 := i/(op.Groups*bands), i/bands%op.Groups, i%bands*band
		y1 := min(y0+band, op.Out.H)
		from, n := y0*op.Out.W, (y1-y0)*op.Out.W
		pixels := groupMaps(x, image, op.Groups, group, g.inSize)
		p, ld := worker.floats(scratch), n
		if g.same() {
			p, ld = pixels[from:], g.places
		} else {
			g.gather(p, ld, pixels, 0, g.k, y0, y1)
		}
		result := groupMaps(y, image, op.Groups, group, g.kernels*g.places)
		for k := range g.kernels {
			fill(result[k*g.places+from:][:n], b[group*g.kernels+k])
		}
		gemm(blas.NoTrans, blas.NoTrans, g.kernels, n, g.k, w[group*g.kernels*g.k:], g.k, p, ld, 1, result[from:], g.places)
		if op.Relu {
			for k := range g.kernels {
				row := result[k*g.places+from:][:n]
				vec.Relu(row, row)
			}
		}
	}}}
}

// forwardImages is the forward pass with several images in one product.
func (g conv) forwardImages(images int, relu bool, x, w, b, y []float32) []loop {
	cols := images * g.places
	return []loop{{n: ceil(g.Batch, images) * g.Groups, scratch: (g.k + g.kernels) * cols, body: func(worker *worker, i int) {
		first, group := i/g.Groups*images, i%g.Groups
		n := min(images, g.Batch-first)
		scratch := worker.floats((g.k + g.kernels) * cols)
		p, results := scratch[:g.k*cols], scratch[g.k*cols:]
		for j := range n {
			g.gather(p[j*g.places:], cols, groupMaps(x, first+j, g.Groups, group, g.inSize), 0, g.k, 0, g.Out.H)
		}
		for k := range g.kernels {
			fill(results[k*cols:][:n*g.places], b[group*g.kernels+k])
		}
		gemm(blas.NoTrans, blas.NoTrans, g.kernels, n*g.places, g.k, w[group*g.kernels*g.k:], g.k, p, cols, 1, results, cols)
		if relu {
			vec.Relu(results, results)
		}
		for j := range n {
			y := groupMaps(y, first+j, g.Groups, group, g.kernels*g.places)
			for k := range g.kernels {
				copy(y[k*g.places:][:g.places], results[k*cols+j*g.places:])
			}
		}
	}}}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

// convBackwardData cuts the work into images, groups and, if those are few, maps
// of the input; bands of output rows follow one another, since they share
// pixels.
func (p *preparation) convBackwardData(op dnn.ConvBackwardData) []loop {
	if useTiles && turnable(op.Conv) {
		return p.directBackwardData(op)
	}
	g, in, out := newConv(op.Conv)
	dx, dy := p.floats(op.DX, in), p.floats(op.DY, out)
	w := p.floats(op.W, op.Out.C, g.k)
	images := g.images()
	units := ceil(op.Batch, images) * op.Groups
	cut := min(ceil(convUnits, units), g.in.C)
	maps := ceil(g.in.C, cut) // of a unit
	cut = ceil(g.in.C, maps)
	band := op.Out.H
	if images == 1 {
		band = g.band(convUnits)
	}
	area, kernel := op.In.H*op.In.W, op.Window.H*op.Window.W
	cols := images * band * op.Out.W
	patchSize, gradientSize := maps*kernel*cols, 0
	if images > 1 {
		gradientSize = g.kernels * cols
	}
	return []loop{{n: units * cut, scratch: patchSize + gradientSize, body: func(worker *worker, i int) {
		first, group, from := i/(op.Groups*cut)*images, i/cut%op.Groups, i%cut*maps
		to, n := min(from+maps, g.in.C), min(images, op.Batch-first)
		scratch := worker.floats(patchSize + gradientSize)
		p, gradients := scratch[:patchSize], scratch[patchSize:]
		for j := range n {
			clear(groupMaps(dx, first+j, op.Groups, group, g.inSize)[from*area : to*area])
		}
		for y0 := 0; y0 < op.Out.H; y0 += band {
			y1 := min(y0+band, op.Out.H)
			width := (y1 - y0) * op.Out.W
			d, ld := groupMaps(dy, first, op.Groups, group, g.kernels*g.places)[y0*op.Out.W:], g.places
			if images > 1 {
				d, ld = gradients, cols
				for j := range n {
					dy := groupMaps(dy, first+j, op.Groups, group, g.kernels*g.places)
					for k := range g.kernels {
						copy(d[k*cols+j*g.places:][:g.places], dy[k*g.places:])
					}
				}
			}
			gemm(blas.Trans, blas.NoTrans, (to-from)*kernel, n*width, g.kernels,
				w[group*g.kernels*g.k+from*kernel:], g.k, d, ld, 0, p, n*width)
			for j := range n {
				g.scatter(p[j*width:], n*width, groupMaps(dx, first+j, op.Groups, group, g.inSize), from*kernel, to*kernel, y0, y1)
			}
		}
	}}}
}

// convBackwardWeights cuts the work into groups and ranges of weights, each
// summed over all images by one worker, so that the sum stays in its cache. If
// those are few the images are cut into parts too, and their sums added.
func (p *preparation) convBackwardWeights(op dnn.ConvBackwardWeights) []loop {
	if useTiles {
		return p.directBackwardWeights(op)
	}
	g, in, out := newConv(op.Conv)
	x, dy := p.floats(op.X, in), p.floats(op.DY, out)
	dw, db := p.floats(op.DW, op.Out.C, g.k), p.floats(op.DB, op.Out.C)
	cut := ceil(g.k, convRows)
	rows := ceil(g.k, cut) // of a unit
	cut = ceil(g.k, rows)
	parts := min(ceil(convUnits, op.Groups*cut), op.Batch)
	each := ceil(op.Batch, parts) // images of a part
	parts = ceil(op.Batch, each)
	size := len(dw)
	sums := dw
	if parts > 1 {
		if sums = p.zeros("partial sums", size*parts); p.err != nil {
			return nil
		}
	}
	band := g.band(convUnits)
	scratch := rows * band * op.Out.W
	if g.same() {
		scratch = 0
	}
	loops := []loop{{n: parts * op.Groups * cut, scratch: scratch, body: func(worker *worker, i int) {
		part, group, r0 := i/(op.Groups*cut), i/cut%op.Groups, i%cut*rows
		r1 := min(r0+rows, g.k)
		sum := sums[part*size+group*g.kernels*g.k+r0:]
		var beta float32 // 0 for the first product, which overwrites
		for image := part * each; image < min((part+1)*each, op.Batch); image++ {
			pixels := groupMaps(x, image, op.Groups, group, g.inSize)
			gradients := groupMaps(dy, image, op.Groups, group, g.kernels*g.places)
			for y0 := 0; y0 < op.Out.H; y0 += band {
				y1 := min(y0+band, op.Out.H)
				from, n := y0*op.Out.W, (y1-y0)*op.Out.W
				p, ld := worker.floats(scratch), n
				if g.same() {
					p, ld = pixels[r0*g.places+from:], g.places
				} else {
					g.gather(p, ld, pixels, r0, r1, y0, y1)
				}
				gemm(blas.NoTrans, blas.Trans, g.kernels, r1-r0, n, gradients[from:], g.places, p, ld, beta, sum, g.k)
				beta = 1
			}
		}
	}}}
	if parts > 1 {
		loops = append(loops, blocks(size, func(from, to int) {
			total := dw[from:to]
			copy(total, sums[from:])
			for part := 1; part < parts; part++ {
				for i, v := range sums[part*size+from:][:len(total)] {
					total[i] += v
				}
			}
		})...)
	}
	return append(loops, biasGradient(op.Conv, dy, db))
}

// total adds in four strands, which a core can do at the same time. It adds up pieces
// of a long sum in float64, so that rounding does not grow with the length.
func total(x []float32) (sum float64) {
	const piece = 256
	for ; len(x) > 0; x = x[min(piece, len(x)):] {
		var a, b, c, d float32
		part := x[:min(piece, len(x))]
		for ; len(part) >= 4; part = part[4:] {
			a += part[0]
			b += part[1]
			c += part[2]
			d += part[3]
		}
		for _, v := range part {
			a += v
		}
		sum += float64(a + b + c + d)
	}
	return sum
}
