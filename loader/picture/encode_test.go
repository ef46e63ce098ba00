package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/bits"
	"testing"
)

// blocks is a JPEG in the making: baseline, and flat in each block of 8x8, for
// kinds of colour and subsampling that Go does not encode.
type blocks struct {
	height, width int
	sampling      [][2]int // down and across, for each component
	adobe         int      // the transform of the Adobe segment; -1 for none
	value         func(component, y, x int) byte
	damaged       bool // the first block ends with a code that does not exist
}

func (m blocks) encode() []byte {
	b := []byte{0xff, 0xd8}
	segment := func(marker byte, data ...byte) {
		b = append(b, 0xff, marker)
		b = binary.BigEndian.AppendUint16(b, uint16(2+len(data)))
		b = append(b, data...)
	}
	if m.adobe >= 0 {
		segment(0xee, append([]byte("Adobe\x00\x64\x00\x00\x00\x00"), byte(m.adobe))...)
	}
	segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...) // no quantisation
	frame := []byte{8, byte(m.height >> 8), byte(m.height), byte(m.width >> 8), byte(m.width), byte(len(m.sampling))}
	scan := []byte{byte(len(m.sampling))}
	most := [2]int{1, 1}
	for i, s := range m.sampling {
		frame = append(frame, byte(i+1), byte(s[1]<<4|s[0]), 0)
		scan = append(scan, byte(i+1), 0)
		most = [2]int{max(most[0], s[0]), max(most[1], s[1])}
	}
	segment(0xc0, frame...)
	// The mean of a block: 12 codes of 4 bits, for as many lengths of a number. The
	// rest of it: one code of 1 bit, which says that there is no more.
	segment(0xc4, append([]byte{0x00, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)...)
	segment(0xc4, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	segment(0xda, append(scan, 0, 63, 0)...)
	var word, count uint
	write := func(v, n uint) {
		for ; n > 0; n-- {
			word, count = word<<1|v>>(n-1)&1, count+1
			if count == 8 {
				if b = append(b, byte(word)); byte(word) == 0xff {
					b = append(b, 0)
				}
				word, count = 0, 0
			}
		}
	}
	before := make([]int, len(m.sampling))
	for y := range (m.height + 8*most[0] - 1) / (8 * most[0]) {
		for x := range (m.width + 8*most[1] - 1) / (8 * most[1]) {
			for i, s := range m.sampling {
				for k := range s[0] * s[1] {
					mean := 8 * (int(m.value(i, y*s[0]+k/s[1], x*s[1]+k%s[1])) - 128)
					d := mean - before[i]
					before[i] = mean
					n := uint(bits.Len(uint(max(d, -d))))
					if d < 0 {
						d += 1<<n - 1
					}
					write(n, 4)
					write(uint(d), n)
					if m.damaged && y+x+i+k == 0 {
						write(1<<17-1, 17)
					} else {
						write(0, 1)
					}
				}
			}
		}
	}
	for count != 0 {
		write(1, 1)
	}
	return append(b, 0xff, 0xd9)
}

// flat is a value of blocks: one colour.
func flat(colour ...byte) func(component, y, x int) byte {
	return func(component, _, _ int) byte { return colour[component] }
}

var all1 = [2]int{1, 1}

// samplings are those that Go decodes.
var samplings = map[string][][2]int{
	"4:4:4": {all1, all1, all1}, "4:4:0": {{2, 1}, all1, all1}, "4:2:2": {{1, 2}, all1, all1},
	"4:2:0": {{2, 2}, all1, all1}, "4:1:1": {{1, 4}, all1, all1}, "4:1:0": {{2, 4}, all1, all1},
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, m image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asGIF(t testing.TB, m *image.Paletted, canvas image.Point) []byte {
	t.Helper()
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{m, m}, Delay: []int{0, 0}, Config: image.Config{ColorModel: m.Palette, Width: canvas.X, Height: canvas.Y}})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// asBMP returns a plain 24-bit BMP of one colour.
func asBMP(height, width int, r, g, b byte) []byte {
	row := (3*width + 3) / 4 * 4
	f := make([]byte, 54+row*height)
	copy(f, "BM")
	f[2], f[10], f[14], f[18], f[22], f[26], f[28] = byte(len(f)), 54, 40, byte(width), byte(height), 1, 24
	for y := range height {
		for x := range width {
			copy(f[54+y*row+3*x:], []byte{b, g, r})
		}
	}
	return f
}

// huge returns files that claim more pixels than are allowed.
func huge(t testing.TB) map[string][]byte {
	t.Helper()
	p := asPNG(t, image.NewGray(image.Rect(0, 0, 8, 8)))
	copy(p[16:], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60}) // 60000 x 60000
	return map[string][]byte{
		"PNG":  fixCRC(p),
		"JPEG": claim(asJPEG(t, image.NewGray(image.Rect(0, 0, 8, 8)), 75), 60000, 60000),
		"CMYK": claim(blocks{8, 8, [][2]int{all1, all1, all1, all1}, 0, flat(1, 2, 3, 4), false}.encode(), 60000, 60000),
	}
}

// claim changes the size in a JPEG's header.
func claim(file []byte, height, width uint16) []byte {
	file = bytes.Clone(file)
	at := bytes.Index(file, []byte{0xff, 0xc0}) + 5
	binary.BigEndian.PutUint16(file[at:], height)
	binary.BigEndian.PutUint16(file[at+2:], width)
	return file
}

// fixCRC gives a PNG's first chunk the checksum that fits.
func fixCRC(b []byte) []byte {
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}
