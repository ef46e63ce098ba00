//go:build !amd64 && !arm64

package tile

// Fast reports whether blocks are computed by assembly.
func Fast() bool { return false }

// Name names the instructions that the fast kernel uses, or is empty.
func Name() string { return "" }

// Run computes the block.
func (t *Block) Run() { t.run() }
