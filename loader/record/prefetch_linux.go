package record

import (
	"os"

	"golang.org/x/sys/unix"
)

// prefetch has the system read part of a file into its cache meanwhile.
func prefetch(f *os.File, offset, size int64) {
	unix.Fadvise(int(f.Fd()), offset, size, unix.FADV_WILLNEED) // what fails is read later, and fails then
}
