package cu

import (
	"fmt"
	"time"

	"alexnet/internal/handle"
)

// Event marks a point in a stream's work. One that was never recorded counts as
// reached.
type Event struct {
	ctx  *Context
	raw  CUEvent
	life *handle.Life
}

// NewEvent makes an event (cuEventCreate).
func (c *Context) NewEvent(flags EventFlags) (*Event, error) {
	if err := c.Enter(); err != nil {
		return nil, err
	}
	defer c.Leave()
	e := &Event{ctx: c}
	if err := c.driver.check(c.driver.f.EventCreate(&e.raw, flags), "cuEventCreate(device %d)", c.device); err != nil {
		return nil, err
	}
	var err error
	e.life, err = handle.New(fmt.Sprintf("an event of device %d", c.device), func() error {
		return c.do(func() Result { return c.driver.f.EventDestroy(e.raw) }, "cuEventDestroy")
	}, c.life)
	return e, err
}

// Handle returns the event as the driver knows it.
func (e *Event) Handle() CUEvent { return e.raw }

// Close gives the event back.
func (e *Event) Close() error { return e.life.Close() }

func (e *Event) enter() error {
	if err := e.life.Use(); err != nil {
		return err
	}
	return e.ctx.Enter()
}

// Record marks the point after all work queued in s so far. Both must be of one
// context (cuEventRecord).
func (e *Event) Record(s *Stream) error {
	if err := s.life.Use(); err != nil {
		return err
	}
	if err := e.enter(); err != nil {
		return err
	}
	defer e.ctx.Leave()
	if r := e.ctx.driver.f.EventRecord(e.raw, s.raw); r != Success {
		return e.ctx.driver.check(r, "cuEventRecord(device %d)", e.ctx.device)
	}
	return nil
}

// Synchronize waits until the point that was recorded last is reached
// (cuEventSynchronize).
func (e *Event) Synchronize() error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.ctx.Leave()
	if r := e.ctx.driver.f.EventSynchronize(e.raw); r != Success {
		return e.ctx.driver.check(r, "cuEventSynchronize(device %d)", e.ctx.device)
	}
	return nil
}

// Query reports whether the point that was recorded last is reached
// (cuEventQuery).
func (e *Event) Query() (bool, error) {
	if err := e.enter(); err != nil {
		return false, err
	}
	defer e.ctx.Leave()
	r := e.ctx.driver.f.EventQuery(e.raw)
	if r == ErrorNotReady {
		return false, nil
	}
	return r == Success, e.ctx.driver.check(r, "cuEventQuery(device %d)", e.ctx.device)
}

// Elapsed returns the time from start to e, both reached, and made with
// EventDefault (cuEventElapsedTime).
func (e *Event) Elapsed(start *Event) (time.Duration, error) {
	if err := start.life.Use(); err != nil {
		return 0, err
	}
	if err := e.enter(); err != nil {
		return 0, err
	}
	defer e.ctx.Leave()
	var ms float32
	err := e.ctx.driver.check(e.ctx.driver.f.EventElapsedTime(&ms, start.raw, e.raw), "cuEventElapsedTime(device %d)", e.ctx.device)
	return time.Duration(float64(ms) * float64(time.Millisecond)), err
}
