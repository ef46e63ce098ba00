//go:build !linux

package sysmem

import "math"

// Total returns a figure that refuses nothing that the address space can hold.
func Total() int64 { return math.MaxInt / 2 }
