package cpu

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"alexnet/dnn"
)

// queueLength is how many pieces of work a stream takes before the program has
// to wait for it.
const queueLength = 256

// stream is a queue and the goroutine that works it off.
type stream struct {
	device *Device
	ended  sync.WaitGroup

	issue  sync.Mutex // held while work is queued
	queue  chan work
	issued uint64 // marks queued; guarded by issue
	closed bool   // guarded by issue

	mu      sync.Mutex
	moved   sync.Cond // reached has grown
	reached uint64    // marks passed
	err     error     // first since the last Synchronize

	worker worker
	job    job
}

// work is one piece of work: exactly one of task, mark, wait, and dst is set.
type work struct {
	task     *task
	mark     uint64
	wait     point
	dst, src []byte
	rows     dnn.Rows // if Count is 0, dst and src are copied whole
}

// point is a place in a stream's work.
type point struct {
	stream *stream
	mark   uint64
}

// event remembers where it was recorded last.
type event struct {
	mu    sync.Mutex
	point point
}

// Synchronize looks at ctx before and after it waits; the wait is as long as the
// work that was queued before the point.
func (e *event) Synchronize(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := e.recorded()
	if p.stream == nil {
		return nil
	}
	p.reach()
	p.stream.mu.Lock()
	err := p.stream.err
	p.stream.mu.Unlock()
	return errors.Join(err, ctx.Err())
}

// recorded returns the point that was recorded last; its stream is nil if there
// is none.
func (e *event) recorded() point {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.point
}

func (e *event) Close() error { return nil }

// NewEvent makes an event.
func (d *Device) NewEvent() (dnn.Event, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	return &event{}, nil
}

// NewStream starts a stream, which Close must end.
func (d *Device) NewStream() (dnn.Stream, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	s := &stream{device: d, queue: make(chan work, queueLength), worker: worker{team: d.team}}
	s.moved.L = &s.mu
	d.streams.Add(1)
	s.ended.Go(s.run)
	return s, nil
}

// run works off the queue until it is closed.
func (s *stream) run() {
	for w := range s.queue {
		switch {
		case w.task != nil:
			if err := s.do(w.task); err != nil {
				s.fail(err)
			}
		case w.mark != 0:
			s.mu.Lock()
			s.reached = w.mark
			s.mu.Unlock()
			s.moved.Broadcast()
		case w.wait.stream != nil:
			w.wait.reach()
		case w.rows.Count == 0:
			copy(w.dst, w.src)
		default:
			copyRows(w.dst, w.src, w.rows)
		}
	}
}

// do runs the loops of a task one after the other.
func (s *stream) do(t *task) error {
	for _, l := range t.loops {
		f := s.device.team.run(&s.job, l, &s.worker)
		if f == nil {
			continue
		}
		if bad, ok := f.value.(badInput); ok {
			return fmt.Errorf("%s: %s: %w", s.device.name, dnn.NameOf(t.op), bad.error)
		}
		return fmt.Errorf("%s: %s: panic: %v\n%s", s.device.name, dnn.NameOf(t.op), f.value, f.stack)
	}
	return nil
}

// badInput is what a loop panics with when the numbers it was given, and not the
// program, are at fault.
type badInput struct{ error }

func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// reach waits until the point is reached.
func (p point) reach() {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	for p.stream.reached < p.mark {
		p.stream.moved.Wait()
	}
}

func (s *stream) put(w work) error {
	s.issue.Lock()
	defer s.issue.Unlock()
	if s.closed {
		return fmt.Errorf("%s: the stream is closed", s.device.name)
	}
	s.queue <- w
	return nil
}

// mark queues a mark and returns the point where it stands.
func (s *stream) mark() (point, error) {
	s.issue.Lock()
	defer s.issue.Unlock()
	if s.closed {
		return point{}, fmt.Errorf("%s: the stream is closed", s.device.name)
	}
	s.issued++
	s.queue <- work{mark: s.issued}
	return point{s, s.issued}, nil
}

func (s *stream) Launch(t dnn.Task) error {
	switch t := t.(type) {
	case *task:
		if t.device == s.device {
			return s.put(work{task: t})
		}
	case *joined:
		if t.device != s.device {
			break
		}
		for _, part := range t.parts {
			if err := s.put(work{task: part}); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%s: a task prepared by another device", s.device.name)
}

func (s *stream) Record(e dnn.Event) error {
	c, ok := e.(*event)
	if !ok {
		return fmt.Errorf("%s: a %T is not an event of a CPU device", s.device.name, e)
	}
	p, err := s.mark()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.point = p
	c.mu.Unlock()
	return nil
}

func (s *stream) Wait(e dnn.Event) error {
	c, ok := e.(*event)
	if !ok {
		return fmt.Errorf("%s: a %T is not an event of a CPU device", s.device.name, e)
	}
	p := c.recorded()
	if p.stream == nil || p.stream == s {
		return nil
	}
	return s.put(work{wait: p})
}

func (s *stream) Upload(dst dnn.Buffer, src []byte) error {
	d, err := memoryOf(dst)
	if err != nil {
		return fmt.Errorf("%s: upload: %w", s.device.name, err)
	}
	if len(d.mem) < len(src) {
		return fmt.Errorf("%s: upload of %d bytes into a buffer of %d", s.device.name, len(src), len(d.mem))
	}
	return s.put(work{dst: d.mem, src: src})
}

func (s *stream) Download(dst []byte, src dnn.Buffer) error {
	c, err := memoryOf(src)
	if err != nil {
		return fmt.Errorf("%s: download: %w", s.device.name, err)
	}
	if len(c.mem) < len(dst) {
		return fmt.Errorf("%s: download of %d bytes from a buffer of %d", s.device.name, len(dst), len(c.mem))
	}
	return s.put(work{dst: dst, src: c.mem})
}

func (s *stream) Copy(dst, src dnn.Buffer, r dnn.Rows) error {
	d, err := memoryOf(dst)
	if err != nil {
		return fmt.Errorf("%s: copy to: %w", s.device.name, err)
	}
	c, err := memoryOf(src)
	if err != nil {
		return fmt.Errorf("%s: copy from: %w", s.device.name, err)
	}
	if err := r.Inside(d.Bytes()/r.Format.Bytes(), c.Bytes()/r.Format.Bytes()); err != nil {
		return fmt.Errorf("%s: %w", s.device.name, err)
	}
	if r.Count == 0 || r.Width == 0 {
		return nil
	}
	return s.put(work{dst: d.mem, src: c.mem, rows: r})
}

func copyRows(dst, src []byte, r dnn.Rows) {
	size := int(r.Format.Bytes())
	for i := range r.Count {
		copy(dst[size*(r.DstOffset+i*r.DstStride):][:size*r.Width], src[size*(r.SrcOffset+i*r.SrcStride):])
	}
}

// Synchronize looks at ctx before and after it waits; the wait is as long as the
// work that is queued.
func (s *stream) Synchronize(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := s.mark()
	if err != nil {
		return err
	}
	p.reach()
	s.mu.Lock()
	err, s.err = s.err, nil
	s.mu.Unlock()
	return errors.Join(err, ctx.Err())
}

// Close returns the error that no Synchronize has returned.
func (s *stream) Close() error {
	s.issue.Lock()
	defer s.issue.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.queue)
	s.ended.Wait()
	s.device.streams.Add(-1)
	return s.err
}
