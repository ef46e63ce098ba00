package picture

import "encoding/binary"

// A pixel travels as one word of three lanes, red lowest. A lane has 21 bits,
// room for a sum of 8-bit numbers that are weighted with 12 bits of fraction.
// One multiplication then weights all three colours, and one addition adds them.
//
// Weights may be negative. The words wrap around, so what counts is only that
// each lane of the finished sum lies in 0..2^21-1. A bias sees to that.
const (
	laneBits = 21
	ones     = 1 | 1<<laneBits | 1<<(2*laneBits) // 1 in each lane

	fraction = 12            // of weights
	one      = 1 << fraction // the sum of the weights of a pixel

	// A sum may reach from -1/2 to 3/2 of the largest pixel. (Lanczos, the worst of
	// the filters, reaches from -0.3 to 1.3.)
	biasPixel = 128
	// seed is what sums begin with: the bias, and the half that rounds them.
	seed = (biasPixel<<fraction + one/2) * ones
)

// rounded returns the pixel that a sum of weighted pixels stands for.
func rounded(sum uint64) uint64 {
	return clamped(sum>>fraction&(0x1ff*ones) + (256-biasPixel)*ones)
}

// clamped takes lanes that are 256 too large, brings what is below 0 to 0 and
// what is above 255 to 255. They must lie in 0..767: bit 8 says that a lane is
// in range, bit 9 that it is above.
func clamped(p uint64) uint64 {
	if p&(0x300*ones) == 0x100*ones { // as nearly all of a photograph's pixels
		return p & (0xff * ones)
	}
	in, above := p>>8&ones, p>>9&ones
	return p&(in<<8-in) | (above<<8 - above)
}

// spread makes a word of a pixel whose bytes are red, green, blue, anything.
func spread(rgbx uint32) uint64 {
	p := uint64(rgbx)
	return p&0xff | p&0xff00<<(laneBits-8) | p&0xff0000<<(2*laneBits-16)
}

// packed is the reverse of spread, for lanes of 0..255.
func packed(p uint64) uint32 {
	return uint32(p&0xff | p>>(laneBits-8)&0xff00 | p>>(2*laneBits-16)&0xff0000)
}

// store writes the pixels as bytes. dst has 3 for each.
func store(dst []byte, pixels []uint64) {
	for len(pixels) >= 4 && len(dst) >= 12 {
		a, b, c, d := uint64(packed(pixels[0])), uint64(packed(pixels[1])), uint64(packed(pixels[2])), packed(pixels[3])
		binary.LittleEndian.PutUint64(dst, a|b<<24|c<<48)
		binary.LittleEndian.PutUint32(dst[8:], uint32(c>>16)|d<<8)
		pixels, dst = pixels[4:], dst[12:]
	}
	for i, p := range pixels {
		dst[3*i], dst[3*i+1], dst[3*i+2] = byte(p), byte(p>>laneBits), byte(p>>(2*laneBits))
	}
}
