// Package raw looks at numbers as bytes and at bytes as numbers, without copying:
// as they lie in memory, which is little-endian on every processor that this
// program is built for.
package raw

import (
	"fmt"
	"unsafe"
)

// Number is what devices work on.
type Number interface {
	~uint8 | ~uint16 | ~int32 | ~uint32 | ~float32
}

// Bytes returns the memory of s.
func Bytes[T Number](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Numbers returns b, which must start at a multiple of a number's size, as numbers.
func Numbers[T Number](b []byte) []T {
	size := unsafe.Sizeof(*new(T))
	p := unsafe.SliceData(b)
	if uintptr(unsafe.Pointer(p))%size != 0 || uintptr(len(b))%size != 0 {
		panic(fmt.Sprintf("raw: %d bytes at %p are no numbers of %d bytes", len(b), p, size))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(p)), uintptr(len(b))/size)
}
