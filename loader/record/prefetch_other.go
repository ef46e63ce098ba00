//go:build !linux

package record

import "os"

// prefetch does nothing: the system finds out by itself.
func prefetch(f *os.File, offset, size int64) {}
