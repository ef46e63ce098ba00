package loader

import "golang.org/x/sys/cpu"

// mirror48 is mirror for blocks of 16 pixels, at least one (SSSE3). from is the
// last block of its row.
//
//go:noescape
func mirror48(to, from *byte, blocks int)

// mirrorFast does what mirror does as far as it can, and returns how many bytes
// that is.
func mirrorFast(to, from []byte) int {
	blocks := min(len(to), len(from)) / 48
	if blocks == 0 || !cpu.X86.HasSSSE3 {
		return 0
	}
	mirror48(&to[0], &from[len(from)-48], blocks)
	return 48 * blocks
}
