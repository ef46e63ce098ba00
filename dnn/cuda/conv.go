package cuda

import (
	"errors"
	"fmt"
	"slices"

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

// errNoAlgorithm says that a convolution cannot be done as it was asked for.
var errNoAlgorithm = errors.New("there is no algorithm for it")

// convolution describes a convolution and chooses its algorithm. Where cuDNN has
// none for bfloat16, it is done in TF32, on copies.
func (p *preparation) convolution(what string, o dnn.Conv, ask func(*conv) ([]cudnn.Perf, error),
	find func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error)) (c *conv, algo cudnn.Perf, err error) {
	for _, done := range []dnn.Format{o.Format, dnn.Float32} {
		if c, err = p.conv(o, done); err != nil {
			return nil, algo, err
		}
		if algo, err = c.algorithm(p, what, ask, find); !errors.Is(err, errNoAlgorithm) || done == dnn.Float32 {
			return c, algo, err
		}
	}
	return nil, algo, err
}

// algorithm chooses one: among those that the library thinks best or, when the
// device tunes itself, those that find has measured, in memory of its own since
// measuring overwrites results. What was measured once is remembered.
func (c *conv) algorithm(p *preparation, what string, ask func(*conv) ([]cudnn.Perf, error),
	find func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error)) (cudnn.Perf, error) {
	var list []cudnn.Perf
	var err error
	bytes, tune := p.device.options.workspace(), p.device.options.Autotune
	key := fmt.Sprintf("%s: %v in %v, workspace %d", what, c, c.precision, bytes)
	if known, ok := p.device.tuned.Convolutions[key]; tune && ok {
		return c.choose(p, []cudnn.Perf{known})
	}
	if tune {
		err = p.borrow([]int64{4 * c.inputs(), 4 * c.weights(), 4 * c.outputs(), bytes}, func(at []cu.DevicePtr) (err error) {
			list, err = find(c, at[0], at[1], at[2], at[3], bytes)
			return err
		})
	} else {
		list, err = ask(c)
	}
	if errors.Is(err, cudnn.NotSupported) {
		return cudnn.Perf{}, fmt.Errorf("%s: %w: %w", c, errNoAlgorithm, err)
	}
	if err != nil {
		return cudnn.Perf{}, fmt.Errorf("algorithms for %s: %w", c, err)
	}
	best, err := c.choose(p, list)
	if tune && err == nil {
		p.device.tuned.Convolutions[key] = best
		p.device.tuned.write()
	}
	return best, err
}

// choose takes the best of the algorithms, which come best first, that stays
// within the workspace; if there is one, one that gives the same bits each time,
// although another may be faster.
func (c *conv) choose(p *preparation, list []cudnn.Perf) (cudnn.Perf, error) {
	limit := p.device.options.workspace()
	list = slices.DeleteFunc(list, func(a cudnn.Perf) bool { return int64(a.Memory) > limit })
	if len(list) == 0 {
		return cudnn.Perf{}, fmt.Errorf("%s: %w within a workspace of %d bytes: allow more (-workspace)", c, errNoAlgorithm, limit)
	}
	best := list[0]
	if i := slices.IndexFunc(list, func(a cudnn.Perf) bool { return a.Determinism != 0 }); i >= 0 {
		best = list[i]
	}
	if c.precision != FP32 { // then the algorithm says what it makes of its numbers
		c.math(p, best.Math)
	}
	return best, p.err
}

func (c *conv) String() string {
	return fmt.Sprintf("%d images of %dx%dx%d to %dx%dx%d in %d groups, windows of %dx%d, stride %d, pad %d, in %v",
		c.Batch, c.In.C, c.In.H, c.In.W, c.Out.C, c.Out.H, c.Out.W, c.Groups, c.Window.H, c.Window.W, c.Window.Stride, c.Window.Pad, c.done)
}

func (p *preparation) convForward(o dnn.ConvForward) (binding, error) {
	h := p.device.dnn
	c, algo, err := p.convolution("forward", o.Conv, func(c *conv) ([]cudnn.Perf, error) {
		return h.ForwardAlgorithms(c.x, c.w, c.desc, c.y)
	}, func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error) {
		return h.FindForwardAlgorithms(c.x, x, c.w, w, c.desc, c.y, y, space, bytes)
	})
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
	space, bytes := cu.DevicePtr(p.reserve(int64(algo.Memory))), int64(algo.Memory)
	if relu != nil {
		return sequence(makeX, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
			return c.fused(h, relu, algo, x.in(base), w.in(base), b.in(base), y.in(base), base+space)
		})), p.err
	}
	after, err := c.afterwards(p, o.Relu, b, y)
	return sequence(makeX, makeW, makeB, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionForward(1, c.x, x.in(base), c.w, w.in(base), c.desc, cudnn.ConvFwdAlgo(algo.Algo), base+space, bytes, 0, c.y, y.in(base))
	}), after, fromY), err
}

// rectifier returns the ReLU of a convolution that cuDNN does with its bias and ReLU
// in one, or nil if it is not to, or cannot, which shows only when it is tried.
//
// Of NaN this ReLU makes 0, and no other is to be had in one with a convolution. A
// network that has diverged is seen all the same: its loss, which no ReLU follows, is
// NaN from the next step on.
func (c *conv) rectifier(p *preparation, relu bool, algo cudnn.Perf) (*cudnn.Activation, error) {
	if !relu || c.done != dnn.BFloat16Last {
		return nil, nil
	}
	a, err := p.device.libs.CuDNN.NewActivation(cudnn.ReLU, cudnn.NotPropagateNan, 0)
	if own(p, a, err); err != nil {
		return nil, err
	}
	size := c.done.Bytes()
	err = p.borrow([]int64{size * c.inputs(), size * c.weights(), size * int64(c.Out.C), size * c.outputs(), max(int64(algo.Memory), 1)}, func(at []cu.DevicePtr) error {
		return errors.Join(c.fused(p.device.dnn, a, algo, at[0], at[1], at[2], at[3], at[4]), p.device.ctx.Synchronize())
	})
	if errors.Is(err, cudnn.NotSupported) || errors.Is(err, cudnn.BadParam) {
		return nil, nil
	}
	return a, err
}

// fused is the convolution with bias and ReLU in one call.
func (c *conv) fused(h *cudnn.Handle, relu *cudnn.Activation, algo cudnn.Perf, x, w, b, y, space cu.DevicePtr) error {
	return h.ConvolutionBiasActivationForward(1, c.x, x, c.w, w, c.desc, cudnn.ConvFwdAlgo(algo.Algo), space, int64(algo.Memory), 0, c.y, y, c.bias, b, relu, c.y, y)
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
	h := p.device.dnn
	c, algo, err := p.convolution("gradient by data", o.Conv, func(c *conv) ([]cudnn.Perf, error) {
		return h.BackwardDataAlgorithms(c.w, c.y, c.desc, c.x)
	}, func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardDataAlgorithms(c.w, w, c.y, y, c.desc, c.x, x, space, bytes)
	})
	if err != nil {
		return nil, err
	}
	w, makeW := c.as(p, o.W, c.Out.C, c.kernel(), false)
	dy, makeDY := c.as(p, o.DY, c.Batch, c.Out, false)
	dx, fromDX := c.input(p, o.DX, true)
	space, bytes := cu.DevicePtr(p.reserve(int64(algo.Memory))), int64(algo.Memory)
	return sequence(makeW, makeDY, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionBackwardData(1, c.w, w.in(base), c.y, dy.in(base), c.desc, cudnn.ConvBwdDataAlgo(algo.Algo), base+space, bytes, 0, c.x, dx.in(base))
	}), fromDX), p.err
}

func (p *preparation) convBackwardWeights(o dnn.ConvBackwardWeights) (binding, error) {
	h := p.device.dnn
	c, algo, err := p.convolution("gradient by weights", o.Conv, func(c *conv) ([]cudnn.Perf, error) {
		return h.BackwardFilterAlgorithms(c.x, c.y, c.desc, c.w)
	}, func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardFilterAlgorithms(c.x, x, c.y, y, c.desc, c.w, w, space, bytes)
	})
	if err != nil {
		return nil, err
	}
	x, makeX := c.input(p, o.X, false)
	dy, makeDY := c.as(p, o.DY, c.Batch, c.Out, false)
	dw, fromDW := c.as(p, o.DW, c.Out.C, c.kernel(), true)
	space, bytes := cu.DevicePtr(p.reserve(int64(algo.Memory))), int64(algo.Memory)
	return sequence(makeX, makeDY, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionBackwardFilter(1, c.x, x.in(base), c.y, dy.in(base), c.desc, cudnn.ConvBwdFilterAlgo(algo.Algo), base+space, bytes, 0, c.w, dw.in(base))
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
