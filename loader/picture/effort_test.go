package picture

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"slices"
	"strings"
	"testing"
)

// progressive returns a grey JPEG of height x width, at most 8x8, of so many scans.
func progressive(height, width uint16, scans int) []byte {
	table := func(class byte) []byte { // of one code, 0, for the symbol 0
		return append(append([]byte{0xff, 0xc4, 0, 20, class, 1}, make([]byte, 15)...), 0)
	}
	scan := func(from, to byte) []byte {
		return []byte{0xff, 0xda, 0, 8, 1, 1, 0, from, to, 0, 0x7f} // one code, and ones to fill the byte
	}
	return slices.Concat(
		[]byte{0xff, 0xd8, 0xff, 0xdb, 0, 67, 0}, bytes.Repeat([]byte{1}, 64),
		[]byte{0xff, 0xc2, 0, 11, 8, byte(height >> 8), byte(height), byte(width >> 8), byte(width), 1, 1, 0x11, 0},
		table(0), table(0x10),
		scan(0, 0), bytes.Repeat(scan(1, 63), scans-1), []byte{0xff, 0xd9})
}

// Each scan costs a look at all pixels, so that they are counted before any is decoded.
func TestScansAreBounded(t *testing.T) {
	for kind, d := range decoders(t, Options{}) {
		for _, n := range []int{1, 2, maxScans} {
			m, err := d.Decode(t.Context(), progressive(8, 8, n), nil)
			if err != nil || m.Height != 8 || m.Pixels[0] != 128 {
				t.Errorf("%d scans with %s: %v", n, kind, err)
			}
		}
		for _, c := range []struct {
			height, width uint16
			scans         int
			want          string
		}{
			{8, 8, maxScans + 1, "a JPEG of 8x8 with 101 scans; at most 100"},
			{8, 8, 5000, "5000 scans"},
			{8192, 8192, 17, "17 scans; at most 16"},
		} {
			if _, err := d.Decode(t.Context(), progressive(c.height, c.width, c.scans), nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%dx%d with %s: %v, want an error with %q", c.height, c.width, kind, err, c.want)
			}
		}
	}
}

func TestScansAreCounted(t *testing.T) {
	photo := asJPEG(t, textured(40, 50), 90)
	thumbnail := insert(photo, 0xe1, slices.Concat([]byte("Exif\x00\x00"), asJPEG(t, image.NewGray(image.Rect(0, 0, 8, 8)), 75)))
	for _, c := range []struct {
		name string
		file []byte
		want int
	}{
		{"one scan", photo, 1}, {"a thumbnail", thumbnail, 1}, {"progressive", progressive(8, 8, 7), 7},
		{"fill bytes", bytes.ReplaceAll(progressive(8, 8, 7), []byte{0xff, 0xda}, []byte{0xff, 0xff, 0xff, 0xda}), 7},
		{"zeros and restarts among the pixels", bytes.ReplaceAll(progressive(8, 8, 3), []byte{0x7f}, []byte{0xff, 0, 0xff, 0xd0, 1}), 3},
		{"after the end", append(bytes.Clone(photo), photo...), 1},
		{"nothing", nil, 0}, {"cut in a scan's header", progressive(8, 8, 1)[:len(progressive(8, 8, 1))-11], 0},
	} {
		if got := scans(c.file); got != c.want {
			t.Errorf("%s: %d scans, want %d", c.name, got, c.want)
		}
	}
}

// A decoder that still reads is stopped, and no file is damaged by that.
func TestDecodingEndsWithItsContext(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for kind, d := range decoders(t, Options{}) {
		for name, c := range colours(t) {
			if _, err := d.Decode(over, c.file, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("%s with %s: %v", name, kind, err)
			}
			if _, err := d.Decode(t.Context(), c.file, nil); err != nil {
				t.Errorf("%s with %s, again: %v", name, kind, err)
			}
		}
	}
	midway, cancel := context.WithCancel(t.Context())
	r := &reader{midway, strings.NewReader("ab")}
	b := make([]byte, 1)
	if n, err := r.Read(b); n != 1 || err != nil {
		t.Error(n, err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
