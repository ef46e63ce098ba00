package record

import (
	"crypto/sha256"
	"fmt"
)

// Chunk is images that are stored together. It is filled by Add, made ready by
// an Encoder, and written by a Writer; after Reset it is used again. It is for
// one goroutine at a time.
type Chunk struct {
	shape  Shape
	images []Image
	ends   []int // of the images in pixels
	pixels []byte

	codec  Codec // of packed; 0 before Encode
	packed []byte
	crc    uint32
	digest [sha256.Size]byte
}

// NewChunk returns an empty chunk of a shard of shape s.
func NewChunk(s Shape) *Chunk { return &Chunk{shape: s} }

// Add copies an image into c: its pixels, HWC, and what is known of it.
func (c *Chunk) Add(im Image, pixels []byte) error {
	switch {
	case c.Full():
		return fmt.Errorf("a chunk of %d images is full", c.shape.ChunkImages)
	case !c.shape.allows(im.Height, im.Width):
		return fmt.Errorf("an image of %dx%d among images of %dx%d (longest side %d)", im.Height, im.Width, c.shape.Height, c.shape.Width, c.shape.Longest)
	case len(pixels) != im.bytes():
		return fmt.Errorf("an image of %d bytes; %dx%d RGB needs %d", len(pixels), im.Height, im.Width, im.bytes())
	case im.Label < 0 || im.Source < 0:
		return fmt.Errorf("an image of label %d and source %d; neither may be negative", im.Label, im.Source)
	}
	c.images = append(c.images, im)
	c.pixels = append(c.pixels, pixels...)
	c.ends = append(c.ends, len(c.pixels))
	c.codec = 0
	return nil
}

// Len returns how many images c holds.
func (c *Chunk) Len() int { return len(c.images) }

// Full says whether c holds as many images as a chunk has.
func (c *Chunk) Full() bool { return c.Len() == c.shape.ChunkImages }

// Image returns image i of c, and its pixels.
func (c *Chunk) Image(i int) (Image, []byte) {
	end := c.ends[i]
	return c.images[i], c.pixels[end-c.images[i].bytes() : end]
}

// Reset empties c.
func (c *Chunk) Reset() {
	c.images, c.ends, c.pixels, c.packed, c.codec = c.images[:0], c.ends[:0], c.pixels[:0], c.packed[:0], 0
}

// digest returns the SHA-256 over the n images of a chunk: of each its label,
// height and width, 4 bytes each, and pixels.
func digest(n int, image func(int) (Image, []byte)) (sum [sha256.Size]byte) {
	h := sha256.New()
	var head [12]byte
	for i := range n {
		im, pixels := image(i)
		le.PutUint32(head[:], uint32(im.Label))
		le.PutUint32(head[4:], uint32(im.Height))
		le.PutUint32(head[8:], uint32(im.Width))
		h.Write(head[:])
		h.Write(pixels)
	}
	h.Sum(sum[:0])
	return sum
}
