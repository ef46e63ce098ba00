package pack

import "alexnet/loader/record"

// sums are taken over pixels, in integers: exact, and the same in any order. A
// product of two pixels has 16 bits, so 2^47 pixels fit: 2 billion images of
// 256x256.
type sums struct {
	height, width int
	images        int64
	pixel         []uint64     // HWC: sum over images
	product       [3][3]uint64 // upper half: sum over all pixels of color i times color j
}

func newSums(height, width int) *sums {
	return &sums{height: height, width: width, pixel: make([]uint64, height*width*3)}
}

// add counts one image.
func (s *sums) add(pixels []byte) {
	s.images++
	var rr, rg, rb, gg, gb, bb uint64
	total := s.pixel[:len(pixels)]
	for i := 0; i+2 < len(pixels); i += 3 {
		r, g, b := uint64(pixels[i]), uint64(pixels[i+1]), uint64(pixels[i+2])
		total[i] += r
		total[i+1] += g
		total[i+2] += b
		rr += r * r
		rg += r * g
		rb += r * b
		gg += g * g
		gb += g * b
		bb += b * b
	}
	for i, row := range [3][3]uint64{{rr, rg, rb}, {0, gg, gb}, {0, 0, bb}} {
		for j, v := range row {
			s.product[i][j] += v
		}
	}
}

// statistics returns mean image, mean colour and covariance, in float64.
func (s *sums) statistics() *record.Statistics {
	st := &record.Statistics{Height: s.height, Width: s.width, Images: s.images, Mean: make([]float32, len(s.pixel))}
	var color [3]uint64
	for i, v := range s.pixel {
		st.Mean[i] = float32(float64(v) / float64(s.images))
		color[i%3] += v
	}
	n := float64(s.images) * float64(s.height*s.width)
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
