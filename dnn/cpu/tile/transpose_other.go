//go:build !amd64

package tile

const fastTranspose = false

func transpose8(dst *float32, ldd int, src *float32, lds, blocks int) {
	panic("tile: there is no fast transpose here")
}
