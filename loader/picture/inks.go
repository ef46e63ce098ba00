package picture

import (
	"bytes"
	"image"
)

// Go's decoder repeats the samples of planes that are subsampled, if they are red,
// green and blue, or inks. What follows gets the planes back, so that they are
// interpolated as luma and chroma are.

// layout says how the planes of a JPEG are stored.
type layout struct {
	ratio image.YCbCrSubsampleRatio // of the second and the third plane
	ycck  bool                      // luma, chroma and black
}

func (l layout) subsampled() bool { return l.ratio != image.YCbCrSubsampleRatio444 }

// layoutOf reads the layout of a JPEG from its segments. It is a guess if these are
// damaged, which Go's decoder will notice.
func layoutOf(file []byte) (l layout) {
	four, transform := false, false
	for marker, data := range segments(file) {
		const sof0, sof2 = 0xc0, 0xc2
		switch {
		case marker >= sof0 && marker <= sof2 && len(data) >= 12:
			four = data[5] == 4
			l.ratio = ratio(data[7], data[10])
		case isAdobe(marker, data):
			transform = data[adobeTransform] != 0
		}
	}
	l.ycck = four && transform
	return l
}

// ratio returns how a plane is subsampled, from the sampling of the first plane and
// its own: columns in the higher half of a byte, rows in the lower.
func ratio(first, own byte) image.YCbCrSubsampleRatio {
	if own>>4 == 0 || own&15 == 0 {
		return image.YCbCrSubsampleRatio444
	}
	switch [2]byte{(first >> 4) / (own >> 4), (first & 15) / (own & 15)} {
	case [2]byte{1, 2}:
		return image.YCbCrSubsampleRatio440
	case [2]byte{2, 1}:
		return image.YCbCrSubsampleRatio422
	case [2]byte{2, 2}:
		return image.YCbCrSubsampleRatio420
	case [2]byte{4, 1}:
		return image.YCbCrSubsampleRatio411
	case [2]byte{4, 2}:
		return image.YCbCrSubsampleRatio410
	}
	return image.YCbCrSubsampleRatio444 // or one that Go's decoder refuses
}

const adobeTransform = 11 // where its segment has the color transform

func isAdobe(marker byte, data []byte) bool {
	return marker == 0xee && len(data) > adobeTransform && bytes.HasPrefix(data, []byte("Adobe"))
}

// unconverted returns a JPEG of luma, chroma and black that says of itself that it
// is CMYK. So Go's decoder does not convert its samples.
func unconverted(file []byte) []byte {
	file = bytes.Clone(file)
	for marker, data := range segments(file) {
		if isAdobe(marker, data) {
			data[adobeTransform] = 0
		}
	}
	return file
}

// takeRepeated makes an image whose samples are repeated the decoded one. It says
// no if the image is of another kind.
func (d *decoded) takeRepeated(img image.Image, l layout) bool {
	var pixels []byte
	var flip byte
	stride, bounds := 0, img.Bounds()
	switch m := img.(type) {
	case *image.RGBA:
		pixels, stride = m.Pix, m.Stride
	case *image.CMYK:
		pixels, stride, flip = m.Pix, m.Stride, 0xff // stored the other way round
	default:
		return false
	}
	d.height, d.width = bounds.Dy(), bounds.Dx()
	p := image.NewYCbCr(bounds, l.ratio)
	fourth := make([]byte, bounds.Dx()*bounds.Dy())
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			s := pixels[y*stride+4*x:][:4]
			c := p.COffset(x, y)
			p.Y[p.YOffset(x, y)], p.Cb[c], p.Cr[c], fourth[y*bounds.Dx()+x] = s[0]^flip, s[1]^flip, s[2]^flip, s[3]^flip
		}
	}
	d.dimmed = dimmed{planes{YCbCr: p, colors: rgb}, fourth, bounds.Dx(), l.ycck}
	if l.ycck {
		d.dimmed.planes.colors = ycc
	}
	d.rows = &d.dimmed
	return true
}
