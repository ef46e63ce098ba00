package plan

import (
	"context"
	"errors"
	"fmt"
	"io"

	"alexnet/dnn"
)

// Runner holds programs of one network, prepared on devices, and the memory that
// they share: the weights, and room for whichever of them is running.
type Runner struct {
	devices  []dnn.Device
	streams  [][]dnn.Stream // [device][Stream]
	state    []dnn.Buffer
	work     []dnn.Buffer
	programs map[*Program]*prepared
	last     *Program
	stale    bool        // parameters have been written since their copies were made
	owned    []io.Closer // what streams work with, in the order of making
}

// prepared is a program whose steps are bound to memory.
type prepared struct {
	copies [][]dnn.Task // [device]
	steps  []ready
	events []dnn.Event // [step], nil where no one waits
}

// ready is a step with everything looked up.
type ready struct {
	stream   dnn.Stream
	task     dnn.Task   // of a Launch
	dst, src dnn.Buffer // of the others
}

// Host holds the host's side of every [Slot].
type Host [Slots][]byte

// NewRunner takes memory and prepares the programs, which must be of the same
// network on devices in the same order as devs. The devices remain the caller's.
func NewRunner(devs []dnn.Device, programs ...*Program) (*Runner, error) {
	r := &Runner{devices: devs, programs: map[*Program]*prepared{}}
	if err := r.open(programs); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Runner) open(programs []*Program) error {
	for i, dev := range r.devices {
		var state, work int64
		for _, p := range programs {
			if len(p.Devices) != len(r.devices) {
				return fmt.Errorf("a program for %d devices cannot run on %d", len(p.Devices), len(r.devices))
			}
			state, work = max(state, p.Devices[i].State), max(work, p.Devices[i].Work)
		}
		for _, block := range []struct {
			bytes int64
			what  string
			list  *[]dnn.Buffer
		}{{state, "weights", &r.state}, {work, "activations and gradients", &r.work}} {
			buffer, err := dev.NewBuffer(block.bytes)
			if err != nil {
				return fmt.Errorf("memory for %s: %w", block.what, err)
			}
			r.owned = append(r.owned, buffer)
			*block.list = append(*block.list, buffer)
		}
		r.streams = append(r.streams, nil)
		for range streams {
			s, err := dev.NewStream()
			if err != nil {
				return fmt.Errorf("a stream: %w", err)
			}
			r.streams[i] = append(r.streams[i], s)
		}
	}
	for _, p := range programs {
		var err error
		if r.programs[p], err = r.prepare(p); err != nil {
			return err
		}
	}
	return nil
}

// Buffer returns the memory of a tensor on a device.
func (r *Runner) Buffer(p *Program, device int, t dnn.Tensor) dnn.Buffer {
	tensor := &p.Devices[device].Tensors[t]
	if tensor.Segment == State {
		return r.state[device].Slice(tensor.Offset, tensor.Bytes)
	}
	return r.work[device].Slice(tensor.Offset, tensor.Bytes)
}

func (r *Runner) prepare(p *Program) (*prepared, error) {
	out := &prepared{copies: make([][]dnn.Task, len(p.Devices)), steps: make([]ready, len(p.Steps)), events: make([]dnn.Event, len(p.Steps))}
	for d := range p.Devices {
		for _, op := range p.Devices[d].Copies {
			task, err := r.devices[d].Prepare(op, func(t dnn.Tensor) dnn.Buffer { return r.Buffer(p, d, t) })
			if err != nil {
				return nil, fmt.Errorf("copies of parameters: %w", err)
			}
			r.owned = append(r.owned, task)
			out.copies[d] = append(out.copies[d], task)
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		dev := r.devices[s.Device]
		step := ready{stream: r.streams[s.Device][s.Stream]}
		at := func(t dnn.Tensor) dnn.Buffer { return r.Buffer(p, s.Device, t) }
		var err error
		switch a := s.Action.(type) {
		case Launch:
			if step.task, err = dev.Prepare(a.Op, at); err == nil {
				r.owned = append(r.owned, step.task)
			}
		case Peer:
			step.src, step.dst = at(a.From), r.Buffer(p, a.To, a.Dst)
		case Upload:
			step.dst = at(a.Dst)
		case Download:
			step.src = at(a.Src)
		}
		if err == nil && s.Signal {
			if out.events[i], err = dev.NewEvent(); err == nil {
				r.owned = append(r.owned, out.events[i])
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.StepName(i), err)
		}
		out.steps[i] = step
	}
	return out, nil
}

// Launch issues the steps from first up to, but not including, end. The slots of
// host that these steps upload or download belong to the device until
// [Runner.WaitLoss] or [Runner.Synchronize].
func (r *Runner) Launch(ctx context.Context, p *Program, first, end int, host *Host) error {
	if r.last != p { // programs share memory without knowing of each other
		if err := r.Synchronize(ctx); err != nil {
			return err
		}
		r.last = p
	}
	ready := r.programs[p]
	if r.stale {
		r.stale = false
		for d, copies := range ready.copies {
			for _, task := range copies {
				if err := r.streams[d][Compute].Launch(task); err != nil {
					return fmt.Errorf("copies of parameters: %w", err)
				}
			}
		}
	}
	for i := first; i < end; i++ {
		if err := r.issue(p, ready, i, host); err != nil {
			return fmt.Errorf("%s: %w", p.StepName(i), err)
		}
	}
	return nil
}

func (r *Runner) issue(p *Program, prepared *prepared, i int, host *Host) error {
	s, step := &p.Steps[i], &prepared.steps[i]
	for _, w := range s.Waits {
		if err := step.stream.Wait(prepared.events[w]); err != nil {
			return err
		}
	}
	var err error
	switch a := s.Action.(type) {
	case Launch:
		err = step.stream.Launch(step.task)
	case Peer:
		err = step.stream.Copy(step.dst, step.src, a.Rows)
	case Upload:
		err = step.stream.Upload(step.dst, host[a.Slot])
	case Download:
		err = step.stream.Download(host[a.Slot], step.src)
	}
	if err == nil && s.Signal {
		err = step.stream.Record(prepared.events[i])
	}
	return err
}

// Synchronize waits until every device has done all that was issued.
func (r *Runner) Synchronize(ctx context.Context) error {
	var first error
	for d := range r.streams {
		for _, s := range r.streams[d] {
			if err := s.Synchronize(ctx); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

// WaitLoss waits until the forward steps of p that were launched last are done,
// whatever was launched behind them: their uploads are over, and the loss is on
// the host. It returns the first error so far of any device.
func (r *Runner) WaitLoss(ctx context.Context, p *Program) error {
	events := r.programs[p].events
	for i := p.Forward - 1; i >= 0; i-- { // from the loss down: the others are reached by then, but for their errors
		if events[i] == nil {
			continue
		}
		if err := events[i].Synchronize(ctx); err != nil {
			if first := r.Synchronize(ctx); first != nil {
				return first // and Close will not return it again
			}
			return err
		}
	}
	return nil
}

// Write copies data to a tensor of a device and waits for it.
func (r *Runner) Write(ctx context.Context, p *Program, device int, t dnn.Tensor, data []byte) error {
	r.stale = true
	s := r.streams[device][Copy]
	if err := s.Upload(r.Buffer(p, device, t), data); err != nil {
		return err
	}
	return s.Synchronize(ctx)
}

// Read copies a tensor of a device to data and waits for it.
func (r *Runner) Read(ctx context.Context, p *Program, device int, t dnn.Tensor, data []byte) error {
	s := r.streams[device][Copy]
	if err := s.Download(data, r.Buffer(p, device, t)); err != nil {
		return err
	}
	return s.Synchronize(ctx)
}

// Close waits for all work and gives back what NewRunner took.
func (r *Runner) Close() error {
	var errs []error
	for d := range r.streams {
		for _, s := range r.streams[d] {
			errs = append(errs, s.Close())
		}
	}
	for i := len(r.owned) - 1; i >= 0; i-- {
		errs = append(errs, r.owned[i].Close())
	}
	r.streams, r.owned = nil, nil
	return errors.Join(errs...)
}
