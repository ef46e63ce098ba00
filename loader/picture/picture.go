// Package picture turns image files into pixels, as section 2 of the paper does:
// the image is scaled so that its shorter side has 256 pixels, and the centre of
// 256x256 is cut out.
//
// A file's format is told by its content: JPEG (grey, YCbCr, RGB, CMYK and
// YCCK), PNG, GIF (the first picture, on its canvas), WebP and BMP. Grey becomes
// RGB, 16 bits become 8, and what is transparent comes to lie on black. JPEG is
// decoded by libturbojpeg where that can be opened at run time (see [JPEG]), all
// else, and any file that libturbojpeg finds fault with, by Go's decoders. Chroma
// that is subsampled is interpolated, with the same bits either way (see [planes]).
// A file that Go can decode gives the same image either way, to 2 levels of 255 (one
// byte in 50,000 to 4, since the two round their DCT differently). A file that was
// cut short is refused either way. libturbojpeg accepts a few that Go refuses:
// kinds that Go does not know, such as CMYK without an Adobe segment, and about 1
// in 100 of those in which a byte is wrong.
//
// An image travels: file -> decoded planes or pixels -> rows of lanes ([rows]) ->
// scaled across -> a ring of such rows -> scaled down -> bytes, turned upright.
package picture

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Options say what is made of an image. The zero value leaves it as it is.
type Options struct {
	// Size is what the shorter side is scaled to, and the side of the square that
	// is cut from the centre. 0 leaves the pixels as they are.
	Size int
	// Full keeps what lies beside that square: the shorter side has Size pixels,
	// the longer side at most MaxAspect times as many, from its middle. The centre
	// of it is, bit for bit, the square that is made without Full.
	Full bool
	// Filter is how it is scaled.
	Filter Filter
	// Orient turns a JPEG as its EXIF orientation says, so that it stands upright.
	// The paper's images are pixels as stored.
	Orient bool
}

// MaxAspect is the longer side of a full image over its shorter side, at most.
const MaxAspect = 2

// Image is a picture of 8-bit RGB, pixel after pixel, row after row.
type Image struct {
	Pixels        []byte
	Height, Width int
}

// Decoder decodes image files, one at a time: it is for one goroutine. It keeps
// its memory for the next image.
type Decoder struct {
	options Options
	turbo   *turbo // nil: Go's image/jpeg
	decoded decoded
	scaler  scaler
	stored  []byte // an image that is still to be turned
	closed  bool
}

// NewDecoder returns a decoder, which must be closed. It is an error if the
// environment asks for a JPEG decoder that is not there.
func NewDecoder(o Options) (*Decoder, error) {
	library, _, err := useJPEG()
	if err != nil {
		return nil, err
	}
	return newDecoder(o, library)
}

// newDecoder returns a decoder that decodes JPEG with library, or with Go's
// image/jpeg if that is nil.
func newDecoder(o Options, library *turboLibrary) (*Decoder, error) {
	switch {
	case o.Size < 0 || o.Size > maxPixels/max(o.Size, 1)/MaxAspect:
		return nil, fmt.Errorf("images of %dx%d are asked for; at most %d pixels are allowed", o.Size, o.Size, maxPixels/MaxAspect)
	case o.Full && o.Size == 0:
		return nil, errors.New("full images are asked for, but not to what size their shorter side is scaled")
	case !o.Filter.valid():
		return nil, fmt.Errorf("there is no filter %d", int(o.Filter))
	}
	d := &Decoder{options: o}
	if library != nil {
		d.turbo = &turbo{library: library}
	}
	return d, nil
}

// Close gives back the decoder's memory. It may be closed twice.
func (d *Decoder) Close() error {
	*d = Decoder{closed: true}
	return nil
}

// Decode returns the picture of an image file. It lies in dst where that is
// large enough, and in new memory where it is not. It ends with ctx, and refuses a
// JPEG of more than 100 scans, or any file that takes longer than two minutes.
// libturbojpeg is not interrupted: the scans bound its time.
func (d *Decoder) Decode(ctx context.Context, file, dst []byte) (Image, error) {
	if d.closed {
		return Image{}, errors.New("the image decoder is closed")
	}
	if err := d.decode(ctx, file); err != nil {
		return Image{}, err
	}
	w := d.options.window(d.decoded.height, d.decoded.width)
	m := Image{Height: w.y.pixels(), Width: w.x.pixels()}
	m.Pixels = grow(dst, m.Height*m.Width*3)
	turn := upright
	if d.options.Orient && isJPEG(file) {
		turn = orientation(file)
	}
	if turn == upright {
		d.scaler.scale(m.Pixels, d.decoded.rows, w, d.options.Filter)
		return m, nil
	}
	d.stored = grow(d.stored, len(m.Pixels))
	d.scaler.scale(d.stored, d.decoded.rows, w, d.options.Filter)
	stored := Image{d.stored, m.Height, m.Width}
	if turn.swaps() {
		m.Height, m.Width = m.Width, m.Height
	}
	turn.apply(m, stored)
	return m, nil
}

// grow returns b with length n, or new memory if b has no room. What it holds is
// of no use.
func grow[T any](b []T, n int) []T {
	return slices.Grow(b[:0], n)[:n]
}
