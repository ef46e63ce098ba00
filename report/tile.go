package report

import (
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/draw"
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

// The colours of pictures on white.
var (
	paper = color.RGBA{0xff, 0xff, 0xff, 0xff}
	ink   = color.RGBA{0x1c, 0x1d, 0x20, 0xff}
	faint = color.RGBA{0x6a, 0x6d, 0x73, 0xff}
	wrong = color.RGBA{0xb4, 0x2b, 0x2b, 0xff}
)

// newPaper returns a white picture.
func newPaper(width, height int) (*image.RGBA, error) {
	if width > maxPixels/height {
		return nil, fmt.Errorf("the picture would have %d x %d pixels, and %d are allowed: draw fewer images", width, height, maxPixels)
	}
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(m, m.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	return m, nil
}

// tile draws an image as large as it gets in a square of side pixels at p, in its
// middle. Small images become whole mosaics, so that every pixel stays one.
func tile(to *image.RGBA, img *image.RGBA, p image.Point, side int) {
	size := img.Bounds().Size()
	longer := max(size.X, size.Y)
	var scaler draw.Scaler = draw.CatmullRom
	if longer <= side {
		size, scaler = size.Mul(side/longer), draw.NearestNeighbor
	} else {
		size = image.Pt(max(1, size.X*side/longer), max(1, size.Y*side/longer))
	}
	p = p.Add(image.Pt(side, side).Sub(size).Div(2))
	scaler.Scale(to, image.Rectangle{p, p.Add(size)}, img, img.Bounds(), draw.Src, nil)
}
