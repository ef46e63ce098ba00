package picture

import (
	"image"
	"math/rand/v2"
	"testing"
)

// library returns libturbojpeg, or skips the test.
func library(t testing.TB) *turboLibrary {
	t.Helper()
	l, err := openTurbo(turboNames)
	if err != nil {
		t.Skip("without libturbojpeg: ", err)
	}
	return l
}

// decoders returns a decoder of each kind that can be had here.
func decoders(t testing.TB, o Options) map[string]*Decoder {
	t.Helper()
	libraries := map[string]*turboLibrary{"go": nil}
	if l, err := openTurbo(turboNames); err != nil {
		t.Log("without libturbojpeg: ", err)
	} else {
		libraries["turbo"] = l
	}
	ds := make(map[string]*Decoder)
	for name, l := range libraries {
		d, err := newDecoder(o, l)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		ds[name] = d
	}
	return ds
}

// noise fills b with bytes that depend on nothing but their count.
func noise(b []byte) []byte {
	r := rand.New(rand.NewPCG(1, uint64(len(b))))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// kinds returns an image of noise of each kind of rows.
func kinds(height, width int) map[string]rows {
	n := height * width
	m := map[string]rows{
		"rgbx": &rgbx{noise(make([]byte, 4*n)), 4 * width},
		"grey": &grey{noise(make([]byte, n)), width},
		"cmyk": &cmyk{noise(make([]byte, 4*n)), 4 * width, true},
	}
	for _, ratio := range allRatios {
		p := image.NewYCbCr(image.Rect(0, 0, width, height), ratio)
		noise(p.Y)
		noise(p.Cb)
		noise(p.Cr)
		m[ratio.String()] = &planes{YCbCr: p, colors: ycc}
		m["dimmed "+ratio.String()] = &dimmed{planes{YCbCr: p, colors: rgb}, noise(make([]byte, n)), width, true}
	}
	return m
}

// differ returns the largest difference between two images' bytes.
func differ(a, b []byte) int {
	if len(a) != len(b) {
		return 256
	}
	most := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		most = max(most, d, -d)
	}
	return most
}
