package train

import (
	"context"
	"errors"

	"alexnet/loader"
	"alexnet/plan"
)

// batches are what a network looks at: a split, or stills.
type batches interface {
	Next(context.Context) (*loader.Batch, error)
	Release(*loader.Batch)
	Close() error
}

// batchOptions returns those of batches for p.
func batchOptions(p *plan.Program, views int, take func(bytes int64) ([]byte, error)) loader.Options {
	return loader.Options{Rows: p.Batch, Height: p.Net.Input.H, Width: p.Net.Input.W, Views: views, Memory: take}
}

// forward runs a test program over batches. After each, it calls done, if there is
// one, and then each for every row that has an image, with its number and label.
func forward(ctx context.Context, r *plan.Runner, p *plan.Program, h *host, from batches,
	each func(row int, image int64, label int32) error, done func() error) error {
	begun := context.WithoutCancel(ctx) // nothing may be under way when memory is given back
	some := false
	for {
		b, err := from.Next(ctx)
		if errors.Is(err, loader.ErrEnd) {
			if !some {
				return errors.New("there is no image that is whole; pack the data set again")
			}
			return nil
		}
		if err != nil {
			return err
		}
		h.set(b, 0, nil)
		err = r.Launch(begun, p, 0, len(p.Steps), &h.slots)
		if done := r.Synchronize(begun); err == nil {
			err = done
		}
		if err == nil && done != nil {
			err = done()
		}
		if err != nil {
			return err
		}
		for row, image := range b.Images {
			if image < 0 {
				continue
			}
			some = true
			if err := each(row, image, b.Labels[row]); err != nil {
				return err
			}
		}
		from.Release(b)
	}
}
