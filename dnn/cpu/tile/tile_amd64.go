package tile

import "golang.org/x/sys/cpu"

var (
	has512        = cpu.X86.HasAVX512F
	has256        = cpu.X86.HasAVX2 && cpu.X86.HasFMA
	fastTranspose = cpu.X86.HasAVX
)

// Fast reports whether blocks are computed by assembly.
func Fast() bool { return has512 || has256 }

// Name names the instructions that the fast kernel uses, or is empty.
func Name() string {
	switch {
	case has512:
		return "AVX-512"
	case has256:
		return "AVX2"
	}
	return ""
}

// Run computes the block.
func (t *Block) Run() {
	switch {
	case has512 && t.Narrow == 0:
		block512(t)
	case has512:
		block512Narrow(t)
	case has256:
		block256(t, 0)
		if t.Narrow == 0 {
			block256(t, Half)
		}
	default:
		t.run()
	}
}

//go:noescape
func block512(t *Block)

//go:noescape
func block512Narrow(t *Block)

// block256 computes 16 columns of a block, from the given one on.
//
//go:noescape
func block256(t *Block, col int)

// transpose8 transposes 8 rows of a count of blocks of 8 columns.
//
//go:noescape
func transpose8(dst *float32, ldd int, src *float32, lds, blocks int)
