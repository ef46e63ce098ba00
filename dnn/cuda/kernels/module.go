package kernels

import (
	"fmt"
	"unsafe"

	"alexnet/dnn/cuda/cu"
)

// Module is the kernels on a GPU.
type Module struct{ code *cu.Module }

// Close unloads the kernels. No stream may have a launch of them left.
func (m *Module) Close() error { return m.code.Close() }

// mostBlocks is the most blocks of a launch; their threads take several numbers
// each where that is not enough. The largest GPUs work on about 1,200 blocks at a
// time: with some 25 for each of these places the last ones leave few idle, and
// more would only take longer to start.
const mostBlocks = 1 << 15

// Launch is a kernel with its arguments.
type Launch struct {
	function        *cu.Function
	params          []unsafe.Pointer
	blocks, threads uint32
}

// Prepare makes a kernel ready to be launched, as often as wanted.
func (m *Module) Prepare(a Args) (*Launch, error) {
	name, blocks, threads := a.Kernel()
	f, err := m.code.Function(name)
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	return &Launch{f, Params(a), uint32(min(max(blocks, 0), mostBlocks)), uint32(threads)}, nil
}

// On queues the kernel on a stream. A kernel that has nothing to do is not
// launched.
func (l *Launch) On(s *cu.Stream) error {
	if l.blocks == 0 {
		return nil
	}
	return l.function.Launch(s, l.blocks, l.threads, l.params)
}
