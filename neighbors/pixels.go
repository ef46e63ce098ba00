package neighbors

import (
	"context"
	"errors"
	"fmt"
	"io"

	"alexnet/loader"
)

// Pixels are the images of a split as vectors, in its order: 8-bit RGB minus the
// mean image, [height, width, 3].
type Pixels struct {
	mean    []float32
	batches *loader.Batches
	batch   *loader.Batch
	row     int // next of batch
}

// pixelRows is the count of images that are decoded together.
const pixelRows = 32

// OpenPixels starts reading a split.
func OpenPixels(ctx context.Context, set *loader.Set, split string) (*Pixels, error) {
	b, err := set.Test(ctx, loader.Options{Split: split, Rows: pixelRows})
	if err != nil {
		return nil, err
	}
	return &Pixels{mean: set.Mean(), batches: b}, nil
}

// Dim returns the count of numbers of an image.
func (p *Pixels) Dim() int { return len(p.mean) }

// Next is that of [Vectors].
func (p *Pixels) Next(ctx context.Context, dst []float32) (n int, err error) {
	for len(dst) >= len(p.mean) {
		if p.batch == nil || p.row == len(p.batch.Labels) {
			if p.batch != nil {
				p.batches.Release(p.batch)
			}
			p.batch, err = p.batches.Next(ctx)
			if err != nil { // io.EOF comes again
				break
			}
			p.row = 0
		}
		if p.batch.Labels[p.row] < 0 { // behind the last image
			p.row++
			continue
		}
		centre(dst, p.batch.Pixels[p.row*len(p.mean):], p.mean)
		dst = dst[len(p.mean):]
		p.row++
		n++
	}
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// PixelsOf returns one image of a split as a vector.
func PixelsOf(set *loader.Set, split string, image int64) ([]float32, error) {
	pixels, _, err := set.Image(split, image)
	if err != nil {
		return nil, fmt.Errorf("pixels: %w", err)
	}
	x := make([]float32, len(pixels))
	centre(x, pixels, set.Mean())
	return x, nil
}

func centre(dst []float32, pixels []byte, mean []float32) {
	for i, m := range mean {
		dst[i] = float32(pixels[i]) - m
	}
}

// Close stops the reading.
func (p *Pixels) Close() error { return p.batches.Close() }
