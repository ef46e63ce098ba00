package record

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Decoder reads chunks, into memory that it keeps for the next one: read again,
// a chunk takes none. The zero Decoder is ready. It is for one goroutine.
type Decoder struct {
	Times Times

	zstd   *zstd.Decoder
	packed []byte
	plain  []byte // pixels, or residuals
	images []Image
	starts []int  // of the images in plain; of residuals, in each half
	pixels []byte // of the image last restored
	above  []byte // scratch of restore
	codec  Codec
}

// Times is how long the parts of reading took, in all.
type Times struct {
	Read       time.Duration // from the file, or from the system's cache of it
	Check      time.Duration // checksums
	Decompress time.Duration // zstd
	Restore    time.Duration // pixels from residuals
	Bytes      int64         // read
}

// Add adds u to t.
func (t *Times) Add(u Times) {
	t.Read += u.Read
	t.Check += u.Check
	t.Decompress += u.Decompress
	t.Restore += u.Restore
	t.Bytes += u.Bytes
}

// Read reads chunk i of r. Its images are Image(0) to Image(Len()-1) until the
// next Read; after an error there are none. An error about the shard is an *Error.
func (d *Decoder) Read(r *Reader, i int) error {
	d.images, d.starts = d.images[:0], d.starts[:0]
	if i < 0 || i >= r.Chunks() {
		return fmt.Errorf("%s: there is no chunk %d; the file has %d", r.path, i, r.Chunks())
	}
	if err := r.Load(); err != nil {
		return err
	}
	if err := d.read(r, i); err != nil {
		d.images = d.images[:0]
		if IsShortage(err) {
			return err
		}
		first, n := r.Chunk(i)
		return &Error{r.path, fmt.Sprintf("chunk %d (images %d to %d)", i, first, first+n-1), r.chunks[i].offset, err}
	}
	return nil
}

func (d *Decoder) read(r *Reader, i int) error {
	start := time.Now()
	c := r.chunks[i]
	d.packed = slices.Grow(d.packed[:0], c.size)[:c.size]
	if err := r.readAt(d.packed, c.offset); err != nil {
		if errors.Is(err, io.EOF) { // the file had its size when it was opened
			err = damaged("the file was cut off while it was read")
		}
		return err
	}
	read := time.Now()
	if got := checksum(d.packed); got != c.crc {
		return damaged("its checksum is %08x, and the index says %08x", got, c.crc)
	}
	checked := time.Now()

	first, n := r.Chunk(i)
	d.codec = r.codec
	size := 0
	for k := range n {
		im := r.Image(first + k)
		d.images, d.starts = append(d.images, im), append(d.starts, size)
		if r.codec == Raw {
			size += im.bytes()
		} else {
			size += halfPlane(im.Height, im.Width)
		}
	}
	if r.codec == Delta {
		size *= 2
	}
	if err := d.decompress(size); err != nil {
		return err
	}
	d.Times.Add(Times{
		Read: read.Sub(start), Check: checked.Sub(read), Decompress: time.Since(checked),
		Bytes: int64(c.size),
	})
	return nil
}

// decompress decompresses packed, which must give size bytes.
func (d *Decoder) decompress(size int) error {
	if d.zstd == nil {
		z, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(2*MaxImage), // images one row high have twice as many residuals as pixels
			zstd.WithDecodeAllCapLimit(true))      // a frame that claims more is refused, not obeyed
		if err != nil {
			return err
		}
		d.zstd = z
	}
	d.plain = slices.Grow(d.plain[:0], size)
	plain, err := d.zstd.DecodeAll(d.packed, d.plain[:0:size])
	if err != nil {
		return damaged("it does not decompress to %d bytes: %v", size, err)
	}
	if len(plain) != size {
		return damaged("it decompresses to %d bytes, and its images need %d", len(plain), size)
	}
	d.plain = d.plain[:size] // plain itself has lost the rest of the capacity
	return nil
}

// Len returns how many images the chunk has.
func (d *Decoder) Len() int { return len(d.images) }

// Image returns image k of the chunk, and its pixels, HWC, which stay until the
// next call of Image or Read.
func (d *Decoder) Image(k int) (Image, []byte) {
	im, at := d.images[k], d.starts[k]
	if d.codec == Raw {
		return im, d.plain[at:][:im.bytes()]
	}
	start := time.Now()
	high, low := d.plain[:len(d.plain)/2], d.plain[len(d.plain)/2:]
	d.pixels = slices.Grow(d.pixels[:0], im.bytes())[:im.bytes()]
	d.above = restore(d.pixels, im, high[at:], low[at:], d.above)
	d.Times.Restore += time.Since(start)
	return im, d.pixels
}
