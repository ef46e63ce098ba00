package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"slices"
	"testing"
)

// exif returns an EXIF segment's contents with an orientation, after another tag.
func exif(order binary.AppendByteOrder, value uint16) []byte {
	b := []byte("Exif\x00\x00II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("Exif\x00\x00MM\x00*")
	}
	b = order.AppendUint32(b, 10)
	b = append(b, 0, 0)           // the directory need not follow at once
	b = order.AppendUint16(b, 2)  // entries
	b = order.AppendUint16(b, 12) // anything else
	b = append(b, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0)
	b = order.AppendUint16(b, 0x0112)
	b = order.AppendUint16(b, 3)
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, value)
	return append(b, 0, 0, 0, 0, 0, 0)
}

// insert puts a segment behind a JPEG's first two bytes.
func insert(file []byte, marker byte, data []byte) []byte {
	head := []byte{0xff, marker, byte((len(data) + 2) >> 8), byte(len(data) + 2)}
	return slices.Concat(file[:2], head, data, file[2:])
}

func withOrientation(file []byte, value uint16) []byte {
	return insert(file, 0xe1, exif(binary.BigEndian, value))
}

func TestOrientationIsRead(t *testing.T) {
	file := asJPEG(t, image.NewGray(image.Rect(0, 0, 8, 8)), 75)
	if got := orientation(file); got != upright {
		t.Errorf("without EXIF: %d", got)
	}
	for v := range uint16(11) {
		want := upright
		if v >= 1 && v <= 8 {
			want = turn(v)
		}
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			f := insert(file, 0xe1, exif(order, v))
			if got := orientation(f); got != want {
				t.Errorf("%v %d: %d", order, v, got)
			}
			f = insert(f, 0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00")) // XMP is APP1 too
			f = slices.Concat(f[:2], []byte{0xff, 0xff}, f[2:])             // fill bytes
			if got := orientation(f); got != want {
				t.Errorf("%v %d behind another segment: %d", order, v, got)
			}
		}
	}
	whole := exif(binary.BigEndian, 6)
	for n := range len(whole) - 10 { // up to the middle of the entry that counts
		if got := orientation(insert(file, 0xe1, whole[:n])); got != upright {
			t.Errorf("EXIF cut to %d bytes: %d", n, got)
		}
	}
	for _, at := range []int{6, 9, 13, 33, 37} { // byte order, magic number, address, type, count
		bad := bytes.Clone(whole)
		bad[at]++
		if got := orientation(insert(file, 0xe1, bad)); got != upright {
			t.Errorf("EXIF with byte %d changed: %d", at, got)
		}
	}
}

// An asymmetric picture, stored in each of the 8 ways, comes out upright; without
// Orient it comes out as stored.
func TestOrientation(t *testing.T) {
	const height, width = 24, 40
	// Where pixel y, x of the upright picture is stored.
	at := map[uint16]func(y, x int) (int, int){
		1: func(y, x int) (int, int) { return y, x },
		2: func(y, x int) (int, int) { return y, width - 1 - x },
		3: func(y, x int) (int, int) { return height - 1 - y, width - 1 - x },
		4: func(y, x int) (int, int) { return height - 1 - y, x },
		5: func(y, x int) (int, int) { return x, y },
		6: func(y, x int) (int, int) { return width - 1 - x, y },
		7: func(y, x int) (int, int) { return width - 1 - x, height - 1 - y },
		8: func(y, x int) (int, int) { return x, height - 1 - y },
	}
	for _, o := range []Options{{}, {Size: 12}, {Size: 12, Full: true}} {
		o.Orient = true
		for kind, d := range decoders(t, o) {
			var want Image
			for value := range uint16(8) {
				value++
				h, w := height, width
				if value >= 5 {
					h, w = w, h
				}
				stored := image.NewGray(image.Rect(0, 0, w, h))
				for y := range height {
					for x := range width {
						sy, sx := at[value](y, x)
						stored.SetGray(sx, sy, color.Gray{byte(20 + 3*y + 4*x)})
					}
				}
				m, err := d.Decode(t.Context(), withOrientation(asJPEG(t, stored, 100), value), nil)
				if err != nil {
					t.Fatal(err)
				}
				what := fmt.Sprintf("%+v with %s, orientation %d", o, kind, value)
				if value == 1 {
					want = m
					plain, err := newDecoder(Options{Size: o.Size, Full: o.Full}, nil)
					if err != nil {
						t.Fatal(err)
					}
					p, err := plain.Decode(t.Context(), withOrientation(asJPEG(t, stored, 100), 6), nil)
					if err != nil || p.Height != m.Height || p.Width != m.Width || differ(p.Pixels, m.Pixels) > 2 {
						t.Errorf("%s: an orientation was heeded that was not to be; %v", what, err)
					}
				}
				// JPEG's rounding is not the same for a turned picture.
				if m.Height != want.Height || m.Width != want.Width || differ(m.Pixels, want.Pixels) > 3 {
					t.Errorf("%s: %dx%d, want %dx%d; difference %d", what, m.Height, m.Width, want.Height, want.Width, differ(m.Pixels, want.Pixels))
				}
			}
		}
	}
}

// Whatever a file holds, it has an orientation, or none, without a panic.
func FuzzOrientation(f *testing.F) {
	file := []byte{0xff, 0xd8, 0xff, 0xd9}
	for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		f.Add(insert(file, 0xe1, exif(order, 6)))
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := orientation(b); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
		if o := tiffOrientation(b); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}
