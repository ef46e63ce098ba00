package cu

import (
	"fmt"
	"unsafe"

	"alexnet/internal/handle"
)

// Memory is memory on a GPU.
type Memory struct {
	ptr   DevicePtr
	bytes int64
	life  *handle.Life
}

// MemAlloc takes memory on the context's GPU; what is in it is undefined
// (cuMemAlloc).
func (c *Context) MemAlloc(bytes int64) (*Memory, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cuMemAlloc of %d bytes on device %d", bytes, c.device)
	}
	if err := c.Enter(); err != nil {
		return nil, err
	}
	defer c.Leave()
	m := &Memory{bytes: bytes}
	if bytes > 0 { // the driver refuses to take nothing
		if err := c.driver.check(c.driver.f.MemAlloc(&m.ptr, uintptr(bytes)), "cuMemAlloc(%d bytes, device %d)", bytes, c.device); err != nil {
			return nil, err
		}
	}
	var err error
	m.life, err = handle.New("memory of a GPU", func() error {
		if m.bytes == 0 {
			return nil
		}
		return c.do(func() Result { return c.driver.f.MemFree(m.ptr) }, "cuMemFree")
	}, c.life)
	return m, err
}

// Ptr returns the address on the GPU.
func (m *Memory) Ptr() DevicePtr { return m.ptr }

// Bytes returns the size.
func (m *Memory) Bytes() int64 { return m.bytes }

// Life returns the memory's life, for handles that are made with it.
func (m *Memory) Life() *handle.Life { return m.life }

// Close gives the memory back.
func (m *Memory) Close() error { return m.life.Close() }

// HostMemory is page-locked memory of the host, which every GPU reads and writes
// by itself while the host goes on.
type HostMemory struct {
	mem  []byte
	life *handle.Life
}

// MemHostAlloc takes page-locked memory (cuMemHostAlloc, portable).
func (c *Context) MemHostAlloc(bytes int64) (*HostMemory, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cuMemHostAlloc of %d bytes", bytes)
	}
	if err := c.Enter(); err != nil {
		return nil, err
	}
	defer c.Leave()
	h := &HostMemory{}
	var p unsafe.Pointer
	if bytes > 0 {
		if err := c.driver.check(c.driver.f.MemHostAlloc(&p, uintptr(bytes), hostAllocPortable), "cuMemHostAlloc(%d bytes)", bytes); err != nil {
			return nil, err
		}
		h.mem = unsafe.Slice((*byte)(p), bytes)
	}
	var err error
	h.life, err = handle.New("page-locked memory", func() error {
		h.mem = nil
		if p == nil {
			return nil
		}
		return c.do(func() Result { return c.driver.f.MemFreeHost(p) }, "cuMemFreeHost")
	}, c.life)
	return h, err
}

// Bytes returns the memory, which must not be used after Close.
func (h *HostMemory) Bytes() []byte { return h.mem }

// Close gives the memory back.
func (h *HostMemory) Close() error { return h.life.Close() }
