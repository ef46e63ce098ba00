package loader

import (
	"context"
	"io"
	"runtime"

	"alexnet/loader/record"

	"golang.org/x/sync/errgroup"
)

// Some makes test batches of images from anywhere: files, or a few of a data set.
type Some struct {
	images int64
	load   func(image int64) (pixels []byte, label int32, err error)
	cutter Batches // knows shape and views
	batch  *Batch
	row    int64 // of the sequence, the next
}

// NewSome makes batches of o.Rows patches, in the form and sequence of [Set.Test],
// of the given number of images. load returns the pixels of one, [height][width][3]
// RGB, which are not changed and not kept, and a label of 0 or more. It is called
// by several goroutines at once, for no more images than lie in a batch. Of o only
// Rows, Height, Width and Views count.
func NewSome(images int64, height, width int, load func(image int64) (pixels []byte, label int32, err error), o Options) (*Some, error) {
	shape, err := record.NewShape(height, width, 0)
	if err != nil {
		return nil, err
	}
	s := &Some{images: images, load: load}
	if s.cutter.options, err = o.fill(shape); err != nil {
		return nil, err
	}
	s.cutter.shape, s.cutter.views = shape, s.cutter.options.Views
	list, err := s.cutter.options.newBatches(1)
	if err != nil {
		return nil, err
	}
	s.batch = list[0]
	return s, nil
}

// Next returns the next batch, which is the caller's until it calls Next again,
// the error of load, ctx's own, or io.EOF after the last batch.
func (s *Some) Next(ctx context.Context) (*Batch, error) {
	views := int64(s.cutter.views)
	if s.row >= s.images*views {
		return nil, io.EOF
	}
	first, rows := s.row, int64(s.cutter.options.Rows)
	s.row += rows
	s.batch.First = first
	for row := s.images*views - first; row < rows; row++ {
		s.batch.blank(int(row))
	}
	end := min(s.row, s.images*views)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for image := first / views; image*views < end; image++ {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			pixels, label, err := s.load(image)
			if err != nil {
				return err
			}
			stored := record.Image{Label: label, Height: s.cutter.shape.Height, Width: s.cutter.shape.Width}
			for row := max(image*views, first); row < min((image+1)*views, end); row++ {
				s.cutter.cut(s.batch, int(row-first), stored, pixels, 0, int(image), int(row%views))
			}
			return nil
		})
	}
	return s.batch, g.Wait()
}

// Release is there as with [Batches].
func (s *Some) Release(*Batch) {}

// Close is there as with [Batches]: a Some has nothing to give back.
func (s *Some) Close() error { return nil }
