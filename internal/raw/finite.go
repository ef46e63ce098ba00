package raw

import "math"

// FirstNotFinite returns the index of the first number that is NaN or infinite, or
// -1.
func FirstNotFinite(x []float32) int {
	for i, v := range x {
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			return i
		}
	}
	return -1
}
