//go:build unix

package record

import "syscall"

// descriptors returns how many files this process may have open.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return fewDescriptors
	}
	return uint64(limit.Cur)
}
