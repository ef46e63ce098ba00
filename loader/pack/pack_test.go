package pack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/loader/picture"
	"alexnet/loader/record"
	"alexnet/loader/shapes"
)

// noise returns an image whose pixels depend on n.
func noise(n, height, width int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = byte((i*i*7 + n*131 + i*n) >> 2)
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	return m
}

// encoded returns image n as JPEG or PNG.
func encoded(t testing.TB, n, height, width int) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	if m := noise(n, height, width); n%3 == 0 {
		err = jpeg.Encode(&b, m, nil)
	} else {
		err = png.Encode(&b, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree returns a data set of 2 splits, 3 classes, sizes all different.
func tree(t testing.TB) map[string][]byte {
	files := make(map[string][]byte)
	for n := range 40 {
		s := []string{"train", "train", "train", "test"}[n%4]
		class := []string{"cat", "n01440764", "ant"}[n%3]
		files[fmt.Sprintf("%s/%s/%04d.x", s, class, n)] = encoded(t, n, 9+n%5, 8+n%7)
	}
	files["train/.DS_Store"] = []byte("x")
	files["__MACOSX/train/cat/._1.jpg"] = []byte("x")
	return files
}

func writeDir(t testing.TB, dir string, files map[string][]byte) string {
	t.Helper()
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, b, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tarOf returns a tar of files, in no special order, with folders and prefix "./".
func tarOf(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o777}); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: "./" + name, Size: int64(len(data)), Mode: 0o666}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeTar(t testing.TB, path string, files map[string][]byte) string {
	t.Helper()
	b := tarOf(t, files)
	if strings.HasSuffix(path, "z") {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		b = z.Bytes()
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// pixels reads a split back: pixels, label and source number of each image.
func pixels(t testing.TB, dir, split string) (images [][]byte, labels []int, sources []int64) {
	t.Helper()
	f, err := record.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Verify(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var d record.Decoder
	for _, r := range f.Shards[split] {
		for c := range r.Chunks() {
			if err := d.Read(r, c); err != nil {
				t.Fatal(err)
			}
			for k := range d.Len() {
				im, b := d.Image(k)
				images = append(images, bytes.Clone(b))
				labels = append(labels, int(im.Label))
				sources = append(sources, im.Source)
			}
		}
	}
	return images, labels, sources
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	return got
}

// Folder, tar and tar.gz, one worker or many: the same bytes.
func TestSameBytesFromAnySourceAndAnyWorkers(t *testing.T) {
	dir, files := t.TempDir(), tree(t)
	var want map[string][]byte
	for i, source := range []string{
		writeDir(t, filepath.Join(dir, "s"), files),
		writeTar(t, filepath.Join(dir, "s.tar"), files),
		writeTar(t, filepath.Join(dir, "s.tgz"), files),
	} {
		out := filepath.Join(dir, fmt.Sprint("out", i))
		last := 0
		d, err := Folder(t.Context(), Options{Source: source, Out: out, Name: "n", Size: 8, Workers: 1 + 3*i, Progress: func(done, total int) {
			if done != last+1 || total != 40 {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		}})
		if err != nil {
			t.Fatal(err)
		}
		if last != 40 || d.Splits["train"].Images != 30 || d.Splits["test"].Images != 10 {
			t.Errorf("%s: %d images of progress, splits %+v", source, last, d.Splits)
		}
		if got := fmt.Sprint(d.Classes); got != "[{ant } {cat } {n01440764 n01440764}]" {
			t.Errorf("classes %s", got)
		}
		got := make(map[string][]byte)
		for _, name := range names(t, out) {
			b, err := os.ReadFile(filepath.Join(out, name))
			if err != nil {
				t.Fatal(err)
			}
			if name == "dataset.json" { // its free text names the source
				b = []byte(strings.Replace(string(b), `"`+filepath.Base(source)+",", `"s,`, 1))
			}
			got[name] = b
		}
		if want == nil {
			want = got
		}
		if len(got) != 4 || fmt.Sprintf("%x", got) != fmt.Sprintf("%x", want) {
			t.Errorf("%s gives other bytes than a folder", source)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"out0", "out1", "out2", "s", "s.tar", "s.tgz"}) {
		t.Errorf("left behind: %q", got)
	}
}

// Every image is there once, with its own label, and not in the order of the source.
func TestEveryImageOnceAndShuffled(t *testing.T) {
	dir := t.TempDir()
	files := make(map[string][]byte)
	for n := range 60 {
		var b bytes.Buffer
		if err := png.Encode(&b, noise(n, 6, 5)); err != nil {
			t.Fatal(err)
		}
		files[fmt.Sprintf("wrap/train/%c/%02d", 'a'+n/20, n)] = b.Bytes()
	}
	out := filepath.Join(dir, "out")
	d, err := Folder(t.Context(), Options{Source: writeDir(t, filepath.Join(dir, "s"), files), Out: out})
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "out" || d.Height != 6 || d.Width != 5 || len(d.Splits) != 1 || !strings.Contains(d.Source, "no test split") {
		t.Errorf("%+v", d)
	}
	images, labels, sources := pixels(t, out, "train")
	seen := make(map[int64]bool)
	for i, n := range sources {
		seen[n] = true
		var want []byte
		for j, p := range noise(int(n), 6, 5).Pix {
			if j%4 < 3 {
				want = append(want, p)
			}
		}
		if labels[i] != int(n)/20 || !bytes.Equal(images[i], want) {
			t.Errorf("image %d, number %d of the source: label %d, pixels equal: %v", i, n, labels[i], bytes.Equal(images[i], want))
		}
	}
	if len(seen) != 60 || slices.IsSorted(sources) {
		t.Errorf("%d different images, sources %v", len(seen), sources)
	}
}

// Mean and covariance against a plain float64 reckoning in two passes.
func TestStatistics(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if _, err := Folder(t.Context(), Options{Source: writeDir(t, filepath.Join(dir, "s"), tree(t)), Out: out, Size: 7}); err != nil {
		t.Fatal(err)
	}
	f, err := record.OpenFolder(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	images, _, _ := pixels(t, out, "train") // and not the test split
	n := float64(len(images))
	mean := make([]float64, 7*7*3)
	var rgb [3]float64
	for _, m := range images {
		for i, p := range m {
			mean[i] += float64(p) / n
			rgb[i%3] += float64(p) / (n * 49)
		}
	}
	var cov [3][3]float64
	for _, m := range images {
		for p := 0; p < len(m); p += 3 {
			for i := range 3 {
				for j := range 3 {
					cov[i][j] += (float64(m[p+i]) - rgb[i]) * (float64(m[p+j]) - rgb[j]) / (n * 49)
				}
			}
		}
	}
	s := f.Statistics
	if s.Images != 30 {
		t.Errorf("%d images counted", s.Images)
	}
	for i, v := range s.Mean { // stored as float32: 24 bits of at most 255
		if math.Abs(float64(v)-mean[i]) > 255.0/(1<<24) {
			t.Fatalf("mean %d is %g, want %g", i, v, mean[i])
		}
	}
	for i := range 3 { // float64 sums of 1470 numbers below 2^16
		if math.Abs(s.RGB[i]-rgb[i]) > 1e-10 {
			t.Errorf("colour %d is %g, want %g", i, s.RGB[i], rgb[i])
		}
		for j := range 3 {
			if math.Abs(s.Covariance[i][j]-cov[i][j]) > 1e-8 {
				t.Errorf("covariance %d %d is %g, want %g", i, j, s.Covariance[i][j], cov[i][j])
			}
		}
	}
}

func TestWithoutSplitsATenthIsForTesting(t *testing.T) {
	dir := t.TempDir()
	files := make(map[string][]byte)
	for n := range 50 {
		files[fmt.Sprintf("%c/%02d.gif", 'a'+n%2, n)] = encoded(t, n, 4, 4)
	}
	source := writeDir(t, filepath.Join(dir, "s"), files)
	for fraction, want := range map[float64]int{0: 3, 0.5: 13, 0.99: 24} { // of 25 in each class; halves round up, and one always trains
		out := filepath.Join(dir, fmt.Sprint(fraction))
		d, err := Folder(t.Context(), Options{Source: source, Out: out, TestFraction: fraction})
		if err != nil {
			t.Fatal(err)
		}
		_, train, _ := pixels(t, out, "train")
		_, test, _ := pixels(t, out, "test")
		count := [2][2]int{}
		for i, labels := range [][]int{train, test} {
			for _, l := range labels {
				count[i][l]++
			}
		}
		if count != [2][2]int{{25 - want, 25 - want}, {want, want}} || d.Splits["test"].Images != 2*want {
			t.Errorf("fraction %g: images %v, want %d of each class for testing", fraction, count, want)
		}
	}
}

func TestErrorsNameTheFileAndTheRemedy(t *testing.T) {
	good := encoded(t, 1, 8, 8)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, noise(0, 64, 64), nil); err != nil {
		t.Fatal(err)
	}
	photo := b.Bytes()
	huge := bytes.Clone(good)
	copy(huge[16:], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // 65536 x 65536
	for name, c := range map[string]struct {
		files map[string][]byte
		size  int
		want  []string
	}{
		"truncated":   {map[string][]byte{"train/a/1": photo, "train/b/2.jpg": photo[:len(photo)/2]}, 8, []string{"b/2.jpg", "mend or remove"}},
		"text":        {map[string][]byte{"train/a/1": good, "train/b/README": []byte("hello")}, 8, []string{"b/README", "mend or remove"}},
		"empty":       {map[string][]byte{"train/a/1": good, "train/b/2": nil}, 8, []string{"b/2", "mend or remove"}},
		"huge":        {map[string][]byte{"train/a/1": good, "train/b/2": fixCRC(huge)}, 8, []string{"b/2", "65536x65536", "at most"}},
		"sizes":       {map[string][]byte{"train/a/1": good, "train/b/2": encoded(t, 2, 8, 9)}, 0, []string{"8x9", "8x8", "give a size"}},
		"no images":   {nil, 8, []string{"no images", "<class>/<image>"}},
		"one class":   {map[string][]byte{"train/a/1": good}, 8, []string{"1 classes", "at least 2"}},
		"only test":   {map[string][]byte{"test/a/1": good, "test/b/1": good}, 8, []string{"0 classes"}},
		"mixed":       {map[string][]byte{"train/a/1": good, "b/1": good}, 8, []string{"does not fit the layout"}},
		"deep":        {map[string][]byte{"train/a/images/1": good, "train/b/images/1": good}, 8, []string{"train/a/images/1", "layout"}},
		"flat":        {map[string][]byte{"1.jpg": good}, 8, []string{"1.jpg", "layout"}},
		"both":        {map[string][]byte{"train/a/1": good, "train/b/1": good, "test/a/1": good, "val/a/1": good}, 8, []string{"test/", "val/"}},
		"stray class": {map[string][]byte{"train/a/1": good, "train/b/1": good, "val/c/1": good}, 8, []string{"val/c/1", "no training images"}},
		"big":         {map[string][]byte{"a/1": good, "a/2": good, "b/1": good, "b/2": good}, 1 << 20, []string{"at most"}},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "s"), 0o777); err != nil {
			t.Fatal(err)
		}
		source := writeDir(t, filepath.Join(dir, "s"), c.files)
		o := Options{Source: source, Out: filepath.Join(dir, "out"), Size: c.size, TestFraction: 0.5, Strict: true}
		_, err := Folder(t.Context(), o)
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %v, want one with %q", name, err, w)
			}
		}
		if got := names(t, dir); !slices.Equal(got, []string{"s"}) {
			t.Errorf("%s: left behind: %q", name, got)
		}
	}
}

// fixCRC gives a PNG's first chunk the checksum that fits.
func fixCRC(b []byte) []byte {
	c := crc32.ChecksumIEEE(b[12:29])
	copy(b[29:], []byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
	return b
}

func TestBadArchives(t *testing.T) {
	dir := t.TempDir()
	whole := tarOf(t, map[string][]byte{"train/a/1": encoded(t, 1, 8, 8), "train/b/2": encoded(t, 2, 8, 8)})
	path := filepath.Join(dir, "s")
	try := func(b []byte) error {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Folder(t.Context(), Options{Source: path, Out: filepath.Join(dir, "out")})
		return err
	}
	// Everything before the second of the two blocks of zeros that end a tar.
	for n := 0; n < len(whole)-1024; n += 64 {
		if err := try(whole[:n]); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("tar cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	z, err := os.ReadFile(writeTar(t, filepath.Join(dir, "z.tgz"), map[string][]byte{"train/a/1": encoded(t, 1, 8, 8)}))
	if err != nil {
		t.Fatal(err)
	}
	for n := 2; n < len(z); n += 9 {
		if err := try(z[:n]); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("tar.gz cut to %d of %d bytes: %v", n, len(z), err)
		}
	}
	for _, c := range []struct{ content, want string }{
		{"PK\x03\x04zip", "not a valid zip file"},
		{strings.Repeat("not a tar ", 100), "give a folder"},
		{"", "empty"},
	} {
		if err := try([]byte(c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.10q: %v", c.content, err)
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for range 2 {
		if err := w.WriteHeader(&tar.Header{Name: "train/a/1", Mode: 0o666}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := try(b.Bytes()); err == nil || !strings.Contains(err.Error(), "train/a/1 is there twice") {
		t.Errorf("the same name twice: %v", err)
	}
	b.Reset()
	w = tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "train/a/1", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := try(b.Bytes()); err == nil || !strings.Contains(err.Error(), "no plain file") {
		t.Errorf("link: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"s", "z.tgz"}) {
		t.Errorf("left behind: %q", got)
	}
}

func TestOutIsNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	out := writeDir(t, filepath.Join(dir, "out"), map[string][]byte{"precious": []byte("x")})
	o := Options{Out: out}
	if _, err := Shapes(t.Context(), o, 1, 4, 4); err == nil || !strings.Contains(err.Error(), "remove it, or choose another") {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(filepath.Join(out, "precious")); err != nil {
		t.Fatal(err)
	}
	if _, err := Shapes(t.Context(), o, 1, 4, 4); err != nil {
		t.Errorf("into an empty folder: %v", err)
	}
	if _, err := Shapes(t.Context(), o, 1, 4, 4); err == nil {
		t.Error("a data set was overwritten")
	}
	if _, err := Shapes(t.Context(), Options{Out: filepath.Join(dir, "no", "out")}, 1, 4, 4); err == nil || !strings.Contains(err.Error(), "must exist") {
		t.Errorf("in a folder that is not there: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"out"}) {
		t.Errorf("left behind: %q", got)
	}
}

// An image whose decoding was stopped is no bad image.
func TestStoppedImageIsNotRejected(t *testing.T) {
	dir := t.TempDir()
	write1(t, filepath.Join(dir, "a.png"), encoded(t, 1, 8, 8))
	a, err := openArchive(t.Context(), dir, scratch{dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var w worker
	defer w.close()
	one := labelled{from: a, member: a.members[0]}
	if _, err := w.decode(over, one, picture.Options{}, nil); !errors.Is(err, context.Canceled) || errors.As(err, new(*rejection)) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := w.decode(t.Context(), one, picture.Options{}, nil); err != nil {
		t.Error(err)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	for _, at := range []int{1, 7, 20} { // before the one shard of the training split is whole
		dir := t.TempDir()
		source := writeTar(t, filepath.Join(dir, "s.tgz"), tree(t))
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Folder(ctx, Options{Source: source, Out: filepath.Join(dir, "out"), Size: 8, Progress: func(done, _ int) {
			if done == at {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at image %d: %v", at, err)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"s.tgz"}) {
			t.Errorf("cancelled at image %d: left behind: %q", at, got)
		}
	}
}

func TestShapes(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	d, err := Shapes(t.Context(), Options{Out: out, Workers: 3}, 7, 50, 20)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Classes) != 10 || d.Classes[3].Name != shapes.Names[3] || d.Splits["train"].Images != 50 || d.Splits["test"].Images != 20 {
		t.Errorf("%+v", d)
	}
	want := make([]byte, shapes.Size*shapes.Size*3)
	for n, split := range []string{"train", "test"} {
		images, labels, sources := pixels(t, out, split)
		for i := range images {
			label := shapes.Draw(want, 7, uint32(n), uint32(sources[i]))
			if labels[i] != label || !bytes.Equal(images[i], want) {
				t.Fatalf("%s image %d is not as drawn", split, i)
			}
		}
	}
}

func cifarFiles(labels int) map[string][]byte {
	files := map[string][]byte{
		"x/batches.meta.txt": []byte("airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"),
		"x/readme.html":      []byte("hello"),
	}
	for b := range 6 {
		name := fmt.Sprintf("x/data_batch_%d.bin", b+1)
		if b == 5 {
			name = "x/test_batch.bin"
		}
		for i := range 3 + b {
			r := []byte{byte((b + i) % labels)}
			for p := range 3072 {
				r = append(r, byte(p/1024*100+p%97+b+i))
			}
			files[name] = append(files[name], r...)
		}
	}
	return files
}

func TestCIFAR10(t *testing.T) {
	dir := t.TempDir()
	for _, source := range []string{
		writeDir(t, filepath.Join(dir, "s"), cifarFiles(10)),
		writeTar(t, filepath.Join(dir, "cifar-10-binary.tar.gz"), cifarFiles(10)),
	} {
		out := source + ".out"
		d, err := CIFAR10(t.Context(), Options{Source: source, Out: out})
		if err != nil {
			t.Fatal(err)
		}
		if d.Classes[9].Name != "truck" || d.Splits["train"].Images != 25 || d.Splits["test"].Images != 8 {
			t.Errorf("%+v", d)
		}
		images, labels, sources := pixels(t, out, "train")
		for i, n := range sources {
			b, k := 0, int(n) // batches have 3, 4, 5, 6 and 7 images
			for ; k >= 3+b; b++ {
				k -= 3 + b
			}
			for p, v := range images[i] {
				if want := byte(p%3*100 + (p%3*1024+p/3)%97 + b + k); v != want {
					t.Fatalf("image %d: byte %d is %d, want %d", n, p, v, want)
				}
			}
			if labels[i] != (b+k)%10 {
				t.Errorf("image %d has label %d", n, labels[i])
			}
		}
	}
}

func TestCIFAR10Errors(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f map[string][]byte)
		want   string
	}{
		"absent": {func(f map[string][]byte) { delete(f, "x/data_batch_3.bin") }, "no data_batch_3.bin"},
		"cut":    {func(f map[string][]byte) { f["x/test_batch.bin"] = f["x/test_batch.bin"][1:] }, "test_batch.bin: it has"},
		"label":  {func(f map[string][]byte) { f["x/data_batch_2.bin"][3073] = 10 }, "data_batch_2.bin: record at byte 3073: label 10"},
		"names":  {func(f map[string][]byte) { f["x/batches.meta.txt"] = []byte("a b") }, "names 2 classes"},
	} {
		dir, files := t.TempDir(), cifarFiles(10)
		c.change(files)
		_, err := CIFAR10(t.Context(), Options{Source: writeDir(t, filepath.Join(dir, "s"), files), Out: filepath.Join(dir, "out")})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"s"}) {
			t.Errorf("%s: left behind: %q", name, got)
		}
	}
}

// bmpOf returns a plain 24-bit BMP of one colour.
func bmpOf(height, width int, r, g, b byte) []byte {
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

// TestSomeClasses: packing some classes gives what packing a folder of those alone
// does.
func TestSomeClasses(t *testing.T) {
	dir, files := t.TempDir(), tree(t)
	all := writeDir(t, filepath.Join(dir, "all"), files)
	for name := range files {
		if strings.Contains(name, "/cat/") {
			delete(files, name)
		}
	}
	some := writeDir(t, filepath.Join(dir, "some"), files)
	a, b := filepath.Join(dir, "a.set"), filepath.Join(dir, "b.set")
	x, err := Folder(t.Context(), Options{Source: all, Out: a, Name: "x", Size: 8, Classes: []string{"n01440764", "ant"}})
	if err != nil {
		t.Fatal(err)
	}
	y, err := Folder(t.Context(), Options{Source: some, Out: b, Name: "x", Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	if x.Fingerprint != y.Fingerprint || len(x.Classes) != 2 {
		t.Errorf("fingerprints %s and %s, %d classes", x.Fingerprint, y.Fingerprint, len(x.Classes))
	}
	_, err = Folder(t.Context(), Options{Source: all, Out: filepath.Join(dir, "c.set"), Size: 8, Classes: []string{"ant", "cow", "train"}})
	if err == nil || !strings.Contains(err.Error(), "it has no class cow, train") {
		t.Errorf("classes that are not there: error %v", err)
	}
}
