package plan

import (
	"slices"

	"alexnet/dnn"
	"alexnet/model"
)

// feed brings a batch to every device and makes the network's input of it.
// Weights come first in memory, then their copies and the mean, then momentum: so
// programs that train and programs that test find the same weights at the same place.
func (b *builder) feed() {
	in := b.Net.Input
	momentum := make([]func(), 0, len(b.Net.Layers))
	for part := range b.parts() {
		for i, l := range b.Net.Layers {
			weight, bias := b.Net.ParamShapes(i)
			if weight == nil {
				continue
			}
			weight, bias = slices.Clone(weight), slices.Clone(bias)
			weight[0] /= b.Width()
			bias[0] /= b.Width()
			b.params[i][part] = []dnn.Tensor{
				b.tensor(part, State, l.Name+".weight", weight...),
				b.tensor(part, State, l.Name+".bias", bias...),
			}
			b.copy(i, part)
			momentum = append(momentum, func() {
				b.params[i][part] = append(b.params[i][part],
					b.tensor(part, State, "momentum."+l.Name+".weight", weight...),
					b.tensor(part, State, "momentum."+l.Name+".bias", bias...))
			})
		}
	}
	for part := range b.parts() {
		mean := b.tensor(part, State, "mean", b.o.MeanH, b.o.MeanW, in.C)
		b.Devices[part].Mean = mean
		pixels := b.pin(part, b.tensor(part, Work, "pixels", b.batch, in.H, in.W, in.C))
		b.Devices[part].Tensors[pixels].Bytes /= 4 // uint8
		views := b.pin(part, b.tensor(part, Work, "views", b.batch, dnn.ViewFloats))
		b.control[part] = b.pin(part, b.tensor(part, Work, "control", int(b.ControlBytes()/4)))
		op := dnn.Input{Batch: b.batch, Format: b.format(model.InputIndex), Out: dnn.Shape(in), MeanH: b.o.MeanH, MeanW: b.o.MeanW,
			Pixels: pixels, Views: views, Mean: mean}
		made := op.Out
		if i, fold, ok := b.folding(); ok {
			op.Fold, op.Folded, op.Pad = fold, b.folded(i, fold), b.Net.Layers[i].Spec.(model.Conv).Window.Pad
			made = op.Folded
		}
		b.input[part] = b.maps(part, "input", op.Format, made)
		op.Y = b.input[part]
		b.step(model.InputIndex, Feed, part, Copy, Upload{Pixels, pixels})
		b.step(model.InputIndex, Feed, part, Copy, Upload{Views, views})
		b.launch(model.InputIndex, Forward, part, op)
	}
	for _, part := range b.runs(len(b.Net.Layers) - 1) {
		b.labels[part] = b.pin(part, b.tensor(part, Work, "labels", b.batch))
		b.step(model.InputIndex, Feed, part, Copy, Upload{Labels, b.labels[part]})
	}
	for part, control := range b.control {
		b.step(model.InputIndex, Feed, part, Copy, Upload{Control, control})
		b.signal()
	}
	if b.Mode == Train {
		for _, add := range momentum {
			add()
		}
	}
}

// results brings what the softmax counted to the host and, to test, what it read:
// probabilities may be too small for float32.
func (b *builder) results() {
	last := len(b.Net.Layers) - 1
	for _, part := range b.runs(last) {
		b.step(last, Result, part, Copy, Download{Stats, b.stats[part]})
		b.signal()
		if b.Mode == Test {
			b.step(last, Result, part, Copy, Download{Logits, b.in[last][part]})
			b.signal()
		}
	}
}
