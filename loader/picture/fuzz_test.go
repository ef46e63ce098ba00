package picture

import (
	"bytes"
	"testing"
)

// Whatever an image file holds, it is decoded or refused, without a panic, and
// the second time as the first.
func FuzzDecode(f *testing.F) {
	for _, c := range colours(f) {
		f.Add(c.file)
	}
	for _, file := range huge(f) {
		f.Add(file)
	}
	f.Add(withOrientation(asJPEG(f, textured(9, 12), 75), 6))
	f.Add([]byte("GIF89a"))
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L"))
	var all []*Decoder
	for _, o := range []Options{{Size: 8}, {Orient: true}, {Size: 5, Full: true, Filter: Lanczos, Orient: true}} {
		for _, d := range decoders(f, o) {
			all = append(all, d)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, w, err := Bounds(b); err == nil && h*w > 1<<18 {
			t.Skip() // allowed, and slow
		}
		for _, d := range all {
			got, err := d.Decode(t.Context(), b, nil)
			if err != nil {
				continue
			}
			again, err := d.Decode(t.Context(), b, nil)
			if err != nil || len(got.Pixels) != 3*got.Height*got.Width || !bytes.Equal(got.Pixels, again.Pixels) {
				t.Errorf("decoded again, an image of %dx%d is another; error %v", got.Height, got.Width, err)
			}
		}
	})
}
