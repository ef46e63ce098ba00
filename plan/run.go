package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"alexnet/dnn"
)

// Runner holds programs of one network, prepared on devices, and the memory that
// they share: the weights, and room for whichever of them is running.
//
// Operations in a row on one stream, of which only the first waits and only the last
// is waited for, are joined: a device that makes one launch of them, as a GPU does of
// a graph, costs the host a few launches a step, not one for each operation. Where
// not all of them are to be launched, they are issued one by one.
type Runner struct {
	devices  []dnn.Device
	streams  [][]dnn.Stream // [device][Stream]
	state    []dnn.Buffer
	work     []dnn.Buffer
	programs map[*Program]*prepared
	last     *Program
	stale    bool // parameters have been written since their copies were made
	repeats  map[repeat]*joined
	owned    []io.Closer // what streams work with, in the order of making
}

// prepared is a program whose steps are bound to memory.
type prepared struct {
	copies [][]dnn.Task // [device]
	steps  []ready
	events []dnn.Event // [step], nil where no one waits
	joined []*joined   // [step], nil where it is issued by itself
}

// joined is a segment as one task.
type joined struct {
	first, last int // step
	task        dnn.Task
}

// repeat is an operation done a number of times.
type repeat struct {
	p           *Program
	step, times int
}

// ready is a step with everything looked up.
type ready struct {
	stream   dnn.Stream
	task     dnn.Task   // of a Launch
	dst, src dnn.Buffer // of the others
}

// Host holds the host's side of every [Slot].
type Host [Slots][]byte

// share returns what of a slot is a device's.
func (h *Host) share(p *Program, slot Slot, device int) []byte {
	from, to := p.Share(slot, device, len(h[slot]))
	return h[slot][from:to]
}

// NewRunner takes memory and prepares the programs, which must be of the same
// network on devices in the same order as devs. The devices remain the caller's.
func NewRunner(devs []dnn.Device, programs ...*Program) (*Runner, error) {
	r := &Runner{devices: devs, programs: map[*Program]*prepared{}, repeats: map[repeat]*joined{}}
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
	out := &prepared{copies: make([][]dnn.Task, len(p.Devices)), steps: make([]ready, len(p.Steps)), events: make([]dnn.Event, len(p.Steps)),
		joined: make([]*joined, len(p.Steps))}
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
	for _, segment := range p.segments() {
		if err := r.join(p, out, segment); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Runner) join(p *Program, out *prepared, segment []int) error {
	tasks := make([]dnn.Task, len(segment))
	for i, at := range segment {
		tasks[i] = out.steps[at].task
	}
	j := &joined{first: segment[0], last: segment[len(segment)-1]}
	var err error
	if j.task, err = r.devices[p.Steps[j.first].Device].Join(tasks); err != nil {
		return fmt.Errorf("%s to %s: %w", p.StepName(j.first), p.StepName(j.last), err)
	}
	r.owned = append(r.owned, j.task)
	for _, at := range segment {
		out.joined[at] = j
	}
	return nil
}

// Launch issues the steps from first up to, but not including, end. The slots of
// host that these steps upload or download belong to the device until
// [Runner.WaitLoss] or [Runner.Synchronize].
func (r *Runner) Launch(ctx context.Context, p *Program, first, end int, host *Host) error {
	if err := r.turn(ctx, p); err != nil {
		return err
	}
	ready := r.programs[p]
	for i := first; i < end; i++ {
		if j := ready.joined[i]; j != nil && j.first >= first && j.last < end {
			if i < j.last {
				continue
			}
			if err := ready.issueJoined(p, j); err != nil {
				return fmt.Errorf("%s to %s: %w", p.StepName(j.first), p.StepName(j.last), err)
			}
			continue
		}
		if err := ready.issue(p, i, host); err != nil {
			return fmt.Errorf("%s: %w", p.StepName(i), err)
		}
	}
	return nil
}

// Repeat issues a step several times. An operation is joined with itself, so that on a
// GPU it costs the host one launch, and its time is not that of launches.
func (r *Runner) Repeat(ctx context.Context, p *Program, step, times int, host *Host) error {
	task := r.programs[p].steps[step].task
	if task == nil || times == 1 {
		for range times {
			if err := r.Launch(ctx, p, step, step+1, host); err != nil {
				return err
			}
		}
		return nil
	}
	key := repeat{p, step, times}
	j := r.repeats[key]
	if j == nil {
		j = &joined{first: step, last: step}
		var err error
		if j.task, err = r.devices[p.Steps[step].Device].Join(slices.Repeat([]dnn.Task{task}, times)); err != nil {
			return fmt.Errorf("%s: %w", p.StepName(step), err)
		}
		r.owned, r.repeats[key] = append(r.owned, j.task), j
	}
	if err := r.turn(ctx, p); err != nil {
		return err
	}
	if err := r.programs[p].issueJoined(p, j); err != nil {
		return fmt.Errorf("%s: %w", p.StepName(step), err)
	}
	return nil
}

// How says how a device does a step, where there is more than one way to: "" if not.
func (r *Runner) How(p *Program, step int) string {
	if t, ok := r.programs[p].steps[step].task.(interface{ How() string }); ok {
		return t.How()
	}
	return ""
}

// Graphs returns how many of a program's runs of operations are launched as a graph by
// now, and how many there are. On a CPU none is.
func (r *Runner) Graphs(p *Program) (graphs, runs int) {
	for i, j := range r.programs[p].joined {
		if j == nil || i != j.last {
			continue
		}
		runs++
		if t, ok := j.task.(interface{ IsGraph() bool }); ok && t.IsGraph() {
			graphs++
		}
	}
	return graphs, runs
}

// turn makes ready for steps of p.
func (r *Runner) turn(ctx context.Context, p *Program) error {
	if r.last != p { // programs share memory without knowing of each other
		if err := r.Synchronize(ctx); err != nil {
			return err
		}
		r.last = p
	}
	if r.stale {
		r.stale = false
		for d, copies := range r.programs[p].copies {
			for _, task := range copies {
				if err := r.streams[d][Compute].Launch(task); err != nil {
					return fmt.Errorf("copies of parameters: %w", err)
				}
			}
		}
	}
	return nil
}

func (r *prepared) issue(p *Program, i int, host *Host) error {
	if err := r.wait(p, i); err != nil {
		return err
	}
	s, step := &p.Steps[i], &r.steps[i]
	var err error
	switch a := s.Action.(type) {
	case Launch:
		err = step.stream.Launch(step.task)
	case Peer:
		err = step.stream.Copy(step.dst, step.src, a.Rows)
	case Upload:
		err = step.stream.Upload(step.dst, host.share(p, a.Slot, s.Device))
	case Download:
		err = step.stream.Download(host.share(p, a.Slot, s.Device), step.src)
	}
	if err != nil {
		return err
	}
	return r.signal(i)
}

func (r *prepared) issueJoined(p *Program, j *joined) error {
	if err := r.wait(p, j.first); err != nil {
		return err
	}
	if err := r.steps[j.first].stream.Launch(j.task); err != nil {
		return err
	}
	return r.signal(j.last)
}

// wait makes a step's stream wait for what the step has to.
func (r *prepared) wait(p *Program, i int) error {
	for _, w := range p.Steps[i].Waits {
		if err := r.steps[i].stream.Wait(r.events[w]); err != nil {
			return err
		}
	}
	return nil
}

// signal lets those go on that wait for a step.
func (r *prepared) signal(i int) error {
	if r.events[i] == nil {
		return nil
	}
	return r.steps[i].stream.Record(r.events[i])
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
	for i := p.Forward - 1; i >= 0; i-- { // from the loss down: but for those of other replicas, the others are reached by then, if not their errors
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
