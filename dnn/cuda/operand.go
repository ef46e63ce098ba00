package cuda

import (
	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
)

// operand is a tensor as an algorithm wants it: as it is, or a copy in the
// workspace.
type operand struct {
	ptr    cu.DevicePtr // of the tensor
	copied bool
	at     int64 // of the copy
}

func (o operand) in(base cu.DevicePtr) cu.DevicePtr {
	if o.copied {
		return base + cu.DevicePtr(o.at)
	}
	return o.ptr
}

// converted makes y, count of shape, in another format than x.
func (p *preparation) converted(x, y cu.DevicePtr, count int, shape dnn.Shape, from, to dnn.Format) kernels.Args {
	k := kernels.Convert{X: x, Y: y, Batch: p.i32(count), Channels: p.i32(shape.C), Places: p.i32(shape.H * shape.W)}
	k.XHalf, k.XLast = flags(from)
	k.YHalf, k.YLast = flags(to)
	return k
}

// flags says of a format whether it is bfloat16, and whether its channels are last.
func flags(f dnn.Format) (half, last int32) {
	switch f {
	case dnn.BFloat16:
		return 1, 0
	case dnn.BFloat16Last:
		return 1, 1
	}
	return 0, 0
}

// sumColumns makes y, in float32, of the sums of the columns of x, [rows, width]. Many
// rows are added in two steps.
func (p *preparation) sumColumns(x, y cu.DevicePtr, f dnn.Format, rows, width int) binding {
	const most = 1024 // rows that a block adds: a few times as many as it has lanes, and blocks for the whole GPU
	sum := func(f dnn.Format, x, y cu.DevicePtr, rows, most int) kernels.Args {
		k := kernels.SumColumns{X: x, Y: y, Rows: p.i32(rows), Width: p.i32(width), Most: p.i32(most)}
		if f != dnn.Float32 {
			return kernels.SumColumnsHalf(k)
		}
		return k
	}
	if rows <= most {
		return func(cu.DevicePtr) ([]call, error) { return p.runs(sum(f, x, y, rows, rows)) }
	}
	parts := (rows + most - 1) / most
	between := operand{copied: true, at: p.reserve(4 * int64(parts) * int64(width))}
	return func(base cu.DevicePtr) ([]call, error) {
		return p.runs(sum(f, x, between.in(base), rows, most), sum(dnn.Float32, between.in(base), y, parts, parts))
	}
}
