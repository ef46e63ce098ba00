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
	wide      dnn.Shape // of the input with those zeros
	precision Precision
	kind      cudnn.DataType

	x, y, bias *cudnn.Tensor // y of kind; bias, like everything but x, w and y, is float32
	plain      *cudnn.Tensor // y in float32
	w          *cudnn.Filter
	desc       *cudnn.Convolution
}

func (p *preparation) conv(o dnn.Conv, precision Precision) (*conv, error) {
	c := &conv{Conv: o, wide: o.In, precision: precision, kind: cudnn.Float}
	math := cudnn.DefaultMath
	switch precision {
	case FP32:
		math = cudnn.FmaMath
	case BF16:
		c.kind = cudnn.BFloat16
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
	tensor := func(t cudnn.DataType, n int, s dnn.Shape) *cudnn.Tensor {
		d, err := lib.NewTensor(t, cudnn.NCHW, n, s.C, s.H, s.W)
		return own(p, d, err)
	}
	c.x = tensor(c.kind, o.Batch, c.wide)
	c.y = tensor(c.kind, o.Batch, o.Out)
	c.plain = c.y
	if c.kind != cudnn.Float {
		c.plain = tensor(cudnn.Float, o.Batch, o.Out)
	}
	c.bias = tensor(cudnn.Float, 1, dnn.Shape{C: o.Out.C, H: 1, W: 1})
	filter, err := lib.NewFilter(c.kind, cudnn.NCHW, o.Out.C, o.In.C/o.Groups, w.H, w.W)
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

// scratch returns an operand that is n numbers of the conv's kind in the
// workspace.
func (c *conv) scratch(p *preparation, n int64) operand {
	size := int64(4)
	if c.kind == cudnn.BFloat16 {
		size = 2
	}
	return operand{copied: true, at: p.reserve(size * n)}
}

// as returns an operand of n numbers in the conv's kind, and what makes the copy
// of the tensor if there is one (or, if back, the tensor of the copy).
func (c *conv) as(p *preparation, t dnn.Tensor, n int64, back bool) (operand, binding) {
	if c.kind == cudnn.Float {
		return operand{ptr: p.at[t]}, nothing
	}
	if !back {
		return p.bfloat16(t, n)
	}
	o := c.scratch(p, n)
	return o, func(base cu.DevicePtr) ([]call, error) {
		return p.runs(kernels.FromBFloat16{X: o.in(base), Y: p.at[t], Count: n})
	}
}

// input is as for x or, if back, its gradient, which may have to be widened.
func (c *conv) input(p *preparation, t dnn.Tensor, back bool) (operand, binding) {
	if c.wide == c.In {
		return c.as(p, t, c.inputs(), back)
	}
	padded := operand{copied: true, at: p.reserve(4 * c.inputs())}
	o := padded
	if c.kind == cudnn.BFloat16 {
		o = c.scratch(p, c.inputs())
	}
	planes := p.i32(c.Batch * c.In.C)
	h, w, wideH, wideW := p.i32(c.In.H), p.i32(c.In.W), p.i32(c.wide.H), p.i32(c.wide.W)
	return o, func(base cu.DevicePtr) ([]call, error) {
		var list []kernels.Args
		if back {
			if o != padded {
				list = append(list, kernels.FromBFloat16{X: o.in(base), Y: padded.in(base), Count: c.inputs()})
			}
			list = append(list, kernels.Fit{X: padded.in(base), Y: p.at[t], Planes: planes, H: wideH, W: wideW, OutH: h, OutW: w})
			return p.runs(list...)
		}
		list = append(list, kernels.Fit{X: p.at[t], Y: padded.in(base), Planes: planes, H: h, W: w, OutH: wideH, OutW: wideW})
		if o != padded {
			list = append(list, kernels.ToBFloat16{X: padded.in(base), Y: o.in(base), Count: c.inputs()})
		}
		return p.runs(list...)
	}
}

func (c *conv) weights() int64 { return int64(c.Out.C) * int64(c.KernelSize()) }
func (c *conv) outputs() int64 { return int64(c.Batch * c.Out.Size()) }
func (c *conv) inputs() int64  { return int64(c.Batch * c.wide.Size()) }

// errNoAlgorithm says that a convolution cannot be done as it was asked for.
var errNoAlgorithm = errors.New("there is no algorithm for it")

// convolution describes a convolution and chooses its algorithm. Where cuDNN has
// none for bfloat16, it is done in TF32.
func (p *preparation) convolution(o dnn.Conv, ask func(*conv) ([]cudnn.Perf, error),
	find func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error)) (c *conv, algo cudnn.Perf, err error) {
	for _, precision := range []Precision{p.device.options.Precision, TF32} {
		if c, err = p.conv(o, precision); err != nil {
			return nil, algo, err
		}
		if algo, err = c.algorithm(p, ask, find); !errors.Is(err, errNoAlgorithm) || precision != BF16 {
			return c, algo, err
		}
	}
	return nil, algo, err
}

// algorithm chooses one: among those that the library thinks best or, when the
// device tunes itself, those that find has measured, in memory of its own since
// measuring overwrites results.
func (c *conv) algorithm(p *preparation, ask func(*conv) ([]cudnn.Perf, error),
	find func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error)) (cudnn.Perf, error) {
	var list []cudnn.Perf
	var err error
	if p.device.options.Autotune {
		bytes := p.device.options.workspace()
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
	return c.choose(p, list)
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
	return fmt.Sprintf("%d images of %dx%dx%d to %dx%dx%d in %d groups, windows of %dx%d, stride %d, pad %d",
		c.Batch, c.In.C, c.In.H, c.In.W, c.Out.C, c.Out.H, c.Out.W, c.Groups, c.Window.H, c.Window.W, c.Window.Stride, c.Window.Pad)
}

func (p *preparation) convForward(o dnn.ConvForward) (binding, error) {
	h := p.device.dnn
	c, algo, err := p.convolution(o.Conv, func(c *conv) ([]cudnn.Perf, error) {
		return h.ForwardAlgorithms(c.x, c.w, c.desc, c.y)
	}, func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error) {
		return h.FindForwardAlgorithms(c.x, x, c.w, w, c.desc, c.y, y, space, bytes)
	})
	if err != nil {
		return nil, err
	}
	x, makeX := c.input(p, o.X, false)
	w, makeW := c.as(p, o.W, c.weights(), false)
	y, fromY := c.as(p, o.Y, c.outputs(), true)
	space, bytes := cu.DevicePtr(p.reserve(int64(algo.Memory))), int64(algo.Memory)
	var relu binding = nothing
	if o.Relu {
		relu, err = p.activationForward(dnn.ActivationForward{Count: o.Batch * o.Out.Size(), Func: dnn.Relu, X: o.Y, Y: o.Y})
		if err != nil {
			return nil, err
		}
	}
	return sequence(makeX, makeW, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionForward(1, c.x, x.in(base), c.w, w.in(base), c.desc, cudnn.ConvFwdAlgo(algo.Algo), base+space, bytes, 0, c.y, y.in(base))
	}), fromY, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.AddTensor(1, c.bias, p.at[o.B], 1, c.plain, p.at[o.Y])
	}), relu), p.err
}

func (p *preparation) convBackwardData(o dnn.ConvBackwardData) (binding, error) {
	h := p.device.dnn
	c, algo, err := p.convolution(o.Conv, func(c *conv) ([]cudnn.Perf, error) {
		return h.BackwardDataAlgorithms(c.w, c.y, c.desc, c.x)
	}, func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardDataAlgorithms(c.w, w, c.y, y, c.desc, c.x, x, space, bytes)
	})
	if err != nil {
		return nil, err
	}
	w, makeW := c.as(p, o.W, c.weights(), false)
	dy, makeDY := c.as(p, o.DY, c.outputs(), false)
	dx, fromDX := c.input(p, o.DX, true)
	space, bytes := cu.DevicePtr(p.reserve(int64(algo.Memory))), int64(algo.Memory)
	return sequence(makeW, makeDY, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionBackwardData(1, c.w, w.in(base), c.y, dy.in(base), c.desc, cudnn.ConvBwdDataAlgo(algo.Algo), base+space, bytes, 0, c.x, dx.in(base))
	}), fromDX), p.err
}

func (p *preparation) convBackwardWeights(o dnn.ConvBackwardWeights) (binding, error) {
	h := p.device.dnn
	c, algo, err := p.convolution(o.Conv, func(c *conv) ([]cudnn.Perf, error) {
		return h.BackwardFilterAlgorithms(c.x, c.y, c.desc, c.w)
	}, func(c *conv, x, w, y, space cu.DevicePtr, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardFilterAlgorithms(c.x, x, c.y, y, c.desc, c.w, w, space, bytes)
	})
	if err != nil {
		return nil, err
	}
	x, makeX := c.input(p, o.X, false)
	dy, makeDY := c.as(p, o.DY, c.outputs(), false)
	dw, fromDW := c.as(p, o.DW, c.weights(), true)
	space, bytes := cu.DevicePtr(p.reserve(int64(algo.Memory))), int64(algo.Memory)
	return sequence(makeX, makeDY, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionBackwardFilter(1, c.x, x.in(base), c.y, dy.in(base), c.desc, cudnn.ConvBwdFilterAlgo(algo.Algo), base+space, bytes, 0, c.w, dw.in(base))
	}), fromDW, library(func(h *cudnn.Handle, base cu.DevicePtr) error {
		return h.ConvolutionBackwardBias(1, c.plain, p.at[o.DY], 0, c.bias, p.at[o.DB])
	})), p.err
}
