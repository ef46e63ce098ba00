package tile

// Every processor of 64 bits by ARM has NEON, with vectors of four numbers.

const fastTranspose = false

// Fast reports whether blocks are computed by assembly.
func Fast() bool { return true }

// Name names the instructions that the fast kernel uses, or is empty.
func Name() string { return "NEON" }

// Run computes the block.
func (t *Block) Run() {
	blockNEON(t, 0)
	if t.Narrow == 0 {
		blockNEON(t, Half)
	}
}

// blockNEON computes 16 columns of a block, from the given one on.
//
//go:noescape
func blockNEON(t *Block, col int)

func transpose8(dst *float32, ldd int, src *float32, lds, blocks int) {
	panic("tile: there is no fast transpose here")
}
