package picture

import "image"

// fullRange spreads the luma and chroma of a lossy WebP, in which black is 16 and
// white 235, over all of the 8 bits, as they are in a JPEG. The decoder hands
// them over as they are stored, as if they were a JPEG's.
func fullRange(img image.Image) {
	var m *image.YCbCr
	switch t := img.(type) {
	case *image.YCbCr:
		m = t
	case *image.NYCbCrA:
		m = &t.YCbCr
	default: // lossless
		return
	}
	stretch(m.Y, 16, 0, 219)
	stretch(m.Cb, 128, 128, 224)
	stretch(m.Cr, 128, 128, 224)
}

// stretch makes distances from zero, of at most width, distances from at, of at
// most 255.
func stretch(b []byte, zero, at, width int) {
	var table [256]byte
	for v := range table {
		d := 2*255*(v-zero) + width // twice, and half a step to round
		if d < 0 {
			d -= 2*width - 1 // towards minus infinity
		}
		table[v] = byte(min(max(at+d/(2*width), 0), 255))
	}
	for i, v := range b {
		b[i] = table[v]
	}
}
