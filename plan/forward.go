package plan

import (
	"alexnet/dnn"
	"alexnet/model"
)

func (b *builder) forward(i int) {
	b.normed[i] = b.poolNormalises(i)
	for _, part := range b.runs(i) {
		b.gather(i, part)
	}
	for _, part := range b.runs(i) {
		b.forwardOn(i, part)
	}
}

func (b *builder) forwardOn(i, part int) {
	l := b.Net.Layers[i]
	if b.normed[i] {
		b.out[i][part] = b.in[i][part] // as far as the pool is concerned, which does the rest
		return
	}
	out := b.outShape(i)
	x := b.in[i][part]
	if b.inPlace(i) {
		b.out[i][part] = x
	} else {
		b.out[i][part] = b.maps(part, l.Name, b.format(i), out)
	}
	y, f := b.out[i][part], b.format(i)
	var op dnn.Op
	switch s := l.Spec.(type) {
	case model.Conv:
		p := b.used(i, part)
		op = dnn.ConvForward{Conv: b.conv(i, s.Window, s.Groups), X: x, W: p[0], B: p[1], Y: y}
	case model.Local:
		p := b.params[i][part]
		op = dnn.LocalForward{Conv: b.conv(i, s.Window, s.Groups), X: x, W: p[0], B: p[1], Y: y}
	case model.Full:
		p := b.used(i, part)
		op = dnn.FullForward{Full: b.full(i), X: x, W: p[0], B: p[1], Y: y}
	case model.Activation:
		if s.Func == model.Relu && b.inPlace(i) && b.fuse(l.From[0], part) {
			return
		}
		op = dnn.ActivationForward{Count: b.batch * out.Size(), Format: f, Func: function(s.Func), X: x, Y: y}
	case model.Pool:
		pool := b.pool(i, s)
		if s.Mode == model.Avg {
			op = dnn.AvgPoolForward{Pool: pool, X: x, Y: y}
			break
		}
		b.where[i][part] = b.tensor(part, Work, "largest of "+l.Name, b.batch, out.C, out.H, out.W)
		op = dnn.MaxPoolForward{Pool: pool, X: x, Y: y, Where: b.where[i][part]}
		if norm := l.From[0]; b.normalises(norm) {
			b.Devices[part].Tensors[b.where[i][part]].Bytes /= 4 // uint8
			op = dnn.NormPoolForward{NormPool: b.normPool(i), X: x, Y: y, Where: b.where[i][part]}
		}
	case model.LRN:
		op = dnn.LRNForward{LRN: b.lrn(i, s), X: x, Y: y}
	case model.Dropout:
		if b.Mode == Test {
			op = dnn.Scale{Count: b.batch * out.Size(), Format: f, Factor: float32(1 - s.Rate), X: x, Y: y}
			break
		}
		op = b.dropout(i, part, s, x, y)
	case model.Softmax:
		b.stats[part] = b.pin(part, b.tensor(part, Work, "stats", dnn.StatFloats))
		op = dnn.SoftmaxForward{Batch: b.batch, Classes: out.C, X: x, Y: y, Labels: b.labels[part], Stats: b.stats[part]}
	}
	b.launch(i, Forward, part, op)
}

// fuse has layer i's operation on part, if it can, do the ReLU after it as well.
func (b *builder) fuse(i, part int) bool {
	for s := len(b.Steps) - 1; s >= 0 && b.Steps[s].Layer >= i; s-- {
		launch, ok := b.Steps[s].Action.(Launch)
		if !ok || b.Steps[s].Layer != i || b.Steps[s].Device != part {
			continue
		}
		switch op := launch.Op.(type) {
		case dnn.ConvForward:
			op.Relu = true
			b.Steps[s].Action = Launch{op}
			return true
		case dnn.FullForward:
			op.Relu = true
			b.Steps[s].Action = Launch{op}
			return true
		}
	}
	return false
}

// inPlace reports whether layer i may write over what it reads: an activation
// that alone reads the output of a layer whose own backward pass does not need
// it.
func (b *builder) inPlace(i int) bool {
	l := b.Net.Layers[i]
	if _, ok := l.Spec.(model.Activation); !ok || b.o.KeepAll {
		return false
	}
	f := l.From[0]
	if len(l.From) > 1 || f == model.InputIndex || f == b.keep || len(b.readers[f]) > 1 {
		return false
	}
	switch b.Net.Layers[f].Spec.(type) {
	case model.Conv, model.Local, model.Full, model.Pool:
		return true
	}
	return false
}

func (b *builder) conv(i int, w model.Window, groups int) dnn.Conv {
	c := dnn.Conv{Batch: b.batch, Groups: b.groups(i, groups), Format: b.format(i), In: b.inShape(i), Out: b.outShape(i), Window: window(w)}
	if first, fold, ok := b.folding(); ok && i == first {
		c.In, c.Window = b.folded(i, fold), dnn.Window{H: ceil(w.H, fold.Side), W: ceil(w.W, fold.Side), Stride: 1}
	}
	return c
}

func (b *builder) full(i int) dnn.Full {
	return dnn.Full{Batch: b.batch, Groups: b.groups(i, 1), Format: b.format(i), In: b.inShape(i).Size(), Out: b.outShape(i).Size()}
}

func (b *builder) pool(i int, s model.Pool) dnn.Pool {
	return dnn.Pool{Batch: b.batch, Format: b.format(i), In: b.inShape(i), Out: b.outShape(i), Window: window(s.Window)}
}

func (b *builder) lrn(i int, s model.LRN) dnn.LRN {
	return dnn.LRN{Batch: b.batch, Groups: b.groups(i, 1), Format: b.format(i), Shape: b.inShape(i),
		Size: s.Size, Alpha: s.Alpha, Beta: s.Beta, K: s.K, Within: s.Within}
}

func (b *builder) dropout(i, part int, s model.Dropout, x, y dnn.Tensor) dnn.Dropout {
	whole, count := b.Net.Layers[i].Out.Size(), b.outShape(i).Size()
	first := 0
	if b.divided(i) {
		first = part % b.Width() * count
	}
	return dnn.Dropout{Batch: b.batch, Before: part / b.Width() * b.batch, Count: count, Format: b.format(i), First: first, Features: whole,
		Rate: s.Rate, Seed: b.Net.Train.Seed, Layer: i, Control: b.control[part], X: x, Y: y}
}

func window(w model.Window) dnn.Window {
	return dnn.Window{H: w.H, W: w.W, Stride: w.Stride, Pad: w.Pad}
}

func function(f model.Func) dnn.Func {
	return map[model.Func]dnn.Func{model.Relu: dnn.Relu, model.Tanh: dnn.Tanh, model.Sigmoid: dnn.Sigmoid}[f]
}
