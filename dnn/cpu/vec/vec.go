// Package vec has loops over vectors of numbers, number by number, which Go's
// compiler would do one at a time. On amd64 with AVX2 most of the work is done by
// assembly; elsewhere by the loops in Go that stand beside, which assembly also
// leaves what does not fill a register. Operands are as long as the first, and may
// be the same, but for that do not overlap.
package vec

import "math"

// Add adds: dst += a.
func Add(dst, a []float32) {
	a = a[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		add(&dst[0], &a[0], n)
	}
	for i := n; i < len(dst); i++ {
		dst[i] += a[i]
	}
}

// Square squares: dst = a².
func Square(dst, a []float32) { Mul(dst, a, a) }

// Mul multiplies: dst = a b.
func Mul(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		mul(&dst[0], &a[0], &b[0], n)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = a[i] * b[i]
	}
}

// Relu makes dst = max(a, 0). NaN stays NaN, so that a diverged network is seen to
// be one, and -0 may stay -0.
func Relu(dst, a []float32) {
	a = a[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		relu(&dst[0], &a[0], n)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = max(a[i], 0)
	}
}

// ReluGradient makes dst = dy where y > 0 or y is NaN, and 0 elsewhere.
func ReluGradient(dst, y, dy []float32) {
	y, dy = y[:len(dst)], dy[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		reluGradient(&dst[0], &y[0], &dy[0], n)
	}
	for i := n; i < len(dst); i++ {
		// Without a branch, which a processor would have to guess: y's bits as an
		// integer are above 0, or without the sign above infinity's.
		bits := int32(math.Float32bits(y[i]))
		keep := (-bits&^bits)>>31 | (0xff<<23-bits&math.MaxInt32)>>31 // all ones, or 0
		dst[i] = math.Float32frombits(math.Float32bits(dy[i]) & uint32(keep))
	}
}

// Affine makes dst = shift + scale dst.
func Affine(dst []float32, shift, scale float32) {
	n := whole(len(dst))
	if n > 0 {
		affine(&dst[0], n, shift, scale)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = shift + scale*dst[i]
	}
}

// Power75 makes dst = dst^-0.75.
func Power75(dst []float32) {
	n := whole(len(dst))
	if n > 0 {
		power75(&dst[0], n)
	}
	for i := n; i < len(dst); i++ {
		r := sqrt(dst[i])
		dst[i] = 1 / (r * sqrt(r))
	}
}

func sqrt(v float32) float32 { return float32(math.Sqrt(float64(v))) }

// MulDiv makes dst = a b / c.
func MulDiv(dst, a, b, c []float32) {
	a, b, c = a[:len(dst)], b[:len(dst)], c[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		mulDiv(&dst[0], &a[0], &b[0], &c[0], n)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = a[i] * b[i] / c[i]
	}
}

// MulSub makes dst = a b - scale c d.
func MulSub(dst, a, b, c, d []float32, scale float32) {
	a, b, c, d = a[:len(dst)], b[:len(dst)], c[:len(dst)], d[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		mulSub(&dst[0], &a[0], &b[0], &c[0], &d[0], n, scale)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = a[i]*b[i] - scale*c[i]*d[i]
	}
}

// Tanh makes dst the hyperbolic tangent of a, good to a few units in the last
// place:
//
//	tanh x = e / (e + 2),  e = exp(2x) - 1 = 2^k (exp(r) - 1) + (2^k - 1),  2x = k ln 2 + r
//
// with the Taylor series of exp(r) - 1, of which |r| < 0.35 needs seven terms.
func Tanh(dst, a []float32) {
	a = a[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		tanh(&dst[0], &a[0], n)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = float32(math.Tanh(float64(a[i])))
	}
}

// MaxWindows finds the largest number of each of len(y) windows of rows x cols
// numbers, the first where there are equal ones, and NaN before all. The windows
// begin stride numbers apart, the first at x[0], and their rows are pitch numbers
// apart. where gets the largest one's index in x, and place added to it.
func MaxWindows(y []float32, where []int32, x []float32, rows, cols, pitch, stride int, place int32) {
	if len(y) == 0 {
		return
	}
	where = where[:len(y)]
	x = x[:(rows-1)*pitch+(len(y)-1)*stride+cols]
	if stride == 2 && len(y) >= 4 && has256 {
		maxWindows2(&y[0], &where[0], &x[0], rows, cols, pitch, len(y), place)
		return
	}
	// Without branches, which a processor would have to guess: numbers and places
	// together are integers that are ordered as they are.
	for i := range y {
		largest := int64(math.MinInt64)
		for row := range rows {
			first := row*pitch + i*stride
			after := math.MaxInt32 - int64(first)
			for _, v := range x[first:][:cols] {
				largest = max(largest, rank(v)<<32|after)
				after--
			}
		}
		at := math.MaxInt32 - int32(largest)
		y[i], where[i] = x[at], place+at
	}
}

// rank orders numbers as integers: -0 as 0, NaN above all.
func rank(v float32) int64 {
	bits := int32(math.Float32bits(v))
	size, sign := bits&math.MaxInt32, bits>>31
	number := (size ^ sign) - sign // from sign and size to two's complement
	if size > 0xff<<23 {           // beyond infinity
		number = math.MaxInt32
	}
	return int64(number)
}
