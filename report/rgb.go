package report

import (
	"fmt"
	"image"
)

// RGB returns pixels [height][width][3] as an image.
func RGB(pixels []byte, height, width int) (*image.RGBA, error) {
	if height < 1 || width < 1 || len(pixels)/3/width != height || len(pixels) != 3*height*width {
		return nil, fmt.Errorf("%d bytes make no image of %dx%d pixels", len(pixels), height, width)
	}
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range height * width {
		copy(m.Pix[4*i:], pixels[3*i:3*i+3])
		m.Pix[4*i+3] = 0xff
	}
	return m, nil
}
