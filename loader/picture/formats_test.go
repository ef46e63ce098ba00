package picture

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/testenv"
)

// one colour in every kind of file.
func colours(t testing.TB) map[string]struct {
	file   []byte
	colour [3]byte
} {
	t.Helper()
	r := image.Rect(0, 0, 16, 16)
	fill := func(m interface {
		Set(x, y int, c color.Color)
	}, c color.Color) {
		for i := range 256 {
			m.Set(i%16, i/16, c)
		}
	}
	gray, deepGray, deep, clear, half := image.NewGray(r), image.NewGray16(r), image.NewNRGBA64(r), image.NewNRGBA(r), image.NewNRGBA(r)
	fill(gray, color.Gray{77})
	fill(deepGray, color.Gray16{0x4dff})
	fill(deep, color.NRGBA64{0x12ff, 0x8000, 0xffff, 0xffff})
	fill(clear, color.NRGBA{200, 100, 50, 0})
	fill(half, color.NRGBA{200, 100, 50, 128})
	opaque := image.NewRGBA(r)
	fill(opaque, color.RGBA{200, 100, 50, 255})
	palette := image.NewPaletted(r, color.Palette{color.RGBA{1, 2, 3, 255}, color.RGBA{9, 8, 7, 255}})
	fill(palette, color.RGBA{9, 8, 7, 255})
	// The smallest lossless WebP: one transparent pixel.
	webp, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	// libwebp made these of one colour, lossy, and reads them as 201, 100, 48 to 52;
	// the second is half transparent.
	lossy, err := base64.StdEncoding.DecodeString("UklGRjoAAABXRUJQVlA4IC4AAADwAQCdASoQABAAAUAmJaACdLoB+AAEyAAA/q4X/zYEDND6YP/SbPE2eJs+OYAA")
	if err != nil {
		t.Fatal(err)
	}
	halfLossy, err := base64.StdEncoding.DecodeString("UklGRl4AAABXRUJQVlA4WAoAAAAQAAAADwAADwAAQUxQSAoAAAABB1DAiAhERP8DVlA4IC4AAADwAQCdASoQABAAAUAmJaACdLoB+AAEyAAA/q4X/zYEDND6YP/SbPE2eJs+OYAA")
	if err != nil {
		t.Fatal(err)
	}
	four := [][2]int{all1, all1, all1, all1}
	type file = struct {
		file   []byte
		colour [3]byte
	}
	files := map[string]file{
		"PNG":                         {asPNG(t, opaque), [3]byte{200, 100, 50}},
		"grey PNG":                    {asPNG(t, gray), [3]byte{77, 77, 77}},
		"16-bit PNG":                  {asPNG(t, deep), [3]byte{0x12, 0x80, 0xff}},
		"16-bit grey PNG":             {asPNG(t, deepGray), [3]byte{77, 77, 77}},
		"transparent PNG":             {asPNG(t, clear), [3]byte{0, 0, 0}},
		"half transparent PNG":        {asPNG(t, half), [3]byte{100, 50, 25}},
		"palette PNG":                 {asPNG(t, palette), [3]byte{9, 8, 7}},
		"GIF":                         {asGIF(t, palette, image.Pt(16, 16)), [3]byte{9, 8, 7}},
		"WebP":                        {webp, [3]byte{0, 0, 0}},
		"lossy WebP":                  {lossy, [3]byte{201, 100, 50}},
		"half transparent lossy WebP": {halfLossy, [3]byte{101, 50, 25}},
		"BMP":                         {asBMP(16, 16, 10, 20, 30), [3]byte{10, 20, 30}},
		"grey JPEG":                   {asJPEG(t, gray, 100), [3]byte{77, 77, 77}},
		"RGB JPEG":                    {blocks{16, 16, samplings["4:4:4"], 0, flat(10, 128, 200), false}.encode(), [3]byte{10, 128, 200}},
		"RGB JPEG, 4:2:0":             {blocks{16, 16, samplings["4:2:0"], 0, flat(10, 128, 200), false}.encode(), [3]byte{10, 128, 200}},
		"grey JPEG, sampled":          {blocks{16, 16, [][2]int{all1}, -1, flat(128), false}.encode(), [3]byte{128, 128, 128}},
		// 255 is no ink; half of the light is taken away by black.
		"CMYK JPEG": {blocks{16, 16, four, 0, flat(255, 128, 0, 128), false}.encode(), [3]byte{128, 64, 0}},
		// What the rule below makes of it is the ink.
		"YCCK JPEG":        {blocks{16, 16, four, 2, flat(150, 90, 170, 255), false}.encode(), [3]byte{46, 121, 172}},
		"YCCK JPEG, black": {blocks{16, 16, four, 2, flat(150, 90, 170, 0), false}.encode(), [3]byte{0, 0, 0}},
		"YCCK JPEG, 4:2:0": {blocks{16, 16, [][2]int{{2, 2}, all1, all1, {2, 2}}, 2, flat(150, 90, 170, 255), false}.encode(), [3]byte{46, 121, 172}},
	}
	for name, s := range samplings {
		// 150 + 1.402 42 = 208.9; 150 + 0.344 38 - 0.714 42 = 133.1; 150 - 1.772 38 = 82.7
		files["YCbCr JPEG, "+name] = file{blocks{16, 16, s, -1, flat(150, 90, 170), false}.encode(), [3]byte{209, 133, 83}}
	}
	return files
}

func TestFormatsAndColours(t *testing.T) {
	for _, size := range []int{0, 5, 16, 23} {
		for kind, d := range decoders(t, Options{Size: size}) {
			for name, c := range colours(t) {
				m, err := d.Decode(t.Context(), c.file, nil)
				if err != nil {
					t.Errorf("%s with %s: %v", name, kind, err)
					continue
				}
				h, w, err := Bounds(c.file)
				if want := size; err != nil || size > 0 && (m.Height != want || m.Width != want) || size == 0 && (m.Height != h || m.Width != w) || len(m.Pixels) != m.Height*m.Width*3 {
					t.Errorf("%s with %s at %d: %dx%d, %d bytes, bounds %dx%d, %v", name, kind, size, m.Height, m.Width, len(m.Pixels), h, w, err)
				}
				for i, v := range m.Pixels {
					tolerance := 0
					switch {
					case strings.Contains(name, "JPEG"): // its DCT and its colours are rounded
						tolerance = 1
					case strings.Contains(name, "lossy"): // and its colours once more
						tolerance = 3
					}
					if d := int(v) - int(c.colour[i%3]); d < -tolerance || d > tolerance {
						t.Errorf("%s with %s at %d: byte %d is %d, want %d", name, kind, size, i, v, c.colour[i%3])
						break
					}
				}
			}
		}
	}
}

// A GIF's first picture may cover a part of its canvas.
func TestGIFOnItsCanvas(t *testing.T) {
	part := image.NewPaletted(image.Rect(2, 1, 4, 3), color.Palette{color.RGBA{9, 8, 7, 255}})
	d := decoders(t, Options{})["go"]
	for range 2 { // the second time on a used canvas
		m, err := d.Decode(t.Context(), asGIF(t, part, image.Pt(5, 4)), nil)
		if err != nil || m.Height != 4 || m.Width != 5 {
			t.Fatalf("%dx%d, %v", m.Height, m.Width, err)
		}
		for i, v := range m.Pixels {
			x, y, want := i/3%5, i/15, byte(0)
			if image.Pt(x, y).In(part.Rect) {
				want = byte(9 - i%3)
			}
			if v != want {
				t.Errorf("pixel %d,%d has %d, want %d", y, x, v, want)
			}
		}
		full := image.NewPaletted(image.Rect(0, 0, 5, 4), color.Palette{color.White})
		if _, err := d.Decode(t.Context(), asGIF(t, full, image.Pt(5, 4)), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody asks for a name, and dst is used where it is large enough.
func TestMemoryOfTheCaller(t *testing.T) {
	d := decoders(t, Options{Size: 8})["go"]
	file := asBMP(20, 30, 1, 2, 3)
	dst := make([]byte, 8*8*3+5)
	m, err := d.Decode(t.Context(), file, dst)
	if err != nil || len(m.Pixels) != 8*8*3 || &m.Pixels[0] != &dst[0] {
		t.Errorf("%d bytes, in the memory given: %v, %v", len(m.Pixels), &m.Pixels[0] == &dst[0], err)
	}
	short := bytes.Repeat([]byte{77}, 8*8*3-1)
	if m, err = d.Decode(t.Context(), file, short); err != nil || len(m.Pixels) != 8*8*3 || short[0] != 77 {
		t.Errorf("%d bytes, %v", len(m.Pixels), err)
	}
}

func TestHugeClaimsAreRefused(t *testing.T) {
	for name, file := range huge(t) {
		var before, after runtime.MemStats
		for kind, d := range decoders(t, Options{Size: 8}) {
			runtime.ReadMemStats(&before)
			_, err := d.Decode(t.Context(), file, nil)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), "60000x60000; at most") {
				t.Errorf("%s with %s: %v", name, kind, err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("%s with %s: %d bytes were taken", name, kind, n)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Size: -1}, "-1x-1"},
		{Options{Size: 1 << 20}, "at most"},
		{Options{Full: true}, "shorter side"},
		{Options{Filter: 4}, "filter 4"},
		{Options{Filter: -1}, "filter -1"},
	} {
		if _, err := NewDecoder(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", c.o, err, c.want)
		}
	}
	d, err := NewDecoder(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Decode(t.Context(), asBMP(1, 1, 1, 2, 3), nil); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// What is no image, or a part of one, is refused with a reason.
func TestDamagedFiles(t *testing.T) {
	file := asPNG(t, image.NewGray(image.Rect(0, 0, 40, 40)))
	for kind, d := range decoders(t, Options{Size: 8}) {
		for _, c := range []struct{ file, want string }{
			{"", "as an image"}, {"hello", "as an image"}, {"\xff\xd8", "as an image"}, {"\xff\xd8\xff", "as an image"},
			{string(file[:len(file)/2]), "decoding it"}, {string(slices.Concat(file[:33], file[:20])), "decoding it"},
		} {
			if _, err := d.Decode(t.Context(), []byte(c.file), nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.10q with %s: %v, want an error with %q", c.file, kind, err, c.want)
			}
		}
	}
}

// A decoder's error is text alone, wherever the file was cut. A BMP without pixels
// gave an io.EOF, which ended the list of images that it was in.
func TestNoErrorOfALibraryIsHandedUp(t *testing.T) {
	files := map[string][]byte{"BMP": asBMP(16, 16, 1, 2, 3)}
	for name, c := range colours(t) {
		files[name] = c.file
	}
	for kind, d := range decoders(t, Options{Size: 8}) {
		for name, file := range files {
			for n := range file {
				_, err := d.Decode(t.Context(), file[:n], nil)
				for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrShortBuffer, image.ErrFormat} {
					if errors.Is(err, e) {
						t.Errorf("%d bytes of %s with %s: %v is handed up", n, name, kind, e)
					}
				}
			}
		}
		if _, err := d.Decode(t.Context(), files["BMP"][:54], nil); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("a BMP without pixels, with %s: %v", kind, err)
		}
	}
}

// One decoder, all kinds of file, over and over: no more memory is taken than
// Go's own decoders take. libturbojpeg's images take none at all.
func TestNoAllocation(t *testing.T) {
	l := library(t)
	d, err := newDecoder(Options{Size: 7, Full: true, Orient: true}, l)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var files [][]byte
	for _, s := range [][][2]int{samplings["4:2:0"], {all1}, {all1, all1, all1, all1}} {
		for _, size := range [][2]int{{30, 40}, {50, 20}} {
			files = append(files, withOrientation(blocks{size[0], size[1], s, 0, flat(1, 2, 3, 4), false}.encode(), 6))
		}
	}
	var m Image
	run := func() {
		for _, f := range files {
			if m, err = d.Decode(t.Context(), f, m.Pixels); err != nil {
				t.Fatal(err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run); n != 0 && !testenv.Race { // with it, the pool of calls forgets
		t.Errorf("%g allocations for %d images", n, len(files))
	}
}
