package loader

import (
	"context"
	"errors"
	"fmt"

	"alexnet/loader/record"
)

// Stills are images that are looked at by number: files that a user names, or some
// of a data set.
type Stills struct {
	Height, Width int // of each
	Count         int

	// Read writes image i, 0 <= i < Count, to dst, [Height][Width][3] RGB, and returns
	// its label, or -1 where that is not known. It may end with ctx.
	Read func(ctx context.Context, i int, dst []byte) (label int32, err error)
}

// Test starts one pass over the stills: the rows of [Set.Test], where a label of
// -1 says nothing and a row without an image has -1 in Batch.Images. They are made
// one by one, as Next is called: to go through many images, pack them.
func (s *Stills) Test(o Options) (*StillBatches, error) {
	if o.Views != 1 && o.Views != 10 {
		return nil, fmt.Errorf("%d views of an image; there are 1 or 10", o.Views)
	}
	shape, err := record.NewShape(s.Height, s.Width, 0)
	if err != nil {
		return nil, err
	}
	if o.Height > s.Height || o.Width > s.Width {
		return nil, fmt.Errorf("a crop of %dx%d from images of %dx%d; it may not be larger", o.Height, o.Width, s.Height, s.Width)
	}
	list, err := o.newBatches(1)
	if err != nil {
		return nil, err
	}
	return &StillBatches{cutter: cutter{options: o, views: o.Views, shape: shape}, stills: s,
		batch: list[0], pixels: make([]byte, shape.ImageBytes())}, nil
}

// StillBatches are the batches of stills. The caller may have one at a time.
type StillBatches struct {
	cutter
	stills *Stills
	batch  *Batch
	row    int // of the sequence, to come next
	pixels []byte
	label  int32
}

// ErrEnd says that there are no more batches. It is the loader's own: a decoder's
// io.EOF speaks of a damaged file.
var ErrEnd = errors.New("no more batches")

// Next makes the next batch, or returns [ErrEnd] after the last.
func (b *StillBatches) Next(ctx context.Context) (*Batch, error) {
	if b.row == b.stills.Count*b.views {
		return nil, ErrEnd
	}
	t := b.batch
	t.First = int64(b.row)
	for row := range b.options.Rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if b.row == b.stills.Count*b.views {
			t.blank(row)
			continue
		}
		image, n := b.row/b.views, b.row%b.views
		if n == 0 {
			var err error
			if b.label, err = b.stills.Read(ctx, image, b.pixels); err != nil {
				return nil, err
			}
		}
		im := record.Image{Label: b.label, Height: b.shape.Height, Width: b.shape.Width}
		b.cut(t, row, im, b.pixels, 0, image, n)
		b.row++
	}
	return t, nil
}

// Release gives back the batch.
func (b *StillBatches) Release(*Batch) {}

// Close has nothing to wait for.
func (b *StillBatches) Close() error { return nil }
