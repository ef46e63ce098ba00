package train

import (
	"context"
	"errors"
	"fmt"

	"alexnet/dnn"
	"alexnet/internal/raw"
	"alexnet/loader"
	"alexnet/model"
)

// Features is a trained network of which one layer is read: what it makes of
// images, as the network is tested, that is, from the centre patch and with
// dropout as scaling.
type Features struct {
	*Model
	Layer int // index in the network
	parts []part
}

// part is what one device has of the layer's output.
type part struct {
	device  int
	tensor  dnn.Tensor
	numbers []float32 // [batch, size]
	size    int       // of one image
}

// OpenFeatures is [OpenModel] for reading a layer.
func OpenFeatures(ctx context.Context, path string, devices []dnn.Device, batch int, layer string) (*Features, error) {
	m, err := openModel(ctx, path, devices, batch, layer)
	if err != nil {
		return nil, err
	}
	f := &Features{Model: m}
	for m.Net.Layers[f.Layer].Name != layer { // it is there, or there were no plan
		f.Layer++
	}
	for i, d := range m.program.Devices {
		t := d.Outputs[f.Layer]
		if t == 0 || i > 0 && !m.Net.Layers[f.Layer].Divided {
			break // the first device has all of it
		}
		count := int(d.Tensors[t].Bytes / 4)
		f.parts = append(f.parts, part{i, t, make([]float32, count), count / m.program.Batch})
	}
	return f, nil
}

// LastHidden returns the layer that the last full layer of a network reads: the
// 4096 numbers of section 6, as they are at test time.
func LastHidden(net *model.Net) (string, error) {
	for i := len(net.Layers) - 1; i >= 0; i-- {
		l := net.Layers[i]
		if _, ok := l.Spec.(model.Full); ok && len(l.From) == 1 && l.From[0] != model.InputIndex {
			return net.Layers[l.From[0]].Name, nil
		}
	}
	return "", fmt.Errorf("the network %s has no full layer that reads another one: say which layer is meant (-layer)", net.Name)
}

// Shape returns the shape of the layer's output.
func (f *Features) Shape() model.Shape { return f.Net.Layers[f.Layer].Out }

// Set calls each with the index, label and activations of every image of a split,
// in order; damaged images, where the set skips them, are left out. Activations
// are [channels, height, width], the columns one after the other, and each's only
// until it returns. The set may have other classes than the network.
func (f *Features) Set(ctx context.Context, set *loader.Set, split string, each func(image int64, label int32, x []float32) error) (err error) {
	if err := f.accepts(set); err != nil {
		return err
	}
	host := memory{device: f.memory.device}
	defer func() { err = errors.Join(err, host.Close()) }()
	b, err := set.Test(ctx, testOptions(f.program, split, 1, &host))
	if err != nil {
		return err
	}
	return f.read(ctx, b, each)
}

// Some is Set for n images from anywhere: see [Model.PredictSome].
func (f *Features) Some(ctx context.Context, n int64, load Load, each func(image int64, label int32, x []float32) error) (err error) {
	host := memory{device: f.memory.device}
	defer func() { err = errors.Join(err, host.Close()) }()
	some, err := f.some(n, load, 1, &host)
	if err != nil {
		return err
	}
	return f.read(ctx, some, each)
}

func (f *Features) read(ctx context.Context, source batches, each func(image int64, label int32, x []float32) error) error {
	x := make([]float32, f.Shape().Size())
	return forward(ctx, f.runner, f.program, f.host, source,
		func(row int, image int64, label int32) error {
			at := x[:0]
			for _, p := range f.parts {
				at = append(at, p.numbers[row*p.size:][:p.size]...)
			}
			return each(image, label, x)
		},
		func(ctx context.Context) error {
			for _, p := range f.parts {
				if err := f.runner.Read(ctx, f.program, p.device, p.tensor, raw.Bytes(p.numbers)); err != nil {
					return err
				}
			}
			return nil
		})
}
