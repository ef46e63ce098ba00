package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
)

// answer is where a program wants to be told of algorithms.
type answer struct {
	requested int32
	returned  *int32
	perf      *cudnn.Perf
}

// list tells of a convolution's algorithms: the ones that seem the fastest first,
// which follows from the sizes alone, and those that cannot do it last. With a
// workspace, which is less than 0 if nothing was measured, those that it is too
// small for are among the latter.
func (c *convolution) list(d direction, r answer, workspace int64) {
	can, cannot := c.algorithms(d)
	time := func(a algorithm) float32 {
		h := fnv.New32a()
		fmt.Fprint(h, d, c.Conv, c.x, a.number)
		return float32(1+h.Sum32()%997) / 1000
	}
	slices.SortFunc(can, func(a, b algorithm) int {
		return cmp.Or(cmp.Compare(time(a), time(b)), cmp.Compare(a.number, b.number))
	})
	var list, last []cudnn.Perf
	for _, a := range can {
		p := cudnn.Perf{Algo: a.number, Time: -1, Memory: uintptr(a.workspace), Math: c.math}
		if a.deterministic {
			p.Determinism = 1
		}
		switch {
		case workspace >= 0 && a.workspace > workspace:
			p.Status = allocFailed
			last = append(last, p)
			continue
		case workspace >= 0:
			p.Time = time(a)
		}
		if c.math == cudnn.FmaMath { // what it offers need not be what was asked for
			other := p
			other.Math, other.Memory = cudnn.DefaultMath, 0
			list = append(list, other)
		}
		list = append(list, p)
	}
	for _, number := range cannot {
		last = append(last, cudnn.Perf{Algo: number, Status: cudnn.NotSupported, Time: -1, Math: c.math})
	}
	list = append(list, last...)
	*r.returned = int32(copy(unsafe.Slice(r.perf, r.requested), list))
}

// get is what cuDNN thinks of its algorithms.
func (m *Machine) get(h cudnn.RawHandle, d direction, x cudnn.RawTensor, w cudnn.RawFilter, conv cudnn.RawConvolution, y cudnn.RawTensor, r answer) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.dnnCall(h)
	const somewhere = 1 << rangeBits // nothing is looked at
	c.want(r.requested > 0 && r.returned != nil && r.perf != nil, "no room for answer")
	desc := c.convolution(c.tensor("x", x, somewhere), c.filter("w", w, somewhere), conv, c.tensor("y", y, somewhere))
	if c.status == cudnn.Success {
		desc.list(d, r, -1)
	}
	return c.status
}

// operands are the tensors of a convolution in memory; the result is one of them.
type operands struct {
	xDesc cudnn.RawTensor
	x     cu.DevicePtr
	wDesc cudnn.RawFilter
	w     cu.DevicePtr
	yDesc cudnn.RawTensor
	y     cu.DevicePtr
}

// find measures the algorithms: after what is in the stream, and until it is
// done. Of the result it leaves poison.
func (m *Machine) find(h cudnn.RawHandle, d direction, o operands, conv cudnn.RawConvolution, r answer, work cu.DevicePtr, bytes uintptr) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.dnnCall(h)
	c.want(r.requested > 0 && r.returned != nil && r.perf != nil, "no room for answer")
	desc := c.convolution(c.tensor("x", o.xDesc, o.x), c.filter("w", o.wDesc, o.w), conv, c.tensor("y", o.yDesc, o.y))
	n, ok := size(bytes)
	c.want(ok && (n == 0 || work != 0), "no workspace")
	if c.status != cudnn.Success {
		return c.status
	}
	var most int64
	can, _ := desc.algorithms(d)
	for _, a := range can {
		most = max(most, a.workspace)
	}
	m.task(c.handle.stream, "cudnnFindConvolution", func(a *access) {
		read, write := tensor.read, tensor.write
		x, w, y := read, read, read
		switch d {
		case forward:
			y = write
		case backwardData:
			x = write
		case backwardFilter:
			w = write
		}
		x(desc.x, a, "x", o.x)
		w(desc.w, a, "w", o.w)
		y(desc.y, a, "y", o.y)
		a.scratch(work, n, most, func() {
			for _, result := range a.writes {
				poison(result.mem)
			}
		})
	})
	m.reach(c.handle.stream.end())
	if c.handle.ctx.failed != cu.Success {
		return cudnn.ExecutionFailed
	}
	desc.list(d, r, n)
	return cudnn.Success
}

func (m *Machine) getForward(h cudnn.RawHandle, x cudnn.RawTensor, w cudnn.RawFilter, d cudnn.RawConvolution, y cudnn.RawTensor, requested int32, returned *int32, perf *cudnn.Perf) cudnn.Status {
	return m.get(h, forward, x, w, d, y, answer{requested, returned, perf})
}

func (m *Machine) getBackwardData(h cudnn.RawHandle, w cudnn.RawFilter, dy cudnn.RawTensor, d cudnn.RawConvolution, dx cudnn.RawTensor, requested int32, returned *int32, perf *cudnn.Perf) cudnn.Status {
	return m.get(h, backwardData, dx, w, d, dy, answer{requested, returned, perf})
}

func (m *Machine) getBackwardFilter(h cudnn.RawHandle, x, dy cudnn.RawTensor, d cudnn.RawConvolution, dw cudnn.RawFilter, requested int32, returned *int32, perf *cudnn.Perf) cudnn.Status {
	return m.get(h, backwardFilter, x, dw, d, dy, answer{requested, returned, perf})
}

func (m *Machine) findForward(h cudnn.RawHandle, xDesc cudnn.RawTensor, x cu.DevicePtr, wDesc cudnn.RawFilter, w cu.DevicePtr, d cudnn.RawConvolution,
	yDesc cudnn.RawTensor, y cu.DevicePtr, requested int32, returned *int32, perf *cudnn.Perf, work cu.DevicePtr, bytes uintptr) cudnn.Status {
	return m.find(h, forward, operands{xDesc, x, wDesc, w, yDesc, y}, d, answer{requested, returned, perf}, work, bytes)
}

func (m *Machine) findBackwardData(h cudnn.RawHandle, wDesc cudnn.RawFilter, w cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr, d cudnn.RawConvolution,
	dxDesc cudnn.RawTensor, dx cu.DevicePtr, requested int32, returned *int32, perf *cudnn.Perf, work cu.DevicePtr, bytes uintptr) cudnn.Status {
	return m.find(h, backwardData, operands{dxDesc, dx, wDesc, w, dyDesc, dy}, d, answer{requested, returned, perf}, work, bytes)
}

func (m *Machine) findBackwardFilter(h cudnn.RawHandle, xDesc cudnn.RawTensor, x cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr, d cudnn.RawConvolution,
	dwDesc cudnn.RawFilter, dw cu.DevicePtr, requested int32, returned *int32, perf *cudnn.Perf, work cu.DevicePtr, bytes uintptr) cudnn.Status {
	return m.find(h, backwardFilter, operands{xDesc, x, dwDesc, dw, dyDesc, dy}, d, answer{requested, returned, perf}, work, bytes)
}
