package pack

import "alexnet/loader/record"

// sums are taken over pixels, in integers: exact, and the same in any order. A
// product of two pixels has 16 bits, so 2^47 pixels fit: 2 billion images of
// 256x256. Of whole images the middle counts, as it would be cut out.
type sums struct {
	shape   record.Shape
	images  int64
	pixel   []uint64     // HWC: sum over images
	product [3][3]uint64 // upper half: sum over all pixels of color i times color j
}

func newSums(shape record.Shape) *sums {
	return &sums{shape: shape, pixel: make([]uint64, shape.ImageBytes())}
}

// add counts the images of a chunk.
func (s *sums) add(c *record.Chunk) {
	for i := range c.Len() {
		s.image(c.Image(i))
	}
}

// image counts one image.
func (s *sums) image(im record.Image, pixels []byte) {
	s.images++
	row := 3 * s.shape.Width
	top, left := s.shape.Middle(im.Height, im.Width)
	for y := range s.shape.Height {
		s.row(s.pixel[y*row:][:row], pixels[((top+y)*im.Width+left)*3:][:row])
	}
}

// row counts a row of pixels.
func (s *sums) row(total []uint64, pixels []byte) {
	var rr, rg, rb, gg, gb, bb uint64
	for len(pixels) >= 3 && len(total) >= 3 {
		r, g, b := uint64(pixels[0]), uint64(pixels[1]), uint64(pixels[2])
		total[0] += r
		total[1] += g
		total[2] += b
		rr += r * r
		rg += r * g
		rb += r * b
		gg += g * g
		gb += g * b
		bb += b * b
		pixels, total = pixels[3:], total[3:]
	}
	for i, row := range [3][3]uint64{{rr, rg, rb}, {0, gg, gb}, {0, 0, bb}} {
		for j, v := range row {
			s.product[i][j] += v
		}
	}
}

// merge adds t to s.
func (s *sums) merge(t *sums) {
	s.images += t.images
	for i, v := range t.pixel {
		s.pixel[i] += v
	}
	for i, row := range t.product {
		for j, v := range row {
			s.product[i][j] += v
		}
	}
}

// statistics returns mean image, mean colour and covariance, in float64.
func (s *sums) statistics() *record.Statistics {
	st := &record.Statistics{Height: s.shape.Height, Width: s.shape.Width, Images: s.images, Mean: make([]float32, len(s.pixel))}
	var color [3]uint64
	for i, v := range s.pixel {
		st.Mean[i] = float32(float64(v) / float64(s.images))
		color[i%3] += v
	}
	n := float64(s.images) * float64(s.shape.Height*s.shape.Width)
	for i := range 3 {
		st.RGB[i] = float64(color[i]) / n
	}
	for i := range 3 {
		for j := i; j < 3; j++ {
			v := float64(s.product[i][j])/n - st.RGB[i]*st.RGB[j]
			st.Covariance[i][j], st.Covariance[j][i] = v, v
		}
	}
	return st
}
