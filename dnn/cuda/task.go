package cuda

import (
	"errors"
	"fmt"
	"io"
	"math"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/kernels"
)

// task is a prepared operation: calls to be made one after the other.
type task struct {
	op     dnn.Op
	device *Device
	owned  []io.Closer
	how    string // it is done: see How

	// What works in the workspace is bound to a block of it when it is first
	// launched, and again after the block has changed.
	scratch int64
	bind    binding
	bound   int // generation of the workspace
	calls   []call
}

// call puts one piece of work into a stream. It takes no memory.
type call func(*stream) error

func (t *task) Op() dnn.Op { return t.op }

// How says how the operation is done, where there is more than one way: "" if not.
func (t *task) How() string { return t.how }

func (t *task) Close() error {
	var errs []error
	for i := len(t.owned) - 1; i >= 0; i-- {
		errs = append(errs, t.owned[i].Close())
	}
	t.owned = nil
	return t.device.ending(errors.Join(errs...))
}

// launch makes the calls. Its error names the operation.
func (t *task) launch(s *stream) error {
	if err := t.queue(s); err != nil {
		return fmt.Errorf("%s: %w", dnn.NameOf(t.op), err)
	}
	return nil
}

func (t *task) queue(s *stream) error {
	if t.scratch > 0 {
		if err := t.device.claim(s); err != nil {
			return err
		}
	}
	if w := &t.device.workspace; t.calls == nil || t.scratch > 0 && t.bound != w.generation {
		var base cu.DevicePtr
		if t.scratch > 0 {
			base = w.memory.Ptr()
		}
		calls, err := t.bind(base)
		if err != nil {
			return err
		}
		t.calls, t.bound = calls, w.generation
	}
	for _, c := range t.calls {
		if err := c(s); err != nil {
			return err
		}
	}
	return nil
}

// Prepare checks the sizes of op and of the memory of its operands, so that no
// kernel reaches outside them, and chooses the algorithm.
func (d *Device) Prepare(op dnn.Op, at func(dnn.Tensor) dnn.Buffer) (dnn.Task, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	p := &preparation{device: d, task: &task{op: op, device: d}, at: map[dnn.Tensor]cu.DevicePtr{}}
	err := p.operands(op, at)
	if err == nil {
		p.task.bind, err = p.prepare(op)
	}
	if err == nil {
		err = p.err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", d.name, dnn.NameOf(op), errors.Join(d.note(err), p.task.Close()))
	}
	d.workspace.need = max(d.workspace.need, p.task.scratch)
	return p.task, nil
}

// preparation is what is needed to make a task. It keeps the first error of the
// small steps, so that the code for each operation need not ask after every one.
type preparation struct {
	device *Device
	task   *task
	at     map[dnn.Tensor]cu.DevicePtr
	err    error
}

// operands finds the memory of all operands.
func (p *preparation) operands(op dnn.Op, at func(dnn.Tensor) dnn.Buffer) error {
	needs, err := dnn.Needs(op)
	if err != nil {
		return err
	}
	for _, n := range needs {
		b, err := bufferOf(at(n.Tensor))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", n.Name, err)
		case b.device != p.device:
			return fmt.Errorf("%s is memory of %s", n.Name, b.device.name)
		case b.bytes < n.Bytes:
			return fmt.Errorf("%s needs %d bytes, its buffer has %d", n.Name, n.Bytes, b.bytes)
		case b.ptr%4 != 0:
			return fmt.Errorf("%s does not start at a multiple of 4 bytes", n.Name)
		}
		p.at[n.Tensor] = b.ptr
	}
	return nil
}

func (p *preparation) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// own gives a resource back with the task.
func own[T io.Closer](p *preparation, r T, err error) T {
	if err != nil {
		p.fail(err)
		return r
	}
	p.task.owned = append(p.task.owned, r)
	return r
}

// i32 returns n as the libraries count.
func (p *preparation) i32(n int) int32 {
	if n > math.MaxInt32 {
		p.fail(fmt.Errorf("a size of %d; at most %d", n, math.MaxInt32))
	}
	return int32(n)
}

// reserve takes bytes of the workspace for the task and returns where they
// start.
func (p *preparation) reserve(bytes int64) int64 {
	const align = 256 // what the libraries' fastest algorithms want
	at := (p.task.scratch + align - 1) / align * align
	p.task.scratch = at + bytes
	return at
}

// borrow calls use with memory that is given back afterwards.
func (p *preparation) borrow(sizes []int64, use func([]cu.DevicePtr) error) (err error) {
	at := make([]cu.DevicePtr, len(sizes))
	for i, n := range sizes {
		m, takeErr := p.device.take(n)
		if takeErr != nil {
			return fmt.Errorf("to measure algorithms: %w", takeErr)
		}
		defer func() {
			if e := m.Close(); err == nil { // else the device may have failed, and e say so once more
				err = e
			}
		}()
		at[i] = m.Ptr()
	}
	return use(at)
}

// binding makes a task's calls, or a part of them, for the place in the
// workspace that is the task's.
type binding func(base cu.DevicePtr) ([]call, error)

func nothing(cu.DevicePtr) ([]call, error) { return nil, nil }

// sequence does one after the other.
func sequence(parts ...binding) binding {
	return func(base cu.DevicePtr) ([]call, error) {
		var all []call
		for _, part := range parts {
			calls, err := part(base)
			if err != nil {
				return nil, err
			}
			all = append(all, calls...)
		}
		return all, nil
	}
}

// library calls cuDNN.
func library(f func(h *cudnn.Handle, base cu.DevicePtr) error) binding {
	return func(base cu.DevicePtr) ([]call, error) {
		return []call{func(s *stream) error {
			h, err := s.cudnn()
			if err != nil {
				return err
			}
			return f(h, base)
		}}, nil
	}
}

// runs launches kernels.
func (p *preparation) runs(list ...kernels.Args) ([]call, error) {
	calls := make([]call, len(list))
	for i, a := range list {
		l, err := p.device.kernels.Prepare(a)
		if err != nil {
			return nil, err
		}
		calls[i] = func(s *stream) error { return l.On(s.cu) }
	}
	return calls, nil
}

// fixed is the binding of kernels that do not work in the workspace.
func (p *preparation) fixed(list ...kernels.Args) (binding, error) {
	return func(cu.DevicePtr) ([]call, error) { return p.runs(list...) }, p.err
}

func (p *preparation) prepare(op dnn.Op) (binding, error) {
	switch o := op.(type) {
	case dnn.Input:
		return p.input(o)
	case dnn.Convert:
		return p.fixed(p.converted(p.at[o.X], p.at[o.Y], o.Batch, o.Shape, o.From, o.To))
	case dnn.Narrow:
		return p.narrow(o)
	case dnn.ConvForward:
		return p.convForward(o)
	case dnn.ConvBackwardData:
		return p.convBackwardData(o)
	case dnn.ConvBackwardWeights:
		return p.convBackwardWeights(o)
	case dnn.LocalForward:
		return p.localForward(o)
	case dnn.LocalBackwardData:
		return p.localBackwardData(o)
	case dnn.LocalBackwardWeights:
		return p.localBackwardWeights(o)
	case dnn.FullForward:
		return p.fullForward(o)
	case dnn.FullBackwardData:
		return p.fullBackwardData(o)
	case dnn.FullBackwardWeights:
		return p.fullBackwardWeights(o)
	case dnn.ActivationForward:
		return p.activationForward(o)
	case dnn.ActivationBackward:
		return p.activationBackward(o)
	case dnn.MaxPoolForward:
		return p.maxPoolForward(o)
	case dnn.MaxPoolBackward:
		return p.maxPoolBackward(o)
	case dnn.AvgPoolForward:
		return p.avgPoolForward(o)
	case dnn.AvgPoolBackward:
		return p.avgPoolBackward(o)
	case dnn.LRNForward:
		return p.lrnForward(o)
	case dnn.LRNBackward:
		return p.lrnBackward(o)
	case dnn.NormPoolForward:
		return p.normPoolForward(o)
	case dnn.NormPoolBackward:
		return p.normPoolBackward(o)
	case dnn.Dropout:
		return p.dropout(o)
	case dnn.Scale:
		return p.scale(o)
	case dnn.SoftmaxForward:
		return p.softmaxForward(o)
	case dnn.SoftmaxBackward:
		return p.softmaxBackward(o)
	case dnn.Sum:
		return p.sum(o)
	case dnn.Update:
		return p.update(o)
	}
	return nil, errors.New("not an operation of package dnn") // dnn.Needs has said so before
}
