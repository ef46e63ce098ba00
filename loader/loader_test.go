package loader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alexnet/internal/philox"
	"alexnet/internal/testenv"
	"alexnet/loader/record"
)

// testSet says what data set a test needs.
type testSet struct {
	height, width, chunk int
	longest              int   // of whole images
	train                []int // images of each shard
	test                 int
}

var usual = testSet{height: 9, width: 7, chunk: 4, train: []int{23, 18, 4}, test: 11}

// pixel is the content of the test images.
func pixel(split string, image, y, x, c int) byte {
	return byte(image*37 + y*5 + x*11 + c*3 + len(split)*100 + image*y*x)
}

func label(image int) int32 { return int32(image * 7 % 10) }

func (s testSet) shape() record.Shape {
	return record.Shape{Height: s.height, Width: s.width, Longest: s.longest, ChunkImages: s.chunk}
}

// size returns the size of an image.
func (s testSet) size(image int) (height, width int) {
	switch {
	case s.longest == 0 || image%3 == 0:
		return s.height, s.width
	case image%3 == 1:
		return s.height, s.height + image%(s.longest-s.height+1)
	}
	return s.height + image%(s.longest-s.height+1), s.height
}

// write writes the data set into a new folder.
func (s testSet) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	d := &record.Dataset{Name: "test", Source: "drawn", Height: s.height, Width: s.width, ChunkImages: s.chunk, Longest: s.longest, Codec: record.Delta, Splits: make(map[string]record.Split)}
	for i := range 10 {
		d.Classes = append(d.Classes, record.Class{Name: fmt.Sprint("class ", i)})
	}
	splits := map[string][]int{"train": s.train}
	if s.test > 0 {
		splits["test"] = []int{s.test}
	}
	for split, shards := range splits {
		image, entry := 0, record.Split{}
		for n, images := range shards {
			shape := s.shape()
			w, err := record.Create(filepath.Join(dir, fmt.Sprintf("%s-%05d.rec", split, n)), shape, record.Delta)
			if err != nil {
				t.Fatal(err)
			}
			encoder, err := record.NewEncoder(record.Delta)
			if err != nil {
				t.Fatal(err)
			}
			chunk := record.NewChunk(shape)
			for last := image + images - 1; image <= last; image++ {
				im := record.Image{Label: label(image), Source: int64(image)}
				im.Height, im.Width = s.size(image)
				var b []byte
				for p := range im.Height * im.Width {
					for c := range 3 {
						b = append(b, pixel(split, image, p/im.Width, p%im.Width, c))
					}
				}
				if err := chunk.Add(im, b); err != nil {
					t.Fatal(err)
				}
				if chunk.Full() || image == last {
					encoder.Encode(chunk)
					if err := w.Write(chunk); err != nil {
						t.Fatal(err)
					}
					chunk.Reset()
				}
			}
			shard, err := w.Close()
			if err != nil {
				t.Fatal(err)
			}
			entry.Shards = append(entry.Shards, shard)
		}
		entry.Images = image
		d.Splits[split] = entry
	}
	st := &record.Statistics{Height: s.height, Width: s.width, Images: 1, Mean: make([]float32, s.height*s.width*3),
		Covariance: [3][3]float64{{4000, 3000, 2500}, {3000, 3900, 3100}, {2500, 3100, 4200}}}
	var err error
	if d.Statistics, err = record.WriteStatistics(dir, st); err != nil {
		t.Fatal(err)
	}
	if err := record.WriteDataset(dir, d); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t testing.TB, s testSet) *Set {
	t.Helper()
	set, err := Open(s.write(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}

// row is one row of a batch.
type row struct {
	pixels string
	view   [viewNumbers]float32
	label  int32
	image  int64
}

// take returns the next n rows, whole batches, and closes b.
func take(t testing.TB, b *Batches, err error, n int) []row {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var rows []row
	for len(rows) < n {
		batch, err := b.Next(t.Context())
		if err == ErrEnd {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := b.first + int64(len(rows)); batch.First != want {
			t.Fatalf("a batch starts at row %d, want %d", batch.First, want)
		}
		size := len(batch.Pixels) / len(batch.Labels)
		for i := range batch.Labels {
			rows = append(rows, row{string(batch.Pixels[i*size : (i+1)*size]),
				[viewNumbers]float32(batch.Views[i*viewNumbers:]), batch.Labels[i], batch.Images[i]})
		}
		b.Release(batch)
	}
	return rows
}

func train(t testing.TB, s *Set, o Options, first int64, n int) []row {
	t.Helper()
	b, err := s.Train(t.Context(), o, first)
	return take(t, b, err, n)
}

func images(rows []row) []int64 {
	var list []int64
	for _, r := range rows {
		list = append(list, r.image)
	}
	return list
}

// check holds a row against the definition of the test images.
func check(t testing.TB, r row, split string, height, width int) {
	t.Helper()
	if r.label != label(int(r.image)) {
		t.Errorf("image %d has label %d", r.image, r.label)
	}
	for y := range height {
		for x := range width {
			from := x
			if r.view[2] == 1 {
				from = width - 1 - x
			}
			for c := range 3 {
				want := pixel(split, int(r.image), int(r.view[0])+y, int(r.view[1])+from, c)
				if got := r.pixels[(y*width+x)*3+c]; got != want {
					t.Fatalf("image %d, view %v: row %d column %d colour %d is %d, want %d", r.image, r.view, y, x, c, got, want)
				}
			}
		}
	}
}

// windows that hold one chunk, a few, and everything.
var windows = []int64{1, 2500, 1 << 20}

func TestEachImageOnceAPass(t *testing.T) {
	s := open(t, usual)
	for _, window := range windows {
		for _, rows := range []int{1, 7, 45, 100} {
			all := train(t, s, Options{Rows: rows, Height: 9, Width: 7, Seed: 3, Window: window}, 0, 4*45)
			var passes [][]int64
			for pass := range slices.Chunk(images(all)[:4*45], 45) {
				sorted := slices.Sorted(slices.Values(pass))
				for i, image := range sorted {
					if image != int64(i) {
						t.Fatalf("window %d, %d rows: a pass has %v", window, rows, sorted)
					}
				}
				for _, other := range passes {
					if slices.Equal(pass, other) {
						t.Errorf("window %d: two passes have one order", window)
					}
				}
				passes = append(passes, pass)
			}
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	s := open(t, usual)
	a := train(t, s, Options{Rows: 45, Height: 4, Width: 4, Seed: 1}, 0, 45)
	b := train(t, s, Options{Rows: 45, Height: 4, Width: 4, Seed: 2}, 0, 45)
	if slices.Equal(images(a), images(b)) {
		t.Error("two seeds give one order")
	}
	same := 0
	for _, x := range a {
		for _, y := range b {
			if x.image == y.image && x.view == y.view {
				same++
			}
		}
	}
	if same > 15 { // of 45, each with 1 chance in 24
		t.Errorf("two seeds give %d of 45 images the same crop", same)
	}
}

// Images of one chunk come within one window, and not in the order of the
// file; with everything in the window the order is any.
func TestWindowShuffles(t *testing.T) {
	s := open(t, usual)
	group := 3 * 4 * 9 * 7 * 3 // three chunks
	all := images(train(t, s, Options{Rows: 45, Seed: 5, Window: int64(group)}, 0, 45))
	at := make(map[int64]int)
	for i, image := range all {
		at[image] = i
	}
	for first := int64(0); first < 20; first += 4 { // the first shard's full chunks
		for k := range int64(4) {
			if d := at[first] - at[first+k]; d < -11 || d > 11 {
				t.Errorf("images %d and %d of one chunk are %d places apart in a window of 12", first, first+k, d)
			}
		}
	}
	neighbours := 0
	for i := range all[1:] {
		if all[i+1] == all[i]+1 {
			neighbours++
		}
	}
	if neighbours > 15 { // about 4 expected
		t.Errorf("%d of 45 images are followed by their neighbour in the file", neighbours)
	}
}

// Fully shuffled, every image is as likely in every place.
func TestSmallSplitIsShuffledFully(t *testing.T) {
	s := open(t, testSet{height: 1, width: 1, chunk: 2, train: []int{5}, test: 1})
	const passes = 4000
	all := images(train(t, s, Options{Rows: 500, Seed: 9}, 0, 5*passes))
	var count [5][5]int
	for i, image := range all {
		count[i%5][image]++
	}
	// Five deviations of a binomial count.
	want, most := float64(passes)/5, 5*math.Sqrt(passes*0.2*0.8)
	for place := range count {
		for image, n := range count[place] {
			if math.Abs(float64(n)-want) > most {
				t.Errorf("image %d came to place %d %d times, want %g±%g", image, place, n, want, most)
			}
		}
	}
}

func TestResumeGivesTheSameBatches(t *testing.T) {
	s := open(t, usual)
	for _, window := range windows {
		o := Options{Rows: 8, Height: 5, Width: 4, Mirror: true, Color: 0.1, Seed: 1 << 40, Window: window}
		whole := train(t, s, o, 0, 200)
		for _, first := range []int64{0, 8, 40, 45, 48, 88, 90, 91, 120} {
			if got := train(t, s, o, first, 80); !slices.Equal(got, whole[first:first+80]) {
				t.Errorf("window %d: from image %d on there are other batches than in the whole run", window, first)
			}
		}
	}
}

// The view of an image in a pass is a matter of seed, pass and image alone,
// and the pixels are those of the records.
func TestViewsDependOnSeedPassAndImageAlone(t *testing.T) {
	s := open(t, usual)
	type key struct {
		pass  int
		image int64
	}
	seen := make(map[key]row)
	for _, window := range windows {
		for _, rows := range []int{3, 64} {
			for _, processors := range []int{1, 5} {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
				b, err := s.Train(t.Context(), Options{Rows: rows, Height: 5, Width: 4, Mirror: true, Color: 0.1, Seed: 77, Window: window}, 0)
				for i, r := range take(t, b, err, 90)[:90] {
					k := key{i / 45, r.image}
					if old, ok := seen[k]; ok && old != r {
						t.Fatalf("image %d of pass %d is not the same with window %d, %d rows, %d processors", r.image, k.pass, window, rows, processors)
					} else if !ok {
						check(t, r, "train", 5, 4)
					}
					seen[k] = r
				}
			}
		}
	}
	if len(seen) != 90 {
		t.Errorf("%d images in two passes, want 90", len(seen))
	}
	// As the package documents it.
	basis := s.Color()
	for k, r := range seen {
		n := philox.NewStream(77, philox.Crop, uint32(k.pass), uint32(k.image))
		want := [3]float32{float32(n.IntN(9 - 5 + 1)), float32(n.IntN(7 - 4 + 1)), float32(n.Uint32() & 1)}
		if [3]float32(r.view[:3]) != want {
			t.Errorf("image %d of pass %d: crop %v, want %v", k.image, k.pass, r.view[:3], want)
		}
		n = philox.NewStream(77, philox.Color, uint32(k.pass), uint32(k.image))
		a := [3]float64{n.Normal(), n.Normal(), n.Normal()}
		for c := range 3 {
			want := 0.1 * (a[0]*basis[0][c] + a[1]*basis[1][c] + a[2]*basis[2][c])
			if math.Abs(float64(r.view[3+c])-want) > 1e-5 { // float32, of numbers about 10
				t.Errorf("image %d of pass %d: colour %v, want %g", k.image, k.pass, r.view[3:], want)
			}
		}
	}
}

func TestMirror(t *testing.T) {
	for width := 1; width < 130; width++ {
		var from, want []byte
		for i := range 3 * width {
			from = append(from, byte(i))
			want = append(want, byte(3*(width-1-i/3)+i%3))
		}
		to := make([]byte, 3*width)
		if mirror(to, from); !slices.Equal(to, want) {
			t.Errorf("%v becomes %v, want %v", from, to, want)
		}
		clear(to)
		n := mirrorFast(to, from)
		if mirror(to[n:], from[:len(from)-n]); !slices.Equal(to, want) {
			t.Errorf("with the processor's help %v becomes %v, want %v", from, to, want)
		}
	}
}

func TestWithoutMirrorAndColor(t *testing.T) {
	s := open(t, usual)
	plain := train(t, s, Options{Rows: 45, Height: 5, Width: 4}, 0, 45)
	mirrored := 0
	for i, r := range train(t, s, Options{Rows: 45, Height: 5, Width: 4, Mirror: true}, 0, 45) {
		if plain[i].view[2] != 0 || [3]float32(plain[i].view[3:]) != [3]float32{} {
			t.Errorf("view %v without mirror and colour", plain[i].view)
		}
		if plain[i].view[0] != r.view[0] || plain[i].view[1] != r.view[1] {
			t.Errorf("mirroring moves the crop from %v to %v", plain[i].view, r.view)
		}
		mirrored += int(r.view[2])
	}
	if mirrored < 6 || mirrored > 39 { // five deviations around 22.5
		t.Errorf("%d of 45 images are mirrored", mirrored)
	}
}

// Colour noise that ends after two passes leaves crops, and the noise before, as
// they were.
func TestColorPasses(t *testing.T) {
	s := open(t, usual)
	o := Options{Rows: 45, Height: 5, Width: 4, Color: 0.1}
	always := train(t, s, o, 0, 4*45)
	o.ColorPasses = 2
	for i, r := range train(t, s, o, 0, 4*45) {
		want := always[i].view
		if i >= 2*45 {
			want = [6]float32{want[0], want[1]}
		}
		if r.view != want {
			t.Errorf("image %d of the sequence has view %v, want %v", i, r.view, want)
		}
	}
}

// The basis has the covariance for its square, by definition.
func TestColorBasis(t *testing.T) {
	cov := [3][3]float64{{4000, 3000, 2500}, {3000, 3900, 3100}, {2500, 3100, 4200}}
	basis := colorBasis(cov)
	for i := range 3 {
		for j := range 3 {
			sum, dot := 0.0, 0.0
			for k := range 3 {
				sum += basis[k][i] * basis[k][j]
				dot += basis[i][k] * basis[j][k]
			}
			if math.Abs(sum-cov[i][j]) > 1e-9 {
				t.Errorf("the basis gives covariance %g at %d %d, want %g", sum, i, j, cov[i][j])
			}
			if i != j && math.Abs(dot) > 1e-9 {
				t.Errorf("axes %d and %d are not at right angles: %g", i, j, dot)
			}
		}
		if largest := slices.MaxFunc(basis[i][:], func(a, b float64) int {
			return int(math.Copysign(1, math.Abs(a)-math.Abs(b)))
		}); largest < 0 {
			t.Errorf("axis %d points to %g", i, largest)
		}
	}
	for _, c := range [][3][3]float64{{}, {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}}} { // rounding may make an eigenvalue -1e-17
		for _, axis := range colorBasis(c) {
			for _, v := range axis {
				if math.IsNaN(v) || math.Abs(v) > 1+1e-9 {
					t.Errorf("covariance %v gives an axis %v", c, axis)
				}
			}
		}
	}
}

func TestOneViewInFileOrder(t *testing.T) {
	s := open(t, usual)
	for _, window := range windows {
		b, err := s.Test(t.Context(), Options{Rows: 4, Height: 5, Width: 4, Window: window})
		rows := take(t, b, err, 1000)
		if len(rows) != 12 {
			t.Fatalf("%d rows for 11 images in batches of 4", len(rows))
		}
		for i, r := range rows[:11] {
			if r.image != int64(i) || r.view != [viewNumbers]float32{2, 1} {
				t.Errorf("row %d is image %d, view %v", i, r.image, r.view)
			}
			check(t, r, "test", 5, 4)
		}
		if last := rows[11]; last != (row{strings.Repeat("\x00", 60), [viewNumbers]float32{}, -1, -1}) {
			t.Errorf("the filler is %+v", last)
		}
	}
}

func TestTenViews(t *testing.T) {
	s := open(t, usual)
	want := [10][3]float32{
		{0, 0, 0}, {0, 3, 0}, {4, 0, 0}, {4, 3, 0}, {2, 1, 0}, // 9x7 to 5x4
		{0, 0, 1}, {0, 3, 1}, {4, 0, 1}, {4, 3, 1}, {2, 1, 1},
	}
	b, err := s.Test(t.Context(), Options{Rows: 16, Height: 5, Width: 4, Views: 10})
	rows := take(t, b, err, 1000)
	if len(rows) != 112 {
		t.Fatalf("%d rows for 110 views in batches of 16", len(rows))
	}
	for i, r := range rows[:110] {
		if r.image != int64(i/10) || [3]float32(r.view[:3]) != want[i%10] {
			t.Errorf("row %d is image %d, view %v", i, r.image, r.view)
		}
		check(t, r, "test", 5, 4)
	}
	for _, r := range rows[110:] {
		if r.label != -1 || r.image != -1 {
			t.Errorf("the filler is %+v", r)
		}
	}
}

func TestEndStays(t *testing.T) {
	s := open(t, usual)
	b, err := s.Test(t.Context(), Options{Rows: 11})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := b.Next(t.Context()); err != ErrEnd {
			t.Errorf("after the last batch: %v", err)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	s := open(t, testSet{height: 9, width: 7, chunk: 4, train: []int{5}})
	for _, c := range []struct {
		test  bool
		o     Options
		first int64
		want  string
	}{
		{false, Options{Rows: 1, Height: 10, Width: 7}, 0, "10x7 from stored images of 9x7"},
		{false, Options{Rows: 1, Height: 9, Width: -1}, 0, "9x-1"},
		{false, Options{}, 0, "batch of 0"},
		{false, Options{Rows: 1, Color: -1}, 0, "deviation -1"},
		{false, Options{Rows: 1, Color: math.NaN()}, 0, "deviation NaN"},
		{false, Options{Rows: 1, Views: 10}, 0, "10 views"},
		{false, Options{Rows: 1, Window: -1}, 0, "window of -1"},
		{false, Options{Rows: 1}, -1, "image -1"},
		{false, Options{Rows: 1}, math.MaxInt64, "cannot start"},
		{false, Options{Rows: 1, Split: "dev"}, 0, `no split "dev"; it has train`},
		{true, Options{Rows: 1}, 0, `no split "test"; it has train`},
		{true, Options{Split: "train", Rows: 1, Mirror: true}, 0, "for training"},
		{true, Options{Split: "train", Rows: 1, Views: 5}, 0, "5 views"},
		{false, Options{Rows: 1, Rank: 2, Ranks: 2}, 0, "rank 2 of 2"},
		{false, Options{Rows: 1, Rank: -1}, 0, "rank -1"},
		{true, Options{Split: "train", Rows: 1, Ranks: 6}, 0, "rank 0 of 6 for 5 images"},
	} {
		var b *Batches
		var err error
		if c.test {
			b, err = s.Test(t.Context(), c.o)
		} else {
			b, err = s.Train(t.Context(), c.o, c.first)
		}
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.o, err, c.want)
		}
	}
}

// Batches that no memory holds are refused before any is taken.
func TestHugeBatches(t *testing.T) {
	s := open(t, testSet{height: 256, width: 256, chunk: 1, train: []int{1}, test: 1})
	if _, err := s.Train(t.Context(), Options{Rows: 1 << 20}, 0); err == nil || !strings.Contains(err.Error(), "smaller batches") {
		t.Errorf("error %v", err)
	}
}

// A chunk that is damaged while the run reads it: its neighbours' batches come
// first or not, then Next names shard and chunk, and Close returns.
func TestDamageInMidRun(t *testing.T) {
	dir := usual.write(t)
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(dir, "train-00001.rec")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{1, 2, 3, 4, 5}, 50); err != nil { // in chunk 0
		t.Fatal(err)
	}
	for _, window := range windows {
		b, err := s.Train(t.Context(), Options{Rows: 5, Window: window}, 0)
		if err != nil {
			t.Fatal(err)
		}
		batches := 0
		for ; batches < 100; batches++ {
			var batch *Batch
			if batch, err = b.Next(t.Context()); err != nil {
				break
			}
			b.Release(batch)
		}
		var e *record.Error
		if !errors.As(err, &e) || e.File != path || e.Part != "chunk 0 (images 0 to 3)" || !errors.Is(err, record.ErrDamaged) {
			t.Errorf("window %d: after %d batches: %v", window, batches, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// In a synctest bubble a goroutine that stays behind fails the test.
func TestGoroutinesEnd(t *testing.T) {
	s := open(t, usual)
	for _, taken := range []int{0, 1, 3, 20} {
		for _, how := range []string{"close", "cancel"} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b, err := s.Train(ctx, Options{Rows: 6, Window: 2000}, 0)
				if err != nil {
					t.Fatal(err)
				}
				for i := range taken {
					batch, err := b.Next(ctx)
					if err != nil {
						t.Fatal(err)
					}
					if i > 0 { // one is never given back
						b.Release(batch)
					}
				}
				want := errClosed
				if how == "cancel" {
					cancel()
					want = context.Canceled
				} else if err := b.Close(); err != nil {
					t.Error(err)
				}
				for range 100 { // what was ready may still come
					if _, err = b.Next(t.Context()); err != nil {
						break
					}
				}
				if !errors.Is(err, want) {
					t.Errorf("after %s: %v, want %v", how, err, want)
				}
				if err := b.Close(); err != nil { // again
					t.Error(err)
				}
			})
		}
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	s := open(t, usual)
	b, err := s.Train(t.Context(), Options{Rows: 2}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	// None is given back, so that one day there is none to wait for.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for err == nil {
		_, err = b.Next(ctx)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// After two passes nothing is allocated for a batch, decoding included. The
// tolerance, a tenth of an allocation a batch, is for the tables that zstd keeps in a
// sync.Pool, which may drop them.
func TestBatchesDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("with the race detector sync.Pool drops one in four on purpose")
	}
	s := open(t, testSet{height: 32, width: 32, chunk: 16, train: []int{500}, test: 1})
	b, err := s.Train(t.Context(), Options{Rows: 16, Height: 28, Width: 28, Mirror: true, Color: 0.1, Window: 200_000}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	run := func(n int) {
		for range n {
			batch, err := b.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b.Release(batch)
		}
	}
	run(64)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run(1000)
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 100 {
		t.Errorf("%d allocations for 1000 batches", n)
	}
}

// Memory that is given makes no difference, whatever is in it, and what goes to a
// device lies there. What cannot be had is an error, before anything was started.
func TestMemory(t *testing.T) {
	s := open(t, usual)
	var given []byte
	full := errors.New("no memory is left")
	memory := func(bytes int64) ([]byte, error) {
		if given != nil {
			return nil, full
		}
		given = slices.Repeat([]byte{0xaa}, int(bytes))
		return given, nil
	}
	o := Options{Rows: 4, Height: 5, Width: 4}
	b, err := s.Test(t.Context(), o)
	want := take(t, b, err, 12)
	o.Memory = memory
	b, err = s.Test(t.Context(), o)
	if got := take(t, b, err, 12); !slices.Equal(got, want) { // with a filler
		t.Errorf("batches are %v, want %v", got, want)
	}
	if n := cap(b.ready) * 4 * (5*4*3 + 4*viewNumbers + 4); len(given) != n {
		t.Errorf("%d bytes were taken for batches, want %d", len(given), n)
	}
	for i, r := range want { // of three batches; there are more
		if !strings.Contains(string(given), r.pixels) {
			t.Errorf("row %d is not in the memory that was given", i)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := s.Test(t.Context(), o); !errors.Is(err, full) || !strings.Contains(err.Error(), "batches of 4 images") {
			t.Errorf("without memory: error %v", err)
		}
	})
}

// What a run holds is bounded by the window: batches for two windows and three
// more, whatever the batch and the views.
func TestMemoryIsBoundedByTheWindow(t *testing.T) {
	s := open(t, testSet{height: 8, width: 8, chunk: 4, train: []int{400}, test: 400})
	const image = 8 * 8 * 3
	for _, rows := range []int{1, 7, 50, 1000} {
		for _, views := range []int{1, 10} {
			var taken int64
			o := Options{Rows: rows, Window: 40 * image, Memory: func(bytes int64) ([]byte, error) {
				taken = bytes
				return make([]byte, bytes), nil
			}}
			var b *Batches
			var err error
			if views == 1 {
				b, err = s.Train(t.Context(), o, 0)
			} else {
				o.Views = views
				b, err = s.Test(t.Context(), o)
			}
			take(t, b, err, 600)
			row := image + 4*viewNumbers + 4
			if most := int64(row * (2*40*views + 4*rows)); taken > most {
				t.Errorf("%d rows, %d views: %d bytes, want at most %d", rows, views, taken, most)
			}
		}
	}
}

// The ranks' shares of each pass have nothing in common and miss nothing,
// however many ranks there are, and a rank can resume anywhere.
func TestRanksShareEachPass(t *testing.T) {
	s := open(t, usual)
	for _, window := range windows {
		for ranks := 1; ranks <= 45; ranks++ {
			for pass := range 2 {
				seen := make(map[int64]int)
				for rank := range ranks {
					share := (rank+1)*45/ranks - rank*45/ranks
					if share < 45/ranks || share > 45/ranks+1 {
						t.Fatalf("rank %d of %d has %d images", rank, ranks, share)
					}
					o := Options{Rows: share, Rank: rank, Ranks: ranks, Height: 5, Width: 4, Seed: 4, Window: window}
					rows := train(t, s, o, int64(pass*share), share)
					for _, r := range rows {
						seen[r.image]++
						check(t, r, "train", 5, 4)
					}
					if pass == 1 && share > 3 && ranks%7 == 0 {
						o.Rows = 1
						if got := train(t, s, o, int64(share+3), share-3); !slices.Equal(got, rows[3:]) {
							t.Errorf("rank %d of %d does not resume", rank, ranks)
						}
					}
				}
				for image := range int64(45) {
					if seen[image] != 1 {
						t.Fatalf("window %d, %d ranks, pass %d: image %d comes %d times", window, ranks, pass, image, seen[image])
					}
				}
			}
		}
	}
	for rank := range 3 {
		b, err := s.Test(t.Context(), Options{Rows: 11, Rank: rank, Ranks: 3})
		for i, r := range take(t, b, err, 11) {
			want := int64(rank*11/3 + i)
			if i >= (rank+1)*11/3-rank*11/3 {
				want = -1
			}
			if r.image != want {
				t.Errorf("rank %d tests image %d, want %d", rank, r.image, want)
			}
		}
	}
}

// A window's worth of images is mixed well, and the whole set too: the place of
// an image in a pass has no rank correlation with its place on the disk, nor with
// its place in another pass. What a window costs against a full shuffle is that
// images of one chunk stay within it.
func TestRankCorrelation(t *testing.T) {
	const n, chunk, window = 4000, 5, 200 // images
	s := open(t, testSet{height: 1, width: 1, chunk: chunk, train: []int{1500, 1500, 1000}, test: 1})
	rows := images(train(t, s, Options{Rows: n, Seed: 11, Window: window * 3}, 0, 2*n))
	var places [2][n]float64
	for i, image := range rows {
		places[i/n][image] = float64(i % n)
	}
	var disk [n]float64
	for i := range disk {
		disk[i] = float64(i)
	}
	correlation := func(a, b []float64) float64 { // both are permutations of 0 to n-1: Spearman's
		sum := 0.0
		for i := range a {
			sum += (a[i] - b[i]) * (a[i] - b[i])
		}
		return 1 - 6*sum/(n*(n*n-1.0))
	}
	// Chunks move as one, so that there are about n/chunk places: its deviation is
	// 1/√(n/chunk), against 1/√n of a full shuffle. Four deviations.
	most := 4 / math.Sqrt(n/chunk)
	for name, r := range map[string]float64{
		"first pass and disk": correlation(places[0][:], disk[:]), "second pass and disk": correlation(places[1][:], disk[:]),
		"both passes": correlation(places[0][:], places[1][:]),
	} {
		if math.Abs(r) > most {
			t.Errorf("%s: rank correlation %.4f, want at most %.4f", name, r, most)
		}
	}
	apart := 0.0
	for first := 0; first < n; first += chunk {
		for k := 1; k < chunk; k++ {
			apart += math.Abs(places[0][first]-places[0][first+k]) / (n - n/chunk)
		}
	}
	if apart < window/3.5 || apart > window/2.5 { // a third of the window; of the whole set in a full shuffle
		t.Errorf("images of a chunk are %.0f places apart on average, want about %d", apart, window/3)
	}
}

// Places and mirrors of crops are uniform: chi-square of 4x5 places, mirrored or
// not, below its 99.99% point.
func TestCropsAreUniform(t *testing.T) {
	s := open(t, testSet{height: 9, width: 8, chunk: 50, train: []int{1000}, test: 1})
	const n = 20_000
	count := make(map[[3]float32]float64)
	for _, r := range train(t, s, Options{Rows: 1000, Height: 6, Width: 4, Mirror: true, Seed: 13}, 0, n) {
		count[[3]float32(r.view[:3])]++
	}
	const cells = 4 * 5 * 2
	chi := 0.0
	for _, c := range count {
		chi += (c - n/cells) * (c - n/cells) / (n / cells)
	}
	if len(count) != cells || chi > 80.1 { // 39 degrees of freedom
		t.Errorf("%d of %d kinds of crop, chi-square %.1f", len(count), cells, chi)
	}
}

// Colour noise has the covariance of the data set's colours, times the square of
// its deviation, and no mean.
func TestColorNoiseHasTheCovariance(t *testing.T) {
	s := open(t, testSet{height: 2, width: 2, chunk: 50, train: []int{1000}, test: 1})
	const n = 40_000
	var mean [3]float64
	var product [3][3]float64
	for _, r := range train(t, s, Options{Rows: 1000, Color: 0.1, Seed: 17}, 0, n) {
		for i, v := range r.view[3:] {
			mean[i] += float64(v) / n
			for j, w := range r.view[3:] {
				product[i][j] += float64(v) * float64(w) / n
			}
		}
	}
	want := s.Covariance()
	for i := range 3 {
		// Five deviations of a mean, and of a variance, of n normal numbers.
		if most := 5 * math.Sqrt(0.01*want[i][i]/n); math.Abs(mean[i]) > most {
			t.Errorf("colour %d has mean %g, want at most %g", i, mean[i], most)
		}
		for j := range 3 {
			if most := 5 * 0.01 * math.Sqrt(2*want[i][i]*want[j][j]/n); math.Abs(product[i][j]-0.01*want[i][j]) > most {
				t.Errorf("colours %d and %d have covariance %g, want %g±%g", i, j, product[i][j], 0.01*want[i][j], most)
			}
		}
	}
}

// Of whole images any part is trained on, and the middle is tested, as if it had
// been cut out. The views say where a crop lies in the mean image, or nearest to it.
func TestWholeImages(t *testing.T) {
	set := testSet{height: 8, width: 8, longest: 15, chunk: 4, train: []int{60}, test: 30}
	s := open(t, set)
	tops, lefts := make(map[int]bool), make(map[int]bool)
	for i, r := range train(t, s, Options{Rows: 60, Height: 5, Width: 6, Seed: 21}, 0, 600) {
		height, width := set.size(int(r.image))
		n := philox.NewStream(21, philox.Crop, uint32(i/60), uint32(r.image))
		top, left := n.IntN(height-5+1), n.IntN(width-6+1)
		tops[top], lefts[left] = true, true
		want := [2]float32{float32(min(max(top-(height-8)/2, 0), 3)), float32(min(max(left-(width-8)/2, 0), 2))}
		if [2]float32(r.view[:2]) != want {
			t.Errorf("crop at %d %d of %dx%d: view %v, want %v", top, left, height, width, r.view, want)
		}
		r.view[0], r.view[1] = float32(top), float32(left)
		check(t, r, "train", 5, 6)
	}
	if len(tops) != 15-5+1 || len(lefts) != 15-6+1 {
		t.Errorf("%d tops and %d lefts", len(tops), len(lefts))
	}
	b, err := s.Test(t.Context(), Options{Rows: 300, Height: 5, Width: 6, Views: 10})
	for i, r := range take(t, b, err, 300) {
		height, width := set.size(int(r.image))
		want := [10][3]float32{{0, 0}, {0, 2}, {3, 0}, {3, 2}, {1, 1}, {0, 0, 1}, {0, 2, 1}, {3, 0, 1}, {3, 2, 1}, {1, 1, 1}}[i%10]
		if r.image != int64(i/10) || [3]float32(r.view[:3]) != want {
			t.Errorf("row %d is image %d, view %v", i, r.image, r.view)
		}
		r.view[0] += float32((height - 8) / 2)
		r.view[1] += float32((width - 8) / 2)
		check(t, r, "test", 5, 6)
	}
}

// Whatever is damaged, a chunk, a whole shard, or one that was cut off: the run goes
// on, each lost row has the next one's image, all others are as they were, and
// what is lost is counted. Without, the run ends.
func TestSkippingDamage(t *testing.T) {
	whole := train(t, open(t, usual), Options{Rows: 15, Height: 5, Width: 4, Mirror: true, Seed: 2}, 0, 90)
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		lost   func(image int64) bool
		part   string
	}{
		"chunk":     {func(b []byte) []byte { b[50] ^= 1; return b }, func(i int64) bool { return i >= 23 && i < 27 }, "chunk 0 (images 0 to 3)"},
		"index":     {func(b []byte) []byte { b[len(b)-50] ^= 1; return b }, func(i int64) bool { return i >= 23 && i < 41 }, "index"},
		"magic":     {func(b []byte) []byte { b[0] ^= 1; return b }, func(i int64) bool { return i >= 23 && i < 41 }, "header"},
		"truncated": {func(b []byte) []byte { return b[:100] }, func(i int64) bool { return i >= 23 && i < 41 }, "trailer"},
		"missing":   {nil, func(i int64) bool { return i >= 23 && i < 41 }, "shard"},
	} {
		dir := usual.write(t)
		path := filepath.Join(dir, "train-00001.rec")
		b, err := os.ReadFile(path)
		if err == nil && c.change != nil {
			err = os.WriteFile(path, c.change(b), 0o666)
		} else if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := OpenIncomplete(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		lost := 0
		o := Options{Rows: 15, Height: 5, Width: 4, Mirror: true, Seed: 2}
		s.SkipDamage(func(err error, images int) {
			lost += images
			var e *record.Error
			if !errors.As(err, &e) || e.File != path || e.Part != c.part {
				t.Errorf("%s: %v, want it to be about %s", name, err, c.part)
			}
		})
		gone := make(map[int64]bool)
		for _, r := range whole {
			if c.lost(r.image) {
				gone[r.image] = true
			}
		}
		got := train(t, s, o, 0, 90)
		for i, r := range got {
			expected := whole[i]
			first := i / 15 * 15
			for k := i; c.lost(expected.image); {
				k = first + (k+1-first)%15
				expected = whole[k]
			}
			if r != expected {
				t.Errorf("%s: row %d is image %d, want %d", name, i, r.image, expected.image)
			}
		}
		// 90 images are more than two passes, and the run was perhaps ahead.
		if lost != len(gone) {
			t.Errorf("%s: %d images were counted, want each of %d once", name, lost, len(gone))
		}
		if _, err := Open(dir); c.change == nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: opened with an error %v", name, err)
		}
		strict, err := OpenIncomplete(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer strict.Close()
		b2, err := strict.Train(t.Context(), o, 0)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = b2.Next(t.Context())
		}
		if e := (*record.Error)(nil); !errors.As(err, &e) || e.Part != c.part {
			t.Errorf("%s: without skipping: %v", name, err)
		}
		b2.Close()
	}
}

// A test passes over what is damaged; training with nothing whole ends.
func TestSkippingInTests(t *testing.T) {
	dir := usual.write(t)
	for _, name := range []string{"test-00000.rec", "train-00000.rec", "train-00001.rec", "train-00002.rec"} {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name[1] == 'e' {
			b[50] ^= 1 // chunk 0
		} else {
			b = b[:10]
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lost := 0
	s.SkipDamage(func(_ error, images int) { lost += images })
	b, err := s.Test(t.Context(), Options{Rows: 11, Height: 5, Width: 4})
	for i, r := range take(t, b, err, 11) {
		if i < 4 {
			if r != (row{strings.Repeat("\x00", 60), [viewNumbers]float32{}, -1, -1}) {
				t.Errorf("row %d, of a damaged chunk, is %+v", i, r)
			}
			continue
		}
		if r.image != int64(i) {
			t.Errorf("row %d is image %d", i, r.image)
		}
		check(t, r, "test", 5, 4)
	}
	if lost != 4 {
		t.Errorf("%d images were counted, want 4", lost)
	}
	b, err = s.Train(t.Context(), Options{Rows: 5}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Next(t.Context()); !errors.Is(err, errNoneWhole) {
		t.Errorf("with nothing whole: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestInfo(t *testing.T) {
	s := open(t, usual)
	d := s.Info()
	if d.Height != 9 || d.Width != 7 || len(d.Classes) != 10 || d.Splits["train"].Images != 45 || d.Splits["test"].Images != 11 || len(d.Fingerprint) != 64 {
		t.Errorf("%+v", d)
	}
	if len(s.Mean()) != 9*7*3 || s.Covariance()[0][0] != 4000 {
		t.Errorf("mean of %d numbers, covariance %v", len(s.Mean()), s.Covariance())
	}
}
