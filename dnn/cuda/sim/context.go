package sim

import (
	"slices"

	"alexnet/dnn/cuda/cu"
)

// cudaContext is a GPU's primary context, from the first retain to the last
// release.
type cudaContext struct {
	gpu    *gpu
	handle cu.CUContext
	failed cu.Result // by work; Success if none has
	peers  map[*cudaContext]bool
	first  *stream // the default stream
	ended  bool
}

// entered returns the context that is current on the thread.
func (m *Machine) entered() (*cudaContext, cu.Result) {
	if c := m.current[thread()]; c != nil && !c.ended {
		return c, cu.Success
	}
	return nil, cu.ErrorInvalidContext
}

// in calls f with the current context, unless that has failed.
func (m *Machine) in(f func(c *cudaContext) cu.Result) cu.Result {
	return m.on(func() cu.Result {
		c, r := m.entered()
		if r == cu.Success {
			r = c.failed
		}
		if r != cu.Success {
			return r
		}
		return f(c)
	})
}

// ending is in for calls that give something back, which they do in any case.
func (m *Machine) ending(f func(c *cudaContext) cu.Result) cu.Result {
	return m.on(func() cu.Result {
		c, r := m.entered()
		if r != cu.Success {
			return r
		}
		if r := f(c); r != cu.Success {
			return r
		}
		return c.failed
	})
}

func (m *Machine) primaryCtxRetain(ctx *cu.CUContext, d cu.Device) cu.Result {
	return m.device(d, func(g *gpu) cu.Result {
		switch {
		case ctx == nil:
			return cu.ErrorInvalidValue
		case g.lost:
			return errorUnknown
		case g.ctx == nil:
			c := &cudaContext{gpu: g, peers: map[*cudaContext]bool{}}
			c.handle = cu.CUContext(m.issue(c, "context of GPU %d", g.ordinal))
			m.things[uintptr(c.handle)].owned = true // by those who retain it
			c.first = &stream{ctx: c}
			m.streams = append(m.streams, c.first)
			g.ctx = c
		}
		h := m.issue(nil, "context of GPU %d", g.ordinal)
		g.retained = append(g.retained, m.things[h])
		delete(m.things, h)
		*ctx = g.ctx.handle
		return cu.Success
	})
}

// primaryCtxRelease finishes the context's work and ends it, with the last
// release.
func (m *Machine) primaryCtxRelease(d cu.Device) cu.Result {
	return m.device(d, func(g *gpu) cu.Result {
		c := g.ctx
		if c == nil {
			return cu.ErrorInvalidContext
		}
		g.retained = g.retained[:len(g.retained)-1]
		if len(g.retained) > 0 {
			return c.failed
		}
		m.finish(c)
		c.ended, g.ctx = true, nil
		delete(m.things, uintptr(c.handle))
		m.streams = slices.DeleteFunc(m.streams, func(s *stream) bool { return s.ctx == c })
		for _, a := range slices.Clone(g.memory) {
			m.release(a)
		}
		for _, other := range m.gpus {
			if other.ctx != nil {
				delete(other.ctx.peers, c)
			}
		}
		return c.failed
	})
}

// finish runs all work of a context.
func (m *Machine) finish(c *cudaContext) {
	var ends []point
	for _, s := range m.streams {
		if s.ctx == c {
			ends = append(ends, s.end())
		}
	}
	m.reach(ends...)
}

func (m *Machine) ctxSetCurrent(ctx cu.CUContext) cu.Result {
	return m.on(func() cu.Result {
		if ctx == 0 {
			delete(m.current, thread())
			return cu.Success
		}
		c, ok := find[*cudaContext](m, uintptr(ctx))
		if !ok {
			return cu.ErrorInvalidContext
		}
		m.current[thread()] = c
		return cu.Success
	})
}

func (m *Machine) ctxGetCurrent(ctx *cu.CUContext) cu.Result {
	return m.on(func() cu.Result {
		c, r := m.entered()
		if r != cu.Success {
			return give(ctx, 0)
		}
		return give(ctx, c.handle)
	})
}

func (m *Machine) ctxSynchronize() cu.Result {
	return m.in(outside(m, func(c *cudaContext) cu.Result {
		for _, s := range m.streams {
			if s.ctx != c {
				continue
			}
			if r := s.waitable(); r != cu.Success {
				return r
			}
		}
		m.finish(c)
		return c.failed
	}))
}

func (m *Machine) ctxEnablePeerAccess(peer cu.CUContext, flags uint32) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		p, ok := find[*cudaContext](m, uintptr(peer))
		switch {
		case flags != 0:
			return cu.ErrorInvalidValue
		case !ok || p == c:
			return cu.ErrorInvalidContext
		case m.options.NoPeerAccess:
			return cu.ErrorPeerAccessUnsupported
		case m.options.Faults.RefusePeerAccess:
			return errorTooManyPeers
		case c.peers[p]:
			return cu.ErrorPeerAccessAlreadyEnabled
		}
		c.peers[p] = true
		return cu.Success
	})
}

func (m *Machine) ctxDisablePeerAccess(peer cu.CUContext) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		p, ok := find[*cudaContext](m, uintptr(peer))
		switch {
		case !ok:
			return cu.ErrorInvalidContext
		case !c.peers[p]:
			return cu.ErrorPeerAccessNotEnabled
		}
		delete(c.peers, p)
		return cu.Success
	})
}
