package train

import (
	"context"
	"slices"

	"alexnet/checkpoint"
	"alexnet/internal/raw"
	"alexnet/model"
	"alexnet/report"
)

// kernels reads the first convolution's weights, [kernels, channels/groups,
// height, width], back from the devices into the run's tensors. A network without
// a convolution has none: nil.
func (r *run) kernels(ctx context.Context) (layer string, t *checkpoint.Tensor, err error) {
	first := slices.IndexFunc(r.Net.Layers, func(l *model.Layer) bool {
		_, ok := l.Spec.(model.Conv)
		return ok
	})
	if first < 0 {
		return "", nil, nil
	}
	layer = r.Net.Layers[first].Name
	t = byName(r.tensors)[layer+".weight"]
	if err := r.runner.Synchronize(ctx); err != nil {
		return "", nil, err
	}
	for device := range r.train.Width() {
		for _, p := range r.train.Params(device) {
			if p.Name != t.Name {
				continue
			}
			if err := r.runner.Read(ctx, r.train, device, p.Tensor, raw.Bytes(rows(t, p))); err != nil {
				return "", nil, err
			}
		}
	}
	return layer, t, nil
}

// drawKernels records a picture of the first layer, as alexnet dump-filters draws
// it. One that cannot be drawn, of too many kernels, is no reason to stop.
func (r *run) drawKernels() error {
	layer, t, err := r.kernels(context.Background())
	if err != nil || t == nil {
		return err
	}
	picture, err := report.Filters(t.Data, [4]int(t.Shape), report.FilterOptions{Columns: r.Net.Columns})
	if err != nil {
		r.Message("there is no picture of %s: %v", layer, err)
		return nil
	}
	return r.record.events.Image(r.step, layer+"/kernels", picture)
}
