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

// bfloat16 returns a copy in bfloat16 of n numbers of a tensor, and what makes it.
func (p *preparation) bfloat16(t dnn.Tensor, n int64) (operand, binding) {
	o := operand{copied: true, at: p.reserve(2 * n)}
	return o, func(base cu.DevicePtr) ([]call, error) {
		return p.runs(kernels.ToBFloat16{X: p.at[t], Y: o.in(base), Count: n})
	}
}
