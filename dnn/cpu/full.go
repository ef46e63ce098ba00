package cpu

import (
	"alexnet/dnn"
	"alexnet/dnn/cpu/vec"

	"gonum.org/v1/gonum/blas"
)

// Fully connected layers: one matrix product over the whole batch, cut into
// blocks of the weights so that all cores have work. A block of weights is read
// or written once.
const (
	fullOuts = 128 // outputs of a block, forward and for the weights
	fullIns  = 512 // inputs of a block, for the weights and the data
)

func (p *preparation) fullForward(op dnn.FullForward) []loop {
	in, out := op.In/op.Groups, op.Out/op.Groups // of a group
	x, y := p.floats(op.X, op.Batch, op.In), p.floats(op.Y, op.Batch, op.Out)
	w, b := p.floats(op.W, op.Out, in), p.floats(op.B, op.Out)
	cut := ceil(out, fullOuts)
	return []loop{{n: op.Groups * cut, body: func(_ *worker, i int) {
		group, from := i/cut, i%cut*fullOuts
		width := min(fullOuts, out-from)
		from += group * out
		for n := range op.Batch {
			copy(y[n*op.Out+from:], b[from:from+width])
		}
		gemm(blas.NoTrans, blas.Trans, op.Batch, width, in, x[group*in:], op.In, w[from*in:], in, 1, y[from:], op.Out)
		if op.Relu {
			for n := range op.Batch {
				sums := y[n*op.Out+from:][:width]
				vec.Relu(sums, sums)
			}
		}
	}}}
}

func (p *preparation) fullBackwardData(op dnn.FullBackwardData) []loop {
	in, out := op.In/op.Groups, op.Out/op.Groups // of a group
	dx, dy := p.floats(op.DX, op.Batch, op.In), p.floats(op.DY, op.Batch, op.Out)
	w := p.floats(op.W, op.Out, in)
	cut := ceil(in, fullIns)
	return []loop{{n: op.Groups * cut, body: func(_ *worker, i int) {
		group, from := i/cut, i%cut*fullIns
		gemm(blas.NoTrans, blas.NoTrans, op.Batch, min(fullIns, in-from), out,
			dy[group*out:], op.Out, w[group*out*in+from:], in, 0, dx[group*in+from:], op.In)
	}}}
}

func (p *preparation) fullBackwardWeights(op dnn.FullBackwardWeights) []loop {
	in, out := op.In/op.Groups, op.Out/op.Groups // of a group
	x, dy := p.floats(op.X, op.Batch, op.In), p.floats(op.DY, op.Batch, op.Out)
	dw, db := p.floats(op.DW, op.Out, in), p.floats(op.DB, op.Out)
	cutOut, cutIn := ceil(out, fullOuts), ceil(in, fullIns)
	weights := loop{n: op.Groups * cutOut * cutIn, body: func(_ *worker, i int) {
		group, row, col := i/(cutOut*cutIn), i/cutIn%cutOut*fullOuts, i%cutIn*fullIns
		height, width := min(fullOuts, out-row), min(fullIns, in-col)
		row += group * out
		gemm(blas.Trans, blas.NoTrans, height, width, op.Batch, dy[row:], op.Out, x[group*in+col:], op.In, 0, dw[row*in+col:], in)
	}}
	return append([]loop{weights}, blocks(op.Out, func(from, to int) {
		for o := from; o < to; o++ {
			var sum float64
			for n := range op.Batch {
				sum += float64(dy[n*op.Out+o])
			}
			db[o] = float32(sum)
		}
	})...)
}
