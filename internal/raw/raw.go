// Package raw looks at numbers as bytes, without copying: as they lie in memory,
// which is little-endian on every processor that this program is built for.
package raw

import "unsafe"

// Number is what devices work on.
type Number interface {
	~uint8 | ~int32 | ~uint32 | ~float32
}

// Bytes returns the memory of s.
func Bytes[T Number](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}
