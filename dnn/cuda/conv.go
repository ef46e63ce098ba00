package cuda

import (
	"bytes"
	"cmp"
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

// memory is where the tensors of a convolution are, and the workspace.
type memory struct{ x, w, y, space cu.DevicePtr }

// direction is one of the three convolutions: what there is to call for it.
type direction struct {
	name string
	ask  func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error)                         // for algorithms as the library rates them
	find func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) // and as it measures them
	run  func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error
}

var (
	forward = direction{"forward", func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error) {
		return h.ForwardAlgorithms(c.x, c.w, c.desc, c.y)
	}, func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) {
		return h.FindForwardAlgorithms(c.x, at.x, c.w, at.w, c.desc, c.y, at.y, at.space, bytes)
	}, func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error {
		return h.ConvolutionForward(1, c.x, at.x, c.w, at.w, c.desc, cudnn.ConvFwdAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.y, at.y)
	}}
	byData = direction{"gradient by data", func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error) {
		return h.BackwardDataAlgorithms(c.w, c.y, c.desc, c.x)
	}, func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardDataAlgorithms(c.w, at.w, c.y, at.y, c.desc, c.x, at.x, at.space, bytes)
	}, func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error {
		return h.ConvolutionBackwardData(1, c.w, at.w, c.y, at.y, c.desc, cudnn.ConvBwdDataAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.x, at.x)
	}}
	byWeights = direction{"gradient by weights", func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error) {
		return h.BackwardFilterAlgorithms(c.x, c.y, c.desc, c.w)
	}, func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardFilterAlgorithms(c.x, at.x, c.y, at.y, c.desc, c.w, at.w, at.space, bytes)
	}, func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error {
		return h.ConvolutionBackwardFilter(1, c.x, at.x, c.y, at.y, c.desc, cudnn.ConvBwdFilterAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.w, at.w)
	}}
)

// errNoAlgorithm says that a convolution cannot be done as it was asked for.
var errNoAlgorithm = errors.New("there is no algorithm for it")

// convolution describes a convolution and chooses its algorithm. Where cuDNN has
// none for bfloat16, it is done in TF32, on copies.
func (p *preparation) convolution(d direction, o dnn.Conv) (c *conv, algo cudnn.Perf, err error) {
	for _, done := range []dnn.Format{o.Format, dnn.Float32} {
		if c, err = p.conv(o, done); err != nil {
			return nil, algo, err
		}
		if algo, err = c.algorithm(p, d); !errors.Is(err, errNoAlgorithm) || done == dnn.Float32 {
			return c, algo, err
		}
	}
	return nil, algo, err
}

// algorithm chooses one: of those that the library thinks best or, when the device
// tunes itself, of those that were measured, the first that does what it promises.
// What was chosen once is remembered.
func (c *conv) algorithm(p *preparation, d direction) (cudnn.Perf, error) {
	t := p.device.tuned
	key := fmt.Sprintf("%s: %v, precision %v, workspace %d", d.name, c, c.precision, p.device.options.workspace())
	if known, ok := t.Convolutions[key]; ok {
		best, err := c.choose(p, d, []cudnn.Perf{known}, t.tried[key])
		if !errors.Is(err, errNoAlgorithm) {
			t.tried[key] = true
			return best, err
		}
	}
	list, err := c.offers(p, d)
	if errors.Is(err, cudnn.NotSupported) || errors.Is(err, cudnn.BadParam) {
		return cudnn.Perf{}, fmt.Errorf("%s: %w: %w", c, errNoAlgorithm, err)
	}
	if err != nil {
		return cudnn.Perf{}, fmt.Errorf("algorithms for %s: %w", c, err)
	}
	best, err := c.choose(p, d, list, false)
	if err == nil {
		t.Convolutions[key], t.tried[key] = best, true
		t.write()
	}
	return best, err
}

// offers returns the algorithms, the best first. They are measured in memory of their
// own, since that overwrites results.
func (c *conv) offers(p *preparation, d direction) (list []cudnn.Perf, err error) {
	if !p.device.options.Autotune {
		return d.ask(p.device.dnn, c)
	}
	bytes := p.device.options.workspace()
	err = c.borrow(p, bytes, func(at memory) (err error) {
		list, err = d.find(p.device.dnn, c, at, bytes)
		return err
	})
	return list, err
}

// borrow calls use with memory for the convolution's tensors.
func (c *conv) borrow(p *preparation, space int64, use func(at memory) error) error {
	size := c.done.Bytes()
	return p.borrow([]int64{size * c.inputs(), size * c.weights(), size * c.outputs(), max(space, 1)}, func(at []cu.DevicePtr) error {
		return use(memory{at[0], at[1], at[2], at[3]})
	})
}

// choose takes the first of the algorithms that stays within the workspace and works;
// before all others those that give the same bits each time, although another may be
// faster. One that was tried before is not tried again.
func (c *conv) choose(p *preparation, d direction, list []cudnn.Perf, tried bool) (cudnn.Perf, error) {
	limit := p.device.options.workspace()
	list = slices.DeleteFunc(list, func(a cudnn.Perf) bool { return int64(a.Memory) > limit })
	slices.SortStableFunc(list, func(a, b cudnn.Perf) int { return cmp.Compare(b.Determinism, a.Determinism) })
	why := fmt.Errorf("%s: %w within a workspace of %d bytes: allow more (-workspace)", c, errNoAlgorithm, limit)
	for _, a := range list {
		if c.precision != FP32 { // then the algorithm says what it makes of its numbers
			c.math(p, a.Math)
		}
		if p.err != nil || tried {
			return a, p.err
		}
		refused, err := p.try(func() error {
			return c.borrow(p, int64(a.Memory), func(at memory) error { return d.run(p.device.dnn, c, a, at) })
		})
		switch {
		case err != nil:
			return a, err
		case refused == nil:
			p.task.how = fmt.Sprintf("%v, algorithm %d, math %d", c.done, a.Algo, a.Math)
			return a, nil
		}
		why = fmt.Errorf("%s: %w: %w", c, errNoAlgorithm, refused)
	}
	return cudnn.Perf{}, why
}

// try does work of cuDNN's on the device and waits for it. That cuDNN refuses is told
// apart from errors after which nothing works. Without memory to try it, the work
// counts as done.
func (p *preparation) try(work func() error) (refused, err error) {
	err = work()
	if errors.Is(err, cu.ErrorOutOfMemory) {
		return nil, nil
	}
	var library *cudnn.Error
	if dead := p.device.ctx.Synchronize(); dead == nil && errors.As(err, &library) {
		return err, nil
	} else {
		return nil, errors.Join(err, dead)
	}
}

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
	t := p.device.tuned
	key := fmt.Sprintf("%v, algorithm %d, math %d", c, algo.Algo, algo.Math)
	fuses, known := t.fuses[key]
	if !known {
		refused, err := p.try(func() error { return c.tryFused(p, a, algo) })
		if err != nil {
			return nil, err
		}
		fuses = refused == nil
		t.fuses[key] = fuses
	}
	if !fuses {
		return nil, nil
	}
	return a, nil
}

// tryFused does the convolution of nothing but zeros, and a bias of ones, over NaN. It
// fails as cuDNN does, or if that does not make ones.
func (c *conv) tryFused(p *preparation, relu *cudnn.Activation, algo cudnn.Perf) (err error) {
	s, err := p.device.ctx.NewStream(cu.StreamNonBlocking)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	size := c.done.Bytes()
	ones := slices.Repeat([]byte{0x80, 0x3f}, c.Out.C)
	return c.borrow(p, int64(algo.Memory), func(at memory) error {
		return p.borrow([]int64{int64(len(ones))}, func(bias []cu.DevicePtr) error {
			got := make([]byte, min(size*c.outputs(), 1<<16))
			err := errors.Join(s.MemsetD8Async(at.x, 0, size*c.inputs()), s.MemsetD8Async(at.w, 0, size*c.weights()), s.MemsetD8Async(at.y, 0xff, size*c.outputs()),
				s.MemcpyHtoDAsync(bias[0], ones), s.Synchronize())
			if err == nil {
				err = c.fused(p.device.dnn, relu, algo, at, bias[0])
			}
			if err == nil {
				err = errors.Join(p.device.ctx.Synchronize(), s.MemcpyDtoHAsync(got, at.y), s.Synchronize())
			}
			if err == nil && !bytes.Equal(got, slices.Repeat(ones[:2], len(got)/2)) {
				err = &cudnn.Error{Function: "cudnnConvolutionBiasActivationForward", Status: cudnn.NotSupported, Text: "of zeros and a bias of 1 it does not make 1"}
			}
			return err
		})
	})
}

// fused is the convolution with bias and ReLU in one call.
func (c *conv) fused(h *cudnn.Handle, relu *cudnn.Activation, algo cudnn.Perf, at memory, b cu.DevicePtr) error {
	return h.ConvolutionBiasActivationForward(1, c.x, at.x, c.w, at.w, c.desc, cudnn.ConvFwdAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.y, at.y, c.bias, b, relu, c.y, at.y)
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
