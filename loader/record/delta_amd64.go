package record

import "golang.org/x/sys/cpu"

// restore48 is restoreRows for blocks of 48 bytes, at least one, 16 at a time
// (SSSE3).
//
//go:noescape
func restore48(first, second, above, high, low *byte, blocks int)

// restoreFast does what restoreRows does as far as it can, and returns how many
// bytes that is.
func restoreFast(first, second, above, high, low []byte) int {
	blocks := min(len(first), len(second), len(above), len(high), len(low)) / 48
	if blocks == 0 || !cpu.X86.HasSSSE3 {
		return 0
	}
	restore48(&first[0], &second[0], &above[0], &high[0], &low[0], blocks)
	return 48 * blocks
}
