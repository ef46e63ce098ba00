//go:build !linux

package cpu

import "math"

// memory returns a figure that refuses nothing that the address space can hold.
func memory() int64 { return math.MaxInt / 2 }
