// Package cstring passes text between Go and C.
package cstring

import (
	"fmt"
	"strings"
	"unsafe"
)

// Copy returns the text at p, which ends before the first zero byte. It is empty
// if p is nil.
func Copy(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// New returns the address of a copy of s for C. It fails if s has a zero byte,
// where C would see its end; what names s in the error.
func New(what, s string) (*byte, error) {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return nil, fmt.Errorf("%s: byte %d is zero, where it would end for C", what, i)
	}
	return &append([]byte(s), 0)[0], nil
}
