package cpu

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"alexnet/dnn"
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

// opName returns the name of an operation's type: ConvForward.
func opName(op dnn.Op) string { return strings.TrimPrefix(fmt.Sprintf("%T", op), "dnn.") }

// Prepare checks the sizes of op and of the memory of its operands, so that no
// loop reaches outside them, and makes its loops.
func (d *Device) Prepare(op dnn.Op, at func(dnn.Tensor) dnn.Buffer) (dnn.Task, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	p := &preparation{device: d, at: at}
	loops := p.loops(op)
	if p.err == nil {
		p.reserve(loops)
	}
	if p.err != nil {
		return nil, fmt.Errorf("%s: %s: %w", d.name, opName(op), p.err)
	}
	return &task{op: op, device: d, loops: loops}, nil
}

func (p *preparation) loops(op dnn.Op) []loop {
	switch op := op.(type) {
	case dnn.Input:
		return p.input(op)
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
	p.fail("not an operation of package dnn")
	return nil
}

// preparation collects the operands of one operation and keeps the first error,
// so that the code for each operation need not ask after every one. Operands
// that cannot be had are nil, and loops made after an error are thrown away.
type preparation struct {
	device *Device
	at     func(dnn.Tensor) dnn.Buffer
	err    error
}

func (p *preparation) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// maxCount bounds the numbers in one tensor, so that no sum of places and sizes
// overflows an int.
const maxCount = math.MaxInt / 64

// count returns the product of sizes, each of which must be 1 or more.
func (p *preparation) count(sizes ...int) int {
	n := 1
	for _, s := range sizes {
		if s < 1 {
			p.fail("sizes %v must be 1 or more", sizes)
			return 0
		}
		if n > maxCount/s {
			p.fail("sizes %v make too large a tensor", sizes)
			return 0
		}
		n *= s
	}
	return n
}

// floats returns the memory of an operand of the given sizes.
func (p *preparation) floats(name string, t dnn.Tensor, sizes ...int) []float32 {
	return operand[float32](p, name, t, p.count(sizes...))
}

// all returns all of an operand's memory.
func (p *preparation) all(name string, t dnn.Tensor) []float32 {
	mem := p.bytes(name, t, 4) // names what is wrong with the operand
	if mem == nil {
		return nil
	}
	b, _ := memoryOf(p.at(t))
	return operand[float32](p, name, t, len(b.mem)/4)
}

// ints is floats for a tensor of int32.
func (p *preparation) ints(name string, t dnn.Tensor, sizes ...int) []int32 {
	return operand[int32](p, name, t, p.count(sizes...))
}

func operand[T float32 | int32](p *preparation, name string, t dnn.Tensor, n int) []T {
	mem := p.bytes(name, t, 4*n)
	if p.err != nil {
		return nil
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%4 != 0 {
		p.fail("%s does not start at a multiple of 4 bytes", name)
		return nil
	}
	return view[T](mem, n)
}

// view returns n numbers of type T at the start of mem, which the caller has
// found to be large enough and aligned.
func view[T float32 | int32](mem []byte, n int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), n)
}

// bytes returns the first n bytes of an operand's memory.
func (p *preparation) bytes(name string, t dnn.Tensor, n int) []byte {
	if p.err != nil {
		return nil
	}
	if t == 0 {
		p.fail("%s is no tensor", name)
		return nil
	}
	b, err := memoryOf(p.at(t))
	switch {
	case err != nil:
		p.fail("%s: %w", name, err)
	case b.device != p.device:
		p.fail("%s is memory of %s", name, b.device.name)
	case len(b.mem) < n:
		p.fail("%s needs %d bytes, its buffer has %d", name, n, len(b.mem))
	default:
		return b.mem[:n]
	}
	return nil
}

// reserve makes sure of the scratch memory of all workers.
func (p *preparation) reserve(loops []loop) {
	most := 0
	for _, l := range loops {
		most = max(most, l.scratch)
	}
	if most > maxCount/teamSize() {
		p.err = errors.New("the sizes need too much scratch memory")
		return
	}
	if err := fits(4 * int64(most) * int64(teamSize())); err != nil {
		p.err = fmt.Errorf("scratch memory of %w", err)
		return
	}
	p.device.team.reserve(most)
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
