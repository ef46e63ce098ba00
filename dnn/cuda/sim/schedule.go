package sim

import (
	"fmt"
	"slices"

	"alexnet/dnn/cuda/cu"
)

// fault is what went wrong with a piece of work.
type fault struct {
	code cu.Result
	text string
}

// work is one piece of work in a stream.
type work struct {
	stream *stream
	what   string  // for messages
	after  []point // that must be reached before
	knows  clock
	launch bool // whether it counts as launched
	number int  // of those that do
	run    func() *fault
}

// stream is a queue of work. Work counts from 1.
type stream struct {
	ctx      *cudaContext
	ordered  bool // with the default stream
	dead     bool // destroyed; what is queued still runs
	gone     bool // all of it has run, and the host knows
	queue    []work
	queued   uint64 // pieces of work so far
	done     uint64 // of them
	knows    clock  // what comes before the next one
	priority uint64
	capture  *capture // nil unless the stream captures
}

// point is a place in a stream: after so many pieces of its work.
type point struct {
	stream *stream
	count  uint64
	knows  clock
}

func (s *stream) end() point   { return point{s, s.queued, s.knows} }
func (p point) reached() bool  { return p.stream.done >= p.count }
func (s *stream) canRun() bool { return len(s.queue) > 0 && all(s.queue[0].after) }
func all(points []point) bool {
	return !slices.ContainsFunc(points, func(p point) bool { return !p.reached() })
}
func (s *stream) finished() bool { return s.dead && len(s.queue) == 0 }

// policy is a way to choose what runs next.
type policy uint64

const (
	lazy   policy = iota // only what is waited for
	mixed                // any stream that can go on
	greedy               // one stream as far as it goes, then another
	policies
)

func (m *Machine) policy() policy { return policy(m.options.Seed) % policies }

// maxQueue is how many pieces of work a stream takes before the program has to
// wait for it, as for real GPUs, where there are about as many.
const maxQueue = 1024

// enqueue puts work into a stream, or into the graph that the stream captures.
func (m *Machine) enqueue(s *stream, w work) {
	if s.capture != nil {
		s.capture.work = append(s.capture.work, w)
		return
	}
	if w.launch {
		m.tasks++
		w.number = m.tasks
	}
	switch first := s.ctx.first; {
	case s == first: // the default stream waits for all ordered ones, and they for it
		for _, other := range m.streams {
			if other.ctx == s.ctx && other.ordered {
				w.after = append(w.after, other.end())
			}
		}
	case s.ordered:
		w.after = append(w.after, first.end())
	}
	s.queued++
	w.stream = s
	m.order(s, &w)
	s.queue = append(s.queue, w)
	if len(s.queue) > maxQueue {
		m.reach(point{stream: s, count: s.done + 1})
	}
}

// reach runs work until all points are reached, of which the host is told.
func (m *Machine) reach(points ...point) {
	if m.policy() == lazy {
		for _, p := range points {
			m.need(p)
		}
	} else {
		m.shuffle()
		for !all(points) {
			m.step()
		}
	}
	m.told(points...)
	m.streams = slices.DeleteFunc(m.streams, (*stream).finished)
}

// nudge runs one piece of work on the way to a point.
func (m *Machine) nudge(p point) {
	switch {
	case p.reached():
	case m.policy() == lazy:
		m.runOne(m.first(p))
	default:
		m.step()
	}
}

// need runs what a point needs and nothing else.
func (m *Machine) need(p point) {
	for !p.reached() {
		m.runOne(m.first(p))
	}
}

// first returns the stream whose next piece of work a point needs first. There is
// one, since work waits only for what was queued before it.
func (m *Machine) first(p point) *stream {
	s := p.stream
	for !s.canRun() {
		i := slices.IndexFunc(s.queue[0].after, func(p point) bool { return !p.reached() })
		s = s.queue[0].after[i].stream
	}
	return s
}

// shuffle gives the streams other priorities.
func (m *Machine) shuffle() {
	for _, s := range m.streams {
		s.priority = m.random.Uint64()
	}
}

// step runs one piece of work of any stream that can go on.
func (m *Machine) step() {
	var best *stream
	can := 0
	for _, s := range m.streams {
		if !s.canRun() {
			continue
		}
		can++
		if best == nil || m.policy() == greedy && s.priority > best.priority || m.policy() == mixed && m.random.IntN(can) == 0 {
			best = s
		}
	}
	m.runOne(best)
}

// runOne runs the next piece of work of a stream, unless its context has failed.
func (m *Machine) runOne(s *stream) {
	w := s.queue[0]
	s.queue[0] = work{}
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	const ns = 1000 // that every piece of work takes
	m.clock += ns
	if s.ctx.failed == cu.Success {
		m.running = &w
		f := m.strike(&w)
		if f == nil {
			f = w.run()
		}
		if f != nil {
			m.fail(s.ctx, w.what, f)
		}
		m.running = nil
	}
	s.done++
}

// fail makes a context useless.
func (m *Machine) fail(c *cudaContext, what string, f *fault) {
	c.failed = f.code
	m.failures[f.code] = fmt.Sprintf("%s on GPU %d: %s", what, c.gpu.ordinal, f.text)
}

// task queues work that counts as launched: a kernel, or a call of a library.
func (m *Machine) task(s *stream, what string, run func(a *access)) {
	m.enqueue(s, work{what: what, launch: true, run: func() *fault {
		a := &access{machine: m, ctx: s.ctx}
		run(a)
		return a.fault
	}})
}

// strike returns the fault that was ordered for a piece of work.
func (m *Machine) strike(w *work) *fault {
	faults := m.options.Faults
	switch {
	case !w.launch:
	case w.number == faults.FailLaunchAt:
		return &fault{cu.ErrorLaunchFailed, fmt.Sprintf("launch number %d was to fail", w.number)}
	case w.number == faults.LoseDeviceAt:
		w.stream.ctx.gpu.lost = true
		return &fault{errorUnknown, fmt.Sprintf("at launch number %d the GPU was to fall off the bus", w.number)}
	}
	return nil
}
