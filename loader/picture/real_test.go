package picture

import (
	"archive/tar"
	"image"
	"image/color"
	"io"
	"os"
	"strings"
	"testing"

	"alexnet/internal/testenv"
)

// sample returns every nth of 700 photographs as cameras, scanners and 2009's web
// made them, which lie beside the repository, or skips the test.
func sample(t testing.TB, every int) map[string][]byte {
	t.Helper()
	f, err := os.Open(testenv.Shared(t, "imagenet-sample.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := make(map[string][]byte)
	n := 0
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".JPEG") {
			continue
		}
		if n++; n%every != 0 {
			continue
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// Original photographs to 256x256.
func BenchmarkDecode(b *testing.B) {
	files := sample(b, 10)
	for name, d := range decoders(b, Options{Size: 256}) {
		b.Run(name, func(b *testing.B) {
			var m Image
			var err error
			for b.Loop() {
				for name, file := range files {
					if m, err = d.Decode(b.Context(), file, m.Pixels); err != nil {
						b.Fatalf("%s: %v", name, err)
					}
				}
			}
			b.ReportMetric(float64(len(files))*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

// An image as large as the average photograph of ImageNet to 256x256, as
// libturbojpeg (rgbx) and Go (luma and chroma) hand it over.
func BenchmarkScale(b *testing.B) {
	const height, width = 375, 500
	m := textured(height, width)
	images := map[string]rows{"rgbx": &rgbx{m.Pix, m.Stride}}
	for _, r := range allRatios {
		p := image.NewYCbCr(m.Rect, r)
		for y := range height {
			for x := range width {
				c := m.RGBAAt(x, y)
				i := p.COffset(x, y)
				p.Y[p.YOffset(x, y)], p.Cb[i], p.Cr[i] = color.RGBToYCbCr(c.R, c.G, c.B)
			}
		}
		images[r.String()] = &planes{YCbCr: p, colors: ycc}
	}
	for name, m := range images {
		for _, f := range filters {
			b.Run(name+"/"+f.String(), func(b *testing.B) {
				var s scaler
				dst := make([]byte, 256*256*3)
				w := Options{Size: 256}.window(height, width)
				for b.Loop() {
					s.scale(dst, m, w, f)
				}
			})
		}
	}
}
