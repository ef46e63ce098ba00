package picture

// window is the part of an image that is kept, and to what size it comes.
type window struct{ y, x span }

// span is the window along one side of the image. The centre of the image, from
// pixel at on, becomes size pixels of the result, and beside of these, of the
// same scale, are kept on each side of them.
type span struct {
	length   int // of the image's side
	at, side int // where the centre begins, and its pixels
	size     int // what becomes of it
	beside   int
}

// pixels is the result's length along this side.
func (s span) pixels() int { return s.size + 2*s.beside }

// window returns that of an image of height x width.
func (o Options) window(height, width int) window {
	if o.Size == 0 {
		return window{span{height, 0, height, height, 0}, span{width, 0, width, width, 0}}
	}
	side := min(height, width)
	return window{o.span(height, side), o.span(width, side)}
}

func (o Options) span(length, side int) span {
	s := span{length: length, at: (length - side) / 2, side: side, size: o.Size}
	if o.Full {
		// The margin before the centre is the smaller one. Whole pixels of the
		// result are kept of it, each of them side/size wide.
		s.beside = min(s.at*o.Size/side, (MaxAspect-1)*o.Size/2)
	}
	return s
}
