package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Reader reads one shard. Its methods may be called by several goroutines at
// once, each with a Scratch of its own.
type Reader struct {
	path    string
	r       io.ReaderAt
	closer  io.Closer
	shape   Shape
	chunks  []chunk
	labels  []int32
	sources []int64
	crc     uint32 // of the index
}

// Scratch is what decoding needs beside its result, kept for the next chunk.
// The zero Scratch is ready. It is for one goroutine at a time.
type Scratch struct {
	packed  []byte
	decoder *zstd.Decoder
}

// Open opens the shard at path. It reads and checks everything but the chunks.
func Open(path string) (*Reader, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; copy it from where it is, or pack the data set again", err)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // to open a pipe could take forever
		return nil, fmt.Errorf("%s: this is no plain file; give a shard of a data set", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(f, info.Size(), path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.closer = f
	return r, nil
}

// NewReader is Open for a shard of size bytes that lies in r; path is its name
// in errors.
func NewReader(r io.ReaderAt, size int64, path string) (*Reader, error) {
	s := &Reader{path: path, r: r}
	if err := s.readHeader(size); err != nil {
		return nil, &Error{path, "header", 0, err}
	}
	t, err := s.readTrailer(size)
	if err != nil {
		return nil, &Error{path, "trailer", max(0, size-trailerSize), err}
	}
	if err := s.readIndex(t); err != nil {
		return nil, &Error{path, "index", t.at, err}
	}
	return s, nil
}

func (s *Reader) readHeader(size int64) error {
	b := make([]byte, min(size, headerSize))
	if _, err := s.r.ReadAt(b, 0); err != nil && err != io.EOF {
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
	if got := checksum(b[:32]); got != u32(32) {
		return damaged("its checksum is %08x, and the file says %08x", got, u32(32))
	}
	if c := u32(12); c != codecZstd {
		return fmt.Errorf("codec %d, and this program knows %d (zstd); use the program that wrote it, or pack the data set again", c, codecZstd)
	}
	if c := u32(24); c != channels {
		return fmt.Errorf("%d channels, and this program knows %d; pack the data set again", c, channels)
	}
	s.shape = Shape{Height: int(u32(16)), Width: int(u32(20)), ChunkImages: int(u32(28))}
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
	if _, err := s.r.ReadAt(b, size-trailerSize); err != nil && err != io.EOF {
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
	case images == 0 || images > MaxImages || chunks == 0 || chunks > images:
		return tail{}, damaged("%d images in %d chunks; the format allows 1 to %d images, at least one a chunk", images, chunks, MaxImages)
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
	if _, err := s.r.ReadAt(b, t.at); err != nil {
		return err
	}
	s.crc = checksum(b)
	if s.crc != t.crc {
		return damaged("its checksum is %08x, and the trailer says %08x", s.crc, t.crc)
	}
	end, left := int64(headerSize), t.images
	s.chunks = make([]chunk, t.chunks)
	for i := range s.chunks {
		e := b[entrySize*i:]
		c := chunk{offset: int64(le.Uint64(e)), size: int(le.Uint32(e[8:])), images: int(le.Uint32(e[12:])), crc: le.Uint32(e[16:])}
		want := min(left, s.shape.ChunkImages)
		if c.offset != end || c.size == 0 || int64(c.size) > t.at-end || c.images != want || want == 0 {
			return damaged("chunk %d has %d images in %d bytes at byte %d; it must have %d images and start at byte %d, before the index",
				i, c.images, c.size, c.offset, want, end)
		}
		s.chunks[i] = c
		end += int64(c.size)
		left -= c.images
	}
	if end != t.at || left != 0 {
		return damaged("the chunks end at byte %d with %d images missing; they must end where the index starts, with none missing", end, left)
	}
	labels := b[entrySize*t.chunks:]
	sources := labels[4*t.images:]
	s.labels, s.sources = make([]int32, t.images), make([]int64, t.images)
	for i := range t.images {
		s.labels[i], s.sources[i] = int32(le.Uint32(labels[4*i:])), int64(le.Uint64(sources[8*i:]))
		if s.labels[i] < 0 || s.sources[i] < 0 {
			return damaged("image %d has label %d and source %d; neither may be negative", i, s.labels[i], s.sources[i])
		}
	}
	return nil
}

// Shape returns the geometry of the shard.
func (s *Reader) Shape() Shape { return s.shape }

// Images returns the number of images in the shard.
func (s *Reader) Images() int { return len(s.labels) }

// Chunks returns the number of chunks in the shard.
func (s *Reader) Chunks() int { return len(s.chunks) }

// Chunk returns which images chunk i holds: the first, and how many.
func (s *Reader) Chunk(i int) (first, images int) {
	return i * s.shape.ChunkImages, s.chunks[i].images
}

// Label returns the label of image i, 0 <= i < Images().
func (s *Reader) Label(i int) int32 { return s.labels[i] }

// Source returns the number that image i has in the source it was packed from.
func (s *Reader) Source(i int) int64 { return s.sources[i] }

// ReadChunk decodes chunk i into dst's memory, which grows where it is too
// small, and returns the images one after the other. With the same dst and
// scratch again it does not allocate.
func (s *Reader) ReadChunk(i int, dst []byte, scratch *Scratch) ([]byte, error) {
	if i < 0 || i >= len(s.chunks) {
		return nil, fmt.Errorf("%s: there is no chunk %d; the file has %d", s.path, i, len(s.chunks))
	}
	pixels, err := s.readChunk(s.chunks[i], dst, scratch)
	if err != nil {
		return nil, &Error{s.path, fmt.Sprintf("chunk %d", i), s.chunks[i].offset, err}
	}
	return pixels, nil
}

func (s *Reader) readChunk(c chunk, dst []byte, scratch *Scratch) ([]byte, error) {
	if scratch.decoder == nil {
		d, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(MaxImage),
			zstd.WithDecodeAllCapLimit(true)) // a frame that claims more is refused, not obeyed
		if err != nil {
			return nil, err
		}
		scratch.decoder = d
	}
	if cap(scratch.packed) < c.size {
		scratch.packed = make([]byte, c.size)
	}
	packed := scratch.packed[:c.size]
	if _, err := s.r.ReadAt(packed, c.offset); err != nil {
		return nil, err
	}
	if got := checksum(packed); got != c.crc {
		return nil, damaged("its checksum is %08x, and the index says %08x", got, c.crc)
	}
	size := c.images * s.shape.ImageBytes()
	if cap(dst) < size {
		dst = make([]byte, size)
	}
	pixels, err := scratch.decoder.DecodeAll(packed, dst[:0:size])
	if err != nil {
		return nil, damaged("it does not decompress to %d bytes: %v", size, err)
	}
	if len(pixels) != size {
		return nil, damaged("it decompresses to %d bytes, and %d images have %d", len(pixels), c.images, size)
	}
	return dst[:size], nil // pixels itself has lost the rest of dst's capacity
}

// size returns how many bytes the file has, by its index.
func (s *Reader) size() int64 {
	last := s.chunks[len(s.chunks)-1]
	return last.offset + int64(last.size) + indexSize(len(s.chunks), len(s.labels)) + trailerSize
}

// Close closes the file.
func (s *Reader) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}
