package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Version is the version of the format that this package reads and writes.
const Version = 1

// Bounds of the format.
const (
	MaxImage  = 64 << 20 // bytes of one decoded image
	MaxImages = 1 << 20  // images in one shard
)

const (
	channels   = 3
	chunkBytes = 1 << 20 // decoded; what a chunk is filled up to
	codecZstd  = 1

	headerSize  = 36
	entrySize   = 20
	trailerSize = 40

	shardMagic = "ALEXNETR"
	endMagic   = "ALEXNETE"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Shape is the geometry of a shard.
type Shape struct {
	Height, Width int // of every image, in pixels
	ChunkImages   int // images a chunk; the last may have fewer
}

// ImageBytes returns the size of one decoded image.
func (s Shape) ImageBytes() int { return s.Height * s.Width * channels }

// check refuses what the format does not allow. It is written so that no
// product can overflow.
func (s Shape) check() error {
	const most = MaxImage / channels
	switch {
	case s.Height < 1 || s.Width < 1 || s.Height > most || s.Width > most/s.Height:
		return fmt.Errorf("images of %d rows and %d columns; the format allows 1x1 up to %d pixels in all", s.Height, s.Width, most)
	case s.ChunkImages < 1 || s.ChunkImages > MaxImage/s.ImageBytes():
		return fmt.Errorf("%d images of %dx%d in a chunk; the format allows 1 up to %d bytes in all", s.ChunkImages, s.Height, s.Width, MaxImage)
	}
	return nil
}

// NewShape returns the shape of shards of height x width images, in chunks of
// about 1 MiB. An image of more than MaxImage bytes is an error.
func NewShape(height, width int) (Shape, error) {
	s := Shape{Height: height, Width: width, ChunkImages: 1}
	if err := s.check(); err != nil {
		return Shape{}, err
	}
	s.ChunkImages = max(1, chunkBytes/s.ImageBytes())
	return s, nil
}

// chunk is an entry of the index.
type chunk struct {
	offset int64
	size   int
	images int
	crc    uint32
}

func (s Shape) header() []byte {
	b := append(make([]byte, 0, headerSize), shardMagic...)
	for _, v := range []int{Version, codecZstd, s.Height, s.Width, channels, s.ChunkImages} {
		b = le.AppendUint32(b, uint32(v))
	}
	return le.AppendUint32(b, checksum(b))
}

func index(chunks []chunk, labels []int32, sources []int64) []byte {
	b := make([]byte, 0, indexSize(len(chunks), len(labels)))
	for _, c := range chunks {
		b = le.AppendUint64(b, uint64(c.offset))
		b = le.AppendUint32(b, uint32(c.size))
		b = le.AppendUint32(b, uint32(c.images))
		b = le.AppendUint32(b, c.crc)
	}
	for _, l := range labels {
		b = le.AppendUint32(b, uint32(l))
	}
	for _, s := range sources {
		b = le.AppendUint64(b, uint64(s))
	}
	return b
}

func indexSize(chunks, images int) int64 { return entrySize*int64(chunks) + 12*int64(images) }

func trailer(at int64, index []byte, chunks, images int) []byte {
	b := le.AppendUint64(make([]byte, 0, trailerSize), uint64(at))
	b = le.AppendUint64(b, uint64(len(index)))
	b = le.AppendUint32(b, uint32(chunks))
	b = le.AppendUint32(b, uint32(images))
	b = le.AppendUint32(b, checksum(index))
	b = le.AppendUint32(b, checksum(b))
	return append(b, endMagic...)
}
