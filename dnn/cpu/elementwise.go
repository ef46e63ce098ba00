package cpu

// Operations that treat every number by itself: activations, dropout, scaling,
// sums, and the step of the weights.

import (
	"encoding/binary"
	"math"

	"alexnet/dnn"
	"alexnet/dnn/cpu/vec"
	"alexnet/internal/philox"
)

func (p *preparation) activationForward(op dnn.ActivationForward) []loop {
	x, y := p.floats(op.X, op.Count), p.floats(op.Y, op.Count)
	switch op.Func {
	case dnn.Relu:
		return blocks(op.Count, func(from, to int) { vec.Relu(y[from:to], x[from:to]) })
	case dnn.Tanh:
		return blocks(op.Count, func(from, to int) { vec.Tanh(y[from:to], x[from:to]) })
	case dnn.Sigmoid:
		return blocks(op.Count, func(from, to int) {
			for i := from; i < to; i++ {
				y[i] = float32(1 / (1 + math.Exp(-float64(x[i]))))
			}
		})
	}
	return nil // there is no other
}

func (p *preparation) activationBackward(op dnn.ActivationBackward) []loop {
	y, dy, dx := p.floats(op.Y, op.Count), p.floats(op.DY, op.Count), p.floats(op.DX, op.Count)
	switch op.Func {
	case dnn.Relu:
		return blocks(op.Count, func(from, to int) { vec.ReluGradient(dx[from:to], y[from:to], dy[from:to]) })
	case dnn.Tanh:
		return blocks(op.Count, func(from, to int) {
			for i := from; i < to; i++ {
				dx[i] = dy[i] * (1 - y[i]*y[i])
			}
		})
	case dnn.Sigmoid:
		return blocks(op.Count, func(from, to int) {
			for i := from; i < to; i++ {
				dx[i] = dy[i] * y[i] * (1 - y[i])
			}
		})
	}
	return nil // there is no other
}

// dropout keeps number e of the whole network's batch if
//
//	philox.At(seed, Dropout.Layer(layer), step, e/4)[e%4] >= round(rate * 2^32)
//
// compared as integers of 64 bits, since the right side may be 2^32. What is
// kept stays as it is; what is not becomes 0.
func (p *preparation) dropout(op dnn.Dropout) []loop {
	n := op.Batch * op.Count
	x, y := p.floats(op.X, n), p.floats(op.Y, n)
	control := p.bytes(op.Control, int(dnn.ControlBytes(0)))
	threshold := uint64(math.Round(op.Rate * (1 << 32)))
	purpose := philox.Dropout.Layer(op.Layer)
	return blocks(n, func(from, to int) {
		step := binary.LittleEndian.Uint32(control)
		for from < to {
			image := from / op.Count
			end := min(to, (image+1)*op.Count)
			e := uint64(op.Before+image)*uint64(op.Features) + uint64(op.First+from-image*op.Count)
			random := philox.At(op.Seed, purpose, step, e/4)
			for i := from; i < end; i++ {
				v := x[i]
				if uint64(random[e%4]) < threshold {
					v = 0
				}
				y[i] = v
				if e++; e%4 == 0 {
					random = philox.At(op.Seed, purpose, step, e/4)
				}
			}
			from = end
		}
	})
}

func (p *preparation) scale(op dnn.Scale) []loop {
	x, y := p.floats(op.X, op.Count), p.floats(op.Y, op.Count)
	return blocks(op.Count, func(from, to int) {
		for i := from; i < to; i++ {
			y[i] = op.Factor * x[i]
		}
	})
}

// sum adds in the order of op.X. Y may be one of them: no number of Y is written
// before all that it is the sum of have been read.
func (p *preparation) sum(op dnn.Sum) []loop {
	xs := make([][]float32, len(op.X))
	for i, x := range op.X {
		xs[i] = p.all(x.T)
	}
	y := p.all(op.Y.T)
	return blocks(op.Rows*op.Width, func(from, to int) {
		for from < to {
			row := from / op.Width
			at := from - row*op.Width
			width := min(to-from, op.Width-at)
			addSlabs(y[op.Y.Offset+row*op.Y.Stride+at:][:width], xs, op.X, row, at)
			from += width
		}
	})
}

// addSlabs makes y of numbers from at on in a row of each slab.
func addSlabs(y []float32, xs [][]float32, slabs []dnn.Slab, row, at int) {
	var sums [512]float32
	for done := 0; done < len(y); done += len(sums) {
		sum := sums[:min(len(sums), len(y)-done)]
		for i, x := range xs {
			x := x[slabs[i].Offset+row*slabs[i].Stride+at+done:][:len(sum)]
			if i == 0 {
				copy(sum, x)
				continue
			}
			for j, v := range x {
				sum[j] += v
			}
		}
		copy(y[done:], sum)
	}
}

// update is the step of section 5, each parameter in one pass.
func (p *preparation) update(op dnn.Update) []loop {
	var loops []loop
	for _, param := range op.Params {
		n := param.Count * param.Kernels.Size()
		w, v := p.floats(param.W, n), p.floats(param.V, n)
		g, before, after := p.narrowed(param)
		epsilon := p.bytes(op.Control, int(dnn.ControlBytes(param.Index+1)))[dnn.ControlBytes(param.Index):]
		loops = append(loops, before...)
		loops = append(loops, blocks(n, func(from, to int) {
			rate := param.Rate * math.Float32frombits(binary.LittleEndian.Uint32(epsilon))
			step(g[from:to], w[from:to], v[from:to], op.Momentum, param.Decay*rate, rate)
		})...)
		loops = append(loops, after...)
	}
	return loops
}

func step(g, w, v []float32, momentum, decay, rate float32) {
	w, v = w[:len(g)], v[:len(g)]
	for i, g := range g {
		u := momentum*v[i] - decay*w[i] - rate*g
		v[i] = u
		w[i] += u
	}
}
