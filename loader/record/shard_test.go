package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/testenv"

	"github.com/klauspost/compress/zstd"
)

var (
	small = Shape{Height: 4, Width: 3, ChunkImages: 3}
	whole = Shape{Height: 5, Width: 5, Longest: 11, ChunkImages: 3}
)

// image returns the pixels of the test image n.
func image(height, width, n int) []byte {
	b := make([]byte, height*width*channels)
	for i := range b {
		b[i] = byte(n*31 + i*i)
	}
	return b
}

// writeShard writes a shard of n test images: image i has label i%4, source 100-i.
func writeShard(t testing.TB, path string, s Shape, codec Codec, n int) Shard {
	t.Helper()
	entry, err := tryShard(path, s, codec, n)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// size returns height and width of image n: of whole images three kinds.
func (s Shape) size(n int) (height, width int) {
	if s.Longest == 0 {
		return s.Height, s.Width
	}
	long := s.Height + n*5%(s.Longest-s.Height+1)
	if n%2 == 0 {
		return s.Height, long
	}
	return long, s.Height
}

// tryShard is writeShard for those who expect an error.
func tryShard(path string, s Shape, codec Codec, n int) (Shard, error) {
	w, err := Create(path, s, codec)
	if err != nil {
		return Shard{}, err
	}
	if err := fill(w, n); err != nil {
		_, closing := w.Close()
		if !errors.Is(closing, err) {
			return Shard{}, fmt.Errorf("Close after %v says %v", err, closing)
		}
		return Shard{}, err
	}
	return w.Close()
}

// fill writes n test images.
func fill(w *Writer, n int) error {
	e, err := NewEncoder(w.codec)
	if err != nil {
		return err
	}
	c := NewChunk(w.shape)
	for i := range n {
		height, width := w.shape.size(i)
		if err := c.Add(Image{int32(i % 4), int64(100 - i), height, width}, image(height, width, i)); err != nil {
			return err
		}
		if c.Full() || i == n-1 {
			e.Encode(c)
			if err := w.Write(c); err != nil {
				return err
			}
			c.Reset()
		}
	}
	return nil
}

// smallShard returns the bytes of a shard of ten images in four chunks.
func smallShard(t testing.TB, codec Codec) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.rec")
	writeShard(t, path, small, codec, 10)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll opens a shard and reads every image of it.
func readAll(b []byte, d *Decoder) (*Reader, [][]byte, error) {
	r, err := NewReader(bytes.NewReader(b), int64(len(b)), "a.rec")
	if err != nil {
		return nil, nil, err
	}
	var all [][]byte
	for i := range r.Chunks() {
		if err := d.Read(r, i); err != nil {
			if d.Len() != 0 {
				return nil, nil, fmt.Errorf("%d images after %w", d.Len(), err)
			}
			return nil, nil, err
		}
		first, n := r.Chunk(i)
		if d.Len() != n {
			return nil, nil, fmt.Errorf("%d images in a chunk of %d", d.Len(), n)
		}
		for k := range n {
			im, pixels := d.Image(k)
			if im != r.Image(first+k) {
				return nil, nil, fmt.Errorf("image %d is %+v in its chunk, %+v in the index", first+k, im, r.Image(first+k))
			}
			all = append(all, bytes.Clone(pixels))
		}
	}
	return r, all, nil
}

func TestShardKeepsEverything(t *testing.T) {
	for _, s := range []Shape{small, whole, {Height: 7, Width: 17, ChunkImages: 2}, {Height: 1, Width: 40, ChunkImages: 4}, {Height: 6, Width: 1, ChunkImages: 4}} {
		for codec := range codecNames {
			for _, n := range []int{1, 2, 3, 4, 9, 10} {
				path := filepath.Join(t.TempDir(), "a.rec")
				entry := writeShard(t, path, s, codec, n)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if entry.File != "a.rec" || entry.Images != n || entry.Bytes != int64(len(b)) {
					t.Errorf("%d images: entry %+v for a file of %d bytes", n, entry, len(b))
				}
				r, got, err := readAll(b, new(Decoder))
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					height, width := s.size(i)
					if want := (Image{int32(i % 4), int64(100 - i), height, width}); r.Image(i) != want {
						t.Errorf("%d images: image %d is %+v, want %+v", n, i, r.Image(i), want)
					}
					if !bytes.Equal(got[i], image(height, width, i)) {
						t.Errorf("%v, %v, %d images: image %d has other pixels", s, codec, n, i)
					}
				}
				if chunks := (n + s.ChunkImages - 1) / s.ChunkImages; r.Images() != n || r.Chunks() != chunks || r.Shape() != s || r.size() != entry.Bytes {
					t.Errorf("%d images: %d images, %d chunks, shape %+v, %d bytes", n, r.Images(), r.Chunks(), r.Shape(), r.size())
				}
			}
		}
	}
}

// What pixels are compressed to does not matter to their digest.
func TestContentIsOfPixels(t *testing.T) {
	dir := t.TempDir()
	raw := writeShard(t, filepath.Join(dir, "raw"), small, Raw, 10)
	delta := writeShard(t, filepath.Join(dir, "delta"), small, Delta, 10)
	fewer := writeShard(t, filepath.Join(dir, "fewer"), small, Raw, 9)
	if raw.Content != delta.Content || raw.Content == fewer.Content || raw.Checksum == delta.Checksum {
		t.Errorf("raw %+v, delta %+v, one image less %+v", raw, delta, fewer)
	}
}

// The codec delta, a byte at a time, as the package's documentation has it.
func TestDeltaIsWhatIsDocumented(t *testing.T) {
	c := NewChunk(whole)
	for n := range 3 {
		height, width := whole.size(n)
		if err := c.Add(Image{Height: height, Width: width}, image(height, width, n)); err != nil {
			t.Fatal(err)
		}
	}
	var high, low []byte
	for k := range c.Len() {
		im, pixels := c.Image(k)
		s := func(y, x int) byte { // byte x of row y
			switch at := y*3*im.Width + x; {
			case y < 0:
				return 0
			case x%3 == 0:
				return pixels[at] - pixels[at+1]
			case x%3 == 2:
				return pixels[at] - pixels[at-1]
			default:
				return pixels[at]
			}
		}
		d := func(y, x int) byte {
			if y >= im.Height {
				return 0
			}
			return s(y, x) - s(y-1, x)
		}
		h := func(y, x int) byte {
			if d := d(y, x); d&8 == 0 {
				return d / 16
			} else {
				return 15 - d/16
			}
		}
		for y := 0; y < im.Height; y += 2 {
			for x := range 3 * im.Width {
				low = append(low, d(y, x)%16+16*(d(y+1, x)%16))
				high = append(high, h(y, x)+16*h(y+1, x))
			}
		}
	}
	if got := predict(nil, c); !bytes.Equal(got, append(high, low...)) {
		t.Error("the residuals differ")
	}
}

func TestChunkIsAboutOneMebibyte(t *testing.T) {
	for _, c := range []struct{ height, width, want int }{{256, 256, 5}, {32, 32, 341}, {1000, 1000, 1}, {1, 1, 1 << 20 / 3}} {
		if s, err := NewShape(c.height, c.width, 0); err != nil || s.ChunkImages != c.want {
			t.Errorf("%dx%d: %d images a chunk, want %d; error %v", c.height, c.width, s.ChunkImages, c.want, err)
		}
	}
	for _, c := range [][2]int{{0, 1}, {1, -1}, {1 << 40, 1 << 40}, {8192, 8192}} {
		if s, err := NewShape(c[0], c[1], 0); err == nil {
			t.Errorf("%d gives %+v", c, s)
		}
	}
	if s, err := NewShape(256, 256, 512); err != nil || s.ChunkImages != 5 || s.MaxImageBytes() != 256*512*3 {
		t.Errorf("whole images: %+v, error %v", s, err)
	}
	for _, c := range [][3]int{{256, 255, 512}, {256, 256, 255}, {256, 256, 1 << 40}} {
		if s, err := NewShape(c[0], c[1], c[2]); err == nil {
			t.Errorf("%d gives %+v", c, s)
		}
	}
}

// Cut anywhere, at every boundary and between them, a shard is refused.
func TestEveryTruncationIsAnError(t *testing.T) {
	whole := smallShard(t, Delta)
	for n := range whole {
		_, _, err := readAll(whole[:n], new(Decoder))
		var e *Error
		if !errors.As(err, &e) || e.File != "a.rec" || !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, _, err := readAll(append(whole, 0), new(Decoder)); !errors.Is(err, ErrDamaged) {
		t.Errorf("one byte more: %v", err)
	}
}

// CRC-32C finds every single flipped bit; the magics, the version and the
// checks of structure cover what no checksum does.
func TestEveryFlippedBitIsAnError(t *testing.T) {
	for codec := range codecNames {
		whole := smallShard(t, codec)
		var d Decoder
		for bit := range 8 * len(whole) {
			whole[bit/8] ^= 1 << (bit % 8)
			_, _, err := readAll(whole, &d)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%v: bit %d of byte %d flipped: %v", codec, bit%8, bit/8, err)
			}
			whole[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// The checksums are right in these files, and the content is not.
func TestConsistentNonsenseIsAnError(t *testing.T) {
	header := small.header(Raw)
	pixels := []byte("not a zstd frame")
	one := []chunk{{headerSize, len(pixels), 1, checksum(pixels)}}
	file := func(header, body []byte, chunks []chunk, labels []int32) []byte {
		var images []Image
		for _, l := range labels {
			images = append(images, Image{Label: l, Height: small.Height, Width: small.Width})
		}
		ix := index(chunks, images)
		b := append(append(bytes.Clone(header), body...), ix...)
		return append(b, trailer(int64(len(header)+len(body)), ix, len(chunks), len(labels))...)
	}
	patched := func(at int, v uint32) []byte {
		h := bytes.Clone(header)
		le.PutUint32(h[at:], v)
		le.PutUint32(h[36:], checksum(h[:36]))
		return file(h, pixels, one, []int32{0})
	}
	with := func(change func(c *chunk)) []byte {
		c := one[0]
		change(&c)
		return file(header, pixels, []chunk{c}, []int32{0})
	}
	// A frame that decompresses to two images where there is one.
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	two := z.EncodeAll(make([]byte, 2*small.ImageBytes()), nil)
	half := z.EncodeAll(make([]byte, small.ImageBytes()/2), nil)
	as := func(b []byte) []byte {
		return file(header, b, []chunk{{headerSize, len(b), 1, checksum(b)}}, []int32{0})
	}

	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"version":        {patched(8, 3), "header at byte 0: version 3"},
		"codec":          {patched(12, 7), "codec 7"},
		"channels":       {patched(28, 4), "4 channels"},
		"no height":      {patched(16, 0), "0 rows"},
		"huge":           {patched(16, 1<<31), "rows"},
		"huge chunk":     {patched(32, 1<<30), "in a chunk"},
		"shorter":        {patched(24, 2), "whole images of shorter side 4 and 3"},
		"empty chunk":    {patched(32, 0), "in a chunk"},
		"foreign":        {[]byte("PK\x03\x04 this is a zip archive, not a shard of anything at all, and long enough to be one"), "no shard of a data set"},
		"no images":      {file(header, nil, nil, nil), "0 images"},
		"gap":            {with(func(c *chunk) { c.offset++ }), "must have 1 images and start at byte 40"},
		"overlong chunk": {with(func(c *chunk) { c.size++ }), "index at byte 56"},
		"short chunk":    {with(func(c *chunk) { c.size-- }), "chunks end at byte 55"},
		"two images":     {with(func(c *chunk) { c.images = 2 }), "2 images"},
		"negative label": {file(header, pixels, one, []int32{-1}), "label -1"},
		"not zstd":       {file(header, pixels, one, []int32{0}), "chunk 0 (images 0 to 0) at byte 40: it does not decompress"},
		"too long":       {as(two), "does not decompress to 36 bytes"},
		"too short":      {as(half), "decompresses to 18 bytes"},
	} {
		if _, _, err := readAll(c.file, new(Decoder)); err == nil || !strings.Contains(err.Error(), c.want) {
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
	if _, err := Create(path, Shape{Height: 1 << 20, Width: 1 << 20}, Raw); err == nil {
		t.Error("images of a terapixel were accepted")
	}
	w, err := Create(path, small, Raw)
	if err != nil {
		t.Fatal(err)
	}
	c := NewChunk(small)
	for _, bad := range []error{
		w.Write(c),
		c.Add(Image{Height: 4, Width: 3}, make([]byte, 35)),
		c.Add(Image{Height: 3, Width: 4}, make([]byte, 36)),
		c.Add(Image{Height: 4, Width: 3, Label: -1}, make([]byte, 36)),
		c.Add(Image{Height: 4, Width: 3, Source: -1}, make([]byte, 36)),
	} {
		if bad == nil {
			t.Error("a bad image or chunk was accepted")
		}
	}
	for range 3 {
		if err := c.Add(Image{Height: 4, Width: 3}, make([]byte, 36)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Add(Image{Height: 4, Width: 3}, make([]byte, 36)); err == nil {
		t.Error("a fourth image went into a chunk of three")
	}
	if err := w.Write(c); err == nil {
		t.Error("a chunk was written that no encoder had made ready")
	}
	if e, err := NewEncoder(Delta); err != nil {
		t.Error(err)
	} else if e.Encode(c); w.Write(c) == nil {
		t.Error("a chunk of another codec was written")
	}
	if _, err := NewEncoder(7); err == nil {
		t.Error("an encoder of codec 7")
	}
	if _, err := w.Close(); err == nil {
		t.Error("an empty shard was written")
	}
	wantFiles(t, dir)
	writeShard(t, path, small, Raw, 1)
	if _, err := Create(path, small, Raw); err == nil || !strings.Contains(err.Error(), "already") {
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
	w, err := Create(filepath.Join(dir, "a.rec"), small, Raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(w, 5); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(NewChunk(small)); err == nil {
		t.Error("a chunk came after one that was not full")
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir)
}

func TestReadingDoesNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("with the race detector zstd's sync.Pool drops one table in four on purpose")
	}
	for codec := range codecNames {
		b := smallShard(t, codec)
		r, err := NewReader(bytes.NewReader(b), int64(len(b)), "a.rec")
		if err != nil {
			t.Fatal(err)
		}
		var d Decoder
		read := func() {
			for i := range r.Chunks() {
				if err := d.Read(r, i); err != nil {
					t.Fatal(err)
				}
				for k := range d.Len() {
					d.Image(k)
				}
			}
		}
		read()
		if n := testing.AllocsPerRun(20, read); n != 0 {
			t.Errorf("%v: %g allocations for reading %d chunks again", codec, n, r.Chunks())
		}
		if d.Times.Bytes == 0 || d.Times.Decompress == 0 {
			t.Errorf("%v: times %+v", codec, d.Times)
		}
	}
}

// What cannot be made smaller is stored, in frames that any zstd reads.
func TestStoredFrames(t *testing.T) {
	e, err := NewEncoder(Raw)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, n := range []int{1, 100, 128 << 10, 128<<10 + 1, 300_000} {
		noise := make([]byte, n)
		for i, v := 0, uint32(1); i < n; i++ {
			v = v*1664525 + 1013904223
			noise[i] = byte(v >> 24)
		}
		flat := bytes.Repeat([]byte{7}, n)
		for name, b := range map[string][]byte{"noise": noise, "flat": flat} {
			packed := e.fast([]byte("before"), b)
			got, err := z.DecodeAll(packed[6:], nil)
			if err != nil || !bytes.Equal(got, b) || string(packed[:6]) != "before" {
				t.Errorf("%d bytes of %s: %d bytes, error %v", n, name, len(got), err)
			}
			if size := len(packed) - 6; size > n+9+3*(n/(128<<10)+1) || name == "flat" && n > 100 && size > n/10 {
				t.Errorf("%d bytes of %s take %d", n, name, size)
			}
		}
	}
}

func TestCodecNames(t *testing.T) {
	for c, name := range codecNames {
		if got, err := ParseCodec(name); got != c || err != nil || c.String() != name {
			t.Errorf("%s is %v, error %v", name, got, err)
		}
	}
	if _, err := ParseCodec("zip"); err == nil {
		t.Error("a codec zip")
	}
	if _, err := Codec(0).MarshalText(); err == nil {
		t.Error("codec 0 has a name")
	}
}

// The processor's help gives what the plain code gives, for every width.
func TestRestoreFast(t *testing.T) {
	for width := 1; width <= 100; width++ {
		n := 3 * width
		high, low, above := image(1, width, 1), image(1, width, 2), image(1, width, 3)
		var rows [2][3][]byte
		for i, restore := range []func(first, second, above, high, low []byte){restoreRows, restorePair} {
			rows[i] = [3][]byte{make([]byte, n), make([]byte, n), bytes.Clone(above)}
			restore(rows[i][0], rows[i][1], rows[i][2], high, low)
		}
		for r := range 3 {
			if !bytes.Equal(rows[0][r], rows[1][r]) {
				t.Fatalf("width %d: row %d is %v, want %v", width, r, rows[1][r], rows[0][r])
			}
		}
		last := make([]byte, n) // a first row without a second
		if restorePair(last, last, bytes.Clone(above), high, low); !bytes.Equal(last, rows[0][0]) {
			t.Fatalf("width %d: the last row is %v, want %v", width, last, rows[0][0])
		}
	}
}

// Whatever the bytes, reading them ends without a panic, and what is read
// agrees with what the index promised.
func FuzzShard(f *testing.F) {
	for codec := range codecNames {
		whole := smallShard(f, codec)
		f.Add(whole)
		f.Add(whole[:headerSize])
		f.Add(append(bytes.Clone(whole[:headerSize]), whole[len(whole)-trailerSize:]...))
	}
	path := filepath.Join(f.TempDir(), "a.rec")
	writeShard(f, path, whole, Delta, 4)
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(shardMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fixChecksums(b)
		r, all, err := readAll(b, new(Decoder))
		if err != nil {
			return
		}
		if len(all) != r.Images() {
			t.Errorf("%d images, and the index has %d", len(all), r.Images())
		}
		for i, pixels := range all {
			if im := r.Image(i); len(pixels) != im.Height*im.Width*3 {
				t.Errorf("image %d: %d bytes of pixels for %dx%d", i, len(pixels), im.Height, im.Width)
			}
		}
	})
}

// fixChecksums lets the fuzzer past the checksums.
func fixChecksums(b []byte) {
	n := len(b)
	if n < headerSize+trailerSize {
		return
	}
	le.PutUint32(b[36:], checksum(b[:36]))
	end := b[n-trailerSize:]
	if at, size := le.Uint64(end), le.Uint64(end[8:]); at <= uint64(n) && size <= uint64(n)-at {
		ix := b[at : at+size]
		for c := range min(uint64(le.Uint32(end[16:])), size/chunkEntry) {
			e := ix[chunkEntry*c:]
			if at, size := le.Uint64(e), uint64(le.Uint32(e[8:])); at <= uint64(n) && size <= uint64(n)-at {
				le.PutUint32(e[16:], checksum(b[at:at+size]))
			}
		}
		le.PutUint32(end[24:], checksum(ix))
	}
	le.PutUint32(end[28:], checksum(end[:28]))
}

// Whatever the pixels and the size, delta gives them back.
func FuzzDelta(f *testing.F) {
	f.Add([]byte("some pixels, some more of them, and then some that are far away"), uint8(3))
	f.Add(image(9, 33, 1), uint8(33))
	f.Fuzz(func(t *testing.T, b []byte, w uint8) {
		width := int(w)
		if width == 0 || len(b) < 3*width {
			return
		}
		height := len(b) / (3 * width)
		b = b[:height*width*3]
		c := NewChunk(Shape{Height: height, Width: width, ChunkImages: 1})
		if err := c.Add(Image{Height: height, Width: width}, b); err != nil {
			t.Fatal(err)
		}
		residuals := predict(nil, c)
		half := len(residuals) / 2
		got := make([]byte, len(b))
		restore(got, c.images[0], residuals[:half], residuals[half:], nil)
		if !bytes.Equal(got, b) {
			t.Errorf("%dx%d: other pixels came back", height, width)
		}
	})
}
