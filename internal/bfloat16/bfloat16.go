// Package bfloat16 converts between float32 and bfloat16, which is its upper half:
// sign, exponent, and 7 bits of the fraction.
package bfloat16

import "math"

// From returns the bfloat16 that is nearest to v, of two equally near the one whose
// last bit is 0. What is too large becomes infinite. A NaN keeps its upper half and
// is made quiet, since rounding could carry it over to infinity.
func From(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16 | 1<<6)
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// Float32 returns the number that a bfloat16 is.
func Float32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// Round returns v to the precision of bfloat16.
func Round(v float32) float32 { return Float32(From(v)) }
