package loader

import (
	"fmt"

	"alexnet/loader/record"
)

// Image reads one image of a split by its number, as in [Batch.Images] of a test:
// what the index says of it and its pixels as they are stored, [Height][Width][3].
// It decodes the whole chunk that the image is in.
func (s *Set) Image(split string, image int64) (record.Image, []byte, error) {
	shards, err := s.split(split)
	if err != nil {
		return record.Image{}, nil, err
	}
	if n := s.Info().Splits[split].Images; image < 0 || image >= int64(n) {
		return record.Image{}, nil, fmt.Errorf("there is no image %d in the split %s of %s, which has %d", image, split, s.Info().Name, n)
	}
	left, shard := int(image), shards[0] // images before it in its shard
	for _, next := range shards[1:] {
		if left < shard.Images() {
			break
		}
		left, shard = left-shard.Images(), next
	}
	chunk := left / s.Info().ChunkImages
	first, _ := shard.Chunk(chunk)
	var d record.Decoder
	if err := d.Read(shard, chunk); err != nil {
		return record.Image{}, nil, err
	}
	im, pixels := d.Image(left - first)
	return im, pixels, nil
}
