package cudnn

import "alexnet/dnn/cuda/cu"

// The functions below queue work on the GPU. Of each tensor they take the
// descriptor and the address on the device. The result is alpha times what the
// function computes plus beta times what was in its place before, which is not
// read if beta is 0. None takes memory of the host.

// ConvolutionForward computes y from x and w. The workspace must have as many
// bytes as the algorithm asks for (cudnnConvolutionForward).
func (h *Handle) ConvolutionForward(alpha float32, x *Tensor, xp cu.DevicePtr, w *Filter, wp cu.DevicePtr, c *Convolution, algo ConvFwdAlgo, workspace cu.DevicePtr, bytes int64, beta float32, y *Tensor, yp cu.DevicePtr) error {
	const name = "cudnnConvolutionForward"
	if err := h.enter(name, x, w, c, y); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(y.of, alpha, beta)
	if s := h.lib.f.ConvolutionForward(h.raw, a, x.raw, xp, w.raw, wp, c.raw, algo, workspace, size(bytes), b, y.raw, yp); s != Success {
		return h.lib.failure(s, name+"(x %v, w %v, %v, algorithm %d, workspace of %d bytes, y %v)", x, w, c, algo, bytes, y)
	}
	return nil
}

// ConvolutionBackwardData computes the gradient by the input, dx, from w and the
// gradient by the output (cudnnConvolutionBackwardData).
func (h *Handle) ConvolutionBackwardData(alpha float32, w *Filter, wp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, c *Convolution, algo ConvBwdDataAlgo, workspace cu.DevicePtr, bytes int64, beta float32, dx *Tensor, dxp cu.DevicePtr) error {
	const name = "cudnnConvolutionBackwardData"
	if err := h.enter(name, w, dy, c, dx); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(dx.of, alpha, beta)
	if s := h.lib.f.ConvolutionBackwardData(h.raw, a, w.raw, wp, dy.raw, dyp, c.raw, algo, workspace, size(bytes), b, dx.raw, dxp); s != Success {
		return h.lib.failure(s, name+"(w %v, dy %v, %v, algorithm %d, workspace of %d bytes, dx %v)", w, dy, c, algo, bytes, dx)
	}
	return nil
}

// ConvolutionBackwardFilter computes the gradient by the weights, dw, from x and
// the gradient by the output (cudnnConvolutionBackwardFilter).
func (h *Handle) ConvolutionBackwardFilter(alpha float32, x *Tensor, xp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, c *Convolution, algo ConvBwdFilterAlgo, workspace cu.DevicePtr, bytes int64, beta float32, dw *Filter, dwp cu.DevicePtr) error {
	const name = "cudnnConvolutionBackwardFilter"
	if err := h.enter(name, x, dy, c, dw); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(dw.of, alpha, beta)
	if s := h.lib.f.ConvolutionBackwardFilter(h.raw, a, x.raw, xp, dy.raw, dyp, c.raw, algo, workspace, size(bytes), b, dw.raw, dwp); s != Success {
		return h.lib.failure(s, name+"(x %v, dy %v, %v, algorithm %d, workspace of %d bytes, dw %v)", x, dy, c, algo, bytes, dw)
	}
	return nil
}

// ConvolutionBackwardBias computes the gradient by a bias for each channel, db
// of 1xCx1x1: the sums of dy (cudnnConvolutionBackwardBias).
func (h *Handle) ConvolutionBackwardBias(alpha float32, dy *Tensor, dyp cu.DevicePtr, beta float32, db *Tensor, dbp cu.DevicePtr) error {
	const name = "cudnnConvolutionBackwardBias"
	if err := h.enter(name, dy, db); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(db.of, alpha, beta)
	if s := h.lib.f.ConvolutionBackwardBias(h.raw, a, dy.raw, dyp, b, db.raw, dbp); s != Success {
		return h.lib.failure(s, name+"(dy %v, db %v)", dy, db)
	}
	return nil
}

// ConvolutionBiasActivationForward computes y = act(alpha1·(x convolved with w)
// + alpha2·z + bias). z may be y; cuDNN takes ReLU, and Identity with
// FwdImplicitPrecompGEMM (cudnnConvolutionBiasActivationForward).
func (h *Handle) ConvolutionBiasActivationForward(alpha1 float32, x *Tensor, xp cu.DevicePtr, w *Filter, wp cu.DevicePtr, c *Convolution, algo ConvFwdAlgo, workspace cu.DevicePtr, bytes int64, alpha2 float32, z *Tensor, zp cu.DevicePtr, bias *Tensor, biasp cu.DevicePtr, act *Activation, y *Tensor, yp cu.DevicePtr) error {
	const name = "cudnnConvolutionBiasActivationForward"
	if err := h.enter(name, x, w, c, z, bias, act, y); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(y.of, alpha1, alpha2)
	if s := h.lib.f.ConvolutionBiasActivationForward(h.raw, a, x.raw, xp, w.raw, wp, c.raw, algo, workspace, size(bytes), b, z.raw, zp, bias.raw, biasp, act.raw, y.raw, yp); s != Success {
		return h.lib.failure(s, name+"(x %v, w %v, %v, algorithm %d, workspace of %d bytes, z %v, bias %v, %v, y %v)", x, w, c, algo, bytes, z, bias, act, y)
	}
	return nil
}

// AddTensor computes c = alpha·t + beta·c, where dimensions of t that are 1 are
// repeated (cudnnAddTensor).
func (h *Handle) AddTensor(alpha float32, t *Tensor, tp cu.DevicePtr, beta float32, c *Tensor, cp cu.DevicePtr) error {
	const name = "cudnnAddTensor"
	if err := h.enter(name, t, c); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(c.of, alpha, beta)
	if s := h.lib.f.AddTensor(h.raw, a, t.raw, tp, b, c.raw, cp); s != Success {
		return h.lib.failure(s, name+"(a %v, c %v)", t, c)
	}
	return nil
}

// TransformTensor copies x to y, which may be of other strides
// (cudnnTransformTensor).
func (h *Handle) TransformTensor(alpha float32, x *Tensor, xp cu.DevicePtr, beta float32, y *Tensor, yp cu.DevicePtr) error {
	const name = "cudnnTransformTensor"
	if err := h.enter(name, x, y); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(y.of, alpha, beta)
	if s := h.lib.f.TransformTensor(h.raw, a, x.raw, xp, b, y.raw, yp); s != Success {
		return h.lib.failure(s, name+"(x %v, y %v)", x, y)
	}
	return nil
}

// ActivationForward computes y from x, which may be in the same place
// (cudnnActivationForward).
func (h *Handle) ActivationForward(act *Activation, alpha float32, x *Tensor, xp cu.DevicePtr, beta float32, y *Tensor, yp cu.DevicePtr) error {
	const name = "cudnnActivationForward"
	if err := h.enter(name, act, x, y); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(y.of, alpha, beta)
	if s := h.lib.f.ActivationForward(h.raw, act.raw, a, x.raw, xp, b, y.raw, yp); s != Success {
		return h.lib.failure(s, name+"(%v, x %v, y %v)", act, x, y)
	}
	return nil
}

// ActivationBackward computes the gradient by the input, dx, which may be in the
// place of dy (cudnnActivationBackward).
func (h *Handle) ActivationBackward(act *Activation, alpha float32, y *Tensor, yp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, x *Tensor, xp cu.DevicePtr, beta float32, dx *Tensor, dxp cu.DevicePtr) error {
	const name = "cudnnActivationBackward"
	if err := h.enter(name, act, y, dy, x, dx); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(dx.of, alpha, beta)
	if s := h.lib.f.ActivationBackward(h.raw, act.raw, a, y.raw, yp, dy.raw, dyp, x.raw, xp, b, dx.raw, dxp); s != Success {
		return h.lib.failure(s, name+"(%v, y %v, dy %v, x %v, dx %v)", act, y, dy, x, dx)
	}
	return nil
}

// PoolingForward computes y from x (cudnnPoolingForward).
func (h *Handle) PoolingForward(p *Pooling, alpha float32, x *Tensor, xp cu.DevicePtr, beta float32, y *Tensor, yp cu.DevicePtr) error {
	const name = "cudnnPoolingForward"
	if err := h.enter(name, p, x, y); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(y.of, alpha, beta)
	if s := h.lib.f.PoolingForward(h.raw, p.raw, a, x.raw, xp, b, y.raw, yp); s != Success {
		return h.lib.failure(s, name+"(%v, x %v, y %v)", p, x, y)
	}
	return nil
}

// PoolingBackward computes the gradient by the input, dx
// (cudnnPoolingBackward).
func (h *Handle) PoolingBackward(p *Pooling, alpha float32, y *Tensor, yp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, x *Tensor, xp cu.DevicePtr, beta float32, dx *Tensor, dxp cu.DevicePtr) error {
	const name = "cudnnPoolingBackward"
	if err := h.enter(name, p, y, dy, x, dx); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(dx.of, alpha, beta)
	if s := h.lib.f.PoolingBackward(h.raw, p.raw, a, y.raw, yp, dy.raw, dyp, x.raw, xp, b, dx.raw, dxp); s != Success {
		return h.lib.failure(s, name+"(%v, y %v, dy %v, x %v, dx %v)", p, y, dy, x, dx)
	}
	return nil
}

// LRNCrossChannelForward computes y from x (cudnnLRNCrossChannelForward).
func (h *Handle) LRNCrossChannelForward(l *LRN, alpha float32, x *Tensor, xp cu.DevicePtr, beta float32, y *Tensor, yp cu.DevicePtr) error {
	const name = "cudnnLRNCrossChannelForward"
	if err := h.enter(name, l, x, y); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(y.of, alpha, beta)
	if s := h.lib.f.LRNCrossChannelForward(h.raw, l.raw, CrossChannelDim1, a, x.raw, xp, b, y.raw, yp); s != Success {
		return h.lib.failure(s, name+"(%v, x %v, y %v)", l, x, y)
	}
	return nil
}

// LRNCrossChannelBackward computes the gradient by the input, dx
// (cudnnLRNCrossChannelBackward).
func (h *Handle) LRNCrossChannelBackward(l *LRN, alpha float32, y *Tensor, yp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, x *Tensor, xp cu.DevicePtr, beta float32, dx *Tensor, dxp cu.DevicePtr) error {
	const name = "cudnnLRNCrossChannelBackward"
	if err := h.enter(name, l, y, dy, x, dx); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(dx.of, alpha, beta)
	if s := h.lib.f.LRNCrossChannelBackward(h.raw, l.raw, CrossChannelDim1, a, y.raw, yp, dy.raw, dyp, x.raw, xp, b, dx.raw, dxp); s != Success {
		return h.lib.failure(s, name+"(%v, y %v, dy %v, x %v, dx %v)", l, y, dy, x, dx)
	}
	return nil
}

// SoftmaxForward computes y from x, which may be in the same place
// (cudnnSoftmaxForward).
func (h *Handle) SoftmaxForward(algo SoftmaxAlgorithm, mode SoftmaxMode, alpha float32, x *Tensor, xp cu.DevicePtr, beta float32, y *Tensor, yp cu.DevicePtr) error {
	const name = "cudnnSoftmaxForward"
	if err := h.enter(name, x, y); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(y.of, alpha, beta)
	if s := h.lib.f.SoftmaxForward(h.raw, algo, mode, a, x.raw, xp, b, y.raw, yp); s != Success {
		return h.lib.failure(s, name+"(algorithm %d, mode %d, x %v, y %v)", algo, mode, x, y)
	}
	return nil
}

// SoftmaxBackward computes the gradient by the input, dx, which may be in the
// place of dy (cudnnSoftmaxBackward).
func (h *Handle) SoftmaxBackward(algo SoftmaxAlgorithm, mode SoftmaxMode, alpha float32, y *Tensor, yp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, beta float32, dx *Tensor, dxp cu.DevicePtr) error {
	const name = "cudnnSoftmaxBackward"
	if err := h.enter(name, y, dy, dx); err != nil {
		return err
	}
	defer h.ctx.Leave()
	a, b := h.scale(dx.of, alpha, beta)
	if s := h.lib.f.SoftmaxBackward(h.raw, algo, mode, a, y.raw, yp, dy.raw, dyp, b, dx.raw, dxp); s != Success {
		return h.lib.failure(s, name+"(algorithm %d, mode %d, y %v, dy %v, dx %v)", algo, mode, y, dy, dx)
	}
	return nil
}
