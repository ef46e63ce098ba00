package cpu

import (
	"alexnet/dnn"

	"gonum.org/v1/gonum/blas"
)

// Unshared convolutions: every place of the output has kernels of its own. For
// one place and group, with the patches p [batch, rows] that all images have
// there and the kernels w [kernels, rows]:
//
//	y = p wᵀ + b,  dp = dy w,  dw = dyᵀ p

// patch copies to dst, or adds src to, the pixels that one window sees.
func (g patches) patch(dst []float32, x []float32, place int) {
	w := g.window
	top, left := place/g.out.W*w.Stride-w.Pad, place%g.out.W*w.Stride-w.Pad
	lo, hi := min(w.W, max(0, -left)), max(0, min(w.W, g.in.W-left))
	for r := range g.in.C * w.H {
		c, row := r/w.H, top+r%w.H
		line := dst[r*w.W:][:w.W]
		if row < 0 || row >= g.in.H || lo >= hi {
			clear(line)
			continue
		}
		clear(line[:lo])
		clear(line[hi:])
		copy(line[lo:hi], x[(c*g.in.H+row)*g.in.W+left+lo:])
	}
}

// addPatch adds what patch would have written there to the pixels.
func (g patches) addPatch(src []float32, x []float32, place int) {
	w := g.window
	top, left := place/g.out.W*w.Stride-w.Pad, place%g.out.W*w.Stride-w.Pad
	lo, hi := min(w.W, max(0, -left)), max(0, min(w.W, g.in.W-left))
	for r := range g.in.C * w.H {
		c, row := r/w.H, top+r%w.H
		if row < 0 || row >= g.in.H || lo >= hi {
			continue
		}
		in := x[(c*g.in.H+row)*g.in.W+left+lo:]
		for k, v := range src[r*w.W+lo : r*w.W+hi] {
			in[k] += v
		}
	}
}

// gatherPlace writes the patches of images from first on at one place.
func (g *conv) gatherPlace(p []float32, x []float32, group, place int) {
	for n := range g.Batch {
		g.patch(p[n*g.k:][:g.k], groupMaps(x, n, g.Groups, group, g.inSize), place)
	}
}

func (p *preparation) localForward(op dnn.LocalForward) []loop {
	g, in, out := newConv(op.Conv)
	x, y := p.floats(op.X, in), p.floats(op.Y, out)
	w, b := p.floats(op.W, op.Out.C, op.Out.H, op.Out.W, g.k), p.floats(op.B, op.Out.C, op.Out.H, op.Out.W)
	scratch := op.Batch * (g.k + g.kernels)
	return []loop{{n: op.Groups * g.places, scratch: scratch, body: func(worker *worker, i int) {
		group, place := i/g.places, i%g.places
		s := worker.floats(scratch)
		p, result := s[:op.Batch*g.k], s[op.Batch*g.k:]
		g.gatherPlace(p, x, group, place)
		first := group*g.kernels*g.places + place // of the outputs of an image
		gemm(blas.NoTrans, blas.Trans, op.Batch, g.kernels, g.k, p, g.k, w[first*g.k:], g.places*g.k, 0, result, g.kernels)
		for n := range op.Batch {
			for k := range g.kernels {
				at := first + k*g.places
				y[n*op.Out.Size()+at] = result[n*g.kernels+k] + b[at]
			}
		}
	}}}
}

// localImages is how many images share one reading of the weights on the way
// back to the data, where each worker needs whole images.
const localImages = 8

func (p *preparation) localBackwardData(op dnn.LocalBackwardData) []loop {
	g, in, out := newConv(op.Conv)
	dx, dy := p.floats(op.DX, in), p.floats(op.DY, out)
	w := p.floats(op.W, op.Out.C, op.Out.H, op.Out.W, g.k)
	images := min(op.Batch, localImages)
	scratch := images * (g.k + g.kernels)
	return []loop{{n: op.Groups * ceil(op.Batch, images), scratch: scratch, body: func(worker *worker, i int) {
		group, image := i%op.Groups, i/op.Groups*images
		n := min(images, op.Batch-image)
		s := worker.floats(scratch)
		p, gradients := s[:images*g.k], s[images*g.k:]
		for j := range n {
			clear(groupMaps(dx, image+j, op.Groups, group, g.inSize))
		}
		for place := range g.places {
			first := group*g.kernels*g.places + place
			for j := range n {
				for k := range g.kernels {
					gradients[j*g.kernels+k] = dy[(image+j)*op.Out.Size()+first+k*g.places]
				}
			}
			gemm(blas.NoTrans, blas.NoTrans, n, g.k, g.kernels, gradients, g.kernels, w[first*g.k:], g.places*g.k, 0, p, g.k)
			for j := range n {
				g.addPatch(p[j*g.k:][:g.k], groupMaps(dx, image+j, op.Groups, group, g.inSize), place)
			}
		}
	}}}
}

func (p *preparation) localBackwardWeights(op dnn.LocalBackwardWeights) []loop {
	g, in, out := newConv(op.Conv)
	x, dy := p.floats(op.X, in), p.floats(op.DY, out)
	dw, db := p.floats(op.DW, op.Out.C, op.Out.H, op.Out.W, g.k), p.floats(op.DB, op.Out.C, op.Out.H, op.Out.W)
	scratch := op.Batch * (g.k + g.kernels)
	return []loop{{n: op.Groups * g.places, scratch: scratch, body: func(worker *worker, i int) {
		group, place := i/g.places, i%g.places
		s := worker.floats(scratch)
		p, gradients := s[:op.Batch*g.k], s[op.Batch*g.k:]
		g.gatherPlace(p, x, group, place)
		first := group*g.kernels*g.places + place
		for k := range g.kernels {
			at := first + k*g.places
			var sum float64
			for n := range op.Batch {
				v := dy[n*op.Out.Size()+at]
				gradients[n*g.kernels+k] = v
				sum += float64(v)
			}
			db[at] = float32(sum)
		}
		gemm(blas.Trans, blas.NoTrans, g.kernels, g.k, op.Batch, gradients, g.kernels, p, g.k, 0, dw[first*g.k:], g.places*g.k)
	}}}
}
