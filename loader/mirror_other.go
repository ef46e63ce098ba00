//go:build !amd64

package loader

// mirrorFast leaves everything to mirror.
func mirrorFast(to, from []byte) int { return 0 }
