// Package vec has loops over vectors of numbers, number by number, which Go's
// compiler would do one at a time. On amd64 with AVX2, or AVX-512 where it says so,
// most of the work is done by assembly; elsewhere by the loops in Go that stand
// beside, which assembly also leaves what does not fill a register. Operands are
// as long as the first, and may be the same, but for that do not overlap.
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

// RaiseByPixels raises ranks to those of the pixels x, the first of which is at
// place. Ranks order pixels as integers do: above, the number, -0 and 0 alike
// and NaN largest; below, the place, the first largest. The largest rank of a
// window is its first largest pixel, and is found without branches, which a
// processor would have to guess. Assembly of AVX-512.
func RaiseByPixels(ranks []int64, x []float32, place int) {
	x = x[:len(ranks)]
	n := whole512(len(ranks))
	if n > 0 {
		raiseByPixels(&ranks[0], &x[0], n, math.MaxInt32-int64(place))
	}
	below := math.MaxInt32 - int64(place+n)
	for i := n; i < len(ranks); i++ {
		bits := int32(math.Float32bits(x[i]))
		size, sign := bits&math.MaxInt32, bits>>31
		number := (size ^ sign) - sign // from sign and size to two's complement
		if size > 0xff<<23 {           // beyond infinity
			number = math.MaxInt32
		}
		ranks[i] = max(ranks[i], int64(number)<<32|below)
		below--
	}
}

// Raise raises ranks to others that stand stride apart. Assembly of AVX-512 for
// strides of 1 and 2.
func Raise(ranks, others []int64, stride int) {
	if len(ranks) == 0 {
		return
	}
	others = others[:(len(ranks)-1)*stride+1]
	n := 0
	switch stride {
	case 1:
		if n = whole512(len(ranks)); n > 0 {
			raise1(&ranks[0], &others[0], n)
		}
	case 2:
		if n = whole512(len(ranks) - 1); n > 0 { // reads one more than it uses
			raise2(&ranks[0], &others[0], n)
		}
	}
	at := n * stride
	for i := n; i < len(ranks); i++ {
		ranks[i] = max(ranks[i], others[at])
		at += stride
	}
}
