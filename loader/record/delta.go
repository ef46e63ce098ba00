package record

import "slices"

// Both directions of the codec delta, which the package's documentation
// describes. Reading works on eight bytes at a time: a sum of bytes that
// wrap around is the sum of their lower seven bits, which cannot run over into the next byte,
// and the exclusive or of the highest.
const (
	lows  = 0x0f0f0f0f0f0f0f0f
	highs = 0xf0f0f0f0f0f0f0f0
	tops  = 0x8080808080808080
	signs = 0x8888888888888888 // bit 3 of every half byte
)

// addBytes adds the eight bytes of a and b.
func addBytes(a, b uint64) uint64 { return (a&^tops + b&^tops) ^ (a^b)&tops }

// flip returns half bytes that are all ones where bit 3 of low's is set, and 0
// elsewhere: what the high bits of residuals are stored exclusive or with.
func flip(low uint64) uint64 {
	set := low & signs
	return set<<1 - set>>3
}

// halfPlane is the size of an image's high, or low, bits.
func halfPlane(height, width int) int { return (height + 1) / 2 * width * channels }

// predict puts the residuals of c into dst's memory: the bytes of high bits,
// then those of low bits.
func predict(dst []byte, c *Chunk) []byte {
	half := 0
	for _, im := range c.images {
		half += halfPlane(im.Height, im.Width)
	}
	dst = slices.Grow(dst[:0], 2*half)[:2*half]
	at := 0
	for k := range c.Len() {
		im, pixels := c.Image(k)
		row := im.Width * channels
		for y := 0; y < im.Height; y += 2 {
			high, low := dst[at:][:row], dst[half+at:][:row]
			at += row
			for x := range row {
				a, b := residual(pixels, row, y, x), byte(0)
				if y+1 < im.Height {
					b = residual(pixels, row, y+1, x)
				}
				low[x] = a&0x0f | b<<4
				high[x] = (a>>4 | b&0xf0) ^ byte(flip(uint64(low[x])))
			}
		}
	}
	return dst
}

// residual returns that of byte x of row y.
func residual(pixels []byte, row, y, x int) byte {
	at := y*row + x
	d := decorrelated(pixels, at)
	if y > 0 {
		d -= decorrelated(pixels, at-row)
	}
	return d
}

// decorrelated returns byte at of pixels, less green if it is red or blue.
func decorrelated(pixels []byte, at int) byte {
	if color := at % channels; color != 1 {
		return pixels[at] - pixels[at-color+1]
	}
	return pixels[at]
}

// restore is the reverse of predict for one image, whose residuals' high and
// low bits are given. above is memory for a row, which grows as it must.
func restore(pixels []byte, im Image, high, low, above []byte) []byte {
	row := im.Width * channels
	above = slices.Grow(above[:0], row)[:row]
	clear(above)
	for ; len(pixels) >= 2*row; pixels = pixels[2*row:] {
		restorePair(pixels[:row], pixels[row:2*row], above, high[:row], low[:row])
		high, low = high[row:], low[row:]
	}
	if len(pixels) > 0 { // a last row without a second, which is made in its place and then made over
		restorePair(pixels, pixels, above, high[:row], low[:row])
	}
	return above
}

// restorePair is restoreRows with the processor's help.
func restorePair(first, second, above, high, low []byte) {
	n := restoreFast(first, second, above, high, low)
	restoreRows(first[n:], second[n:], above[n:], high[n:], low[n:])
}

// The greens among the 24 bytes of eight pixels, in three words.
const (
	greens0 = 0xff0000ff0000ff00
	greens1 = 0x0000ff0000ff0000
	greens2 = 0x00ff0000ff0000ff
)

// restoreRows makes two rows of pixels from the row above, red and blue less
// green, which becomes the second, and residuals. The second is written before
// the first.
func restoreRows(first, second, above, high, low []byte) {
	for len(above) >= 24 && len(first) >= 24 && len(second) >= 24 && len(high) >= 24 && len(low) >= 24 {
		h0, h1, h2 := le.Uint64(high), le.Uint64(high[8:]), le.Uint64(high[16:])
		l0, l1, l2 := le.Uint64(low), le.Uint64(low[8:]), le.Uint64(low[16:])
		h0, h1, h2 = h0^flip(l0), h1^flip(l1), h2^flip(l2)
		a0 := addBytes(le.Uint64(above), h0&lows<<4|l0&lows)
		a1 := addBytes(le.Uint64(above[8:]), h1&lows<<4|l1&lows)
		a2 := addBytes(le.Uint64(above[16:]), h2&lows<<4|l2&lows)
		b0 := addBytes(a0, h0&highs|l0>>4&lows)
		b1 := addBytes(a1, h1&highs|l1>>4&lows)
		b2 := addBytes(a2, h2&highs|l2>>4&lows)
		le.PutUint64(above, b0)
		le.PutUint64(above[8:], b1)
		le.PutUint64(above[16:], b2)
		correlate(second, b0, b1, b2)
		correlate(first, a0, a1, a2)
		first, second, above, high, low = first[24:], second[24:], above[24:], high[24:], low[24:]
	}
	for i := 0; i+channels <= len(high); i += channels {
		var a, b [channels]byte
		for c := range channels {
			l := low[i+c]
			h := high[i+c] ^ byte(flip(uint64(l)))
			a[c] = above[i+c] + (h<<4 | l&0x0f)
			b[c] = a[c] + (h&0xf0 | l>>4)
			above[i+c] = b[c]
		}
		second[i], second[i+1], second[i+2] = b[0]+b[1], b[1], b[2]+b[1]
		first[i], first[i+1], first[i+2] = a[0]+a[1], a[1], a[2]+a[1]
	}
}

// correlate adds green to the red before it and the blue after it, which may lie
// in the word beside.
func correlate(row []byte, w0, w1, w2 uint64) {
	row = row[:24]
	g0, g1, g2 := w0&greens0, w1&greens1, w2&greens2
	le.PutUint64(row, addBytes(w0, g0>>8|g0<<8))
	le.PutUint64(row[8:], addBytes(w1, g1>>8|g1<<8|g0>>56|g2<<56))
	le.PutUint64(row[16:], addBytes(w2, g2>>8|g2<<8))
}
