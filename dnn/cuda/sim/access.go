package sim

import (
	"context"
	"fmt"
	"slices"
	"unsafe"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
)

// access is the memory that one piece of work uses. It keeps the first fault, so
// that the code for each operation need not ask after every operand.
type access struct {
	machine *Machine
	ctx     *cudaContext
	reads   []span
	writes  []span
	fault   *fault
}

// span is an operand's memory, of which areas are used.
type span struct {
	ptr   cu.DevicePtr
	mem   []byte
	areas []area
}

// overlaps reports whether both use the same byte.
func (s span) overlaps(o span) bool {
	for _, a := range s.areas {
		for _, b := range o.areas {
			b.start += int64(o.ptr - s.ptr)
			if a.overlaps(b) {
				return true
			}
		}
	}
	return false
}

func (a *access) fail(code cu.Result, format string, args ...any) {
	if a.fault == nil {
		a.fault = &fault{code, fmt.Sprintf(format, args...)}
	}
}

// operand returns the memory of an operand whose numbers have size bytes, from its
// first number to its last. areas say which of it is used.
func (a *access) operand(name string, p cu.DevicePtr, bytes, size int64, write bool, areas ...area) []byte {
	if a.fault != nil || bytes == 0 {
		return nil
	}
	if int64(p)%size != 0 {
		a.fail(errorMisalignedAddress, "%s: %#x is not a multiple of %d", name, uintptr(p), size)
		return nil
	}
	m, f := a.machine.allowed(a.ctx, p, bytes)
	if f != nil {
		a.fail(f.code, "%s: %s", name, f.text)
		return nil
	}
	for _, where := range areas {
		a.machine.touchAt(m, p, where, write)
	}
	return m.use(p, bytes)
}

// read returns the memory of an operand that is read.
func (a *access) read(name string, p cu.DevicePtr, bytes, size int64) []byte {
	return a.readAreas(name, p, bytes, size, whole(0, bytes))
}

func (a *access) readAreas(name string, p cu.DevicePtr, bytes, size int64, areas ...area) []byte {
	mem := a.operand(name, p, bytes, size, false, areas...)
	a.reads = append(a.reads, span{p, mem, areas})
	return mem
}

// write returns the memory of an operand that is written.
func (a *access) write(name string, p cu.DevicePtr, bytes, size int64) []byte {
	return a.writeAreas(name, p, bytes, size, whole(0, bytes))
}

func (a *access) writeAreas(name string, p cu.DevicePtr, bytes, size int64, areas ...area) []byte {
	mem := a.operand(name, p, bytes, size, true, areas...)
	a.writes = append(a.writes, span{p, mem, areas})
	return mem
}

// ready reports whether the results are to be computed. If one of them lies over
// what is read, or over another, all become poison instead; inPlace allows them to
// be the same memory as what is read.
func (a *access) ready(inPlace bool) bool {
	if a.fault != nil {
		return false
	}
	for i, w := range a.writes {
		over := func(s span) bool { return w.overlaps(s) }
		if slices.ContainsFunc(a.reads, func(r span) bool { return over(r) && !(inPlace && w.ptr == r.ptr) }) || slices.ContainsFunc(a.writes[:i], over) {
			for _, w := range a.writes {
				poison(w.mem)
			}
			return false
		}
	}
	return true
}

// compute does op on the CPU. Tensor i is mem[i-1].
func (a *access) compute(op dnn.Op, mem ...[]byte) {
	if a.fault != nil {
		return
	}
	m := a.machine
	task, err := m.cpu.Prepare(op, func(t dnn.Tensor) dnn.Buffer { return m.cpu.Wrap(mem[t-1]) })
	if err == nil {
		err = m.queue.Launch(task)
	}
	if err == nil {
		err = m.queue.Synchronize(context.Background())
	}
	if err != nil {
		a.fail(cu.ErrorLaunchFailed, "%v", err)
	}
}

// do does op on the memory of the GPU. Tensor i is at[i-1]. Those that are apart
// are memory of their own.
func (a *access) do(op dnn.Op, inPlace bool, at ...cu.DevicePtr) {
	needs, err := dnn.Needs(op)
	if err != nil {
		a.fail(cu.ErrorLaunchFailed, "%s: %v", dnn.NameOf(op), err)
		return
	}
	written := make([]bool, len(at))
	_, writes := op.Operands()
	for _, t := range writes {
		written[t-1] = true
	}
	mem := make([][]byte, len(at))
	for _, n := range needs {
		i := n.Tensor - 1
		switch {
		case at[i] == apart:
			mem[i] = alignedCopy(make([]byte, n.Bytes))
		case written[i]:
			mem[i] = a.write(n.Name, at[i], n.Bytes, n.Size)
		default:
			mem[i] = a.read(n.Name, at[i], n.Bytes, n.Size)
		}
	}
	if a.ready(inPlace) {
		a.compute(op, mem...)
	}
}

// apart stands for an operand that the GPU does not have.
const apart = ^cu.DevicePtr(0)

// floats returns memory as numbers. It must be aligned, which read and write have
// seen to.
func floats(mem []byte) []float32 { return numbers[float32](mem) }
func ints(mem []byte) []int32     { return numbers[int32](mem) }
func halves(mem []byte) []uint16  { return numbers[uint16](mem) }

func numbers[T float32 | int32 | uint16](mem []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), len(mem)/int(unsafe.Sizeof(zero)))
}
