package picture

// colorspace makes pixels of a sample of each of three planes. A sample of the
// first plane is added to each lane in which luma is 1. The samples of the other
// two have a share each.
type colorspace struct {
	luma   uint64
	cb, cr [256]share
}

// share is what a sample adds to a pixel, as lanes for clamped. Together, the
// shares of Cb and Cr make all lanes 256 too large. green has 16 bits of fraction,
// which lie below its lane.
type share struct{ lanes, green uint64 }

const greenFraction = laneBits - 16 // where the fraction begins

// ycc is for luma and chroma. It is libjpeg's arithmetic, with 16 bits of fraction.
var ycc = func() *colorspace {
	const half = 1 << 15
	m := &colorspace{luma: ones}
	for v := range 256 {
		d := v - 128
		m.cb[v] = share{uint64(256+(116130*d+half)>>16) << (2 * laneBits), uint64(256<<16+half-22554*d) << greenFraction} // 1.772, 0.344136
		m.cr[v] = share{uint64(256 + (91881*d+half)>>16), uint64(-46802*d) << greenFraction}                              // 1.402, 0.714136
	}
	return m
}()

// rgb is for red, green and blue.
var rgb = func() *colorspace {
	m := &colorspace{luma: 1}
	for v := range 256 {
		m.cb[v] = share{lanes: uint64(256 + (256+v)<<laneBits)}
		m.cr[v] = share{lanes: uint64(256+v) << (2 * laneBits)}
	}
	return m
}()

// pixel returns the pixel of a sample of each plane.
func (s *colorspace) pixel(luma, cb, cr byte) uint64 {
	b, r := &s.cb[cb], &s.cr[cr]
	return clamped(uint64(luma)*s.luma + b.lanes + r.lanes + (b.green+r.green)&^(1<<laneBits-1))
}

// interpolate makes pixels of luma and of weighted sums of chroma: each pixel takes
// 3 times its own sample and once the next sample on its side. sums begins one
// sample before the sample of the first pixel, and ends one after the last. odd is
// 1 if the first pixel is the second of its sample, and 0 otherwise. Before the
// shift left or right is added, for the first and the second pixel of a sample.
func (s *colorspace) interpolate(dst []uint64, luma []byte, sums []pair, odd int, left, right pair, shift uint) {
	if odd == 1 {
		c := (3*sums[1] + sums[2] + right) >> shift
		dst[0] = s.pixel(luma[0], byte(c), byte(c>>32))
		dst, luma, sums = dst[1:], luma[1:], sums[1:]
	}
	for len(dst) >= 2 && len(luma) >= 2 && len(sums) >= 3 {
		own := 3 * sums[1]
		c, d := (own+sums[0]+left)>>shift, (own+sums[2]+right)>>shift
		dst[0], dst[1] = s.pixel(luma[0], byte(c), byte(c>>32)), s.pixel(luma[1], byte(d), byte(d>>32))
		dst, luma, sums = dst[2:], luma[2:], sums[1:]
	}
	if len(dst) == 1 {
		c := (3*sums[1] + sums[0] + left) >> shift
		dst[0] = s.pixel(luma[0], byte(c), byte(c>>32))
	}
}

// repeat makes pixels of luma and of the sample of chroma that they share with
// their neighbors. cb and cr begin with the sample of column x, the first.
func (s *colorspace) repeat(dst []uint64, luma, cb, cr []byte, x, shift int) {
	if shift == 0 {
		luma, cb, cr = luma[:len(dst)], cb[:len(dst)], cr[:len(dst)]
		for i := range dst {
			dst[i] = s.pixel(luma[i], cb[i], cr[i])
		}
		return
	}
	before := x & (1<<shift - 1)
	for i := range dst {
		c := (before + i) >> shift
		dst[i] = s.pixel(luma[i], cb[c], cr[c])
	}
}
