package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"alexnet/internal/philox"
	"alexnet/loader/record"
)

// testSet says what data set a test needs.
type testSet struct {
	height, width, chunk int
	train                []int // images of each shard
	test                 int
}

var usual = testSet{height: 9, width: 7, chunk: 4, train: []int{23, 18, 4}, test: 11}

// pixel is the content of the test images.
func pixel(split string, image, y, x, c int) byte {
	return byte(image*37 + y*5 + x*11 + c*3 + len(split)*100 + image*y*x)
}

func label(image int) int32 { return int32(image * 7 % 10) }

// write writes the data set into a new folder.
func (s testSet) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	d := &record.Dataset{Name: "test", Source: "drawn", Height: s.height, Width: s.width, ChunkImages: s.chunk, Splits: make(map[string]record.Split)}
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
			w, err := record.Create(filepath.Join(dir, fmt.Sprintf("%s-%05d.rec", split, n)),
				record.Shape{Height: s.height, Width: s.width, ChunkImages: s.chunk})
			if err != nil {
				t.Fatal(err)
			}
			for range images {
				var b []byte
				for p := range s.height * s.width {
					for c := range 3 {
						b = append(b, pixel(split, image, p/s.width, p%s.width, c))
					}
				}
				if err := w.Append(b, label(image), int64(image)); err != nil {
					t.Fatal(err)
				}
				image++
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
		if err == io.EOF {
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
			for _, workers := range []int{1, 5} {
				o := Options{Split: "train", Rows: rows, Height: 5, Width: 4, Mirror: true, Color: 0.1, Seed: 77, Window: window}
				b, err := s.prepare(o, true)
				if err == nil {
					b.start(t.Context(), workers)
				}
				for i, r := range take(t, b, err, 90)[:90] {
					k := key{i / 45, r.image}
					if old, ok := seen[k]; ok && old != r {
						t.Fatalf("image %d of pass %d is not the same with window %d, %d rows, %d workers", r.image, k.pass, window, rows, workers)
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
	for width := 1; width < 10; width++ {
		var from, want []byte
		for i := range 3 * width {
			from = append(from, byte(i))
			want = append(want, byte(3*(width-1-i/3)+i%3))
		}
		to := make([]byte, 3*width)
		if mirror(to, from); !slices.Equal(to, want) {
			t.Errorf("%v becomes %v", from, to)
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

func TestEOFStays(t *testing.T) {
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
		if _, err := b.Next(t.Context()); err != io.EOF {
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
		if !errors.As(err, &e) || e.File != path || e.Part != "chunk 0" || !errors.Is(err, record.ErrDamaged) {
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
				for range ring + 1 { // what was ready may still come
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
	for range ring { // all batches: none is left to wait for
		if _, err := b.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := b.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// After two passes nothing is allocated for a batch, decoding included. The
// tolerance, half an allocation a batch, is for the tables that zstd keeps in a
// sync.Pool, which may drop them, and with -race does so for one in four.
func TestBatchesDoNotAllocate(t *testing.T) {
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
	if n := after.Mallocs - before.Mallocs; n > 500 {
		t.Errorf("%d allocations for 1000 batches", n)
	}
}

// Memory that is given makes no difference, whatever is in it, and what goes to a
// device lies there. What cannot be had is an error, before anything was started.
func TestMemory(t *testing.T) {
	s := open(t, usual)
	var given [][]byte
	limit, full := 3*ring, errors.New("no memory is left")
	memory := func(bytes int64) ([]byte, error) {
		if len(given) == limit {
			return nil, full
		}
		given = append(given, slices.Repeat([]byte{0xaa}, int(bytes)))
		return given[len(given)-1], nil
	}
	o := Options{Rows: 4, Height: 5, Width: 4}
	b, err := s.Test(t.Context(), o)
	want := take(t, b, err, 12)
	o.Memory = memory
	b, err = s.Test(t.Context(), o)
	if got := take(t, b, err, 12); !slices.Equal(got, want) { // with a filler
		t.Errorf("batches are %v, want %v", got, want)
	}
	bytes := slices.Concat(given...)
	if n := ring * 4 * (5*4*3 + 4*viewNumbers + 4); len(bytes) != n {
		t.Errorf("%d bytes were taken for batches, want %d", len(bytes), n)
	}
	for i, r := range want { // of three batches, as many as there are
		if !strings.Contains(string(bytes), r.pixels) {
			t.Errorf("row %d is not in the memory that was given", i)
		}
	}
	for limit = range 3 * ring {
		given = nil
		synctest.Test(t, func(t *testing.T) {
			if _, err := s.Test(t.Context(), o); !errors.Is(err, full) || !strings.Contains(err.Error(), "batches of 4 images") {
				t.Errorf("with %d pieces of memory: error %v", limit, err)
			}
		})
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
