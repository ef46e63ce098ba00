package sim

import (
	"fmt"
	"slices"
	"unsafe"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
)

// gpu is one simulated GPU.
type gpu struct {
	ordinal  int
	ctx      *cudaContext // the primary one; nil while nobody retains it
	retained []*thing     // one for each who does
	lost     bool         // it has fallen off the bus, and its context has failed
	used     int64        // bytes
	next     cu.DevicePtr // of the next allocation
	memory   []*allocation
}

// Each GPU has a range of addresses of its own, above those that a process of
// the host can have, and below the handles.
const rangeBits = 48

func newGPU(ordinal int) *gpu {
	return &gpu{ordinal: ordinal, next: cu.DevicePtr(ordinal+1) << rangeBits}
}

const (
	alignment = 512      // of allocations, as on real GPUs
	gap       = 16 << 20 // between allocations, at least: bytes that nobody may touch
)

// allocation is memory of a GPU. The GPU's list of them is in the order of their
// addresses, since none is used twice.
type allocation struct {
	gpu  *gpu
	ctx  *cudaContext
	base cu.DevicePtr
	mem  []byte
	host dnn.Host // that mem is
	used []bool   // pages; those that are not become poison when they are
	log  touches
}

// page is how much of an allocation becomes poison at a time, so that a large one
// costs nothing until it is used.
const page = 64 << 10

// roundUp rounds up to a multiple of the alignment.
func roundUp(bytes int64) int64 { return (bytes + alignment - 1) &^ (alignment - 1) }

// take takes memory of the host to stand for memory of a GPU or page-locked
// memory.
func (m *Machine) take(bytes int64) (dnn.Host, bool) {
	m.allocs++
	if m.allocs == m.options.Faults.OutOfMemoryAt {
		return nil, false
	}
	h, err := m.cpu.NewHost(bytes)
	if err != nil {
		return nil, false
	}
	return h, true
}

func (m *Machine) allocate(c *cudaContext, bytes int64) (*allocation, bool) {
	g := c.gpu
	if bytes > m.options.Memory-g.used {
		m.allocs++
		return nil, false
	}
	h, ok := m.take(bytes)
	if !ok {
		return nil, false
	}
	a := &allocation{gpu: g, ctx: c, base: g.next, mem: h.Bytes(), host: h, used: make([]bool, (bytes+page-1)/page)}
	g.used += roundUp(bytes)
	g.next += cu.DevicePtr(roundUp(bytes) + gap)
	g.memory = append(g.memory, a)
	m.register(uintptr(a.base), a, "%d bytes of GPU %d", bytes, g.ordinal)
	return a, true
}

// release gives the memory of an allocation back.
func (m *Machine) release(a *allocation) {
	g := a.gpu
	g.used -= roundUp(int64(len(a.mem)))
	g.memory = slices.DeleteFunc(g.memory, func(b *allocation) bool { return a == b })
	if err := a.host.Close(); err != nil {
		panic(err) // the CPU's memory can be given back once, and is
	}
}

// at returns the allocation that an address lies in.
func (m *Machine) at(p cu.DevicePtr) (*allocation, bool) {
	i := int(p>>rangeBits) - 1
	if i < 0 || i >= len(m.gpus) {
		return nil, false
	}
	list := m.gpus[i].memory
	i, found := slices.BinarySearchFunc(list, p, func(a *allocation, p cu.DevicePtr) int {
		switch {
		case a.base < p:
			return -1
		case a.base > p:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	if i < 0 || p-list[i].base >= cu.DevicePtr(len(list[i].mem)) {
		return nil, false
	}
	return list[i], true
}

// reachable returns memory at an address that a context may use, for the work that
// runs to write or only to read.
func (m *Machine) reachable(c *cudaContext, p cu.DevicePtr, bytes int64, write bool) ([]byte, *fault) {
	if bytes == 0 {
		return nil, nil
	}
	a, f := m.allowed(c, p, bytes)
	if f != nil {
		return nil, f
	}
	m.touchAt(a, p, whole(0, bytes), write)
	return a.use(p, bytes), nil
}

// touchAt notes what the work that runs does to an area from an address on.
func (m *Machine) touchAt(a *allocation, p cu.DevicePtr, where area, write bool) {
	where.start += int64(p - a.base)
	m.touch(&a.log, where, write, m.things[uintptr(a.base)].String)
}

// allowed returns the allocation that memory at an address is in, if a context may
// use it.
func (m *Machine) allowed(c *cudaContext, p cu.DevicePtr, bytes int64) (*allocation, *fault) {
	a, ok := m.at(p)
	if !ok {
		return nil, m.stray(p, bytes)
	}
	if a.ctx != c && !c.peers[a.ctx] {
		return nil, &fault{cu.ErrorIllegalAddress, fmt.Sprintf("%d bytes at %#x are memory of GPU %d, which GPU %d was given no access to",
			bytes, uintptr(p), a.gpu.ordinal, c.gpu.ordinal)}
	}
	return a, m.inside(a, p, bytes)
}

// inside returns a fault if memory at an address in an allocation reaches beyond
// it.
func (m *Machine) inside(a *allocation, p cu.DevicePtr, bytes int64) *fault {
	if size := int64(len(a.mem)); bytes < 0 || bytes > size-int64(p-a.base) {
		return &fault{cu.ErrorIllegalAddress, fmt.Sprintf("%d bytes at %#x reach beyond the %d bytes at %#x (%v)",
			bytes, uintptr(p), size, uintptr(a.base), m.things[uintptr(a.base)])}
	}
	return nil
}

// stray says that there is no memory at an address.
func (m *Machine) stray(p cu.DevicePtr, bytes int64) *fault {
	return &fault{cu.ErrorIllegalAddress, fmt.Sprintf("%d bytes at %#x: no memory of a GPU is there, or none any more", bytes, uintptr(p))}
}

// use returns a part of an allocation's memory, which holds poison where nobody
// has written.
func (a *allocation) use(p cu.DevicePtr, bytes int64) []byte {
	from := int64(p - a.base)
	to := from + bytes
	for i := from / page; i*page < to; i++ {
		if !a.used[i] {
			poison(a.mem[i*page : min((i+1)*page, int64(len(a.mem)))])
			a.used[i] = true
		}
	}
	return a.mem[from:to:to]
}

// hostMemory is page-locked memory.
type hostMemory struct {
	mem  []byte
	host dnn.Host
	log  touches
}

func address(mem []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(mem))) }

// locked returns the page-locked memory that an address lies in; nil if it is
// other memory of the host.
func (m *Machine) locked(p unsafe.Pointer) *hostMemory {
	for _, h := range m.hosts {
		if a := address(h.mem); uintptr(p) >= a && uintptr(p)-a < uintptr(len(h.mem)) {
			return h
		}
	}
	return nil
}

// poison is what memory holds that nobody has written.
func poison(mem []byte) {
	if len(mem) == 0 {
		return
	}
	mem[0] = 0xff
	for done := 1; done < len(mem); done *= 2 {
		copy(mem[done:], mem[:done])
	}
}
