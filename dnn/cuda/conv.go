package cuda

import (
	"fmt"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/kernels"
)

// conv is a convolution as cuDNN sees it. cuDNN pads all sides alike; where
// windows hang over the right and bottom edge, it is given a copy of the input
// with as many zeros there.
type conv struct {
	dnn.Conv
	done      dnn.Format // in which cuDNN does it: Format, or Float32
	wide      dnn.Shape  // of the input with those zeros
	precision Precision  // of float32

	x, y, bias *cudnn.Tensor
	w          *cudnn.Filter
	desc       *cudnn.Convolution
}

func (p *preparation) conv(o dnn.Conv, done dnn.Format) (*conv, error) {
	c := &conv{Conv: o, done: done, wide: o.In, precision: p.device.options.Precision}
	kind, order, math := cudnn.Float, cudnn.NCHW, cudnn.DefaultMath
	switch {
	case done == dnn.BFloat16Last:
		kind, order, c.precision = cudnn.BFloat16, cudnn.NHWC, BF16
		math = cudnn.TensorOpMath // without which algorithms are not asked for that use them
	case c.precision == FP32:
		math = cudnn.FmaMath
	}
	w := o.Window
	var err error
	if c.wide.H, err = wide(o.In.H, o.Out.H, w.H, w); err == nil {
		c.wide.W, err = wide(o.In.W, o.Out.W, w.W, w)
	}
	if err != nil {
		return nil, err
	}
	lib := p.device.libs.CuDNN
	tensor := func(n int, s dnn.Shape) *cudnn.Tensor {
		d, err := lib.NewTensor(kind, order, n, s.C, s.H, s.W)
		return own(p, d, err)
	}
	c.x = tensor(o.Batch, c.wide)
	c.y = tensor(o.Batch, o.Out)
	c.bias = tensor(1, dnn.Shape{C: o.Out.C, H: 1, W: 1})
	filter, err := lib.NewFilter(kind, order, o.Out.C, o.In.C/o.Groups, w.H, w.W)
	c.w = own(p, filter, err)
	c.math(p, math)
	return c, p.err
}

// math says what the convolution may do with its numbers.
func (c *conv) math(p *preparation, m cudnn.MathType) {
	w := c.Window
	desc, err := p.device.libs.CuDNN.NewConvolution(cudnn.ConvolutionOptions{PadH: w.Pad, PadW: w.Pad, StrideH: w.Stride, StrideW: w.Stride,
		Groups: c.Groups, Math: m, Compute: cudnn.Float})
	c.desc = own(p, desc, err)
}

// wide returns how long the input's side must be for cuDNN to make out places
// of it.
func wide(in, out, k int, w dnn.Window) (int, error) {
	natural := 0
	if in+2*w.Pad >= k {
		natural = (in+2*w.Pad-k)/w.Stride + 1
	}
	switch {
	case natural == out:
		return in, nil
	case natural < out:
		return (out-1)*w.Stride + k - 2*w.Pad, nil
	}
	return 0, fmt.Errorf("%d places of a window of %d, stride %d, pad %d, on a side of %d: cuDNN makes all %d", out, k, w.Stride, w.Pad, in, natural)
}

// as returns an operand, count of shape, in the format in which the convolution is
// done, and what makes it of the tensor or, if back, the tensor of it.
func (c *conv) as(p *preparation, t dnn.Tensor, count int, shape dnn.Shape, back bool) (operand, binding) {
	if c.done == c.Format {
		return operand{ptr: p.at[t]}, nothing
	}
	o := operand{copied: true, at: p.reserve(c.done.Bytes() * int64(count) * int64(shape.Size()))}
	return o, func(base cu.DevicePtr) ([]call, error) {
		if back {
			return p.runs(p.converted(o.in(base), p.at[t], count, shape, c.done, c.Format))
		}
		return p.runs(p.converted(p.at[t], o.in(base), count, shape, c.Format, c.done))
	}
}

// kernel is the shape of a kernel.
func (c *conv) kernel() dnn.Shape {
	return dnn.Shape{C: c.In.C / c.Groups, H: c.Window.H, W: c.Window.W}
}

// input is as for x or, if back, its gradient, which may have to be widened.
func (c *conv) input(p *preparation, t dnn.Tensor, back bool) (operand, binding) {
	plain, convert := c.as(p, t, c.Batch, c.In, back)
	if c.wide == c.In {
		return plain, convert
	}
	padded := operand{copied: true, at: p.reserve(c.done.Bytes() * c.inputs())}
	fit := func(base cu.DevicePtr) ([]call, error) {
		from, to, x, y := c.In, c.wide, plain.in(base), padded.in(base)
		if back {
			from, to, x, y = to, from, y, x
		}
		h, w, outH, outW := p.i32(from.H), p.i32(from.W), p.i32(to.H), p.i32(to.W)
		if c.done == dnn.BFloat16Last {
			return p.runs(kernels.FitLast{X: x, Y: y, Batch: p.i32(c.Batch), C: p.i32(c.In.C), H: h, W: w, OutH: outH, OutW: outW})
		}
		return p.runs(kernels.Fit{X: x, Y: y, Planes: p.i32(c.Batch * c.In.C), H: h, W: w, OutH: outH, OutW: outW})
	}
	if back {
		return padded, sequence(fit, convert)
	}
	return padded, sequence(convert, fit)
}

func (c *conv) weights() int64 { return int64(c.Out.C) * int64(c.KernelSize()) }
func (c *conv) outputs() int64 { return int64(c.Batch * c.Out.Size()) }
func (c *conv) inputs() int64  { return int64(c.Batch * c.wide.Size()) }

func (c *conv) String() string {
	return fmt.Sprintf("%d images of %dx%dx%d to %dx%dx%d in %d groups, windows of %dx%d, stride %d, pad %d, in %v",
		c.Batch, c.In.C, c.In.H, c.In.W, c.Out.C, c.Out.H, c.Out.W, c.Groups, c.Window.H, c.Window.W, c.Window.Stride, c.Window.Pad, c.done)
}

func (p *preparation) convForward(o dnn.ConvForward) (binding, error) {
	c, algo, err := p.convolution(forward, o.Conv)
	if err != nil {
		return nil, err
	}
	relu, err := c.rectifier(p, o.Relu, algo)
	if err != nil {
		return nil, err
	}
	x, makeX := c.input(p, o.X, false)
	w, makeW := c.as(p, o.W, c.Out.C, c.kernel(), false)
	y, fromY := c.as(p, o.Y, c.Batch, c.Out, true)
	b, makeB := c.as(p, o.B, 1, dnn.Shape{C: c.Out.C, H: 1, W: 1}, false)
	space := cu.DevicePtr(p.reserve(int64(algo.Memory)))
	if relu != nil {
		p.task.how += ", with bias and ReLU"
		return sequence(makeX, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
			return c.fused(h, relu, algo, memory{x.in(base), w.in(base), y.in(base), base + space}, b.in(base))
		})), p.err
	}
	after, err := c.afterwards(p, o.Relu, b, y)
	return sequence(makeX, makeW, makeB, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return forward.run(h, c, algo, memory{x.in(base), w.in(base), y.in(base), base + space})
	}), after, fromY), err
}

// afterwards adds the bias to what a convolution made, and rectifies it.
func (c *conv) afterwards(p *preparation, relu bool, b, y operand) (binding, error) {
	if c.done == dnn.BFloat16Last {
		return func(base cu.DevicePtr) ([]call, error) {
			k := kernels.AddBiasHalf{B: b.in(base), Y: y.in(base), Rows: p.i32(c.Batch * c.Out.H * c.Out.W), Width: p.i32(c.Out.C)}
			if relu {
				k.Relu = 1
			}
			return p.runs(k)
		}, p.err
	}
	add := library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.AddTensor(1, c.bias, b.in(base), 1, c.y, y.in(base))
	})
	if !relu {
		return add, p.err
	}
	t, a := p.line(int(c.outputs())), p.activation(dnn.Relu)
	return sequence(add, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ActivationForward(a, 1, t, y.in(base), 0, t, y.in(base))
	})), p.err
}

func (p *preparation) convBackwardData(o dnn.ConvBackwardData) (binding, error) {
	c, algo, err := p.convolution(byData, o.Conv)
	if err != nil {
		return nil, err
	}
	w, makeW := c.as(p, o.W, c.Out.C, c.kernel(), false)
	dy, makeDY := c.as(p, o.DY, c.Batch, c.Out, false)
	dx, fromDX := c.input(p, o.DX, true)
	space := cu.DevicePtr(p.reserve(int64(algo.Memory)))
	return sequence(makeW, makeDY, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return byData.run(h, c, algo, memory{dx.in(base), w.in(base), dy.in(base), base + space})
	}), fromDX), p.err
}

func (p *preparation) convBackwardWeights(o dnn.ConvBackwardWeights) (binding, error) {
	c, algo, err := p.convolution(byWeights, o.Conv)
	if err != nil {
		return nil, err
	}
	x, makeX := c.input(p, o.X, false)
	dy, makeDY := c.as(p, o.DY, c.Batch, c.Out, false)
	dw, fromDW := c.as(p, o.DW, c.Out.C, c.kernel(), true)
	space := cu.DevicePtr(p.reserve(int64(algo.Memory)))
	return sequence(makeX, makeDY, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return byWeights.run(h, c, algo, memory{x.in(base), dw.in(base), dy.in(base), base + space})
	}), fromDW, c.biasGradient(p, o.DB, dy, p.at[o.DY])), p.err
}

// biasGradient adds up the gradients by y, from dy as the convolution has it or, if
// that is bfloat16, from the tensor itself.
func (c *conv) biasGradient(p *preparation, db dnn.Tensor, dy operand, tensor cu.DevicePtr) binding {
	if c.Format == dnn.BFloat16Last {
		return p.sumColumns(tensor, p.at[db], c.Format, c.Batch*c.Out.H*c.Out.W, c.Out.C)
	}
	return library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionBackwardBias(1, c.y, dy.in(base), 0, c.bias, p.at[db])
	})
}
