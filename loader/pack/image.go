package pack

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif"  // the first picture
	_ "image/jpeg" // grey, YCbCr, RGB and CMYK
	_ "image/png"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

// maxPixels bounds what an image file may claim before it is decoded.
const maxPixels = 64 << 20

// scratch is what one worker decodes with, kept for the next image.
type scratch struct {
	file []byte
	rgba *image.RGBA
}

// size reads the size that an image file claims, and refuses a huge one.
func size(file []byte) (height, width int, err error) {
	c, format, err := image.DecodeConfig(bytes.NewReader(file))
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("reading it as an image: %w", err)
	case c.Width < 1 || c.Height < 1:
		return 0, 0, fmt.Errorf("a %s image without pixels", format)
	case c.Width > maxPixels/c.Height:
		return 0, 0, fmt.Errorf("a %s image of %dx%d; at most %d pixels are allowed", format, c.Height, c.Width, maxPixels)
	}
	return c.Height, c.Width, nil
}

// decode decodes an image file into dst, height x width RGB. With fit, the
// image may be of any size: its largest centred square is scaled to dst, which
// is the centre that is left where the shorter side is scaled to height.
// Without, it must be of that size.
//
// Grey becomes RGB, 16 bits become 8, what is transparent comes to lie on black,
// and the orientation that a camera may have noted is not heeded.
func decode(file []byte, dst []byte, height, width int, fit bool, s *scratch) error {
	h, w, err := size(file)
	if err != nil {
		return err
	}
	if !fit && (h != height || w != width) {
		return fmt.Errorf("it is %dx%d, and the first image %dx%d; give a size to which all are scaled", h, w, height, width)
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return fmt.Errorf("decoding it: %w", err)
	}
	b := img.Bounds()
	if b.Empty() || (!fit && (b.Dx() != width || b.Dy() != height)) {
		return fmt.Errorf("its picture is %dx%d, and its header says %dx%d", b.Dy(), b.Dx(), h, w)
	}
	if s.rgba == nil || s.rgba.Rect.Dx() != width || s.rgba.Rect.Dy() != height {
		s.rgba = image.NewRGBA(image.Rect(0, 0, width, height))
	}
	if fit {
		b = centre(b)
	}
	if b.Size() == s.rgba.Rect.Size() {
		draw.Draw(s.rgba, s.rgba.Rect, img, b.Min, draw.Src)
	} else {
		draw.CatmullRom.Scale(s.rgba, s.rgba.Rect, img, b, draw.Src, nil)
	}
	for i, j := 0, 0; i < len(dst); i, j = i+3, j+4 {
		copy(dst[i:i+3], s.rgba.Pix[j:j+3])
	}
	return nil
}

// centre returns the largest square in the middle of r.
func centre(r image.Rectangle) image.Rectangle {
	side := min(r.Dx(), r.Dy())
	at := r.Min.Add(image.Pt((r.Dx()-side)/2, (r.Dy()-side)/2))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))}
}
