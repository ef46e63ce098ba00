package vec

import "golang.org/x/sys/cpu"

var (
	has256 = cpu.X86.HasAVX2 && cpu.X86.HasFMA
	has512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL
)

// whole returns how many of n numbers assembly does: those that fill registers.
func whole(n int) int {
	if !has256 {
		return 0
	}
	return n &^ 7
}

func whole512(n int) int {
	if !has512 {
		return 0
	}
	return max(n, 0) &^ 7
}

//go:noescape
func add(dst, a *float32, n int)

//go:noescape
func mul(dst, a, b *float32, n int)

//go:noescape
func affine(dst *float32, n int, shift, scale float32)

//go:noescape
func power75(dst *float32, n int)

//go:noescape
func mulDiv(dst, a, b, c *float32, n int)

//go:noescape
func mulSub(dst, a, b, c, d *float32, n int, scale float32)

//go:noescape
func raiseByPixels(ranks *int64, x *float32, n int, below int64)

//go:noescape
func raise1(ranks, others *int64, n int)

//go:noescape
func raise2(ranks, others *int64, n int)

//go:noescape
func tanh(dst, a *float32, n int)
