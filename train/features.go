package train

import (
	"context"
	"errors"
	"fmt"

	"alexnet/internal/raw"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"
)

// Features is a trained network on devices that shows what one of its layers makes
// of images.
type Features struct {
	*Model
	Layer string
	Shape model.Shape // of the layer's output: [channels, height, width]
	index int
}

// OpenFeatures opens a checkpoint as [OpenModel] does, to look at a layer; "" is
// the last hidden one, [model.Net.LastHidden].
func OpenFeatures(ctx context.Context, path string, on plan.Placement, batch int, layer string) (*Features, error) {
	m, err := readModel(path)
	if err != nil {
		return nil, err
	}
	var i int
	if layer == "" {
		i, err = m.Net.LastHidden()
	} else {
		i, err = m.Net.Index(layer)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w (-layer)", path, err)
	}
	l := m.Net.Layers[i]
	if err := m.open(ctx, on, batch, l.Name); err != nil {
		return nil, err
	}
	return &Features{Model: m, Layer: l.Name, Shape: l.Out, index: i}, nil
}

// Of calls each with the number, label and features of every image of a split, in
// order: the layer's output for the centre patch, channels, height, width, all
// columns. They are each's only until it returns.
func (f *Features) Of(ctx context.Context, set *loader.Set, split string, each func(image int64, label int32, features []float32) error) (err error) {
	if err := f.Suits(set); err != nil {
		return err
	}
	m := memory{device: f.memory.device}
	defer func() { err = errors.Join(err, m.Close()) }()
	o := batchOptions(f.program, 1, m.take)
	o.Split = split
	from, err := set.Test(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	return f.each(ctx, from, each)
}

// OfStills is Of for images that are chosen one by one.
func (f *Features) OfStills(ctx context.Context, s *loader.Stills, each func(image int64, label int32, features []float32) error) (err error) {
	m := memory{device: f.memory.device}
	defer func() { err = errors.Join(err, m.Close()) }()
	from, err := s.Test(batchOptions(f.program, 1, m.take))
	if err != nil {
		return err
	}
	return f.each(ctx, from, each)
}

func (f *Features) each(ctx context.Context, from batches, each func(int64, int32, []float32) error) error {
	p := f.program
	columns := 1                       // devices that have a part of each image's
	if f.Net.Layers[f.index].Divided { // the parts stand one after the other along the channels
		columns = p.Width()
	}
	part := f.Shape.Size() / columns
	outputs := make([][]float32, columns) // [column][batch, part]
	for c := range outputs {
		outputs[c] = make([]float32, p.Batch*part)
	}
	features := make([]float32, f.Shape.Size())
	return forward(ctx, f.runner, p, f.host, from,
		func(row int, image int64, label int32) error {
			for c, out := range outputs {
				copy(features[c*part:], out[row*part:][:part])
			}
			if err := finite(features, image, f.Layer); err != nil {
				return err
			}
			return each(image, label, features)
		},
		func() error {
			for c, out := range outputs {
				share := len(out) / p.Replicas
				for replica := range p.Replicas {
					device := replica*p.Width() + c
					err := f.runner.Read(context.WithoutCancel(ctx), p, device, p.Devices[device].Outputs[f.index], raw.Bytes(out[replica*share:][:share]))
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
}
