package cuda

import (
	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/kernels"
)

// line describes n numbers for operations on each of them.
func (p *preparation) line(n int) *cudnn.Tensor {
	t, err := p.device.libs.CuDNN.NewTensor(cudnn.Float, cudnn.NCHW, 1, 1, 1, n)
	return own(p, t, err)
}

func (p *preparation) activation(f dnn.Func) *cudnn.Activation {
	mode := [...]cudnn.ActivationMode{dnn.Relu: cudnn.ReLU, dnn.Tanh: cudnn.Tanh, dnn.Sigmoid: cudnn.Sigmoid}[f]
	a, err := p.device.libs.CuDNN.NewActivation(mode, cudnn.PropagateNan, 0)
	return own(p, a, err)
}

func (p *preparation) activationForward(o dnn.ActivationForward) (binding, error) {
	if o.Format != dnn.Float32 {
		return p.fixed(kernels.ActivationForwardHalf{X: p.at[o.X], Y: p.at[o.Y], Count: int64(o.Count), Function: int32(o.Func)})
	}
	t, a := p.line(o.Count), p.activation(o.Func)
	x, y := p.at[o.X], p.at[o.Y]
	return library(func(h *cudnn.Handle, _ cu.DevicePtr) error {
		return h.ActivationForward(a, 1, t, x, 0, t, y)
	}), p.err
}

// activationBackward gives y for x, too, which these functions' gradients do not
// need: they follow from y.
func (p *preparation) activationBackward(o dnn.ActivationBackward) (binding, error) {
	if o.Format != dnn.Float32 {
		return p.fixed(kernels.ActivationBackwardHalf{Y: p.at[o.Y], DY: p.at[o.DY], DX: p.at[o.DX], Count: int64(o.Count), Function: int32(o.Func)})
	}
	t, a := p.line(o.Count), p.activation(o.Func)
	y, dy, dx := p.at[o.Y], p.at[o.DY], p.at[o.DX]
	return library(func(h *cudnn.Handle, _ cu.DevicePtr) error {
		return h.ActivationBackward(a, 1, t, y, t, dy, t, y, 0, t, dx)
	}), p.err
}

// inCuDNN reports whether cuDNN has the normalisation: its windows lie about
// their map, of even ones the larger half after it, and its limits are those of
// cudnnSetLRNDescriptor.
func inCuDNN(o dnn.LRN) bool {
	const maxN, minK, minBeta = 16, 1e-5, 0.01
	return !o.Within && o.Size%2 == 1 && o.Size <= maxN && o.K >= minK && o.Beta >= minBeta
}

// lrn describes maps [Batch*Groups, C/Groups, H, W], since groups do not see
// each other, and the normalisation. cuDNN's alpha is divided by the count of
// terms.
func (p *preparation) lrn(o dnn.LRN) (*cudnn.Tensor, *cudnn.LRN) {
	lib := p.device.libs.CuDNN
	t, err := lib.NewTensor(cudnn.Float, cudnn.NCHW, o.Batch*o.Groups, o.Shape.C/o.Groups, o.Shape.H, o.Shape.W)
	own(p, t, err)
	l, err := lib.NewLRN(o.Size, o.Alpha*float64(o.Size), o.Beta, o.K)
	return t, own(p, l, err)
}

func (p *preparation) lrnForward(o dnn.LRNForward) (binding, error) {
	x, y := p.at[o.X], p.at[o.Y]
	if o.Format == dnn.BFloat16Last {
		return p.fixed(p.normPoolForwardArgs(alone(o.LRN), x, y, 0))
	}
	if inCuDNN(o.LRN) {
		t, l := p.lrn(o.LRN)
		return library(func(h *cudnn.Handle, _ cu.DevicePtr) error {
			return h.LRNCrossChannelForward(l, 1, t, x, 0, t, y)
		}), p.err
	}
	height, width, size := p.i32(o.Shape.H), p.i32(o.Shape.W), p.i32(o.Size)
	alpha, beta, k := float32(o.Alpha), float32(o.Beta), float32(o.K)
	if o.Within {
		return p.fixed(kernels.LRNWithinForward{X: x, Y: y, Planes: p.i32(o.Batch * o.Shape.C), H: height, W: width, Size: size, Alpha: alpha, Beta: beta, K: k})
	}
	return p.fixed(kernels.LRNAcrossForward{X: x, Y: y, Batch: p.i32(o.Batch), Groups: p.i32(o.Groups), C: p.i32(o.Shape.C),
		H: height, W: width, Size: size, Alpha: alpha, Beta: beta, K: k})
}

func (p *preparation) lrnBackward(o dnn.LRNBackward) (binding, error) {
	x, y, dy, dx := p.at[o.X], p.at[o.Y], p.at[o.DY], p.at[o.DX]
	if o.Format == dnn.BFloat16Last {
		return p.fixed(p.normPoolBackwardArgs(alone(o.LRN), false, x, 0, dy, dx))
	}
	if inCuDNN(o.LRN) {
		t, l := p.lrn(o.LRN)
		return library(func(h *cudnn.Handle, _ cu.DevicePtr) error {
			return h.LRNCrossChannelBackward(l, 1, t, y, t, dy, t, x, 0, t, dx)
		}), p.err
	}
	height, width, size := p.i32(o.Shape.H), p.i32(o.Shape.W), p.i32(o.Size)
	alpha, beta, k := float32(o.Alpha), float32(o.Beta), float32(o.K)
	if o.Within {
		return p.fixed(kernels.LRNWithinBackward{X: x, Y: y, DY: dy, DX: dx, Planes: p.i32(o.Batch * o.Shape.C), H: height, W: width, Size: size, Alpha: alpha, Beta: beta, K: k})
	}
	return p.fixed(kernels.LRNAcrossBackward{X: x, Y: y, DY: dy, DX: dx, Batch: p.i32(o.Batch), Groups: p.i32(o.Groups), C: p.i32(o.Shape.C),
		H: height, W: width, Size: size, Alpha: alpha, Beta: beta, K: k})
}
