package picture

import "math"

// axis holds, for each pixel of the result along one side of an image, the
// pixels of the image that it is made of and their weights.
type axis struct {
	span    span // that this is made for
	filter  Filter
	first   int      // pixel of the image that is read
	read    int      // pixels from there on
	taps    int      // weights of a pixel of the result: an even number, and some of them 0
	start   []int    // where the pixels begin that these weigh, counted from first; they may end after the last that is read
	weights []uint64 // with 12 bits of fraction; negative ones wrap around
	float   []float64
}

// set makes the weights for a span, if they are not those already.
func (a *axis) set(s span, f Filter) {
	if a.span == s && a.filter == f {
		return
	}
	a.span, a.filter = s, f
	k := &kernels[f]
	scale := float64(s.side) / float64(s.size)
	wide := max(scale, 1)
	support := k.support * wide
	// An interval of this length, less one of its ends, holds so many pixels.
	most := min(int(math.Ceil(2*support)), s.length)
	a.taps = (most + 1) &^ 1
	n := s.pixels()
	a.start = grow(a.start, n)
	a.weights = grow(a.weights, n*a.taps)
	a.float = grow(a.float, most)
	end := 0
	for i := range n {
		// Pixel p covers p..p+1. What lies beside the centre is read there too: the
		// image is scaled, and then cut.
		at := float64(s.at) + (float64(i-s.beside)+0.5)*scale
		from := max(int(math.Floor(at-support-0.5))+1, 0)
		weights := a.float[:min(most, s.length-from)]
		sum := 0.0
		for j := range weights {
			weights[j] = k.weight((float64(from+j) + 0.5 - at) / wide)
			sum += weights[j]
		}
		fix(a.weights[i*a.taps:][:a.taps], weights, one/sum)
		a.start[i] = from
		end = max(end, from+len(weights))
	}
	a.first = a.start[0]
	a.read = end - a.first
	for i := range a.start {
		a.start[i] -= a.first
	}
}

// fix scales the weights and rounds them, so that they sum to exactly one: each
// takes over what rounding has left of those before it. So their error does not
// add up, and where thousands of weights are below the smallest number that there
// is, evenly spaced ones get it.
func fix(dst []uint64, weights []float64, scale float64) {
	clear(dst)
	sum, done := 0.0, 0
	for i, w := range weights {
		sum += w * scale
		r := int(math.Round(sum))
		dst[i] = uint64(r - done)
		done = r
	}
}
