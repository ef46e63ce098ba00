package cuda

import (
	"errors"
	"fmt"
	"time"

	"alexnet/dnn/cuda/cu"
)

// clock times work on the device.
type clock struct {
	stream     *cu.Stream
	start, end *cu.Event
}

func (d *Device) newClock() (c *clock, err error) {
	c = &clock{}
	if c.stream, err = d.ctx.NewStream(cu.StreamNonBlocking); err != nil {
		return nil, err
	}
	if c.start, err = d.ctx.NewEvent(cu.EventDefault); err == nil {
		c.end, err = d.ctx.NewEvent(cu.EventDefault)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *clock) close() error {
	var errs []error
	for _, e := range []*cu.Event{c.start, c.end} {
		if e != nil {
			errs = append(errs, e.Close())
		}
	}
	return errors.Join(append(errs, c.stream.Close())...)
}

// time returns how long one of a few runs of work took, after one to warm up.
func (c *clock) time(work func(*cu.Stream) error) (time.Duration, error) {
	const runs = 5
	if err := work(c.stream); err != nil {
		return 0, err
	}
	if err := c.start.Record(c.stream); err != nil {
		return 0, err
	}
	for range runs {
		if err := work(c.stream); err != nil {
			return 0, err
		}
	}
	if err := errors.Join(c.end.Record(c.stream), c.end.Synchronize()); err != nil {
		return 0, fmt.Errorf("timing: %w", err)
	}
	took, err := c.end.Elapsed(c.start)
	return took / runs, err
}
