package loader

import (
	"fmt"

	"alexnet/loader/record"
)

// Image reads one image of a split: its pixels, [Height][Width][3] RGB, of whole
// images the middle, and its label. The chunk that it lies in is read for it, so
// this is for few images.
func (s *Set) Image(split string, n int64) (pixels []byte, label int32, err error) {
	shards, err := s.split(split)
	if err != nil {
		return nil, 0, err
	}
	in := n
	for _, r := range shards {
		if in >= 0 && in < int64(r.Images()) {
			return readImage(r, int(in))
		}
		in -= int64(r.Images())
	}
	return nil, 0, fmt.Errorf("the split %s of data set %s has no image %d: it has %d", split, s.Info().Name, n, s.Info().Splits[split].Images)
}

func readImage(r *record.Reader, n int) ([]byte, int32, error) {
	var d record.Decoder
	shape := r.Shape()
	if err := d.Read(r, n/shape.ChunkImages); err != nil {
		return nil, 0, err
	}
	im, whole := d.Image(n % shape.ChunkImages)
	top, left := shape.Middle(im.Height, im.Width)
	pixels := make([]byte, shape.ImageBytes())
	crop(pixels, whole, im.Width, shape.Height, shape.Width, view{top: top, left: left})
	return pixels, im.Label, nil
}
