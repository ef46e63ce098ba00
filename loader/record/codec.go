package record

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Codec is how the pixels of a chunk are stored. The package's documentation
// describes each.
type Codec int

// The codecs.
const (
	Raw   Codec = 1 // zstd on pixels: fast
	Delta Codec = 2 // zstd on differences between pixels: small
)

var codecNames = map[Codec]string{Raw: "raw", Delta: "delta"}

func (c Codec) String() string {
	if name, ok := codecNames[c]; ok {
		return name
	}
	return fmt.Sprintf("codec %d", int(c))
}

// ParseCodec returns the codec of a name.
func ParseCodec(name string) (Codec, error) {
	for c, n := range codecNames {
		if n == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("codec %q: want raw (fast) or delta (small)", name)
}

// MarshalText returns the codec's name.
func (c Codec) MarshalText() ([]byte, error) {
	if _, ok := codecNames[c]; !ok {
		return nil, fmt.Errorf("there is no %v", c)
	}
	return []byte(c.String()), nil
}

// UnmarshalText is the reverse of MarshalText.
func (c *Codec) UnmarshalText(name []byte) (err error) {
	*c, err = ParseCodec(string(name))
	return err
}

// Encoder compresses chunks. It is for one goroutine.
type Encoder struct {
	codec   Codec
	entropy *zstd.Encoder // for what entropy coding makes smaller
	plain   *zstd.Encoder // for what it does not, or not by enough to be worth the time of reading
	scratch []byte
}

// NewEncoder returns an encoder of the codec.
func NewEncoder(codec Codec) (*Encoder, error) {
	if _, ok := codecNames[codec]; !ok {
		return nil, fmt.Errorf("there is no %v", codec)
	}
	e := &Encoder{codec: codec}
	for _, z := range []struct {
		to       **zstd.Encoder
		level    zstd.EncoderLevel
		verbatim bool
	}{
		{&e.entropy, zstd.SpeedBetterCompression, false}, // also read faster than what lower levels make
		{&e.plain, zstd.SpeedFastest, true},
	} {
		var err error
		*z.to, err = zstd.NewWriter(nil,
			zstd.WithEncoderLevel(z.level),
			zstd.WithEncoderConcurrency(1),
			zstd.WithNoEntropyCompression(z.verbatim),
			zstd.WithEncoderCRC(false)) // the index has a checksum
		if err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Encode makes c ready to be written.
func (e *Encoder) Encode(c *Chunk) {
	if e.codec == Raw {
		c.packed = e.fast(c.packed[:0], c.pixels)
	} else {
		e.scratch = predict(e.scratch, c)
		high, low := e.scratch[:len(e.scratch)/2], e.scratch[len(e.scratch)/2:]
		c.packed = e.fast(e.entropy.EncodeAll(high, c.packed[:0]), low)
	}
	c.crc = checksum(c.packed)
	c.digest = digest(c.Len(), c.Image)
	c.codec = e.codec
}

// fast appends b to dst as a frame that is read fast: repetitions alone, and those
// only where they make it smaller by an eighth.
func (e *Encoder) fast(dst, b []byte) []byte {
	if packed := e.plain.EncodeAll(b, dst); len(packed)-len(dst) < len(b)-len(b)/8 {
		return packed
	}
	return stored(dst, b)
}

// stored appends b to dst as a zstd frame of blocks that are not compressed (RFC
// 8878, 3.1.1).
func stored(dst, b []byte) []byte {
	const (
		magic      = 0xFD2FB528
		descriptor = 2<<6 | 1<<5 // the size of the content has 4 bytes; the content is one segment
		most       = 128 << 10   // bytes of a block
	)
	dst = append(le.AppendUint32(dst, magic), descriptor)
	dst = le.AppendUint32(dst, uint32(len(b)))
	for {
		n := min(len(b), most)
		head := uint32(n) << 3 // block type 0: as it is
		if n == len(b) {
			head |= 1 // the last
		}
		dst = append(dst, byte(head), byte(head>>8), byte(head>>16))
		dst = append(dst, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			return dst
		}
	}
}
