// Package sysmem says how much memory the machine has.
package sysmem

import (
	"math"

	"golang.org/x/sys/unix"
)

// Total returns the bytes of memory and swap space that the machine has.
func Total() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return math.MaxInt64
	}
	return int64(uint64(info.Totalram)+uint64(info.Totalswap)) * int64(info.Unit)
}
