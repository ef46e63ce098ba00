package sim

import (
	"slices"

	"alexnet/dnn/cuda/cu"
)

// capture is the work of a stream that becomes a graph. It keeps what is queued,
// until it is ended; a call that a graph could not repeat makes it worthless.
type capture struct {
	mode   cu.CaptureMode
	thread int
	work   []work
	failed bool
	ended  bool
}

// refuse makes a capture fail because of a call that cannot be part of it.
func (c *capture) refuse(r cu.Result) cu.Result {
	c.failed = true
	return r
}

// outside makes f refuse to be called while the thread captures, in all but the
// relaxed mode, or another one does in the global mode. It is for what is not
// queued, so that a graph would not repeat it. The documentation names taking
// memory and asking for events as examples; here it is all that takes or gives back
// memory or code, and all that waits.
func outside[T any](m *Machine, f func(T) cu.Result) func(T) cu.Result {
	return func(on T) cu.Result {
		r := cu.Success
		for _, s := range m.streams {
			if c := s.capture; c != nil && (c.mode == cu.CaptureGlobal || c.mode == cu.CaptureThreadLocal && c.thread == thread()) {
				r = c.refuse(cu.ErrorStreamCaptureUnsupported)
			}
		}
		if r != cu.Success {
			return r
		}
		return f(on)
	}
}

// waitable returns an error if the stream captures: what is queued then will never
// be done.
func (s *stream) waitable() cu.Result {
	if s.capture != nil {
		return s.capture.refuse(cu.ErrorStreamCaptureUnsupported)
	}
	return cu.Success
}

// endCapture puts the stream back to work. It returns what was captured, nil if
// nothing was to be.
func (s *stream) endCapture() *capture {
	c := s.capture
	if s.capture = nil; c != nil {
		c.ended = true
	}
	return c
}

func (m *Machine) streamBeginCapture(h cu.CUStream, mode cu.CaptureMode) cu.Result {
	return m.streaming(h, func(s *stream) cu.Result {
		switch {
		case mode > cu.CaptureRelaxed:
			return cu.ErrorInvalidValue
		case s == s.ctx.first:
			return cu.ErrorStreamCaptureUnsupported
		case s.capture != nil:
			return cu.ErrorIllegalState
		}
		s.capture = &capture{mode: mode, thread: thread()}
		return cu.Success
	})
}

// graph is work that was captured.
type graph struct {
	ctx  *cudaContext
	work []work
}

func (m *Machine) streamEndCapture(h cu.CUStream, g *cu.CUGraph) cu.Result {
	return m.in(func(ctx *cudaContext) cu.Result {
		s, ok := find[*stream](m, uintptr(h))
		switch {
		case !ok || s.ctx != ctx:
			return cu.ErrorInvalidHandle
		case g == nil:
			return cu.ErrorInvalidValue
		case s.capture == nil:
			return cu.ErrorIllegalState
		case s.capture.mode != cu.CaptureRelaxed && s.capture.thread != thread():
			return cu.ErrorStreamCaptureWrongThread
		}
		c := s.endCapture()
		if c.failed {
			*g = 0
			return cu.ErrorStreamCaptureInvalidated
		}
		*g = cu.CUGraph(m.issue(&graph{ctx, c.work}, "graph of GPU %d", ctx.gpu.ordinal))
		return cu.Success
	})
}

func (m *Machine) graphDestroy(h cu.CUGraph) cu.Result {
	return m.ending(func(*cudaContext) cu.Result {
		if !drop[*graph](m, uintptr(h)) {
			return cu.ErrorInvalidValue
		}
		return cu.Success
	})
}

// graphExec is a graph that can be launched.
type graphExec struct {
	graph
	last point // of the launch before, after which the next one begins
}

func (m *Machine) graphInstantiate(h *cu.CUGraphExec, gh cu.CUGraph, flags uint64) cu.Result {
	return m.in(func(ctx *cudaContext) cu.Result {
		g, ok := find[*graph](m, uintptr(gh))
		if h == nil || !ok || flags != 0 {
			return cu.ErrorInvalidValue
		}
		e := &graphExec{graph: graph{g.ctx, slices.Clone(g.work)}}
		*h = cu.CUGraphExec(m.issue(e, "executable graph of GPU %d", g.ctx.gpu.ordinal))
		return cu.Success
	})
}

// graphLaunch queues the work of a graph, piece by piece. In a stream that captures
// it becomes part of the other graph.
func (m *Machine) graphLaunch(h cu.CUGraphExec, sh cu.CUStream) cu.Result {
	return m.streaming(sh, func(s *stream) cu.Result {
		e, ok := find[*graphExec](m, uintptr(h))
		switch {
		case !ok:
			return cu.ErrorInvalidValue
		case e.ctx != s.ctx:
			m.hints[cu.ErrorNotSupported] = "a graph that is launched on another GPU than it was captured on is not simulated"
			return cu.ErrorNotSupported
		}
		m.graphs++
		for i, w := range e.work {
			if i == 0 && e.last.stream != nil && s.capture == nil {
				w.after = []point{e.last}
			}
			m.enqueue(s, w)
		}
		if s.capture == nil {
			e.last = s.end()
		}
		return cu.Success
	})
}

// graphExecDestroy lets launches finish, some time.
func (m *Machine) graphExecDestroy(h cu.CUGraphExec) cu.Result {
	return m.ending(func(*cudaContext) cu.Result {
		if !drop[*graphExec](m, uintptr(h)) {
			return cu.ErrorInvalidValue
		}
		return cu.Success
	})
}

// GraphLaunches returns how many graphs were launched so far.
func (m *Machine) GraphLaunches() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.graphs
}
