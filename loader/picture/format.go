package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

// maxPixels bounds what an image file may claim before it is decoded.
const maxPixels = 64 << 20

// Bounds reads the size that an image file claims, as stored, and refuses a huge
// one. The picture may still turn out to be damaged.
func Bounds(file []byte) (height, width int, err error) {
	c, format, err := image.DecodeConfig(bytes.NewReader(file))
	if errors.Is(err, image.ErrFormat) {
		return 0, 0, fmt.Errorf("reading it as an image: %w", unknown(file))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading it as an image: %w", foreign(err))
	}
	if err := allowed(c.Height, c.Width); err != nil {
		return 0, 0, fmt.Errorf("a %s image %w", format, err)
	}
	return c.Height, c.Width, nil
}

// foreign returns an error of a library's decoder as text alone. A caller that looks
// for io.EOF or another such value means an event of its own.
func foreign(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends too early; it was cut short")
	}
	return errors.New(err.Error())
}

// allowed says whether memory is taken for an image of this size.
func allowed(height, width int) error {
	switch {
	case height < 1 || width < 1:
		return fmt.Errorf("without pixels: %dx%d", height, width)
	case width > maxPixels/height:
		return fmt.Errorf("of %dx%d; at most %d pixels are allowed", height, width, maxPixels)
	}
	return nil
}

// isJPEG says whether a file begins as a JPEG does.
func isJPEG(file []byte) bool { return len(file) > 2 && file[0] == 0xff && file[1] == 0xd8 }

// decoded is the image that was decoded last, as it came out of its decoder.
type decoded struct {
	height, width int
	rows          rows // one of those below
	rgbx          rgbx
	grey          grey
	cmyk          cmyk
	planes        planes
	dimmed        dimmed
	canvas        *image.RGBA // what is of another kind is drawn on it
}

// decode decodes a file into d.decoded. What libturbojpeg finds the slightest
// fault with, Go's decoder accepts or refuses, so that the same files make a data
// set whether or not the library is there.
func (d *Decoder) decode(ctx context.Context, file []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.turbo != nil && isJPEG(file) && d.turbo.decode(file, &d.decoded) {
		return nil
	}
	h, w, err := Bounds(file)
	if err != nil {
		return err
	}
	var l layout
	if isJPEG(file) {
		if err := fewScans(file, h, w); err != nil {
			return err
		}
		l = layoutOf(file)
	}
	if l.ycck {
		file = unconverted(file)
	}
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	img, format, err := image.Decode(&reader{limited, bytes.NewReader(file)})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("decoding it takes longer than %v", longest)
	default:
		return fmt.Errorf("decoding it: %w", foreign(err))
	}
	if format == "webp" {
		fullRange(img)
	}
	if (l.ycck || l.subsampled()) && d.decoded.takeRepeated(img, l) {
		return nil
	}
	d.decoded.take(img, h, w)
	return nil
}

// take makes an image the decoded one.
func (d *decoded) take(img image.Image, height, width int) {
	d.height, d.width = height, width
	canvas := image.Rect(0, 0, width, height)
	if img.Bounds() == canvas {
		switch m := img.(type) {
		case *image.YCbCr:
			d.planes.YCbCr, d.planes.colors = m, ycc
			d.rows = &d.planes
			return
		case *image.NYCbCrA:
			d.dimmed.planes.YCbCr, d.dimmed.planes.colors = &m.YCbCr, ycc
			d.dimmed.light, d.dimmed.stride, d.dimmed.invert = m.A, m.AStride, false
			d.rows = &d.dimmed
			return
		case *image.Gray:
			d.grey = grey{m.Pix, m.Stride}
			d.rows = &d.grey
			return
		case *image.CMYK:
			d.cmyk = cmyk{m.Pix, m.Stride, true}
			d.rows = &d.cmyk
			return
		case *image.RGBA: // multiplied by its opacity, so it lies on black
			d.rgbx = rgbx{m.Pix, m.Stride}
			d.rows = &d.rgbx
			return
		}
	}
	if d.canvas == nil || d.canvas.Rect != canvas {
		d.canvas = image.NewRGBA(canvas)
	} else {
		clear(d.canvas.Pix) // the picture may be smaller
	}
	// Into transparent black, which is what Src leaves of what is transparent.
	draw.Draw(d.canvas, img.Bounds(), img, img.Bounds().Min, draw.Src)
	d.rgbx = rgbx{d.canvas.Pix, d.canvas.Stride}
	d.rows = &d.rgbx
}
