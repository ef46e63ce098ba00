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
