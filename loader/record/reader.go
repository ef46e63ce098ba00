package record

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
)

// Reader reads one shard. Its methods may be called by several goroutines at
// once.
type Reader struct {
	path  string
	shape Shape
	count int // images

	loading sync.Mutex
	load    func() error // reads the head of a shard of a Folder; nil: that was done
	err     error        // of load

	file *file       // nil: r is open for good
	r    io.ReaderAt // nil: it is file, between use and done

	codec   Codec
	chunks  []chunk
	entries []byte // of the images, as in the index
	crc     uint32 // of the index
}

// Open opens the shard at path. It reads and checks everything but the chunks.
func Open(path string) (*Reader, error) {
	s := &Reader{path: path, file: &file{path: path, files: newFiles(1)}}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// NewReader is Open for a shard of size bytes that lies in r; path is its name
// in errors.
func NewReader(r io.ReaderAt, size int64, path string) (*Reader, error) {
	s := &Reader{path: path, r: r}
	return s, s.readHead(size)
}

// open reads the head of a shard in a file.
func (s *Reader) open() error {
	if err := s.file.use(); err != nil {
		return err
	}
	defer s.file.done()
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	return s.readHead(info.Size())
}

// readAt fills b with what stands at an offset. A file that ends before is io.EOF.
func (s *Reader) readAt(b []byte, offset int64) error {
	from := s.r
	if s.file != nil {
		if err := s.file.use(); err != nil {
			return err
		}
		defer s.file.done()
		from = s.file.File
	}
	if n, err := from.ReadAt(b, offset); n < len(b) {
		return err
	}
	return nil
}

// Load reads the head of the shard, if it is one of a Folder and was not loaded
// before, and checks everything but the chunks. Image needs it; reading does it.
func (s *Reader) Load() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.load == nil {
		return s.err
	}
	err := s.load()
	if IsShortage(err) {
		return err // another time there may be fewer files open
	}
	s.load, s.err = nil, err
	return err
}

// readHead reads header, trailer and index.
func (s *Reader) readHead(size int64) error {
	if err := s.readHeader(size); err != nil {
		return &Error{s.path, "header", 0, err}
	}
	t, err := s.readTrailer(size)
	if err != nil {
		return &Error{s.path, "trailer", max(0, size-trailerSize), err}
	}
	if err := s.readIndex(t); err != nil {
		return &Error{s.path, "index", t.at, err}
	}
	return nil
}

func (s *Reader) readHeader(size int64) error {
	b := make([]byte, min(size, headerSize))
	if err := s.readAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	switch n := len(b); {
	case n == 0:
		return damaged("the file is empty")
	case string(b[:min(n, 8)]) != shardMagic[:min(n, 8)]:
		return errors.New("this is no shard of a data set (it does not start with " + shardMagic + "); give the folder that `alexnet pack` wrote")
	case n < headerSize:
		return damaged("the file has %d bytes, less than a header", n)
	}
	u32 := func(i int) uint32 { return le.Uint32(b[i:]) }
	if v := u32(8); v != Version {
		return fmt.Errorf("version %d of the format, and this program reads version %d; use the program that wrote it, or pack the data set again", v, Version)
	}
	if got := checksum(b[:36]); got != u32(36) {
		return damaged("its checksum is %08x, and the file says %08x", got, u32(36))
	}
	s.codec = Codec(u32(12))
	if _, ok := codecNames[s.codec]; !ok {
		return fmt.Errorf("%v, and this program knows %d (raw) and %d (delta); use the program that wrote it, or pack the data set again", s.codec, Raw, Delta)
	}
	if c := u32(28); c != channels {
		return fmt.Errorf("%d channels, and this program knows %d; pack the data set again", c, channels)
	}
	s.shape = Shape{Height: int(u32(16)), Width: int(u32(20)), Longest: int(u32(24)), ChunkImages: int(u32(32))}
	return s.shape.check()
}

// tail is the content of a trailer.
type tail struct {
	at             int64 // of the index
	size           int64 // of the index
	chunks, images int
	crc            uint32 // of the index
}

func (s *Reader) readTrailer(size int64) (tail, error) {
	if size < headerSize+trailerSize {
		return tail{}, damaged("the file has %d bytes and is cut off", size)
	}
	b := make([]byte, trailerSize)
	if err := s.readAt(b, size-trailerSize); err != nil && err != io.EOF {
		return tail{}, err
	}
	if string(b[32:]) != endMagic {
		return tail{}, damaged("the file does not end with %s; it is cut off", endMagic)
	}
	if got, want := checksum(b[:28]), le.Uint32(b[28:]); got != want {
		return tail{}, damaged("its checksum is %08x, and the file says %08x", got, want)
	}
	at, n, chunks, images := le.Uint64(b), le.Uint64(b[8:]), le.Uint32(b[16:]), le.Uint32(b[20:])
	switch {
	case images == 0 || images > MaxImages || int(chunks) != s.shape.chunks(int(images)):
		return tail{}, damaged("%d images in %d chunks; the format allows 1 to %d images, %d a chunk", images, chunks, MaxImages, s.shape.ChunkImages)
	case n != uint64(indexSize(int(chunks), int(images))):
		return tail{}, damaged("an index of %d bytes for %d chunks and %d images; it must have %d", n, chunks, images, indexSize(int(chunks), int(images)))
	case at < headerSize || at > uint64(size) || at+n+trailerSize != uint64(size):
		return tail{}, damaged("an index of %d bytes at byte %d does not end where the trailer starts", n, at)
	}
	return tail{at: int64(at), size: int64(n), chunks: int(chunks), images: int(images), crc: le.Uint32(b[24:])}, nil
}

// readIndex reads the index, whose size is bounded by the file's own.
func (s *Reader) readIndex(t tail) error {
	b := make([]byte, t.size)
	if err := s.readAt(b, t.at); err != nil {
		return err
	}
	s.crc = checksum(b)
	if s.crc != t.crc {
		return damaged("its checksum is %08x, and the trailer says %08x", s.crc, t.crc)
	}
	end, left := int64(headerSize), t.images
	s.chunks = make([]chunk, t.chunks)
	for i := range s.chunks {
		e := b[chunkEntry*i:]
		c := chunk{offset: int64(le.Uint64(e)), size: int(le.Uint32(e[8:])), images: int(le.Uint32(e[12:])), crc: le.Uint32(e[16:])}
		want := min(left, s.shape.ChunkImages)
		if c.offset != end || c.size == 0 || c.size > maxPacked || int64(c.size) > t.at-end || c.images != want {
			return damaged("chunk %d has %d images in %d bytes at byte %d; it must have %d images and start at byte %d, before the index",
				i, c.images, c.size, c.offset, want, end)
		}
		s.chunks[i] = c
		end += int64(c.size)
		left -= c.images
	}
	if end != t.at {
		return damaged("the chunks end at byte %d; they must end where the index starts", end)
	}
	s.count, s.entries = t.images, b[chunkEntry*t.chunks:]
	for i := range s.count {
		im := s.Image(i)
		if im.Label < 0 || im.Source < 0 || !s.shape.allows(im.Height, im.Width) {
			return damaged("image %d has label %d, source %d and %dx%d pixels; the first two may not be negative, and the size not other than that of the shard",
				i, im.Label, im.Source, im.Height, im.Width)
		}
	}
	return nil
}

// Codec returns how the shard's pixels are stored.
func (s *Reader) Codec() Codec { return s.codec }

// Shape returns the geometry of the shard.
func (s *Reader) Shape() Shape { return s.shape }

// Images returns the number of images in the shard.
func (s *Reader) Images() int { return s.count }

// Chunks returns the number of chunks in the shard.
func (s *Reader) Chunks() int { return s.shape.chunks(s.count) }

// Chunk returns which images chunk i holds: the first, and how many.
func (s *Reader) Chunk(i int) (first, images int) {
	first = i * s.shape.ChunkImages
	return first, min(s.shape.ChunkImages, s.count-first)
}

// Image returns what the index says of image i, 0 <= i < Images(). A shard of a
// Folder must be loaded.
func (s *Reader) Image(i int) Image {
	e := s.entries[imageEntry*i:]
	return Image{int32(le.Uint32(e)), int64(le.Uint64(e[4:])), int(le.Uint32(e[12:])), int(le.Uint32(e[16:]))}
}

// size returns how many bytes the file has, by its index.
func (s *Reader) size() int64 {
	last := s.chunks[len(s.chunks)-1]
	return last.offset + int64(last.size) + indexSize(len(s.chunks), s.count) + trailerSize
}

// Close closes the file of a shard that Open opened. It must not be called while the
// shard is read. A Folder closes its own shards.
func (s *Reader) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.files.Close()
}

// Prefetch has the system begin to read chunk i, 0 <= i < Chunks(), so that
// Decoder.Read finds it in memory. What goes wrong is Read's to report.
func (s *Reader) Prefetch(i int) {
	if s.Load() != nil || s.file == nil || s.file.use() != nil {
		return
	}
	defer s.file.done()
	prefetch(s.file.File, s.chunks[i].offset, int64(s.chunks[i].size))
}

// Entry reads the whole shard, calls each with every image and its pixels, which
// stay until it returns, and returns the shard's entry for dataset.json.
func (s *Reader) Entry(ctx context.Context, each func(im Image, pixels []byte)) (Shard, error) {
	var d Decoder
	content := sha256.New()
	for c := range s.Chunks() {
		if err := ctx.Err(); err != nil {
			return Shard{}, err
		}
		if err := d.Read(s, c); err != nil {
			return Shard{}, err
		}
		sum := digest(d.Len(), func(k int) (Image, []byte) {
			im, pixels := d.Image(k)
			each(im, pixels)
			return im, pixels
		})
		content.Write(sum[:])
	}
	return Shard{
		File: filepath.Base(s.path), Images: s.count, Bytes: s.size(), Checksum: hex32(s.crc), Content: fmt.Sprintf("%x", content.Sum(nil)),
	}, nil
}
