package cpu

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"alexnet/dnn"
	"alexnet/internal/raw"
)

// task is a prepared operation: loops to be done one after the other.
type task struct {
	op     dnn.Op
	device *Device
	loops  []loop
}

func (t *task) Op() dnn.Op { return t.op }

// Close has nothing to give back.
func (t *task) Close() error { return nil }

// Prepare checks the sizes of op and of the memory of its operands, so that no
// loop reaches outside them, and makes its loops.
func (d *Device) Prepare(op dnn.Op, at func(dnn.Tensor) dnn.Buffer) (dnn.Task, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	p := &preparation{device: d, mem: map[dnn.Tensor][]byte{}}
	err := p.operands(op, at)
	var loops []loop
	if err == nil {
		loops = p.inFloat32(op)
		if err = p.err; err == nil {
			err = p.reserve(loops)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", d.name, dnn.NameOf(op), err)
	}
	return &task{op: op, device: d, loops: loops}, nil
}

func (p *preparation) loops(op dnn.Op) []loop {
	switch op := op.(type) {
	case dnn.Input:
		if op.Fold != (dnn.Fold{}) {
			return p.folded(op)
		}
		return p.input(op)
	case dnn.Convert:
		return p.convert(op)
	case dnn.Narrow:
		return p.narrow(op)
	case dnn.ConvForward:
		return p.convForward(op)
	case dnn.ConvBackwardData:
		return p.convBackwardData(op)
	case dnn.ConvBackwardWeights:
		return p.convBackwardWeights(op)
	case dnn.LocalForward:
		return p.localForward(op)
	case dnn.LocalBackwardData:
		return p.localBackwardData(op)
	case dnn.LocalBackwardWeights:
		return p.localBackwardWeights(op)
	case dnn.FullForward:
		return p.fullForward(op)
	case dnn.FullBackwardData:
		return p.fullBackwardData(op)
	case dnn.FullBackwardWeights:
		return p.fullBackwardWeights(op)
	case dnn.ActivationForward:
		return p.activationForward(op)
	case dnn.ActivationBackward:
		return p.activationBackward(op)
	case dnn.MaxPoolForward:
		return p.maxPoolForward(op)
	case dnn.MaxPoolBackward:
		return p.maxPoolBackward(op)
	case dnn.AvgPoolForward:
		return p.avgPoolForward(op)
	case dnn.AvgPoolBackward:
		return p.avgPoolBackward(op)
	case dnn.LRNForward:
		return p.lrnForward(op)
	case dnn.LRNBackward:
		return p.lrnBackward(op)
	case dnn.NormPoolForward:
		return p.normPoolForward(op)
	case dnn.NormPoolBackward:
		return p.normPoolBackward(op)
	case dnn.Dropout:
		return p.dropout(op)
	case dnn.Scale:
		return p.scale(op)
	case dnn.SoftmaxForward:
		return p.softmaxForward(op)
	case dnn.SoftmaxBackward:
		return p.softmaxBackward(op)
	case dnn.Sum:
		return p.sum(op)
	case dnn.Update:
		return p.update(op)
	}
	return nil // there is no other
}

// preparation is what the loops of one operation are made of.
type preparation struct {
	device *Device
	mem    map[dnn.Tensor][]byte // as much of each operand as the operation uses
	needs  []dnn.Need
	last   bool  // the operation has channels last
	err    error // of memory for the loops themselves
}

// operands finds the memory of all operands.
func (p *preparation) operands(op dnn.Op, at func(dnn.Tensor) dnn.Buffer) error {
	var err error
	if p.needs, err = dnn.Needs(op); err != nil {
		return err
	}
	for _, n := range p.needs {
		b, err := memoryOf(at(n.Tensor))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", n.Name, err)
		case b.device != p.device:
			return fmt.Errorf("%s is memory of %s", n.Name, b.device.name)
		case b.Bytes() < n.Bytes:
			return fmt.Errorf("%s needs %d bytes, its buffer has %d", n.Name, n.Bytes, b.Bytes())
		case uintptr(unsafe.Pointer(unsafe.SliceData(b.mem)))%4 != 0:
			return fmt.Errorf("%s does not start at a multiple of 4 bytes", n.Name)
		case len(p.mem[n.Tensor]) < int(n.Bytes):
			p.mem[n.Tensor] = b.mem[:n.Bytes]
		}
	}
	return nil
}

// floats returns an operand of the given sizes.
func (p *preparation) floats(t dnn.Tensor, sizes ...int) []float32 {
	return raw.Numbers[float32](p.bytes(t, 4*product(sizes)))
}

// ints is floats for a tensor of int32.
func (p *preparation) ints(t dnn.Tensor, sizes ...int) []int32 {
	return raw.Numbers[int32](p.bytes(t, 4*product(sizes)))
}

// all returns as much of an operand as the operation uses.
func (p *preparation) all(t dnn.Tensor) []float32 { return raw.Numbers[float32](p.mem[t]) }

func (p *preparation) bytes(t dnn.Tensor, n int) []byte { return p.mem[t][:n] }

func product(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}

// maxCount bounds the numbers of scratch memory, so that no sum of places and
// sizes overflows an int.
const maxCount = math.MaxInt / 64

// reserve makes sure of the scratch memory of all workers.
func (p *preparation) reserve(loops []loop) error {
	most := 0
	for _, l := range loops {
		most = max(most, l.scratch)
	}
	if most > maxCount/teamSize() {
		return errors.New("the sizes need too much scratch memory")
	}
	if err := fits(4 * int64(most) * int64(teamSize())); err != nil {
		return fmt.Errorf("scratch memory of %w", err)
	}
	p.device.team.reserve(most)
	return nil
}

// blocks returns a loop over n numbers in blocks of a size that is worth taking.
func blocks(n int, body func(from, to int)) []loop {
	const size = 16 << 10
	return []loop{{n: ceil(n, size), body: func(_ *worker, i int) {
		body(i*size, min((i+1)*size, n))
	}}}
}

// ceil returns a/b rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }
