//go:build !amd64

package vec

// Nothing is done by assembly.
const has256 = false

func whole(int) int { return 0 }

const never = "vec: there is no assembly here"

func add(dst, a *float32, n int)                            { panic(never) }
func mul(dst, a, b *float32, n int)                         { panic(never) }
func relu(dst, a *float32, n int)                           { panic(never) }
func reluGradient(dst, y, dy *float32, n int)               { panic(never) }
func affine(dst *float32, n int, shift, scale float32)      { panic(never) }
func power75(dst *float32, n int)                           { panic(never) }
func mulDiv(dst, a, b, c *float32, n int)                   { panic(never) }
func mulSub(dst, a, b, c, d *float32, n int, scale float32) { panic(never) }
func maxWindows2(y *float32, where *int32, x *float32, rows, cols, pitch, n int, place int32) {
	panic(never)
}
func tanh(dst, a *float32, n int) { panic(never) }
