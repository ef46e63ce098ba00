package sim

import (
	"math"
	"unsafe"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/internal/raw"
)

func (m *Machine) setConvolution(d cudnn.RawConvolution, padH, padW, u, v, dilationH, dilationW int32, mode cudnn.ConvolutionMode, compute cudnn.DataType) cudnn.Status {
	return setDescriptor(m, d, func(c *convDesc) cudnn.Status {
		if min(padH, padW) < 0 || min(u, v, dilationH, dilationW) < 1 || mode != cudnn.StandardConvolution && mode != cudnn.CrossCorrelation || !validType(compute) {
			return cudnn.BadParam
		}
		groups := max(c.groups, 1)
		*c = convDesc{true, [2]int{int(padH), int(padW)}, [2]int{int(u), int(v)}, [2]int{int(dilationH), int(dilationW)}, mode, compute, groups, c.math}
		return cudnn.Success
	})
}

func (m *Machine) setGroups(d cudnn.RawConvolution, groups int32) cudnn.Status {
	return setDescriptor(m, d, func(c *convDesc) cudnn.Status {
		if groups < 1 {
			return cudnn.BadParam
		}
		c.groups = int(groups)
		return cudnn.Success
	})
}

func (m *Machine) setMath(d cudnn.RawConvolution, math cudnn.MathType) cudnn.Status {
	return setDescriptor(m, d, func(c *convDesc) cudnn.Status {
		if math < cudnn.DefaultMath || math > cudnn.FmaMath {
			return cudnn.BadParam
		}
		c.math = math
		return cudnn.Success
	})
}

// places returns how many windows there are along a side; less than 1 if none
// fits.
func places(side, window, pad, stride int) int {
	if side+2*pad < window {
		return 0
	}
	return (side+2*pad-window)/stride + 1
}

// outputs returns the dimensions of a convolution's output.
func (c convDesc) outputs(x tensor, w filterDesc) [4]int {
	y := [4]int{x.dims[0], w.dims[0]}
	for i := range 2 {
		window := (w.dims[2+i]-1)*c.dilated[i] + 1
		y[2+i] = places(x.dims[2+i], window, c.pad[i], c.stride[i])
	}
	return y
}

func (m *Machine) outputDim(d cudnn.RawConvolution, xDesc cudnn.RawTensor, wDesc cudnn.RawFilter, n, c, h, w *int32) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	call := &dnnCall{machine: m}
	conv := described(call, d, func(c *convDesc) bool { return c.set })
	x := described(call, xDesc, func(t *tensorDesc) bool { return t.dims[0] > 0 })
	filter := described(call, wDesc, func(f *filterDesc) bool { return f.dims[0] > 0 })
	if call.status != cudnn.Success {
		return call.status
	}
	y := conv.outputs(x.tensor, filter)
	call.want(x.dims[1] == filter.dims[1]*conv.groups, "%d maps, but kernels of %d in %d groups", x.dims[1], filter.dims[1], conv.groups)
	call.want(min(y[2], y[3]) > 0, "the window does not fit into the input")
	for i, to := range []*int32{n, c, h, w} {
		if call.want(to != nil, "no address for a result"); call.status == cudnn.Success {
			*to = int32(y[i])
		}
	}
	return call.status
}

// convolution is a convolution whose descriptors agree.
type convolution struct {
	dnn.Conv
	x, w, y tensor
	flip    bool // kernels are turned around
	round   bool // factors to TF32
	math    cudnn.MathType
}

// convolution checks the descriptors of a convolution, whose tensors of zero are
// then its only failures.
func (c *dnnCall) convolution(x tensor, w filterDesc, d cudnn.RawConvolution, y tensor) *convolution {
	desc := described(c, d, func(c *convDesc) bool { return c.set })
	if c.status != cudnn.Success {
		return nil
	}
	c.want(x.dims[1] == w.dims[1]*desc.groups && w.dims[0]%desc.groups == 0,
		"%d maps into %d, kernels of %d, in %d groups", x.dims[1], w.dims[0], w.dims[1], desc.groups)
	if want := desc.outputs(x, w); want != y.dims {
		c.want(false, "y is %v, but the convolution makes %v", y.dims, want)
	}
	c.want(x.kind == w.kind && x.kind == y.kind, "x, w and y have different types of numbers")
	c.support(desc.compute == cudnn.Float, "sums in another type than float")
	c.support(desc.dilated == [2]int{1, 1}, "dilation")
	c.support(desc.pad[0] == desc.pad[1] && desc.stride[0] == desc.stride[1], "different pads or strides in height and width are not simulated")
	c.support(x.is(w.format) && y.is(w.format), "x and y are not packed in the filter's order")
	return &convolution{
		Conv: dnn.Conv{Batch: x.dims[0], Groups: desc.groups, In: dnn.Shape{C: x.dims[1], H: x.dims[2], W: x.dims[3]},
			Out:    dnn.Shape{C: y.dims[1], H: y.dims[2], W: y.dims[3]},
			Window: dnn.Window{H: w.dims[2], W: w.dims[3], Stride: desc.stride[0], Pad: desc.pad[0]}},
		x: x, w: w.tensor, y: y, flip: desc.mode == cudnn.StandardConvolution,
		round: x.kind == cudnn.Float && desc.math != cudnn.FmaMath, math: desc.math}
}

// factor returns a factor of the products.
func (c *convolution) factor(t tensor, mem []byte) []float32 {
	x := t.load(mem)
	if c.round {
		x = roundTF32(x)
	}
	return x
}

// kernels is factor for w.
func (c *convolution) kernels(mem []byte) []float32 { return c.turned(c.factor(c.w, mem)) }

// turned returns kernels as dnn has them, or the other way round.
func (c *convolution) turned(w []float32) []float32 {
	if !c.flip {
		return w
	}
	size := c.Window.H * c.Window.W
	t := make([]float32, len(w))
	for i := range w {
		t[i] = w[i/size*size+size-1-i%size]
	}
	return t
}

// direction is one of the three convolutions.
type direction int

const (
	forward direction = iota
	backwardData
	backwardFilter
)

// algorithm is what there is to know of an algorithm for a convolution.
type algorithm struct {
	number        int32
	workspace     int64
	deterministic bool
}

// algorithms returns those that a convolution can be done with, and the numbers
// of those that it cannot.
func (c *convolution) algorithms(d direction) (can []algorithm, cannot []int32) {
	x, w, y := 4*int64(c.x.count()), 4*int64(c.w.count()), 4*int64(c.y.count())
	patches := 4 * int64(c.KernelSize()) * int64(c.Groups) * int64(c.Out.H) * int64(c.Out.W) // of an image
	places := 4 * int64(c.Out.H) * int64(c.Out.W)
	plain := c.x.kind == cudnn.Float && c.Window.Stride == 1 // for what goes through a transform
	winograd := plain && c.Window.H == 3 && c.Window.W == 3
	fourier := plain && c.Window.H <= 32 && c.Window.W <= 32
	count := map[direction]int32{forward: cudnn.FwdAlgoCount, backwardData: cudnn.BwdDataAlgoCount, backwardFilter: cudnn.BwdFilterAlgoCount}[d]
	for i := range count {
		a := algorithm{number: i, deterministic: true}
		ok := false
		switch d {
		case forward: // implicit GEMM, the same precomputed, GEMM, -, FFT, -, Winograd, the same not fused
			a.workspace = []int64{0, places + 128, patches, 0, x + w + y, 0, 2 * w, x + y}[i]
			ok = []bool{true, true, true, false, fourier, false, winograd, winograd}[i]
		case backwardData: // adding in any order, GEMM, FFT, -, Winograd, the same not fused
			a.workspace = []int64{0, places + 512, x + w + y, 0, 2 * w, x + y}[i]
			ok = []bool{true, true, fourier, false, winograd, winograd}[i]
			a.deterministic = i != 0
		case backwardFilter: // adding in any order, GEMM, FFT, adding in any order, -, Winograd, -
			a.workspace = []int64{0, w + 64, x + w + y, patches, 0, x + y, 0}[i]
			ok = []bool{true, true, fourier, true, false, winograd, false}[i]
			a.deterministic = i != 0 && i != 3
		}
		if ok {
			can = append(can, a)
		} else {
			cannot = append(cannot, i)
		}
	}
	return can, cannot
}

// workspace checks the workspace of an algorithm.
func (c *dnnCall) workspace(conv *convolution, d direction, number int32, p cu.DevicePtr, bytes uintptr) (algorithm, int64) {
	if c.status != cudnn.Success {
		return algorithm{}, 0
	}
	can, _ := conv.algorithms(d)
	for _, a := range can {
		if a.number == number {
			n, ok := size(bytes)
			c.want(ok && n >= a.workspace, "algorithm %d needs a workspace of %d bytes, there are %d", number, a.workspace, n)
			c.want(p != 0 || n == 0 || a.workspace == 0, "no workspace")
			if p == 0 {
				n = 0
			}
			return a, n
		}
	}
	c.support(false, "algorithm %d does not do this convolution", number)
	return algorithm{}, 0
}

// scratch calls f with a workspace of given bytes, of which need are used. Before
// and after it these are poison, and so are the ends of the whole, so that nobody
// finds there what was there before.
func (a *access) scratch(p cu.DevicePtr, given, need int64, f func()) {
	if a.fault != nil {
		return
	}
	if given == 0 {
		f()
		return
	}
	all, fault := a.machine.allowed(a.ctx, p, given)
	if fault != nil {
		a.fail(fault.code, "workspace: %s", fault.text)
		return
	}
	a.machine.touchAt(all, p, whole(0, given), true)
	const end = 1 << 20
	last := min(given, end)
	first, rest := all.use(p, min(given, max(need, end))), all.use(p+cu.DevicePtr(given-last), last)
	poison(first)
	poison(rest)
	f()
	poison(first)
	poison(rest)
}

// jitter is what comes of adding in any order.
func (m *Machine) jitter(x []float32) {
	for i, v := range x {
		if m.random.IntN(2) == 1 {
			x[i] = math.Nextafter32(v, 2*v)
		}
	}
}

func (m *Machine) convForward(h cudnn.RawHandle, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, wDesc cudnn.RawFilter, w cu.DevicePtr,
	d cudnn.RawConvolution, algo cudnn.ConvFwdAlgo, work cu.DevicePtr, workBytes uintptr, beta unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnConvolutionForward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		conv := c.convolution(c.tensor("x", xDesc, x), c.filter("w", wDesc, w), d, c.tensor("y", yDesc, y))
		algo, bytes := c.workspace(conv, forward, int32(algo), work, workBytes)
		return func(a *access) {
			xm, wm, ym := conv.x.read(a, "x", x), conv.w.read(a, "w", w), conv.y.write(a, "y", y)
			a.scratch(work, bytes, algo.workspace, func() {
				if a.ready(false) {
					conv.y.store(ym, s, conv.forward(a, xm, wm))
				}
			})
		}
	})
}

// forward returns what a convolution makes.
func (c *convolution) forward(a *access, x, w []byte) []float32 {
	y, b := make([]float32, c.y.count()), make([]float32, c.Out.C)
	a.compute(dnn.ConvForward{Conv: c.Conv, X: 1, W: 2, B: 3, Y: 4}, raw.Bytes(c.factor(c.x, x)), raw.Bytes(c.kernels(w)), raw.Bytes(b), raw.Bytes(y))
	return y
}

func (m *Machine) convBackwardData(h cudnn.RawHandle, alpha unsafe.Pointer, wDesc cudnn.RawFilter, w cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr,
	d cudnn.RawConvolution, algo cudnn.ConvBwdDataAlgo, work cu.DevicePtr, workBytes uintptr, beta unsafe.Pointer, dxDesc cudnn.RawTensor, dx cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnConvolutionBackwardData", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		conv := c.convolution(c.tensor("dx", dxDesc, dx), c.filter("w", wDesc, w), d, c.tensor("dy", dyDesc, dy))
		algo, bytes := c.workspace(conv, backwardData, int32(algo), work, workBytes)
		return func(a *access) {
			wm, dym, dxm := conv.w.read(a, "w", w), conv.y.read(a, "dy", dy), conv.x.write(a, "dx", dx)
			a.scratch(work, bytes, algo.workspace, func() {
				if !a.ready(false) {
					return
				}
				result := make([]float32, conv.x.count())
				a.compute(dnn.ConvBackwardData{Conv: conv.Conv, W: 1, DY: 2, DX: 3}, raw.Bytes(conv.kernels(wm)), raw.Bytes(conv.factor(conv.y, dym)), raw.Bytes(result))
				if !algo.deterministic {
					m.jitter(result)
				}
				conv.x.store(dxm, s, result)
			})
		}
	})
}

func (m *Machine) convBackwardFilter(h cudnn.RawHandle, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr,
	d cudnn.RawConvolution, algo cudnn.ConvBwdFilterAlgo, work cu.DevicePtr, workBytes uintptr, beta unsafe.Pointer, dwDesc cudnn.RawFilter, dw cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnConvolutionBackwardFilter", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		conv := c.convolution(c.tensor("x", xDesc, x), c.filter("dw", dwDesc, dw), d, c.tensor("dy", dyDesc, dy))
		algo, bytes := c.workspace(conv, backwardFilter, int32(algo), work, workBytes)
		return func(a *access) {
			xm, dym, dwm := conv.x.read(a, "x", x), conv.y.read(a, "dy", dy), conv.w.write(a, "dw", dw)
			a.scratch(work, bytes, algo.workspace, func() {
				if !a.ready(false) {
					return
				}
				result, bias := make([]float32, conv.w.count()), make([]float32, conv.Out.C)
				a.compute(dnn.ConvBackwardWeights{Conv: conv.Conv, X: 1, DY: 2, DW: 3, DB: 4},
					raw.Bytes(conv.factor(conv.x, xm)), raw.Bytes(conv.factor(conv.y, dym)), raw.Bytes(result), raw.Bytes(bias))
				if !algo.deterministic {
					m.jitter(result)
				}
				conv.w.store(dwm, s, conv.turned(result))
			})
		}
	})
}

func (m *Machine) convBackwardBias(h cudnn.RawHandle, alpha unsafe.Pointer, dyDesc cudnn.RawTensor, dy cu.DevicePtr, beta unsafe.Pointer, dbDesc cudnn.RawTensor, db cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnConvolutionBackwardBias", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		from, to := c.tensor("dy", dyDesc, dy), c.tensor("db", dbDesc, db)
		c.want(to.dims == [4]int{1, from.dims[1], 1, 1}, "db is %v, dy %v", to.dims, from.dims)
		c.want(from.kind == to.kind, "dy and db have different types of numbers")
		return func(a *access) {
			dym, dbm := from.read(a, "dy", dy), to.write(a, "db", db)
			if !a.ready(false) {
				return
			}
			maps, area := from.dims[1], from.dims[2]*from.dims[3]
			sums := make([]float64, maps)
			for i, v := range from.load(dym) {
				sums[i/area%maps] += float64(v)
			}
			result := make([]float32, maps)
			for i, v := range sums {
				result[i] = float32(v)
			}
			to.store(dbm, s, result)
		}
	})
}

// convBiasActivation: y = f(alpha1 w * x + alpha2 z + bias).
func (m *Machine) convBiasActivation(h cudnn.RawHandle, alpha1 unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, wDesc cudnn.RawFilter, w cu.DevicePtr,
	d cudnn.RawConvolution, algo cudnn.ConvFwdAlgo, work cu.DevicePtr, workBytes uintptr, alpha2 unsafe.Pointer, zDesc cudnn.RawTensor, z cu.DevicePtr,
	biasDesc cudnn.RawTensor, bias cu.DevicePtr, actDesc cudnn.RawActivation, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnConvolutionBiasActivationForward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha1, alpha2)
		conv := c.convolution(c.tensor("x", xDesc, x), c.filter("w", wDesc, w), d, c.tensor("y", yDesc, y))
		algo, bytes := c.workspace(conv, forward, int32(algo), work, workBytes)
		zt, bt := c.tensor("z", zDesc, z), c.tensor("bias", biasDesc, bias)
		act := described(c, actDesc, func(d *activationDesc) bool { return d.set })
		if c.status != cudnn.Success {
			return nil
		}
		c.same("z and y", zt, conv.y)
		c.want(bt.dims == [4]int{1, conv.Out.C, 1, 1} && bt.kind == conv.y.kind, "bias is %v, y %v", bt, conv.y)
		c.support(act.mode == cudnn.ReLU || act.mode == cudnn.Identity && algo.number == int32(cudnn.FwdImplicitPrecompGEMM), "an activation other than ReLU, or identity with another algorithm than 1")
		c.support(act.nan == cudnn.NotPropagateNan, "NaN that is to be propagated")
		f, _ := act.function()
		return func(a *access) {
			xm, wm, bm := conv.x.read(a, "x", x), conv.w.read(a, "w", w), bt.read(a, "bias", bias)
			ym := conv.y.write(a, "y", y)
			zm := ym // z may be y
			if z != y {
				zm = zt.read(a, "z", z)
			}
			a.scratch(work, bytes, algo.workspace, func() {
				if !a.ready(false) {
					return
				}
				result, b, zs := conv.forward(a, xm, wm), bt.load(bm), zt.load(zm)
				for i, v := range result {
					v = s.alpha*v + b[i/(conv.Out.H*conv.Out.W)%conv.Out.C]
					if s.beta != 0 {
						v += s.beta * zs[i]
					}
					result[i] = f(v)
				}
				conv.y.store(ym, scales{alpha: 1}, result)
			})
		}
	})
}
