package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var small = Shape{Height: 4, Width: 3, ChunkImages: 3}

// image returns the pixels of the test image n.
func image(s Shape, n int) []byte {
	b := make([]byte, s.ImageBytes())
	for i := range b {
		b[i] = byte(n*31 + i*i)
	}
	return b
}

// writeShard writes a shard of n test images: image i has label i%4, source 100-i.
func writeShard(t testing.TB, path string, s Shape, n int) Shard {
	t.Helper()
	w, err := Create(path, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.Append(image(s, i), int32(i%4), int64(100-i)); err != nil {
			t.Fatal(err)
		}
	}
	entry, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// smallShard returns the bytes of a shard of ten images in four chunks.
func smallShard(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.rec")
	writeShard(t, path, small, 10)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll opens a shard and reads every chunk of it.
func readAll(b []byte, scratch *Scratch) (*Reader, []byte, error) {
	r, err := NewReader(bytes.NewReader(b), int64(len(b)), "a.rec")
	if err != nil {
		return nil, nil, err
	}
	var all, dst []byte
	for i := range r.Chunks() {
		if dst, err = r.ReadChunk(i, dst, scratch); err != nil {
			return nil, nil, err
		}
		all = append(all, dst...)
	}
	return r, all, nil
}

func TestShardKeepsEverything(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 9, 10} {
		path := filepath.Join(t.TempDir(), "a.rec")
		entry := writeShard(t, path, small, n)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if entry.File != "a.rec" || entry.Images != n || entry.Bytes != int64(len(b)) {
			t.Errorf("%d images: entry %+v for a file of %d bytes", n, entry, len(b))
		}
		r, got, err := readAll(b, new(Scratch))
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for i := range n {
			want = append(want, image(small, i)...)
			if r.Label(i) != int32(i%4) || r.Source(i) != int64(100-i) {
				t.Errorf("%d images: image %d has label %d, source %d", n, i, r.Label(i), r.Source(i))
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d images: other pixels came back", n)
		}
		if r.Images() != n || r.Chunks() != (n+2)/3 || r.Shape() != small || r.size() != entry.Bytes {
			t.Errorf("%d images: %d images, %d chunks, shape %+v, %d bytes", n, r.Images(), r.Chunks(), r.Shape(), r.size())
		}
	}
}

func TestChunkIsAboutOneMebibyte(t *testing.T) {
	for _, c := range []struct{ height, width, want int }{{256, 256, 5}, {32, 32, 341}, {1000, 1000, 1}, {1, 1, 1 << 20 / 3}} {
		if s, err := NewShape(c.height, c.width); err != nil || s.ChunkImages != c.want {
			t.Errorf("%dx%d: %d images a chunk, want %d; error %v", c.height, c.width, s.ChunkImages, c.want, err)
		}
	}
	for _, c := range [][2]int{{0, 1}, {1, -1}, {1 << 40, 1 << 40}, {8192, 8192}} {
		if s, err := NewShape(c[0], c[1]); err == nil {
			t.Errorf("%d gives %+v", c, s)
		}
	}
}

// Cut anywhere, at every boundary and between them, a shard is refused.
func TestEveryTruncationIsAnError(t *testing.T) {
	whole := smallShard(t)
	for n := range whole {
		_, _, err := readAll(whole[:n], new(Scratch))
		var e *Error
		if !errors.As(err, &e) || e.File != "a.rec" || !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, _, err := readAll(append(whole, 0), new(Scratch)); !errors.Is(err, ErrDamaged) {
		t.Errorf("one byte more: %v", err)
	}
}

// CRC-32C finds every single flipped bit; the magics, the version and the
// checks of structure cover what no checksum does.
func TestEveryFlippedBitIsAnError(t *testing.T) {
	whole := smallShard(t)
	var scratch Scratch
	for bit := range 8 * len(whole) {
		whole[bit/8] ^= 1 << (bit % 8)
		_, _, err := readAll(whole, &scratch)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
		whole[bit/8] ^= 1 << (bit % 8)
	}
}

// The checksums are right in these files, and the content is not.
func TestConsistentNonsenseIsAnError(t *testing.T) {
	header := small.header()
	pixels := []byte("not a zstd frame")
	one := []chunk{{headerSize, len(pixels), 1, checksum(pixels)}}
	file := func(header, body []byte, chunks []chunk, labels []int32) []byte {
		ix := index(chunks, labels, make([]int64, len(labels)))
		b := append(append(bytes.Clone(header), body...), ix...)
		return append(b, trailer(int64(len(header)+len(body)), ix, len(chunks), len(labels))...)
	}
	patched := func(at int, v uint32) []byte {
		h := bytes.Clone(header)
		le.PutUint32(h[at:], v)
		le.PutUint32(h[32:], checksum(h[:32]))
		return file(h, pixels, one, []int32{0})
	}
	with := func(change func(c *chunk)) []byte {
		c := one[0]
		change(&c)
		return file(header, pixels, []chunk{c}, []int32{0})
	}
	// A frame that decompresses to two images where there is one.
	w, err := Create(filepath.Join(t.TempDir(), "x"), small)
	if err != nil {
		t.Fatal(err)
	}
	two := w.encoder.EncodeAll(make([]byte, 2*small.ImageBytes()), nil)
	half := w.encoder.EncodeAll(make([]byte, small.ImageBytes()/2), nil)
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	as := func(b []byte) []byte {
		return file(header, b, []chunk{{headerSize, len(b), 1, checksum(b)}}, []int32{0})
	}

	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"version":        {patched(8, 2), "header at byte 0: version 2"},
		"codec":          {patched(12, 7), "codec 7"},
		"channels":       {patched(24, 4), "4 channels"},
		"no height":      {patched(16, 0), "0 rows"},
		"huge":           {patched(16, 1<<31), "rows"},
		"huge chunk":     {patched(28, 1<<30), "in a chunk"},
		"empty chunk":    {patched(28, 0), "in a chunk"},
		"foreign":        {[]byte("PK\x03\x04 this is a zip archive, not a shard of anything at all, and long enough to be one"), "no shard of a data set"},
		"no images":      {file(header, nil, nil, nil), "0 images"},
		"gap":            {with(func(c *chunk) { c.offset++ }), "must have 1 images and start at byte 36"},
		"overlong chunk": {with(func(c *chunk) { c.size++ }), "index at byte 52"},
		"short chunk":    {with(func(c *chunk) { c.size-- }), "chunks end at byte 51"},
		"two images":     {with(func(c *chunk) { c.images = 2 }), "2 images"},
		"negative label": {file(header, pixels, one, []int32{-1}), "label -1"},
		"not zstd":       {file(header, pixels, one, []int32{0}), "chunk 0 at byte 36: it does not decompress"},
		"too long":       {as(two), "does not decompress to 36 bytes"},
		"too short":      {as(half), "decompresses to 18 bytes"},
	} {
		if _, _, err := readAll(c.file, new(Scratch)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none.rec")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "pack the data set again") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "no plain file") {
		t.Errorf("folder: %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.rec")
	if _, err := Create(path, Shape{Height: 1 << 20, Width: 1 << 20}); err == nil {
		t.Error("images of a terapixel were accepted")
	}
	w, err := Create(path, small)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []error{
		w.Append(make([]byte, 35), 0, 0),
		w.Append(make([]byte, 36), -1, 0),
		w.Append(make([]byte, 36), 0, -1),
	} {
		if bad == nil {
			t.Error("a bad image was accepted")
		}
	}
	if _, err := w.Close(); err == nil {
		t.Error("an empty shard was written")
	}
	wantFiles(t, dir)
	writeShard(t, path, small, 1)
	if _, err := Create(path, small); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("over a file that is there: %v", err)
	}
	wantFiles(t, dir, "a.rec")
}

// wantFiles fails the test unless dir holds just the files named.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "a.rec"), small)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := w.Append(image(small, i), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir)
}

func TestReadChunkDoesNotAllocate(t *testing.T) {
	b := smallShard(t)
	r, err := NewReader(bytes.NewReader(b), int64(len(b)), "a.rec")
	if err != nil {
		t.Fatal(err)
	}
	var dst []byte
	var scratch Scratch
	read := func() {
		for i := range r.Chunks() {
			if dst, err = r.ReadChunk(i, dst, &scratch); err != nil {
				t.Fatal(err)
			}
		}
	}
	read()
	if n := testing.AllocsPerRun(20, read); n != 0 {
		t.Errorf("%g allocations for reading %d chunks again", n, r.Chunks())
	}
}

// Whatever the bytes, reading them ends without a panic, and what is read
// agrees with what the index promised.
func FuzzShard(f *testing.F) {
	whole := smallShard(f)
	f.Add(whole)
	f.Add(whole[:headerSize])
	f.Add(append(bytes.Clone(whole[:headerSize]), whole[len(whole)-trailerSize:]...))
	f.Add([]byte(shardMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		// Checksums that fit let the fuzzer past them.
		if n := len(b); n >= headerSize+trailerSize {
			le.PutUint32(b[32:], checksum(b[:32]))
			end := b[n-trailerSize:]
			if at, size := le.Uint64(end), le.Uint64(end[8:]); at <= uint64(n) && size <= uint64(n)-at {
				le.PutUint32(end[24:], checksum(b[at:at+size]))
			}
			le.PutUint32(end[28:], checksum(end[:28]))
		}
		r, all, err := readAll(b, new(Scratch))
		if err == nil && len(all) != r.Images()*r.Shape().ImageBytes() {
			t.Errorf("%d bytes of pixels for %d images of %d", len(all), r.Images(), r.Shape().ImageBytes())
		}
	})
}
