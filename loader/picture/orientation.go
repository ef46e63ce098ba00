package picture

import (
	"bytes"
	"encoding/binary"
)

// turn is an EXIF orientation, 1 to 8: what the first row and the first column of
// the stored pixels are in the upright picture.
type turn int

// upright is the orientation of pixels as stored: the first row is the top, the
// first column the left.
const upright turn = 1

// swaps says whether the stored rows are columns of the upright picture.
func (t turn) swaps() bool { return t >= 5 }

// apply writes the stored picture upright to dst, whose size fits.
func (t turn) apply(dst, stored Image) {
	// From pixel to pixel, and from row to row, of dst the stored bytes lie these
	// steps apart. at is where the first pixel lies.
	right, down := 3, 3*stored.Width
	bottom, end := (stored.Height-1)*down, (stored.Width-1)*right
	at := 0
	switch t {
	case 2: // top, right: a mirror image
		at, right = end, -right
	case 3: // bottom, right: upside down
		at, right, down = bottom+end, -right, -down
	case 4: // bottom, left
		at, down = bottom, -down
	case 5: // left, top
		right, down = down, right
	case 6: // right, top: to be turned clockwise
		at, right, down = bottom, -down, right
	case 7: // right, bottom
		at, right, down = bottom+end, -down, -right
	case 8: // left, bottom: to be turned anticlockwise
		at, right, down = end, down, -right
	}
	to := dst.Pixels
	for y := range dst.Height {
		from := at + y*down
		for range dst.Width {
			copy(to[:3], stored.Pixels[from:from+3])
			to, from = to[3:], from+right
		}
	}
}

// orientation returns what a JPEG's EXIF segment says of its orientation, and
// upright where there is none, or none that makes sense.
func orientation(file []byte) turn {
	for marker, data := range segments(file) {
		const app1 = 0xe1
		if exif, ok := bytes.CutPrefix(data, []byte("Exif\x00\x00")); ok && marker == app1 {
			return tiffOrientation(exif)
		}
	}
	return upright
}

// tiffOrientation reads it from the first directory of a TIFF file, which is what
// an EXIF segment holds.
func tiffOrientation(b []byte) turn {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		order = binary.BigEndian
	}
	if order == nil || len(b) < 8 {
		return upright
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return upright
	}
	b = b[at:]
	entries := int(order.Uint16(b))
	// An entry: the tag, the type, how many values, and a value, or where they are.
	const size, tag, short = 12, 0x0112, 3
	for b = b[2:]; entries > 0 && len(b) >= size; b, entries = b[size:], entries-1 {
		if order.Uint16(b) != tag {
			continue
		}
		v := turn(order.Uint16(b[8:]))
		if order.Uint16(b[2:]) != short || order.Uint32(b[4:]) != 1 || v < 1 || v > 8 {
			return upright
		}
		return v
	}
	return upright
}
