package pack

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/loader/record"
)

// classColors are far from each other: an image's mean colour tells its class.
var classColors = [5]color.RGBA{{250, 0, 0, 255}, {0, 250, 0, 255}, {0, 0, 250, 255}, {250, 250, 0, 255}, {0, 250, 250, 255}}

// painted returns an image of a class, of a size that depends on n: a JPEG, or
// a PNG, GIF or BMP for some n.
func painted(t testing.TB, label, n int) []byte {
	t.Helper()
	c := classColors[label]
	height, width := 12+n%5, 13+n*3%11
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := 0; i < len(m.Pix); i += 4 {
		copy(m.Pix[i:], []byte{c.R, c.G, c.B, 255})
	}
	var b bytes.Buffer
	var err error
	switch n % 5 {
	case 1:
		err = png.Encode(&b, m)
	case 2:
		err = gif.Encode(&b, m, nil)
	case 3:
		return bmpOf(height, width, c.R, c.G, c.B)
	default:
		err = jpeg.Encode(&b, m, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// labelOf returns the class of an image by its mean colour.
func labelOf(pixels []byte) int {
	var mean [3]int
	for i, p := range pixels {
		mean[i%3] += int(p)
	}
	best, nearest := 0, 1<<60
	for label, c := range classColors {
		d := 0
		for i, v := range []uint8{c.R, c.G, c.B} {
			e := 3*mean[i]/len(pixels) - int(v)
			d += e * e
		}
		if d < nearest {
			best, nearest = label, d
		}
	}
	return best
}

// A small ImageNet, as it is handed out and with what is odd in it: a CMYK JPEG,
// files of other formats named .JPEG, a broken one. Whatever tells what the
// validation images show, each image gets its label.
func TestSmallILSVRC(t *testing.T) {
	cmyk, err := os.ReadFile("testdata/cmyk.jpg") // red; written by PIL, with Adobe's inversion
	if err != nil {
		t.Fatal(err)
	}
	tars := make(map[string][]byte)
	folders := make(map[string][]byte)
	for label, class := range smallClasses {
		images := make(map[string][]byte)
		for n := range 6 {
			images[fmt.Sprintf("%s_%d.JPEG", class, n)] = painted(t, label, n)
		}
		switch label {
		case 0:
			images[class+"_6.JPEG"] = cmyk
		case 3:
			images[class+"_7.JPEG"] = images[class+"_0.JPEG"][:300]
		}
		tars[class+".tar"] = tarOf(t, images)
		for name, b := range images {
			folders[class+"/"+name] = b
		}
	}
	flat, sorted := make(map[string][]byte), make(map[string][]byte)
	for i, id := range smallTruth {
		name := fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", i+1)
		b := painted(t, slices.Index(smallClasses, smallIDs[id]), i)
		flat[name], sorted[smallIDs[id]+"/"+name] = b, b
	}
	kit := gzipped(t, tarOf(t, kitFiles(t)))
	train, val := one("ILSVRC2012_img_train.tar", tarOf(t, tars)), one("ILSVRC2012_img_val.tar", tarOf(t, flat))
	synsets := truthText(func(_, _ int, synset string, _ int) string { return synset })
	for name, files := range map[string]map[string][]byte{
		"as handed out":   joined(train, val, one("ILSVRC2012_devkit_t12.tar.gz", kit)),
		"kit unpacked":    joined(train, under("val", flat), kitFiles(t)),
		"Caffe's val.txt": joined(train, val, one("val.txt", caffeText())),
		"list of synsets": joined(train, val, one("imagenet_2012_validation_synset_labels.txt", synsets)),
		"Kaggle":          joined(under("ILSVRC/Data/CLS-LOC/train", folders), under("ILSVRC/Data/CLS-LOC/val", flat), one("LOC_val_solution.csv", csvText())),
		"class folders":   joined(under("train", folders), under("val", sorted)),
		"folder of tars":  joined(under("train", tars), under("val", sorted)),
		"one Kaggle zip":  one("imagenet.zip", zipOf(t, joined(under("ILSVRC/Data/CLS-LOC/train", folders), under("ILSVRC/Data/CLS-LOC/val", flat), one("LOC_val_solution.csv", csvText())))),
	} {
		dir := t.TempDir()
		source := writeDir(t, filepath.Join(dir, "s"), files)
		if name == "one Kaggle zip" {
			source = filepath.Join(source, "imagenet.zip")
		}
		out := filepath.Join(dir, "out")
		d, err := ILSVRC(t.Context(), Options{Source: source, Out: out, Size: 10}, ILSVRCSource{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.Splits["train"].Images != 31 || d.Splits["test"].Images != 10 || d.Rejected != 1 {
			t.Errorf("%s: %d training and %d test images, %d rejected", name, d.Splits["train"].Images, d.Splits["test"].Images, d.Rejected)
		}
		for i, c := range d.Classes {
			if c.Synset != smallClasses[i] {
				t.Errorf("%s: class %d is %+v, want %s", name, i, c, smallClasses[i])
			}
		}
		for _, split := range []string{"train", "test"} {
			images, labels, _ := pixels(t, out, split)
			for i, m := range images {
				if got := labelOf(m); got != labels[i] {
					t.Errorf("%s: a %s image of class %d has label %d", name, split, got, labels[i])
				}
			}
		}
		list, err := os.ReadFile(filepath.Join(out, RejectedFile))
		if lines := strings.Split(string(list), "\n"); err != nil || len(lines) != 3 || lines[0] != "split\tfile\treason" ||
			!strings.HasPrefix(lines[1], "train\t") || !strings.Contains(lines[1], "n03126707_7.JPEG\t") || strings.Count(lines[1], "\t") != 2 {
			t.Errorf("%s: %s says %q, error %v", name, RejectedFile, list, err)
		}
		strict := Options{Source: source, Out: filepath.Join(dir, "strict"), Size: 10, Strict: true}
		if _, err := ILSVRC(t.Context(), strict, ILSVRCSource{}); err == nil || !strings.Contains(err.Error(), "n03126707_7.JPEG") {
			t.Errorf("%s: strict: %v", name, err)
		}
	}
}

// The middle of whole images is, bit for bit, what is packed without -full, and
// the statistics are of it.
func TestFullKeepsTheMiddle(t *testing.T) {
	dir := t.TempDir()
	files := tree(t)
	files["train/cat/wide"] = encoded(t, 50, 20, 90)
	files["train/ant/high"] = encoded(t, 51, 71, 12)
	source := writeDir(t, filepath.Join(dir, "s"), files)
	square, full := filepath.Join(dir, "square"), filepath.Join(dir, "full")
	if _, err := Folder(t.Context(), Options{Source: source, Out: square, Size: 8}); err != nil {
		t.Fatal(err)
	}
	d, err := Folder(t.Context(), Options{Source: source, Out: full, Size: 8, Full: true, Codec: record.Delta})
	if err != nil {
		t.Fatal(err)
	}
	if d.Longest != 16 || d.Height != 8 || d.Width != 8 {
		t.Errorf("%+v", d)
	}
	want, labels, sources := pixels(t, square, "train")
	f, err := record.OpenFolder(full)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, longer, n := f.Shards["train"][0], 0, 0
	var dec record.Decoder
	for c := range r.Chunks() {
		if err := dec.Read(r, c); err != nil {
			t.Fatal(err)
		}
		for k := range dec.Len() {
			im, b := dec.Image(k)
			if int(im.Label) != labels[n] || im.Source != sources[n] {
				t.Errorf("image %d is %+v", n, im)
			}
			if max(im.Height, im.Width) == 16 {
				longer++
			}
			top, left := r.Shape().Middle(im.Height, im.Width)
			for y := range 8 {
				if got := b[((top+y)*im.Width+left)*3:][:24]; !bytes.Equal(got, want[n][y*24:][:24]) {
					t.Fatalf("image %d, %dx%d: row %d of the middle is other than without -full", n, im.Height, im.Width, y)
				}
			}
			n++
		}
	}
	if n != 32 || longer != 2 {
		t.Errorf("%d images, %d of them as long as may be", n, longer)
	}
	s, err := record.OpenFolder(square)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !slices.Equal(s.Statistics.Mean, f.Statistics.Mean) || s.Statistics.Covariance != f.Statistics.Covariance {
		t.Error("the statistics differ")
	}
}

// Codec, filter and EXIF do what they say.
func TestOptionsMatter(t *testing.T) {
	dir := t.TempDir()
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, noise(1, 20, 30), nil); err != nil {
		t.Fatal(err)
	}
	// Orientation 3, upside down, in an EXIF segment after the start of image.
	exif := "\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x03\x00\x00\x00\x00\x00\x00"
	turned := slices.Concat(photo.Bytes()[:2], []byte(exif), photo.Bytes()[2:])
	source := writeDir(t, filepath.Join(dir, "s"), map[string][]byte{"train/n00000001/1": turned, "train/n00000002/2": turned})
	pack := func(name string, change func(*Options)) ([]byte, *record.Dataset) {
		o := Options{Source: source, Out: filepath.Join(dir, name), Size: 9}
		change(&o)
		d, err := Folder(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		images, _, _ := pixels(t, o.Out, "train")
		return images[0], d
	}
	plain, d := pack("plain", func(*Options) {})
	if d.Codec != record.Raw || !strings.Contains(d.Prepared, "shorter side to 9 (bicubic)") || !strings.Contains(d.Prepared, "; chroma interpolated; JPEG by ") {
		t.Errorf("%+v", d)
	}
	delta, e := pack("delta", func(o *Options) { o.Codec = record.Delta })
	if !bytes.Equal(delta, plain) || e.Codec != record.Delta || e.Splits["train"].Shards[0].Content != d.Splits["train"].Shards[0].Content {
		t.Errorf("codec delta: %+v", e)
	}
	box, _ := pack("box", func(o *Options) { o.Filter++ })
	if bytes.Equal(box, plain) {
		t.Error("another filter gives the same pixels")
	}
	upright, e := pack("exif", func(o *Options) { o.Orient = true })
	for i := range 81 {
		if !bytes.Equal(upright[3*i:][:3], plain[3*(80-i):][:3]) {
			t.Fatal("orientation 3 does not turn the image upside down")
		}
	}
	if !strings.Contains(e.Prepared, "EXIF") {
		t.Errorf("%+v", e)
	}
	list := filepath.Join(dir, "names.txt")
	for text, want := range map[string]string{"n00000002 tench, Tinca tinca\n": "tench, Tinca tinca", "n00000003 x\n": ""} {
		if err := os.WriteFile(list, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		d, err := Folder(t.Context(), Options{Source: source, Out: filepath.Join(dir, "names"), Size: 9, Names: list})
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "names none of the classes")):
			t.Errorf("a list of other names: %v", err)
		case want != "" && (err != nil || d.Classes[1] != (record.Class{Name: want, Synset: "n00000002"})):
			t.Errorf("%v, error %v", d, err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "names")); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing but files that are no images is an error, and an image that is gone,
// or cannot be read from the disk, is not passed over.
func TestWhatIsNotRejected(t *testing.T) {
	dir := t.TempDir()
	source := writeDir(t, filepath.Join(dir, "s"), map[string][]byte{"train/a/1": []byte("x"), "train/b/2": []byte("y")})
	if _, err := Folder(t.Context(), Options{Source: source, Out: filepath.Join(dir, "out"), Size: 8}); err == nil || !strings.Contains(err.Error(), "none of the 2 train images") {
		t.Errorf("no image at all: %v", err)
	}
	source = writeDir(t, filepath.Join(dir, "t"), tree(t))
	o := Options{Source: source, Out: filepath.Join(dir, "out"), Size: 8, Workers: 1}
	o.Message = func(string, ...any) { // it has been listed
		if err := os.RemoveAll(filepath.Join(source, "test")); err != nil {
			t.Error(err)
		}
	}
	if _, err := Folder(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("images that are gone: %v", err)
	}
}
