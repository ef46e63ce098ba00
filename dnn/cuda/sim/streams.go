package sim

import (
	"alexnet/dnn/cuda/cu"
)

// stream returns what a handle stands for in a context; 0 is the default stream,
// which cannot be used while a stream that is ordered with it captures.
func (m *Machine) stream(c *cudaContext, h cu.CUStream) (*stream, cu.Result) {
	if h == 0 {
		for _, s := range m.streams {
			if s.ctx == c && s.ordered && s.capture != nil {
				return nil, s.capture.refuse(cu.ErrorStreamCaptureImplicit)
			}
		}
		return c.first, cu.Success
	}
	s, ok := find[*stream](m, uintptr(h))
	switch {
	case !ok || s.ctx != c:
		return nil, cu.ErrorInvalidHandle
	case s.capture != nil && s.capture.failed:
		return nil, cu.ErrorStreamCaptureInvalidated
	}
	return s, cu.Success
}

// streaming calls f with a stream of the current context.
func (m *Machine) streaming(h cu.CUStream, f func(s *stream) cu.Result) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		s, r := m.stream(c, h)
		if r != cu.Success {
			return r
		}
		return f(s)
	})
}

func (m *Machine) streamCreate(h *cu.CUStream, flags cu.StreamFlags) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		if h == nil || flags&^cu.StreamNonBlocking != 0 {
			return cu.ErrorInvalidValue
		}
		s := &stream{ctx: c, ordered: flags&cu.StreamNonBlocking == 0}
		m.streams = append(m.streams, s)
		*h = cu.CUStream(m.issue(s, "stream of GPU %d", c.gpu.ordinal))
		return cu.Success
	})
}

// streamDestroy lets queued work finish, some time. What it captures is forgotten.
func (m *Machine) streamDestroy(h cu.CUStream) cu.Result {
	return m.ending(func(c *cudaContext) cu.Result {
		s, ok := find[*stream](m, uintptr(h))
		if !ok || s.ctx != c {
			return cu.ErrorInvalidHandle
		}
		s.endCapture()
		s.dead = true
		drop[*stream](m, uintptr(h))
		return cu.Success
	})
}

func (m *Machine) streamSynchronize(h cu.CUStream) cu.Result {
	return m.streaming(h, outside(m, func(s *stream) cu.Result {
		if r := s.waitable(); r != cu.Success {
			return r
		}
		m.reach(s.end())
		return s.ctx.failed
	}))
}

func (m *Machine) streamQuery(h cu.CUStream) cu.Result {
	return m.streaming(h, outside(m, func(s *stream) cu.Result {
		if r := s.waitable(); r != cu.Success {
			return r
		}
		return m.query(s.end())
	}))
}

// query reports whether a point is reached, after some progress, so that who asks
// again and again gets there.
func (m *Machine) query(p point) cu.Result {
	m.nudge(p)
	if r := p.stream.ctx.failed; r != cu.Success {
		return r
	}
	if !p.reached() {
		return cu.ErrorNotReady
	}
	m.told(p)
	return cu.Success
}

// event is an event. What waits for it waits for the record that was the last
// then.
type event struct {
	ctx   *cudaContext
	timed bool
	last  *record // nil if there is none

	captured *capture // that it was recorded in last, in the place of a record
}

// recorded returns an error if the event was recorded last in a capture: then its
// record is nothing that will be reached.
func (e *event) recorded() cu.Result {
	if e.captured != nil {
		return e.captured.refuse(cu.ErrorCapturedEvent)
	}
	return cu.Success
}

// record is a point in a stream, and when it was reached.
type record struct {
	point
	clock int64
}

// eventing calls f with an event of the current context.
func (m *Machine) eventing(h cu.CUEvent, f func(e *event) cu.Result) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		e, ok := find[*event](m, uintptr(h))
		if !ok || e.ctx != c {
			return cu.ErrorInvalidHandle
		}
		return f(e)
	})
}

func (m *Machine) eventCreate(h *cu.CUEvent, flags cu.EventFlags) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		const blockingSync = 1
		if h == nil || flags&^(blockingSync|cu.EventDisableTiming) != 0 {
			return cu.ErrorInvalidValue
		}
		*h = cu.CUEvent(m.issue(&event{ctx: c, timed: flags&cu.EventDisableTiming == 0}, "event of GPU %d", c.gpu.ordinal))
		return cu.Success
	})
}

func (m *Machine) eventDestroy(h cu.CUEvent) cu.Result {
	return m.ending(func(c *cudaContext) cu.Result {
		e, ok := find[*event](m, uintptr(h))
		if !ok || e.ctx != c {
			return cu.ErrorInvalidHandle
		}
		drop[*event](m, uintptr(h))
		return cu.Success
	})
}

func (m *Machine) eventRecord(h cu.CUEvent, sh cu.CUStream) cu.Result {
	return m.eventing(h, func(e *event) cu.Result {
		s, r := m.stream(e.ctx, sh)
		if r != cu.Success {
			return r
		}
		if e.captured = s.capture; e.captured != nil {
			return cu.Success
		}
		rec := &record{}
		m.enqueue(s, work{what: "event", run: func() *fault {
			rec.clock = m.clock
			return nil
		}})
		rec.point = s.end()
		e.last = rec
		return cu.Success
	})
}

// streamWaitEvent takes events of any context.
func (m *Machine) streamWaitEvent(sh cu.CUStream, h cu.CUEvent, flags uint32) cu.Result {
	return m.streaming(sh, func(s *stream) cu.Result {
		e, ok := find[*event](m, uintptr(h))
		switch {
		case flags != 0:
			return cu.ErrorInvalidValue
		case !ok:
			return cu.ErrorInvalidHandle
		case e.captured != nil || s.capture != nil:
			return m.waitCaptured(s, e)
		case e.last != nil:
			m.enqueue(s, work{what: "wait", after: []point{e.last.point}, run: func() *fault { return nil }})
		}
		return cu.Success
	})
}

// waitCaptured is streamWaitEvent where the stream captures, or the event was
// recorded in a capture. Within one stream there is nothing to wait for.
func (m *Machine) waitCaptured(s *stream, e *event) cu.Result {
	switch {
	case e.captured == s.capture, e.captured == nil && e.last == nil:
		return cu.Success
	case e.captured == nil:
		return s.capture.refuse(cu.ErrorStreamCaptureIsolation)
	case e.captured.ended:
		return cu.ErrorCapturedEvent
	case s.capture != nil:
		s.capture.refuse(cu.ErrorStreamCaptureMerge)
		return e.captured.refuse(cu.ErrorStreamCaptureMerge)
	}
	m.hints[cu.ErrorNotSupported] = "a capture of more than one stream is not simulated"
	return e.captured.refuse(cu.ErrorNotSupported)
}

func (m *Machine) eventSynchronize(h cu.CUEvent) cu.Result {
	return m.eventing(h, outside(m, func(e *event) cu.Result {
		if r := e.recorded(); r != cu.Success {
			return r
		}
		if e.last != nil {
			m.reach(e.last.point)
		}
		return e.ctx.failed
	}))
}

func (m *Machine) eventQuery(h cu.CUEvent) cu.Result {
	return m.eventing(h, outside(m, func(e *event) cu.Result {
		switch r := e.recorded(); {
		case r != cu.Success:
			return r
		case e.last == nil:
			return cu.Success
		}
		return m.query(e.last.point)
	}))
}

func (m *Machine) eventElapsedTime(milliseconds *float32, start, end cu.CUEvent) cu.Result {
	return m.eventing(start, func(a *event) cu.Result {
		b, ok := find[*event](m, uintptr(end))
		switch {
		case milliseconds == nil:
			return cu.ErrorInvalidValue
		case !ok || b.ctx != a.ctx, !a.timed || !b.timed, a.last == nil || b.last == nil:
			return cu.ErrorInvalidHandle
		case a.captured != nil || b.captured != nil:
			return cu.ErrorCapturedEvent
		case !a.last.reached() || !b.last.reached():
			return cu.ErrorNotReady
		}
		*milliseconds = float32(float64(b.last.clock-a.last.clock) / 1e6)
		return cu.Success
	})
}
