package sim

import (
	"slices"
	"unsafe"

	"alexnet/dnn/cuda/cu"
)

func (m *Machine) memGetInfo(free, total *uintptr) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		if r := give(total, uintptr(m.options.Memory)); r != cu.Success {
			return r
		}
		return give(free, uintptr(m.options.Memory-c.gpu.used))
	})
}

func (m *Machine) memAlloc(p *cu.DevicePtr, bytes uintptr) cu.Result {
	return m.in(outside(m, func(c *cudaContext) cu.Result {
		n, ok := size(bytes)
		if p == nil || n == 0 || !ok {
			return cu.ErrorInvalidValue
		}
		a, ok := m.allocate(c, n)
		if !ok {
			return cu.ErrorOutOfMemory
		}
		*p = a.base
		return cu.Success
	}))
}

// size returns a count of bytes that sums cannot overflow with.
func size(bytes uintptr) (int64, bool) { return int64(bytes), bytes < 1<<56 }

// memFree waits for all work of the GPU.
func (m *Machine) memFree(p cu.DevicePtr) cu.Result {
	return m.ending(outside(m, func(*cudaContext) cu.Result {
		if p == 0 {
			return cu.Success
		}
		a, ok := find[*allocation](m, uintptr(p))
		if !ok || a.ctx.ended {
			return cu.ErrorInvalidValue
		}
		m.finish(a.ctx)
		m.release(a)
		drop[*allocation](m, uintptr(p))
		return cu.Success
	}))
}

func (m *Machine) memHostAlloc(p *unsafe.Pointer, bytes uintptr, flags uint32) cu.Result {
	return m.in(outside(m, func(c *cudaContext) cu.Result {
		const portable, mapped, writeCombined = 1, 2, 4
		n, ok := size(bytes)
		if p == nil || n == 0 || !ok || flags&^(portable|mapped|writeCombined) != 0 {
			return cu.ErrorInvalidValue
		}
		host, ok := m.take(n)
		if !ok {
			return cu.ErrorOutOfMemory
		}
		poison(host.Bytes())
		h := &hostMemory{mem: host.Bytes(), host: host}
		m.hosts = append(m.hosts, h)
		m.register(address(h.mem), h, "%d bytes of page-locked memory", n)
		*p = unsafe.Pointer(unsafe.SliceData(h.mem))
		return cu.Success
	}))
}

// memFreeHost leaves poison behind, for those who go on reading.
func (m *Machine) memFreeHost(p unsafe.Pointer) cu.Result {
	return m.ending(outside(m, func(*cudaContext) cu.Result {
		h, ok := find[*hostMemory](m, uintptr(p))
		if !ok {
			return cu.ErrorInvalidValue
		}
		drop[*hostMemory](m, uintptr(p))
		m.hosts = slices.DeleteFunc(m.hosts, func(o *hostMemory) bool { return o == h })
		poison(h.mem)
		if err := h.host.Close(); err != nil {
			panic(err) // the CPU's memory can be given back once, and is
		}
		return cu.Success
	}))
}

// memory returns memory of a GPU for a copy in hand. That it is there is found
// out at once, as by a real driver.
func (m *Machine) memory(c *cudaContext, p cu.DevicePtr, bytes int64) cu.Result {
	_, f := m.allowed(c, p, bytes)
	if f == nil {
		return cu.Success
	}
	m.hints[cu.ErrorInvalidValue] = f.text
	return cu.ErrorInvalidValue
}

// copying calls f for a copy of so many bytes in a stream.
func (m *Machine) copying(h cu.CUStream, bytes uintptr, f func(s *stream, n int64) cu.Result) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		s, r := m.stream(c, h)
		n, ok := size(bytes)
		switch {
		case r != cu.Success:
			return r
		case !ok:
			return cu.ErrorInvalidValue
		case n == 0:
			return cu.Success
		}
		return f(s, n)
	})
}

// inHost returns n bytes of page-locked memory; nil if it is other memory.
func (m *Machine) inHost(p unsafe.Pointer, n int64) (*hostMemory, []byte, cu.Result) {
	h := m.locked(p)
	if h == nil {
		if p == nil {
			return nil, nil, cu.ErrorInvalidValue
		}
		return nil, nil, cu.Success
	}
	from := int64(uintptr(p) - address(h.mem))
	if n > int64(len(h.mem))-from {
		return nil, nil, cu.ErrorInvalidValue
	}
	return h, h.mem[from:][:n], cu.Success
}

func (m *Machine) memcpyHtoDAsync(dst cu.DevicePtr, src unsafe.Pointer, bytes uintptr, h cu.CUStream) cu.Result {
	return m.copying(h, bytes, func(s *stream, n int64) cu.Result {
		if r := m.memory(s.ctx, dst, n); r != cu.Success {
			return r
		}
		host, from, r := m.inHost(src, n)
		if r != cu.Success {
			return r
		}
		if host == nil && s.capture != nil {
			return s.capture.refuse(cu.ErrorStreamCaptureUnsupported)
		}
		if host == nil { // the host moves other memory itself, before the call returns
			from = slices.Clone(unsafe.Slice((*byte)(src), n))
		}
		m.enqueue(s, work{what: "copy to the GPU", run: func() *fault {
			to, f := m.reachable(s.ctx, dst, n, true)
			if f == nil {
				f = m.onHost(host, from, false)
			}
			if f == nil {
				copy(to, from)
			}
			return f
		}})
		return cu.Success
	})
}

// onHost notes what a copy does to page-locked memory, if it is that. It returns a
// fault if the memory has been given back.
func (m *Machine) onHost(h *hostMemory, mem []byte, write bool) *fault {
	switch {
	case h == nil:
		return nil
	case !slices.Contains(m.hosts, h):
		return &fault{cu.ErrorIllegalAddress, "the page-locked memory was given back before the copy was over"}
	}
	m.touch(&h.log, whole(int64(address(mem)-address(h.mem)), int64(len(mem))), write, m.things[address(h.mem)].String)
	return nil
}

func (m *Machine) memcpyDtoHAsync(dst unsafe.Pointer, src cu.DevicePtr, bytes uintptr, h cu.CUStream) cu.Result {
	return m.copying(h, bytes, func(s *stream, n int64) cu.Result {
		if r := m.memory(s.ctx, src, n); r != cu.Success {
			return r
		}
		host, to, r := m.inHost(dst, n)
		if r != cu.Success {
			return r
		}
		if host == nil && s.capture != nil {
			return s.capture.refuse(cu.ErrorStreamCaptureUnsupported)
		}
		if host == nil {
			to = unsafe.Slice((*byte)(dst), n)
		}
		m.enqueue(s, work{what: "copy from the GPU", run: func() *fault {
			from, f := m.reachable(s.ctx, src, n, false)
			if f == nil {
				f = m.onHost(host, to, true)
			}
			if f == nil {
				copy(to, from)
			}
			return f
		}})
		if host == nil { // then the call returns when the copy is over
			m.reach(s.end())
		}
		return s.ctx.failed
	})
}

func (m *Machine) memcpyDtoDAsync(dst, src cu.DevicePtr, bytes uintptr, h cu.CUStream) cu.Result {
	return m.copying(h, bytes, func(s *stream, n int64) cu.Result {
		for _, p := range []cu.DevicePtr{dst, src} {
			if r := m.memory(s.ctx, p, n); r != cu.Success {
				return r
			}
		}
		m.enqueue(s, work{what: "copy on the GPU", run: func() *fault {
			to, f := m.reachable(s.ctx, dst, n, true)
			if f != nil {
				return f
			}
			from, f := m.reachable(s.ctx, src, n, false)
			if f != nil {
				return f
			}
			transfer(row(dst, to), row(src, from))
			return nil
		}})
		return cu.Success
	})
}

// row is a span of memory that is used from end to end.
func row(p cu.DevicePtr, mem []byte) span { return span{p, mem, []area{whole(0, int64(len(mem)))}} }

// transfer copies. Memory that is copied onto itself becomes poison.
func transfer(to, from span) {
	if to.overlaps(from) {
		poison(to.mem)
		return
	}
	copy(to.mem, from.mem)
}

func (m *Machine) memsetD8Async(dst cu.DevicePtr, value uint8, count uintptr, h cu.CUStream) cu.Result {
	return m.copying(h, count, func(s *stream, n int64) cu.Result {
		if r := m.memory(s.ctx, dst, n); r != cu.Success {
			return r
		}
		m.enqueue(s, work{what: "memset", run: func() *fault {
			to, f := m.reachable(s.ctx, dst, n, true)
			for i := range to {
				to[i] = value
			}
			return f
		}})
		return cu.Success
	})
}

// box is one side of a copy between GPUs: rows of bytes in planes.
type box struct {
	ctx          *cudaContext
	start        cu.DevicePtr
	pitch, plane int64 // bytes from row to row, and from plane to plane
}

// rows returns the box's rows, of so many bytes, for the work that runs to write
// or only to read.
func (m *Machine) rows(b box, width, height, depth int64, write bool) ([]span, *fault) {
	var list []span
	for z := range depth {
		for y := range height {
			p := b.start + cu.DevicePtr(z*b.plane+y*b.pitch)
			a, ok := m.at(p)
			if !ok || a.ctx != b.ctx {
				return nil, m.stray(p, width)
			}
			if f := m.inside(a, p, width); f != nil {
				return nil, f
			}
			if y == 0 && m.running != nil {
				m.touchAt(a, p, area{0, height, width, b.pitch}, write)
			}
			list = append(list, row(p, a.use(p, width)))
		}
	}
	return list, nil
}

// copyBoxes copies between GPUs, through the host if need be, so that no access
// is asked for.
func (m *Machine) copyBoxes(s *stream, dst, src box, width, height, depth int64) cu.Result {
	for _, b := range []box{dst, src} {
		if _, f := m.rows(b, width, height, depth, false); f != nil {
			m.hints[cu.ErrorInvalidValue] = f.text
			return cu.ErrorInvalidValue
		}
	}
	m.enqueue(s, work{what: "copy between GPUs", run: func() *fault {
		to, f := m.rows(dst, width, height, depth, true)
		if f != nil {
			return f
		}
		from, f := m.rows(src, width, height, depth, false)
		if f != nil {
			return f
		}
		for i := range to {
			transfer(to[i], from[i])
		}
		return nil
	}})
	return cu.Success
}

func (m *Machine) memcpyPeerAsync(dst cu.DevicePtr, dstCtx cu.CUContext, src cu.DevicePtr, srcCtx cu.CUContext, bytes uintptr, h cu.CUStream) cu.Result {
	return m.copying(h, bytes, func(s *stream, n int64) cu.Result {
		to, ok := find[*cudaContext](m, uintptr(dstCtx))
		from, ok2 := find[*cudaContext](m, uintptr(srcCtx))
		if !ok || !ok2 {
			return cu.ErrorInvalidContext
		}
		return m.copyBoxes(s, box{ctx: to, start: dst}, box{ctx: from, start: src}, n, 1, 1)
	})
}

func (m *Machine) memcpy3DPeerAsync(p *cu.Memcpy3DPeer, h cu.CUStream) cu.Result {
	if p == nil {
		return cu.ErrorInvalidValue
	}
	c := *p // which CUDA reads during the call
	return m.copying(h, min(c.WidthInBytes, c.Height, c.Depth), func(s *stream, _ int64) cu.Result {
		dst, r := m.box(c.DstContext, c.DstMemoryType, c.DstDevice, [...]uintptr{c.DstXInBytes, c.DstY, c.DstZ, c.DstLOD, c.DstPitch, c.DstHeight}, &c)
		if r != cu.Success {
			return r
		}
		src, r := m.box(c.SrcContext, c.SrcMemoryType, c.SrcDevice, [...]uintptr{c.SrcXInBytes, c.SrcY, c.SrcZ, c.SrcLOD, c.SrcPitch, c.SrcHeight}, &c)
		if r != cu.Success {
			return r
		}
		return m.copyBoxes(s, dst, src, int64(c.WidthInBytes), int64(c.Height), int64(c.Depth))
	})
}

// box checks one side of a copy: where is x in bytes, y, z, level of detail,
// pitch and height.
func (m *Machine) box(ctx cu.CUContext, kind cu.MemoryType, start cu.DevicePtr, where [6]uintptr, c *cu.Memcpy3DPeer) (box, cu.Result) {
	owner, ok := find[*cudaContext](m, uintptr(ctx))
	if !ok {
		return box{}, cu.ErrorInvalidContext
	}
	const limit = 1 << 24 // of counts, and of the bytes of a pitch 2^32, so that products do not overflow
	x, y, z, level, pitch, height := where[0], where[1], where[2], where[3], where[4], where[5]
	switch {
	case kind != cu.MemoryTypeDevice, level != 0,
		max(y, z, height, c.Height, c.Depth) > limit, max(x, pitch, c.WidthInBytes) > 1<<32,
		c.Height > 1 && pitch < x+c.WidthInBytes, c.Depth > 1 && height < y+c.Height:
		return box{}, cu.ErrorInvalidValue
	}
	plane := int64(pitch) * int64(height)
	return box{owner, start + cu.DevicePtr(int64(z)*plane+int64(y)*int64(pitch)+int64(x)), int64(pitch), plane}, cu.Success
}
