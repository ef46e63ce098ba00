package plan

import (
	"fmt"
	"slices"

	"alexnet/dnn"
	"alexnet/model"
)

// backward plans the gradients of layer i, and its update for later, if anything
// at or below it learns.
func (b *builder) backward(i int) {
	if !b.learns[i] || b.normed[i] {
		return
	}
	grads := make([]dnn.Tensor, b.parts())
	if len(b.readers[i]) > 0 {
		for _, part := range b.runs(i) {
			grads[part] = b.gradient(i, part)
		}
	}
	before := len(b.updates[0])
	for _, part := range b.runs(i) {
		b.backwardOn(i, part, grads[part])
	}
	for n := before; n < len(b.updates[0]); n++ {
		b.shareGradient(i, n)
	}
}

// gradient returns the gradient by layer i's output on part: the sum over all
// that read it.
func (b *builder) gradient(i, part int) dnn.Tensor {
	f, shape, name := b.format(i), b.outShape(i), "gradient of "+b.Net.Layers[i].Name
	if r := b.readers[i]; len(r) == 1 && b.alias[r[0]][part] {
		return b.convert(i, Backward, part, b.dIn[r[0]][part], shape, b.reads(r[0]), f, name)
	}
	var formats []dnn.Format // in which it is read, which need not be one
	for _, r := range b.readers[i] {
		if !slices.Contains(formats, b.reads(r)) {
			formats = append(formats, b.reads(r))
		}
	}
	whole := dnn.Sum{Rows: 1, Width: b.batch * shape.Size(), Format: f}
	for _, read := range formats {
		t := b.convert(i, Backward, part, b.gradientIn(i, part, read, name), shape, read, f, name)
		whole.X = append(whole.X, dnn.Slab{T: t})
	}
	if len(whole.X) == 1 {
		return whole.X[0].T
	}
	whole.Y.T = b.maps(part, name, f, shape)
	b.launch(i, Backward, part, whole)
	return whole.Y.T
}

// gradientIn is the sum over those that read layer i's output in format f.
func (b *builder) gradientIn(i, part int, f dnn.Format, name string) dnn.Tensor {
	shape := b.outShape(i)
	rows, each := b.rows(f, shape)
	slabs := map[int][]dnn.Slab{} // by where in the layer's output they start
	var starts []int
	width := 0
	for _, r := range b.readers[i] {
		if b.reads(r) != f {
			continue
		}
		for _, from := range b.runs(r) {
			stride := b.inShape(r).Size() / each
			for _, p := range b.pieces(r, from) {
				if p.source != i || p.part != part {
					continue
				}
				slab := dnn.Slab{T: b.dIn[r][from], Offset: p.dst / each, Stride: stride}
				width = p.width / each
				if from != part {
					slab = b.bring(i, Backward, from, part, f, rows, width, slab, fmt.Sprintf("%s from %s on %s", name, b.Net.Layers[r].Name, b.Devices[from].Name))
					if len(b.readers[i]) == 1 && len(b.runs(r)) == b.Replicas && p.width == shape.Size() {
						return slab.T // there is nothing to add to it
					}
				}
				if slabs[p.src] == nil {
					starts = append(starts, p.src)
				}
				slabs[p.src] = append(slabs[p.src], slab)
			}
		}
	}
	sum := b.maps(part, name, f, shape)
	for _, start := range starts {
		b.launch(i, Backward, part, dnn.Sum{Rows: rows, Width: width, Format: f, X: slabs[start],
			Y: dnn.Slab{T: sum, Offset: start / each, Stride: shape.Size() / each}})
	}
	return sum
}

func (b *builder) backwardOn(i, part int, dy dnn.Tensor) {
	l := b.Net.Layers[i]
	in, out := b.inShape(i), b.outShape(i)
	below := slices.ContainsFunc(l.From, func(f int) bool { return f != model.InputIndex && b.learns[f] })
	newDX := func() dnn.Tensor {
		b.dIn[i][part] = b.maps(part, "gradient of input of "+l.Name, b.reads(i), in)
		return b.dIn[i][part]
	}
	x, y := b.in[i][part], b.out[i][part]
	switch s := l.Spec.(type) {
	case model.Conv:
		conv := b.conv(i, s.Window, s.Groups)
		if below {
			b.launch(i, Backward, part, dnn.ConvBackwardData{Conv: conv, W: b.used(i, part)[0], DY: dy, DX: newDX()})
		}
		b.learn(i, part, func(dw, db dnn.Tensor) dnn.Op {
			return dnn.ConvBackwardWeights{Conv: conv, X: x, DY: dy, DW: dw, DB: db}
		})
	case model.Local:
		conv := b.conv(i, s.Window, s.Groups)
		if below {
			b.launch(i, Backward, part, dnn.LocalBackwardData{Conv: conv, W: b.params[i][part][0], DY: dy, DX: newDX()})
		}
		b.learn(i, part, func(dw, db dnn.Tensor) dnn.Op {
			return dnn.LocalBackwardWeights{Conv: conv, X: x, DY: dy, DW: dw, DB: db}
		})
	case model.Full:
		full := b.full(i)
		if below {
			b.launch(i, Backward, part, dnn.FullBackwardData{Full: full, W: b.used(i, part)[0], DY: dy, DX: newDX()})
		}
		b.learn(i, part, func(dw, db dnn.Tensor) dnn.Op {
			return dnn.FullBackwardWeights{Full: full, X: x, DY: dy, DW: dw, DB: db}
		})
	case model.Activation:
		b.dIn[i][part] = dy // nobody else needs it
		if b.masked[i] {
			break
		}
		b.launch(i, Backward, part, dnn.ActivationBackward{Count: b.batch * out.Size(), Format: b.format(i), Func: function(s.Func), Y: y, DY: dy, DX: dy})
	case model.Pool:
		pool := b.pool(i, s)
		switch norm := l.From[0]; {
		case b.normalises(norm):
			relu := b.rectified(norm)
			b.launch(i, Backward, part, dnn.NormPoolBackward{NormPool: b.normPool(i), Relu: relu, X: x, Where: b.where[i][part], DY: dy, DX: newDX()})
			b.dIn[norm][part] = b.dIn[i][part]
			if relu {
				b.masked[b.Net.Layers[norm].From[0]] = true
			}
		case s.Mode == model.Avg:
			b.launch(i, Backward, part, dnn.AvgPoolBackward{Pool: pool, DY: dy, DX: newDX()})
		default:
			b.launch(i, Backward, part, dnn.MaxPoolBackward{Pool: pool, Where: b.where[i][part], DY: dy, DX: newDX()})
		}
	case model.LRN:
		b.launch(i, Backward, part, dnn.LRNBackward{LRN: b.lrn(i, s), X: x, Y: y, DY: dy, DX: newDX()})
	case model.Dropout:
		b.launch(i, Backward, part, b.dropout(i, part, s, dy, newDX()))
	case model.Softmax:
		b.launch(i, Backward, part, dnn.SoftmaxBackward{Batch: b.batch, Images: b.Batch, Classes: out.C, Y: y, Labels: b.labels[part], DX: newDX()})
	}
}

// learn plans the gradients by layer i's parameters, made by op, and for later
// their updates, unless they stand still.
func (b *builder) learn(i, part int, op func(dw, db dnn.Tensor) dnn.Op) {
	l := b.Net.Layers[i]
	p, _ := l.Params()
	if p.Rate == 0 && p.BiasRate == 0 {
		return
	}
	tensors := b.params[i][part] // weight, bias, momentum of weight, of bias
	weight, bias := b.param(i, part, 0), b.param(i, part, 1)
	weight.G, bias.G = b.weightGradient(i, part, weight), b.biasGradient(part, tensors[1])
	b.launch(i, Backward, part, op(weight.G, bias.G))
	update := func(param dnn.Param, t, v dnn.Tensor, rate, decay float64) {
		if rate == 0 {
			return
		}
		param.W, param.V, param.Index = t, v, i
		param.Rate, param.Decay = float32(rate), float32(b.Net.Train.Decay*decay)
		b.updates[part] = append(b.updates[part], param)
	}
	update(weight, tensors[0], tensors[2], p.Rate, p.Decay)
	update(bias, tensors[1], tensors[3], p.BiasRate, p.BiasDecay)
}

// biasGradient makes the tensor of the gradient by a bias, which is float32.
func (b *builder) biasGradient(part int, bias dnn.Tensor) dnn.Tensor {
	t := b.Devices[part].Tensors[bias]
	return b.tensor(part, Work, "gradient of "+t.Name, t.Shape...)
}
