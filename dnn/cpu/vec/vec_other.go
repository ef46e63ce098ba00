//go:build !amd64

package vec

// Nothing is done by assembly.
func whole(int) int    { return 0 }
func whole512(int) int { return 0 }

const never = "vec: there is no assembly here"

func add(dst, a *float32, n int)                             { panic(never) }
func mul(dst, a, b *float32, n int)                          { panic(never) }
func affine(dst *float32, n int, shift, scale float32)       { panic(never) }
func power75(dst *float32, n int)                            { panic(never) }
func mulDiv(dst, a, b, c *float32, n int)                    { panic(never) }
func mulSub(dst, a, b, c, d *float32, n int, scale float32)  { panic(never) }
func raiseByPixels(ranks *int64, x *float32, n int, b int64) { panic(never) }
func raise1(ranks, others *int64, n int)                     { panic(never) }
func raise2(ranks, others *int64, n int)                     { panic(never) }
func tanh(dst, a *float32, n int)                            { panic(never) }
