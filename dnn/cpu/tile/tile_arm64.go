package tile

// Every processor of 64 bits by ARM has NEON, with vectors of four numbers.

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
