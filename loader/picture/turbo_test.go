package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/testenv"

	"golang.org/x/sync/errgroup"
)

func TestChooseJPEG(t *testing.T) {
	if l, name, err := chooseJPEG("go"); err != nil || l != nil || name != "Go's image/jpeg" {
		t.Errorf("go: %q, %v", name, err)
	}
	if _, name, err := chooseJPEG(""); err != nil || name == "" {
		t.Errorf("no choice: %q, %v", name, err)
	}
	for _, bad := range []string{"libjpeg", "/absent/libturbojpeg.so"} {
		if _, _, err := chooseJPEG(bad); err == nil || !strings.Contains(err.Error(), jpegVariable+"="+bad) {
			t.Errorf("%s: error %v, want one that repeats the setting", bad, err)
		}
	}
	have, openErr := openTurbo(turboNames)
	l, name, err := chooseJPEG("turbo")
	if (err == nil) != (openErr == nil) || err == nil && (l == nil || !strings.HasPrefix(name, "libjpeg-turbo ") || !strings.Contains(name, ", /")) {
		t.Errorf("turbo: %q, %v", name, err)
	}
	if have == nil {
		return
	}
	if l, name, err := chooseJPEG(have.path); err != nil || l == nil || !strings.HasSuffix(name, ", "+have.path) {
		t.Errorf("%s: %q, %v", have.path, name, err)
	}
}

// Another library than TurboJPEG, and a file that is no library.
func TestLibraryIsAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libturbojpeg.so")
	if err := os.WriteFile(path, []byte("no library"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{path, "/lib/x86_64-linux-gnu/libm.so.6"} {
		if _, err := os.Stat(bad); err != nil {
			continue
		}
		if _, _, err := chooseJPEG(bad); err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "set ALEXNET_JPEG=go") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// The environment decides, once a process.
func TestEnvironmentChoosesJPEG(t *testing.T) {
	const inside = "ALEXNET_TEST_SAY_JPEG"
	if os.Getenv(inside) != "" {
		name, err := JPEG()
		d, errDecoder := NewDecoder(Options{})
		fmt.Printf("%s; turbo %v; %v; %v\n", name, d != nil && d.turbo != nil, err, errDecoder)
		return
	}
	_, openErr := openTurbo(turboNames)
	for setting, want := range map[string]string{
		"go":    "Go's image/jpeg; turbo false; <nil>; <nil>",
		"":      fmt.Sprintf("turbo %v; <nil>; <nil>", openErr == nil),
		"/none": "; turbo false; ALEXNET_JPEG=/none: ",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), inside+"=1", jpegVariable+"="+setting)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s=%s: %v, %s, want %q", jpegVariable, setting, err, out, want)
		}
	}
}

// both decodes a file with libturbojpeg and with Go's decoder.
type both struct{ turbo, plain *Decoder }

func newBoth(t testing.TB, o Options) both {
	t.Helper()
	library(t) // or skip
	d := decoders(t, o)
	return both{d["turbo"], d["go"]}
}

// decode returns the largest difference between the two images. Both errors are
// nil, or neither is.
func (b both) decode(t testing.TB, name string, file []byte) (difference int, err error) {
	t.Helper()
	m, err := b.turbo.Decode(t.Context(), file, nil)
	want, wantErr := b.plain.Decode(t.Context(), file, nil)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Errorf("%s: with libturbojpeg %v, with Go %v", name, err, wantErr)
		return 0, wantErr
	}
	if m.Height != want.Height || m.Width != want.Width {
		t.Errorf("%s: with libturbojpeg %dx%d, with Go %dx%d", name, m.Height, m.Width, want.Height, want.Width)
	}
	return differ(m.Pixels, want.Pixels), wantErr
}

// levels is how much the two decoders may differ in photographs. Their DCTs round in
// their own ways, so luma and chroma are off by 1 in some pixels. This is 1 + 1.772
// in blue. Scaling overshoots, which makes 4 of it.
const levels = 4

// Each kind of JPEG is decoded by libturbojpeg itself and comes out as from Go's
// decoder. Some sizes end within a block and within a sample of chroma.
func TestTurboIsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	kinds := map[string]blocks{
		"grey":        {sampling: [][2]int{all1}, adobe: -1},
		"CMYK":        {sampling: [][2]int{all1, all1, all1, all1}, adobe: 0},
		"YCCK":        {sampling: [][2]int{all1, all1, all1, all1}, adobe: 2},
		"CMYK, 4:2:0": {sampling: [][2]int{{2, 2}, all1, all1, {2, 2}}, adobe: 0},
		"YCCK, 4:2:0": {sampling: [][2]int{{2, 2}, all1, all1, {2, 2}}, adobe: 2},
	}
	for name, s := range samplings {
		kinds["YCbCr "+name] = blocks{sampling: s, adobe: -1}
		kinds["Adobe YCbCr "+name] = blocks{sampling: s, adobe: 1}
		kinds["RGB "+name] = blocks{sampling: s, adobe: 0}
	}
	for name, m := range kinds {
		m.value = func(_, _, _ int) byte { return byte(r.Uint32()) }
		for _, size := range [][2]int{{1, 1}, {2, 2}, {3, 3}, {5, 4}, {4, 5}, {6, 6}, {1, 50}, {50, 1}, {50, 3}, {8, 8}, {33, 17}, {40, 63}, {31, 64}} {
			m.height, m.width = size[0], size[1]
			file := m.encode()
			for _, o := range []Options{{}, {Size: 9}, {Size: 50, Full: true}} {
				b := newBoth(t, o)
				what := fmt.Sprintf("%s, %dx%d, %+v", name, m.height, m.width, o)
				// Flat blocks give both decoders the same samples.
				if d, err := b.decode(t, what, file); err != nil || d != 0 {
					t.Errorf("%s: a difference of %d, %v", what, d, err)
				}
				// TurboJPEG has no word for 4:1:0.
				if ok := b.turbo.turbo.decode(file, new(decoded)); ok == strings.Contains(name, "4:1:0") {
					t.Errorf("%s: decoded by libturbojpeg itself: %v", what, ok)
				}
			}
		}
	}
	b := newBoth(t, Options{})
	for _, quality := range []int{1, 50, 95} {
		m := textured(61, 83)
		if d, err := b.decode(t, "texture", asJPEG(t, m, quality)); err != nil || d > 3 { // not scaled
			t.Errorf("texture of quality %d: a difference of %d, %v", quality, d, err)
		}
	}
}

// A code that does not exist is damage, though the next one follows where the
// library looks for it: it must not pass over that, as it would in a hurry.
func TestBadCodeIsRefused(t *testing.T) {
	b := newBoth(t, Options{Size: 16})
	for name, s := range map[string][][2]int{"grey": {all1}, "YCbCr": samplings["4:2:0"], "CMYK": {all1, all1, all1, all1}} {
		m := blocks{600, 600, s, 0, func(c, y, x int) byte { return byte(c*50 + y*77 + x*x*31) }, true}
		if _, err := b.decode(t, name, m.encode()); err == nil || !strings.Contains(err.Error(), "bad Huffman code") {
			t.Errorf("%s: %v", name, err)
		}
		if m.damaged = false; !b.turbo.turbo.decode(m.encode(), new(decoded)) {
			t.Errorf("%s: not decoded by libturbojpeg itself", name)
		}
	}
}

// What a file holds changes nothing for the next: not damage in its header, in
// the middle of which the library stops, and not its tables, which the next file
// may lack.
func TestNothingIsLeftOfAFile(t *testing.T) {
	b := newBoth(t, Options{Size: 16})
	good := asJPEG(t, textured(40, 40), 75)
	without := func(marker byte) []byte { // the first segment of that kind
		i := bytes.Index(good, []byte{0xff, marker})
		return slices.Concat(good[:i], good[i+2+int(good[i+2])<<8+int(good[i+3]):])
	}
	for name, bad := range map[string][]byte{
		"no quantisation": without(0xdb), "no Huffman codes": without(0xc4), "no frame": without(0xc0), "no image": slices.Concat(good[:300], []byte{0xff, 0xd9}),
		"empty": good[:2], "cut": good[:200], "other codes": bytes.Replace(good, []byte{0xff, 0xc4}, []byte{0xff, 0xc8}, 1),
	} {
		first, firstErr := newBoth(t, Options{Size: 16}).turbo.Decode(t.Context(), bad, nil)
		for range 2 {
			if !b.turbo.turbo.decode(good, new(decoded)) {
				t.Errorf("%s: after it, libturbojpeg decodes no good file", name)
			}
			m, err := b.turbo.Decode(t.Context(), bad, nil)
			if fmt.Sprint(err) != fmt.Sprint(firstErr) || !bytes.Equal(m.Pixels, first.Pixels) {
				t.Errorf("%s: after a good file %v, and as the first %v", name, err, firstErr)
			}
		}
	}
}

// An image of more blocks than restarts can be announced after is decoded by the
// library all the same.
func TestMoreBlocksThanRestarts(t *testing.T) {
	b := newBoth(t, Options{Size: 16})
	for _, width := range []int{8 * 255, 8 * 256} {
		file := blocks{height: 8 * 257, width: width, sampling: [][2]int{all1}, adobe: -1, value: func(_, y, x int) byte { return byte(y + x*x) }}.encode()
		if d, err := b.decode(t, "large", file); err != nil || d > levels || !b.turbo.turbo.decode(file, new(decoded)) {
			t.Errorf("%d wide: a difference of %d, %v", width, d, err)
		}
	}
}

// What Go cannot decode, and libturbojpeg can without a word, is accepted where
// it is there: inks of which no Adobe segment says that they are reversed, as
// they always are.
func TestTurboAlone(t *testing.T) {
	b := newBoth(t, Options{})
	file := blocks{9, 9, [][2]int{all1, all1, all1, all1}, -1, flat(255, 128, 0, 128), false}.encode()
	m, err := b.turbo.Decode(t.Context(), file, nil)
	if err != nil || !bytes.Equal(m.Pixels, bytes.Repeat([]byte{128, 64, 0}, 81)) {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := b.plain.Decode(t.Context(), file, nil); err == nil || !strings.Contains(err.Error(), "Adobe") {
		t.Errorf("with Go: %v", err)
	}
}

// Decoders side by side do not disturb each other.
func TestManyDecoders(t *testing.T) {
	file := asJPEG(t, textured(90, 70), 90)
	for _, l := range []*turboLibrary{nil, library(t)} {
		var group errgroup.Group
		var images [4]Image
		for i := range images {
			group.Go(func() error {
				d, err := newDecoder(Options{Size: 20}, l)
				if err != nil {
					return err
				}
				for range 20 {
					if images[i], err = d.Decode(t.Context(), file, images[i].Pixels); err != nil {
						return err
					}
				}
				return d.Close()
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		for i := range images {
			if !bytes.Equal(images[i].Pixels, images[0].Pixels) {
				t.Errorf("decoder %d made another image", i)
			}
		}
	}
}

// textured returns an image with some of all frequencies.
func textured(height, width int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			a, b := float64(x), float64(y)
			m.Set(x, y, color.RGBA{byte(128 + 90*math.Sin(a*b/50)), byte(128 + 90*math.Cos(a/3+b)), byte(x*5 + y), 255})
		}
	}
	return m
}

// 700 photographs, packed, come out the same to 2 levels, but for one byte in 50,000.
// What remains is from the decoders' DCTs: [TestChromaIsLibjpegsOnPhotographs].
func TestTurboIsGoOnPhotographs(t *testing.T) {
	every, rare := 1, 50_000
	if testenv.Race {
		every, rare = 20, 10_000 // few images are not like all
	}
	b := newBoth(t, Options{Size: 256, Full: true})
	var count [levels + 1]int
	total := 0
	for name, file := range sample(t, every) {
		m, err := b.turbo.Decode(t.Context(), file, nil)
		want, wantErr := b.plain.Decode(t.Context(), file, nil)
		if err != nil || wantErr != nil || m.Height != want.Height || differ(m.Pixels, want.Pixels) > levels {
			t.Errorf("%s: a difference of %d; %v, %v", name, differ(m.Pixels, want.Pixels), err, wantErr)
			continue
		}
		for i, v := range m.Pixels {
			d := int(v) - int(want.Pixels[i])
			count[max(d, -d)]++
		}
		total += len(m.Pixels)
	}
	t.Logf("bytes that differ by 0, 1, 2, ...: %d", count)
	if more := count[3] + count[4]; more > total/rare {
		t.Errorf("%d of %d bytes differ by more than 2", more, total)
	}
}

// What a file is called does not matter, and only its content can be asked.
func TestPNGAmongJPEGs(t *testing.T) {
	b := newBoth(t, Options{})
	if d, err := b.decode(t, "PNG", asPNG(t, textured(20, 30))); err != nil || d != 0 {
		t.Errorf("a difference of %d, %v", d, err)
	}
}

// A JPEG that is cut anywhere is refused whichever decoder there is, and for the
// same reason. One that is changed somewhere is accepted or refused by both, but
// for a few that Go refuses and libturbojpeg passes over without a word: it does
// not mind more than 64 coefficients in a block, nor fill bytes among them.
func TestDamagedJPEG(t *testing.T) {
	b := newBoth(t, Options{Size: 16})
	files := map[string][]byte{
		"texture": asJPEG(t, textured(40, 40), 75),
		"large":   asJPEG(t, textured(150, 150), 75),
		"CMYK":    blocks{20, 30, [][2]int{{2, 2}, all1, all1, {2, 2}}, 0, flat(10, 20, 30, 40), false}.encode(),
		"grey":    blocks{20, 30, [][2]int{all1}, -1, func(_, y, x int) byte { return byte(50 * (x + y)) }, false}.encode(),
	}
	for name, file := range files {
		for n := 0; n < len(file); n += 1 + len(file)/500 {
			if _, err := b.decode(t, fmt.Sprintf("%s cut to %d of %d bytes", name, n, len(file)), file[:n]); err == nil {
				t.Errorf("%s cut to %d of %d bytes: accepted", name, n, len(file))
			}
		}
		r := rand.New(rand.NewPCG(5, 6))
		refused, alone, itself := 0, 0, 0
		for range 400 {
			bad := bytes.Clone(file)
			for range 1 + r.IntN(3) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			if h, w, err := Bounds(bad); err == nil && h*w > 1<<20 {
				continue // allowed, and slow
			}
			_, err := b.turbo.Decode(t.Context(), bad, nil)
			_, goErr := b.plain.Decode(t.Context(), bad, nil)
			switch {
			case err != nil && goErr != nil:
				refused++
			case err != nil:
				t.Errorf("%s, changed to %x: only Go accepts it: %v", name, bad, err)
			case goErr != nil && strings.Contains(goErr.Error(), "doesn't have Adobe"): // a kind of its own
			case goErr != nil:
				alone++
			case b.turbo.turbo.decode(bad, new(decoded)):
				itself++
			}
		}
		t.Logf("%s: of 400 changed files %d were refused, %d accepted by libturbojpeg alone, %d decoded by it and by Go", name, refused, alone, itself)
		if alone > 8 || itself < 40 {
			t.Errorf("%s: libturbojpeg alone accepted %d of 400 changed files, and %d with Go", name, alone, itself)
		}
	}
	// A header that lies about the size, either way.
	for _, size := range []uint16{1, 30, 41, 50, 200} {
		if d, err := b.decode(t, "size", claim(files["texture"], size, 300-size)); err == nil && d > levels {
			t.Errorf("size %dx%d: a difference of %d", size, 300-size, d)
		}
	}
}
