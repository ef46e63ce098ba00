package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Version is the version of the format that this package reads and writes.
const Version = 2

// Bounds of the format.
const (
	MaxImage  = 64 << 20 // bytes of one decoded chunk, and so of one image
	MaxImages = 1 << 20  // images in one shard
)

const (
	channels   = 3
	maxPacked  = 2*MaxImage + 1<<20 // bytes of one compressed chunk: it cannot become smaller, and residuals may be twice as many as pixels
	chunkBytes = 1 << 20            // decoded; what a chunk is filled up to

	headerSize  = 40
	chunkEntry  = 20 // bytes of the index for a chunk
	imageEntry  = 20 // and for an image
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
	// Longest is 0, or the longest side that an image may have: images are then
	// whole, and Height and Width, which are equal, the shorter side of each.
	Longest     int
	ChunkImages int // images a chunk; the last may have fewer
}

// ImageBytes returns the size of a decoded image of Height x Width.
func (s Shape) ImageBytes() int { return s.Height * s.Width * channels }

// MaxImageBytes returns the size of the largest image that there can be.
func (s Shape) MaxImageBytes() int { return s.Height * max(s.Width, s.Longest) * channels }

// Middle returns where in an image of height x width the Height x Width of the
// shape lie that are in its middle.
func (s Shape) Middle(height, width int) (top, left int) {
	return (height - s.Height) / 2, (width - s.Width) / 2
}

// check refuses what the format does not allow. It is written so that no
// product can overflow.
func (s Shape) check() error {
	const most = MaxImage / channels
	switch {
	case s.Height < 1 || s.Width < 1 || s.Height > most || s.Width > most/s.Height:
		return fmt.Errorf("images of %d rows and %d columns; the format allows 1x1 up to %d pixels in all", s.Height, s.Width, most)
	case s.Longest != 0 && (s.Height != s.Width || s.Longest < s.Height || s.Longest > most/s.Height):
		return fmt.Errorf("whole images of shorter side %d and %d, longer side up to %d; the two must be equal, and the format allows %d pixels in all",
			s.Height, s.Width, s.Longest, most)
	case s.ChunkImages < 1 || s.ChunkImages > MaxImage/s.MaxImageBytes():
		return fmt.Errorf("%d images of up to %d bytes in a chunk; the format allows 1 up to %d bytes in all", s.ChunkImages, s.MaxImageBytes(), MaxImage)
	}
	return nil
}

// allows says whether an image may be height x width.
func (s Shape) allows(height, width int) bool {
	if s.Longest == 0 {
		return height == s.Height && width == s.Width
	}
	return min(height, width) == s.Height && max(height, width) <= s.Longest
}

// NewShape returns the shape of shards of height x width images, or of whole
// images where longest is not 0, in chunks of about 1 MiB. An image of more
// than MaxImage bytes is an error.
func NewShape(height, width, longest int) (Shape, error) {
	s := Shape{Height: height, Width: width, Longest: longest, ChunkImages: 1}
	if err := s.check(); err != nil {
		return Shape{}, err
	}
	s.ChunkImages = max(1, min(chunkBytes/s.ImageBytes(), MaxImage/s.MaxImageBytes()))
	return s, nil
}

// chunks returns how many chunks hold n images.
func (s Shape) chunks(n int) int { return (n + s.ChunkImages - 1) / s.ChunkImages }

// chunk is an entry of the index.
type chunk struct {
	offset int64
	size   int
	images int
	crc    uint32
}

// Image is what a shard's index says of an image.
type Image struct {
	Label         int32 // counted from 0
	Source        int64 // its number in the source it was packed from
	Height, Width int
}

func (im Image) bytes() int { return im.Height * im.Width * channels }

func (s Shape) header(codec Codec) []byte {
	b := append(make([]byte, 0, headerSize), shardMagic...)
	for _, v := range []int{Version, int(codec), s.Height, s.Width, s.Longest, channels, s.ChunkImages} {
		b = le.AppendUint32(b, uint32(v))
	}
	return le.AppendUint32(b, checksum(b))
}

func index(chunks []chunk, images []Image) []byte {
	b := make([]byte, 0, indexSize(len(chunks), len(images)))
	for _, c := range chunks {
		b = le.AppendUint64(b, uint64(c.offset))
		b = le.AppendUint32(b, uint32(c.size))
		b = le.AppendUint32(b, uint32(c.images))
		b = le.AppendUint32(b, c.crc)
	}
	for _, im := range images {
		b = le.AppendUint32(b, uint32(im.Label))
		b = le.AppendUint64(b, uint64(im.Source))
		b = le.AppendUint32(b, uint32(im.Height))
		b = le.AppendUint32(b, uint32(im.Width))
	}
	return b
}

func indexSize(chunks, images int) int64 {
	return chunkEntry*int64(chunks) + imageEntry*int64(images)
}

func trailer(at int64, index []byte, chunks, images int) []byte {
	b := le.AppendUint64(make([]byte, 0, trailerSize), uint64(at))
	b = le.AppendUint64(b, uint64(len(index)))
	b = le.AppendUint32(b, uint32(chunks))
	b = le.AppendUint32(b, uint32(images))
	b = le.AppendUint32(b, checksum(index))
	b = le.AppendUint32(b, checksum(b))
	return append(b, endMagic...)
}
