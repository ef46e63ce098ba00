package picture

// scaler scales images, and keeps its memory for the next.
type scaler struct {
	x, y axis
	row  []uint64   // of the image
	ring [][]uint64 // rows that are scaled across, each at its number modulo their count
	sums []uint64   // of a row of the result
}

// scale writes the window of an image to dst. Rows are scaled across, rounded to
// 8 bits, and then down, as PIL does.
func (s *scaler) scale(dst []byte, m rows, w window, f Filter) {
	if w.y.side == w.y.size && w.x.side == w.x.size {
		s.copy(dst, m, w)
		return
	}
	s.x.set(w.x, f)
	s.y.set(w.y, f)
	width := w.x.pixels()
	// The weights that are 0 may lie over pixels after the last.
	s.row = grow(s.row, s.x.read+s.x.taps)
	s.sums = grow(s.sums, width)
	s.ring = grow(s.ring[:cap(s.ring)], s.y.taps)
	for i := range s.ring {
		s.ring[i] = grow(s.ring[i], width)
	}
	done := 0
	for i, start := range s.y.start {
		for y := max(done, start); y < min(start+s.y.taps, s.y.read); y++ {
			m.read(s.row[:s.x.read], s.y.first+y, s.x.first)
			across(s.ring[y%len(s.ring)], s.row, s.x.start, s.x.weights, s.x.taps)
			done = y + 1
		}
		down(s.sums, s.ring, start, s.y.weights[i*s.y.taps:][:s.y.taps])
		store(dst[i*width*3:][:width*3], s.sums)
	}
}

// copy writes a window that is not scaled.
func (s *scaler) copy(dst []byte, m rows, w window) {
	width := w.x.pixels()
	s.row = grow(s.row, width)
	for y := range w.y.pixels() {
		m.read(s.row, w.y.at-w.y.beside+y, w.x.at-w.x.beside)
		store(dst[y*width*3:][:width*3], s.row)
	}
}
