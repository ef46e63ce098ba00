package loader

import "alexnet/loader/record"

// Image reads one image of a split by its number, as in [Batch.Images] of a test:
// what the index says of it and its pixels as they are stored, [Height][Width][3].
// It decodes the whole chunk that the image is in; for more than one see
// [Set.Images].
func (s *Set) Image(split string, image int64) (record.Image, []byte, error) {
	m, err := s.Images(split)
	if err != nil {
		return record.Image{}, nil, err
	}
	return m.stored(image)
}
