package loader

import (
	"fmt"

	"alexnet/loader/record"
)

// Images gives the images of a split by their numbers. It keeps the chunk that it
// read last, so that images in a row cost one reading. It is for one goroutine.
type Images struct {
	set    *Set
	split  string
	shards []*record.Reader
	shape  record.Shape

	decoder      record.Decoder
	shard, chunk int // that the decoder holds; chunk -1 is none
}

// Images opens a split ("train", "test") for reading image by image.
func (s *Set) Images(split string) (*Images, error) {
	shards, err := s.split(split)
	if err != nil {
		return nil, err
	}
	return &Images{set: s, split: split, shards: shards, shape: shards[0].Shape(), chunk: -1}, nil
}

// Len returns how many images there are.
func (m *Images) Len() int64 { return int64(m.set.Info().Splits[m.split].Images) }

// Read writes image i, [Height][Width][3] RGB of the data set's size, to dst, and
// returns its label. Of a whole image that is the middle.
func (m *Images) Read(i int64, dst []byte) (label int32, err error) {
	im, pixels, err := m.stored(i)
	if err != nil {
		return 0, err
	}
	v := view{}
	v.top, v.left = m.shape.Middle(im.Height, im.Width)
	crop(dst[:m.shape.ImageBytes()], pixels, im.Width, m.shape.Height, m.shape.Width, v)
	return im.Label, nil
}

// stored returns what the index says of image i, and its pixels as they are stored,
// until the next call.
func (m *Images) stored(i int64) (im record.Image, pixels []byte, err error) {
	first := i
	shard := 0
	for ; shard < len(m.shards) && first >= int64(m.shards[shard].Images()); shard++ {
		first -= int64(m.shards[shard].Images())
	}
	if i < 0 || shard == len(m.shards) {
		return im, nil, fmt.Errorf("there is no image %d in the split %s of %s; it has %d", i, m.split, m.set.Info().Name, m.Len())
	}
	chunk := int(first) / m.shape.ChunkImages
	if shard != m.shard || chunk != m.chunk {
		m.chunk = -1
		if err := m.decoder.Read(m.shards[shard], chunk); err != nil {
			return im, nil, err
		}
		m.shard, m.chunk = shard, chunk
	}
	im, pixels = m.decoder.Image(int(first) % m.shape.ChunkImages)
	return im, pixels, nil
}
