package picture

import "image"

// planes is an image of three planes. Those of chroma may be subsampled. It begins
// at 0, 0.
//
// Chroma is interpolated as libjpeg does it ("fancy upsampling"). If two columns
// share a sample, it lies between them. Each column gets 3/4 of its own sample and
// 1/4 of the next sample on its side. Rows do the same. At the edge of the image a
// sample takes the place of its missing neighbor. Chroma is repeated, as in
// libjpeg, if four columns share a sample. It is repeated, too, if two columns
// share a sample and the image has at most two samples a row.
type planes struct {
	*image.YCbCr
	colors *colorspace
	sums   []pair // memory for a row of chroma
}

// pair holds a sample of Cb, and a sample of Cr 32 bits higher, or weighted sums
// of such samples.
type pair uint64

const inBoth pair = 1 | 1<<32 // 1 for Cb and for Cr

func (m *planes) read(dst []uint64, y, x int) {
	luma := m.Y[y*m.YStride+x:][:len(dst)]
	wide := m.Rect.Dx() > 4
	first, end := x>>1-1, (x+len(dst)-1)>>1+2 // samples on both sides of the columns
	// What is added before a shift rounds: halves go down and up by turns.
	switch r := m.SubsampleRatio; {
	case r == image.YCbCrSubsampleRatio420 && wide:
		m.sumRows(y, first, end, (m.Rect.Dx()+1)>>1)
		m.colors.interpolate(dst, luma, m.sums, x&1, 8*inBoth, 7*inBoth, 4)
	case r == image.YCbCrSubsampleRatio422 && wide:
		m.takeRow(y, first, end, (m.Rect.Dx()+1)>>1)
		m.colors.interpolate(dst, luma, m.sums, x&1, 1*inBoth, 2*inBoth, 2)
	case r == image.YCbCrSubsampleRatio440:
		m.sumRows(y, x, x+len(dst), m.Rect.Dx())
		half := inBoth << (y & 1)
		for i, s := range m.sums[:len(dst)] {
			s = (s + half) >> 2
			dst[i] = m.colors.pixel(luma[i], byte(s), byte(s>>32))
		}
	default:
		at := m.COffset(x, y)
		m.colors.repeat(dst, luma, m.Cb[at:], m.Cr[at:], x, m.shift())
	}
}

// shift is the base-2 logarithm of the columns that share a sample of chroma.
func (m *planes) shift() int {
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		return 1
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		return 2
	}
	return 0
}

// takeRow sets sums to samples first to end-1 of row y of chroma, which has length
// samples. A sample beside the row is equal to the sample at its end.
func (m *planes) takeRow(y, first, end, length int) {
	sums, at := m.inside(first, end, length)
	at += y * m.CStride
	cb, cr := m.Cb[at:][:len(sums)], m.Cr[at:][:len(sums)]
	for i := range sums {
		sums[i] = pair(cb[i]) | pair(cr[i])<<32
	}
	m.extend(first, end, length)
}

// sumRows is takeRow for an image in which two rows share a row of chroma. Each sum
// is 3 times the sample of row y's own row of chroma, and once the sample of the
// next row of chroma on its side.
func (m *planes) sumRows(y, first, end, length int) {
	sums, at := m.inside(first, end, length)
	own := y >> 1
	next := min(max(own-1+2*(y&1), 0), (m.Rect.Dy()-1)>>1)
	own, next = own*m.CStride+at, next*m.CStride+at
	cb, cr := m.Cb[own:][:len(sums)], m.Cr[own:][:len(sums)]
	cbNext, crNext := m.Cb[next:][:len(sums)], m.Cr[next:][:len(sums)]
	for i := range sums {
		sums[i] = 3*(pair(cb[i])|pair(cr[i])<<32) + (pair(cbNext[i]) | pair(crNext[i])<<32)
	}
	m.extend(first, end, length)
}

// inside makes room for samples first to end-1, and returns the room for the
// samples that exist. The first of these is number from.
func (m *planes) inside(first, end, length int) (sums []pair, from int) {
	m.sums = grow(m.sums, end-first)
	from = max(first, 0)
	return m.sums[from-first : min(end, length)-first], from
}

// extend sets the samples that inside leaves out: at most one on each side.
func (m *planes) extend(first, end, length int) {
	if first < 0 {
		m.sums[0] = m.sums[1]
	}
	if end > length {
		m.sums[length-first] = m.sums[length-first-1]
	}
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
