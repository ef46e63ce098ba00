package cpu

import (
	"alexnet/dnn"
	"alexnet/internal/bfloat16"
	"alexnet/internal/raw"
)

// The formats other than float32 are there for what GPUs make of them to be held
// against: an operation is done in float32, on a copy of its operands, and what it
// makes is rounded.

// converted is an operand in another format, and its copy in float32.
type converted struct {
	dnn.Need
	half []uint16
	copy []float32
}

// inFloat32 returns the loops of op with the copies that it needs.
func (p *preparation) inFloat32(op dnn.Op) []loop {
	if sum, ok := op.(dnn.Sum); ok && sum.Format != dnn.Float32 {
		return p.sumHalf(sum)
	}
	var list []converted
	seen := map[dnn.Tensor]bool{}
	for _, n := range p.needs {
		if !n.Numbers || n.Format == dnn.Float32 || seen[n.Tensor] {
			continue
		}
		seen[n.Tensor] = true
		c := converted{Need: n, half: raw.Numbers[uint16](p.mem[n.Tensor]), copy: make([]float32, n.Count*n.Channels*n.Places)}
		list = append(list, c)
		p.mem[n.Tensor] = raw.Bytes(c.copy)
		p.last = n.Format == dnn.BFloat16Last
	}
	loops := p.loops(dnn.InFloat32(op))
	if len(list) == 0 {
		return loops
	}
	var before, after []loop
	for _, c := range list {
		before = append(before, c.each(func(half, i int) { c.copy[i] = bfloat16.Float32(c.half[half]) }))
		after = append(after, c.each(func(half, i int) { c.half[half] = bfloat16.From(c.copy[i]) }))
	}
	return append(append(before, loops...), after...)
}

// each returns a loop that calls f with the place of each number in the operand and
// in its copy.
func (c converted) each(f func(half, i int)) loop {
	size := c.Channels * c.Places
	return loop{n: c.Count, body: func(_ *worker, n int) {
		for i := range size {
			half := i
			if c.Format == dnn.BFloat16Last {
				half = channelsLast(i, c.Channels, c.Places)
			}
			f(n*size+half, n*size+i)
		}
	}}
}

// channelsLast returns where number i of maps, counted channels first, stands with
// channels last.
func channelsLast(i, channels, places int) int {
	size := channels * places
	return i - i%size + i%places*channels + i%size/places
}

// sumHalf touches nothing of Y but its slab: another stream may be filling the rest.
func (p *preparation) sumHalf(op dnn.Sum) []loop {
	xs := make([][]uint16, len(op.X))
	for i, x := range op.X {
		xs[i] = raw.Numbers[uint16](p.mem[x.T])
	}
	y := raw.Numbers[uint16](p.mem[op.Y.T])
	return []loop{{n: op.Rows, body: func(_ *worker, row int) {
		for i := range op.Width {
			var sum float32
			for k, x := range op.X {
				sum += bfloat16.Float32(xs[k][x.Offset+row*x.Stride+i])
			}
			y[op.Y.Offset+row*op.Y.Stride+i] = bfloat16.From(sum)
		}
	}}}
}

func (p *preparation) halves(t dnn.Tensor, n int) []uint16 {
	return raw.Numbers[uint16](p.bytes(t, 2*n))
}

// convert copies: both sides are in float32 here.
func (p *preparation) convert(op dnn.Convert) []loop {
	n := op.Batch * op.Shape.Size()
	x, y := p.floats(op.X, n), p.floats(op.Y, n)
	return blocks(n, func(from, to int) { copy(y[from:to], x[from:to]) })
}

func (p *preparation) narrow(op dnn.Narrow) []loop {
	size, copied := op.Kernels.Size(), op.Kernels.Copied().Size()
	x, y := p.floats(op.X, op.Count*size), p.halves(op.Y, op.Count*copied)
	return []loop{{n: op.Count, body: func(_ *worker, n int) {
		for i := range copied {
			v := float32(0)
			if at := op.Kernels.Place(i); at >= 0 {
				v = x[n*size+at]
			}
			y[n*copied+i] = bfloat16.From(v)
		}
	}}}
}

// narrowed returns loops before and after the update of a parameter: g made into
// float32, and w into its copy.
func (p *preparation) narrowed(op dnn.Param) (g []float32, before, after []loop) {
	size, copied := op.Kernels.Size(), op.Kernels.Copied().Size()
	n := op.Count * size
	if !op.Narrow {
		g = p.floats(op.G, n)
	} else {
		half := p.halves(op.G, op.Count*copied)
		g = make([]float32, n)
		before = []loop{{n: op.Count, body: func(_ *worker, k int) {
			for i := range copied {
				if at := op.Kernels.Place(i); at >= 0 {
					g[k*size+at] = bfloat16.Float32(half[k*copied+i])
				}
			}
		}}}
	}
	if op.Copy != 0 {
		w, half := p.floats(op.W, n), p.halves(op.Copy, op.Count*copied)
		after = []loop{{n: op.Count, body: func(_ *worker, k int) {
			for i := range copied {
				if at := op.Kernels.Place(i); at >= 0 {
					half[k*copied+i] = bfloat16.From(w[k*size+at])
				}
			}
		}}}
	}
	return g, before, after
}

// folded makes images as input does, and folds them.
func (p *preparation) folded(op dnn.Input) []loop {
	plain := op
	plain.Format, plain.Fold, plain.Folded, plain.Pad = dnn.Float32, dnn.Fold{}, dnn.Shape{}, 0
	size, channels, side := op.Out.Size(), op.Out.C, op.Fold.Side
	plain.Y = p.temporary(4 * op.Batch * size)
	loops := p.input(plain)
	x := p.floats(plain.Y, op.Batch*size)
	made := op.Folded
	y := p.floats(op.Y, op.Batch*made.Size())
	return append(loops, loop{n: op.Batch, body: func(_ *worker, n int) {
		for i := range made.Size() {
			channel, row, column := i/(made.H*made.W), i/made.W%made.H, i%made.W
			y[n*made.Size()+i] = 0
			if channel >= side*side*channels {
				continue
			}
			row, column = row*side+channel/channels/side-op.Pad, column*side+channel/channels%side-op.Pad
			if row >= 0 && row < op.Out.H && column >= 0 && column < op.Out.W {
				y[n*made.Size()+i] = x[n*size+(channel%channels*op.Out.H+row)*op.Out.W+column]
			}
		}
	}})
}

// temporary takes memory for a tensor between the loops of an operation.
func (p *preparation) temporary(bytes int) dnn.Tensor {
	t := dnn.Tensor(-1 - len(p.mem)) // as no operand is named
	p.mem[t] = raw.Bytes(make([]int32, ceil(bytes, 4)))
	return t
}
