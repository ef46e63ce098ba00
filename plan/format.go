package plan

import (
	"slices"

	"alexnet/dnn"
	"alexnet/model"
)

// In which format each layer reads and writes, if the program is in bfloat16.
//
// Convolutions, pools and normalisations across maps have their maps with channels
// last; full layers and dropout read channel by channel, as weights in a checkpoint
// are, so that the few numbers between the two kinds are put in another order. What
// GPUs have no code for in bfloat16 (unshared convolutions, normalisation within a
// map) or what needs the precision (the softmax) is float32. Where a layer writes in
// another format than it is read in, a Convert stands in between, made once for all
// that read it so.
//
// The last layers with weights, and all between them and the softmax, are float32 too:
// logits that were rounded to 8 bits would be equal for classes that are not.
//
// A convolution that alone reads the images has them folded to channels in eights.
// A normalisation that only a max pool reads is done by the pool, which keeps a
// ReLU's gradient before it, too.
//
// Weights stay in float32, and have copies for the products, which the update writes.

// format returns the format of layer i's output, or of the images.
func (b *builder) format(i int) dnn.Format {
	if !b.o.BFloat16 {
		return dnn.Float32
	}
	if i == model.InputIndex {
		for r, l := range b.Net.Layers {
			_, any := l.Spec.(model.Activation) // which reads whatever there is
			if slices.Contains(l.From, model.InputIndex) && !any && b.reads(r) == dnn.Float32 {
				return dnn.Float32
			}
		}
		return dnn.BFloat16Last
	}
	return b.reads(i)
}

// reads returns the format in which layer i reads, which is the one in which it
// writes, too.
func (b *builder) reads(i int) dnn.Format {
	if !b.o.BFloat16 {
		return dnn.Float32
	}
	if b.logits[i] {
		return dnn.Float32
	}
	l := b.Net.Layers[i]
	switch s := l.Spec.(type) {
	case model.Conv, model.Pool:
		return dnn.BFloat16Last
	case model.LRN:
		if !s.Within {
			return dnn.BFloat16Last
		}
	case model.Full, model.Dropout:
		return dnn.BFloat16
	case model.Activation:
		return b.format(l.From[0])
	}
	return dnn.Float32
}

// rows returns how maps in a format are cut into rows that a part of the channels
// takes a part of: of each image, or with channels last of each place; and how many
// numbers of an image's maps there are to one of such a row.
func (b *builder) rows(f dnn.Format, s dnn.Shape) (rows, each int) {
	if f == dnn.BFloat16Last {
		return b.batch * s.H * s.W, s.H * s.W
	}
	return b.batch, 1
}

// other is a layer's output on a part in another format than its own.
type other struct {
	layer, part int
	f           dnn.Format
}

// as returns layer i's output on a part in format f.
func (b *builder) as(i, part int, f dnn.Format) dnn.Tensor {
	key := other{i, part, f}
	if t, ok := b.others[key]; ok {
		return t
	}
	b.others[key] = b.convert(i, Forward, part, b.output(i, part), b.outShape(i), b.format(i), f, b.LayerName(i))
	return b.others[key]
}

// convert returns a tensor in another format: itself if the numbers stand alike.
func (b *builder) convert(i int, pass Pass, part int, t dnn.Tensor, s dnn.Shape, from, to dnn.Format, name string) dnn.Tensor {
	one := s.C == 1 || s.H*s.W == 1
	if from == to || one && from != dnn.Float32 && to != dnn.Float32 {
		return t
	}
	made := b.maps(part, name+" in "+to.String(), to, s)
	b.launch(i, pass, part, dnn.Convert{Batch: b.batch, Shape: s, From: from, To: to, X: t, Y: made})
	return made
}

// folding returns the layer that the images are folded for, and how.
func (b *builder) folding() (layer int, f dnn.Fold, ok bool) {
	layer = -1
	for i, l := range b.Net.Layers {
		if !slices.Contains(l.From, model.InputIndex) {
			continue
		}
		s, conv := l.Spec.(model.Conv)
		if layer >= 0 || !conv || len(l.From) > 1 || s.Groups > 1 || b.reads(i) != dnn.BFloat16Last {
			return 0, dnn.Fold{}, false
		}
		const eight = 8 // channels that tensor cores take at a time
		layer, f.Side = i, s.Window.Stride
		f.Channels = ceil(b.Net.Input.C*f.Side*f.Side, eight) * eight
	}
	return layer, f, layer >= 0
}

// folded returns the shape of an image that is folded for layer i: as much of it as
// the layer's windows see.
func (b *builder) folded(i int, f dnn.Fold) dnn.Shape {
	w, out := b.Net.Layers[i].Spec.(model.Conv).Window, b.Net.Layers[i].Out
	return dnn.Shape{C: f.Channels, H: out.H - 1 + ceil(w.H, f.Side), W: out.W - 1 + ceil(w.W, f.Side)}
}

// ceil returns n / size, rounded up.
func ceil(n, size int) int { return (n + size - 1) / size }

// poolNormalises reports whether normalisation i is done by the pool that reads it.
func (b *builder) poolNormalises(i int) bool {
	norm, ok := b.Net.Layers[i].Spec.(model.LRN)
	if !ok || norm.Within || b.reads(i) != dnn.BFloat16Last || i == b.keep || len(b.readers[i]) != 1 {
		return false
	}
	l := b.Net.Layers[b.readers[i][0]]
	pool, ok := l.Spec.(model.Pool)
	const most = 256 // places that a byte tells
	return ok && pool.Mode == model.Max && len(l.From) == 1 && pool.Window.H*pool.Window.W <= most
}

// normalises reports whether layer i is a normalisation that a pool does.
func (b *builder) normalises(i int) bool { return i != model.InputIndex && b.normed[i] }

// normPool is pool i with the normalisation before it.
func (b *builder) normPool(i int) dnn.NormPool {
	l := b.Net.Layers[i]
	norm := l.From[0]
	return dnn.NormPool{LRN: b.lrn(norm, b.Net.Layers[norm].Spec.(model.LRN)), Pool: b.pool(i, l.Spec.(model.Pool))}
}

// rectified reports whether what normalisation i reads is made by a ReLU and read by
// nobody else.
func (b *builder) rectified(i int) bool {
	from := b.Net.Layers[i].From
	if len(from) != 1 || from[0] == model.InputIndex || len(b.readers[from[0]]) != 1 {
		return false
	}
	return b.Net.Layers[from[0]].Spec == model.Spec(model.Activation{Func: model.Relu})
}

// copy makes room for the bfloat16 copies of layer i's parameters, if it has any, and
// plans how they are made when the parameters have been written.
func (b *builder) copy(i, part int) {
	if b.reads(i) == dnn.Float32 {
		return
	}
	for n, t := range b.params[i][part] {
		p, name := b.param(i, part, n), b.Devices[part].Tensors[t].Name
		s := p.Kernels.Copied()
		made := b.tensorIn(dnn.BFloat16, part, State, name+" in bfloat16", p.Count, s.H, s.W, s.C)
		b.copies[i][part] = append(b.copies[i][part], made)
		b.Devices[part].Copies = append(b.Devices[part].Copies, dnn.Narrow{Count: p.Count, Kernels: p.Kernels, X: t, Y: made})
	}
}

// used returns weight and bias of layer i as its operations read them.
func (b *builder) used(i, part int) []dnn.Tensor {
	if c := b.copies[i][part]; c != nil {
		return c
	}
	return b.params[i][part]
}

// param describes layer i's weight, number 0, or bias, 1, and its copy.
func (b *builder) param(i, part, number int) dnn.Param {
	t := b.Devices[part].Tensors[b.params[i][part][number]]
	p := dnn.Param{Count: int(t.Bytes / 4), Kernels: dnn.Kernels{C: 1, H: 1, W: 1}}
	if _, ok := b.Net.Layers[i].Spec.(model.Conv); ok && number == 0 && b.reads(i) == dnn.BFloat16Last {
		p.Count, p.Kernels = t.Shape[0], dnn.Kernels{C: t.Shape[1], H: t.Shape[2], W: t.Shape[3]}
		if first, fold, ok := b.folding(); ok && i == first {
			p.Kernels.Fold = fold
		}
	}
	if c := b.copies[i][part]; len(c) > number {
		p.Copy = c[number]
		p.Narrow = number == 0
	}
	return p
}

// weightGradient makes the tensor of the gradient by layer i's weight.
func (b *builder) weightGradient(i, part int, p dnn.Param) dnn.Tensor {
	t := b.Devices[part].Tensors[b.params[i][part][0]]
	if !p.Narrow {
		return b.tensor(part, Work, "gradient of "+t.Name, t.Shape...)
	}
	s := p.Kernels.Copied()
	return b.tensorIn(dnn.BFloat16, part, Work, "gradient of "+t.Name, p.Count, s.H, s.W, s.C)
}
