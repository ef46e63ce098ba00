package vec

import "golang.org/x/sys/cpu"

var has256 = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// whole returns how many of n numbers assembly does: those that fill registers.
func whole(n int) int {
	if !has256 {
		return 0
	}
	return n &^ 7
}

//go:noescape
func add(dst, a *float32, n int)

//go:noescape
func mul(dst, a, b *float32, n int)

//go:noescape
func relu(dst, a *float32, n int)

//go:noescape
func reluGradient(dst, y, dy *float32, n int)

//go:noescape
func affine(dst *float32, n int, shift, scale float32)

//go:noescape
func power75(dst *float32, n int)

//go:noescape
func mulDiv(dst, a, b, c *float32, n int)

//go:noescape
func mulSub(dst, a, b, c, d *float32, n int, scale float32)

//go:noescape
func maxWindows2(y *float32, where *int32, x *float32, rows, cols, pitch, n int, place int32)

//go:noescape
func tanh(dst, a *float32, n int)
