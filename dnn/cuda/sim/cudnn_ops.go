package sim

import (
	"math"
	"unsafe"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/internal/raw"
)

// addTensor adds a, whose dimensions of 1 are spread out.
func (m *Machine) addTensor(h cudnn.RawHandle, alpha unsafe.Pointer, aDesc cudnn.RawTensor, from cu.DevicePtr, beta unsafe.Pointer, cDesc cudnn.RawTensor, to cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnAddTensor", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		at, ct := c.tensor("a", aDesc, from), c.tensor("c", cDesc, to)
		spread := at
		for i, d := range at.dims {
			c.want(d == 1 || d == ct.dims[i], "a is %v, c %v", at.dims, ct.dims)
			if d == 1 {
				spread.strides[i] = 0
			}
		}
		spread.dims = ct.dims
		c.want(at.kind == ct.kind, "a and c have different types of numbers")
		return func(a *access) {
			am, cm := at.read(a, "a", from), ct.write(a, "c", to)
			if a.ready(at.dims == ct.dims && at.strides == ct.strides) {
				ct.store(cm, s, spread.load(am))
			}
		}
	})
}

func (m *Machine) transformTensor(h cudnn.RawHandle, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnTransformTensor", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		xt, yt := c.tensor("x", xDesc, x), c.tensor("y", yDesc, y)
		c.same("x and y", xt, yt)
		return func(a *access) {
			xm, ym := xt.read(a, "x", x), yt.write(a, "y", y)
			if a.ready(false) {
				yt.store(ym, s, xt.load(xm))
			}
		}
	})
}

func (m *Machine) setActivation(d cudnn.RawActivation, mode cudnn.ActivationMode, nan cudnn.NanPropagation, coef float64) cudnn.Status {
	return setDescriptor(m, d, func(a *activationDesc) cudnn.Status {
		if mode < cudnn.Sigmoid || mode > cudnn.Identity || nan != cudnn.NotPropagateNan && nan != cudnn.PropagateNan {
			return cudnn.BadParam
		}
		*a = activationDesc{true, mode, nan, coef}
		return cudnn.Success
	})
}

// function returns the activation, and its derivative by what goes in times dy,
// told from what came out.
func (d activationDesc) function() (f func(x float32) float32, back func(y, dy float32) float32) {
	ceiling := math.Inf(1)
	switch d.mode {
	case cudnn.Sigmoid:
		return func(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) },
			func(y, dy float32) float32 { return dy * y * (1 - y) }
	case cudnn.Tanh:
		return func(x float32) float32 { return float32(math.Tanh(float64(x))) },
			func(y, dy float32) float32 { return dy * (1 - y*y) }
	case cudnn.ELU:
		return func(x float32) float32 {
				if x > 0 {
					return x
				}
				return float32(d.coef * math.Expm1(float64(x)))
			}, func(y, dy float32) float32 {
				if y > 0 {
					return dy
				}
				return dy * (y + float32(d.coef))
			}
	case cudnn.Identity:
		return func(x float32) float32 { return x }, func(_, dy float32) float32 { return dy }
	case cudnn.ClippedReLU:
		ceiling = d.coef
	}
	return func(x float32) float32 { // ReLU, clipped or not
			if x != x && d.nan == cudnn.NotPropagateNan {
				return 0
			}
			return min(max(x, 0), float32(ceiling))
		}, func(y, dy float32) float32 {
			if y > 0 && y < float32(ceiling) || y != y {
				return dy
			}
			return 0
		}
}

// activation returns a descriptor's functions. The identity is only for
// cudnnConvolutionBiasActivationForward.
func (c *dnnCall) activation(d cudnn.RawActivation) (f func(float32) float32, back func(y, dy float32) float32) {
	desc := described(c, d, func(d *activationDesc) bool { return d.set })
	c.want(desc.mode != cudnn.Identity, "the identity is no activation of its own")
	return desc.function()
}

func (m *Machine) activationForward(h cudnn.RawHandle, d cudnn.RawActivation, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnActivationForward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		f, _ := c.activation(d)
		xt, yt := c.tensor("x", xDesc, x), c.tensor("y", yDesc, y)
		c.same("x and y", xt, yt)
		c.want(x != y || xt == yt, "in place, but not with the same strides")
		return func(a *access) {
			xm, ym := xt.read(a, "x", x), yt.write(a, "y", y)
			if !a.ready(true) {
				return
			}
			result := make([]float32, xt.count())
			for i, v := range xt.load(xm) {
				result[i] = f(v)
			}
			yt.store(ym, s, result)
		}
	})
}

func (m *Machine) activationBackward(h cudnn.RawHandle, d cudnn.RawActivation, alpha unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr,
	xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, dxDesc cudnn.RawTensor, dx cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnActivationBackward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		_, back := c.activation(d)
		yt, dyt, xt, dxt := c.tensor("y", yDesc, y), c.tensor("dy", dyDesc, dy), c.tensor("x", xDesc, x), c.tensor("dx", dxDesc, dx)
		c.want(yt == dyt && xt == dxt, "y and dy, or x and dx, differ in type, dimensions or strides")
		c.same("x and y", xt, yt)
		return func(a *access) {
			ym, dym, dxm := yt.read(a, "y", y), dyt.read(a, "dy", dy), dxt.write(a, "dx", dx)
			xt.read(a, "x", x)
			if !a.ready(true) {
				return
			}
			ys := yt.load(ym)
			result := make([]float32, len(ys))
			for i, g := range dyt.load(dym) {
				result[i] = back(ys[i], g)
			}
			dxt.store(dxm, s, result)
		}
	})
}

func (m *Machine) setPooling(d cudnn.RawPooling, mode cudnn.PoolingMode, nan cudnn.NanPropagation, windowH, windowW, padH, padW, strideH, strideW int32) cudnn.Status {
	return setDescriptor(m, d, func(p *poolingDesc) cudnn.Status {
		if mode < cudnn.MaxPooling || mode > cudnn.MaxPoolingDeterministic || nan != cudnn.NotPropagateNan && nan != cudnn.PropagateNan ||
			min(windowH, windowW, strideH, strideW) < 1 || min(padH, padW) < 0 {
			return cudnn.BadParam
		}
		*p = poolingDesc{true, mode, nan, [2]int{int(windowH), int(windowW)}, [2]int{int(padH), int(padW)}, [2]int{int(strideH), int(strideW)}}
		return cudnn.Success
	})
}

// pooling is a pool whose descriptors agree.
type pooling struct {
	poolingDesc
	dnn.Pool
	x, y tensor
}

func (c *dnnCall) pooling(d cudnn.RawPooling, x, y tensor) *pooling {
	desc := described(c, d, func(d *poolingDesc) bool { return d.set })
	if c.status != cudnn.Success {
		return nil
	}
	want := x.dims
	for i := range 2 {
		want[2+i] = places(x.dims[2+i], desc.window[i], desc.pad[i], desc.stride[i])
		c.want(desc.pad[i] < desc.window[i], "a pad of %d, as wide as the window", desc.pad[i])
	}
	c.want(y.dims == want && y.kind == x.kind, "y is %v, but the pool makes %v", y, want)
	c.support(desc.pad[0] == desc.pad[1] && desc.stride[0] == desc.stride[1], "different pads or strides in height and width are not simulated")
	c.dense(x, y)
	return &pooling{desc, dnn.Pool{Batch: x.dims[0], In: dnn.Shape{C: x.dims[1], H: x.dims[2], W: x.dims[3]}, Out: dnn.Shape{C: y.dims[1], H: y.dims[2], W: y.dims[3]},
		Window: dnn.Window{H: desc.window[0], W: desc.window[1], Stride: desc.stride[0], Pad: desc.pad[0]}}, x, y}
}

// isMax reports whether the pool is one of largest pixels.
func (p *pooling) isMax() bool {
	return p.mode == cudnn.MaxPooling || p.mode == cudnn.MaxPoolingDeterministic
}

// maxima returns the largest pixel of each window, and where it is.
func (p *pooling) maxima(a *access, x []float32) (y, where []float32) {
	if p.nan == cudnn.NotPropagateNan {
		x = append([]float32(nil), x...)
		for i, v := range x {
			if v != v {
				x[i] = -math.MaxFloat32
			}
		}
	}
	y, where = make([]float32, p.y.count()), make([]float32, p.y.count())
	a.compute(dnn.MaxPoolForward{Pool: p.Pool, X: 1, Y: 2, Where: 3}, raw.Bytes(x), raw.Bytes(y), raw.Bytes(where))
	return y, where
}

// shares changes gradients or means of the pixels that exist to those of all that
// a window has.
func (p *pooling) shares(y []float32) {
	if p.mode != cudnn.AverageCountIncludePadding {
		return
	}
	exist := func(o, window, side int) int {
		from := o*p.Window.Stride - p.Window.Pad
		return min(from+window, side) - max(from, 0)
	}
	for i := range y {
		o := i % (p.Out.H * p.Out.W)
		n := exist(o/p.Out.W, p.Window.H, p.In.H) * exist(o%p.Out.W, p.Window.W, p.In.W)
		y[i] *= float32(n) / float32(p.Window.H*p.Window.W)
	}
}

func (m *Machine) poolingForward(h cudnn.RawHandle, d cudnn.RawPooling, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnPoolingForward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		p := c.pooling(d, c.tensor("x", xDesc, x), c.tensor("y", yDesc, y))
		return func(a *access) {
			xm, ym := p.x.read(a, "x", x), p.y.write(a, "y", y)
			if !a.ready(false) {
				return
			}
			result := make([]float32, p.y.count())
			if p.isMax() {
				result, _ = p.maxima(a, p.x.load(xm))
			} else {
				a.compute(dnn.AvgPoolForward{Pool: p.Pool, X: 1, Y: 2}, raw.Bytes(p.x.load(xm)), raw.Bytes(result))
				p.shares(result)
			}
			p.y.store(ym, s, result)
		}
	})
}

func (m *Machine) poolingBackward(h cudnn.RawHandle, d cudnn.RawPooling, alpha unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr,
	xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, dxDesc cudnn.RawTensor, dx cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnPoolingBackward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		xt, yt := c.tensor("x", xDesc, x), c.tensor("y", yDesc, y)
		c.want(c.tensor("dx", dxDesc, dx) == xt && c.tensor("dy", dyDesc, dy) == yt, "y and dy, or x and dx, differ in type, dimensions or strides")
		p := c.pooling(d, xt, yt)
		return func(a *access) {
			xm, dym, dxm := p.x.read(a, "x", x), p.y.read(a, "dy", dy), p.x.write(a, "dx", dx)
			p.y.read(a, "y", y)
			if !a.ready(false) {
				return
			}
			gradients, result := p.y.load(dym), make([]float32, p.x.count())
			if p.isMax() {
				_, where := p.maxima(a, p.x.load(xm))
				a.compute(dnn.MaxPoolBackward{Pool: p.Pool, Where: 1, DY: 2, DX: 3}, raw.Bytes(where), raw.Bytes(gradients), raw.Bytes(result))
			} else {
				gradients = append([]float32(nil), gradients...)
				p.shares(gradients)
				a.compute(dnn.AvgPoolBackward{Pool: p.Pool, DY: 1, DX: 2}, raw.Bytes(gradients), raw.Bytes(result))
			}
			p.x.store(dxm, s, result)
		}
	})
}

// newLRN makes a descriptor, whose defaults are cuDNN's.
func (m *Machine) newLRN(d *cudnn.RawLRN) cudnn.Status {
	if s := newDescriptor[lrnDesc](m, d, "cuDNN LRN descriptor"); s != cudnn.Success {
		return s
	}
	return m.setLRN(*d, 5, 1e-4, 0.75, 2)
}

// setLRN has the limits of cudnn.h (CUDNN_LRN_MIN_N, ...).
func (m *Machine) setLRN(d cudnn.RawLRN, n uint32, alpha, beta, k float64) cudnn.Status {
	const minN, maxN, minK, minBeta = 1, 16, 1e-5, 0.01
	return setDescriptor(m, d, func(l *lrnDesc) cudnn.Status {
		if n < minN || n > maxN || !(k >= minK && beta >= minBeta) || alpha != alpha {
			return cudnn.BadParam
		}
		*l = lrnDesc{int(n), alpha, beta, k}
		return cudnn.Success
	})
}

// lrn returns the operation of package dnn. Two things differ: cuDNN divides
// alpha by the count of terms, and of n maps dnn has n/2 before its own, rounded
// down, cuDNN (n-1)/2. For even n that is the same with the maps in reverse order.
func (c *dnnCall) lrn(d cudnn.RawLRN, mode cudnn.LRNMode, x tensor) (op dnn.LRN, reverse func([]float32) []float32) {
	desc := described(c, d, func(*lrnDesc) bool { return true })
	c.want(mode == cudnn.CrossChannelDim1, "LRN mode %d", mode)
	c.dense(x)
	op = dnn.LRN{Batch: x.dims[0], Groups: 1, Shape: dnn.Shape{C: x.dims[1], H: x.dims[2], W: x.dims[3]},
		Size: desc.n, Alpha: desc.alpha / float64(desc.n), Beta: desc.beta, K: desc.k}
	return op, func(x []float32) []float32 {
		if desc.n%2 == 1 {
			return x
		}
		y, maps, area := make([]float32, len(x)), op.Shape.C, op.Shape.H*op.Shape.W
		for i := range x {
			image, j, place := i/(maps*area), i/area%maps, i%area
			y[i] = x[(image*maps+maps-1-j)*area+place]
		}
		return y
	}
}

func (m *Machine) lrnForward(h cudnn.RawHandle, d cudnn.RawLRN, mode cudnn.LRNMode, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnLRNCrossChannelForward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		xt, yt := c.tensor("x", xDesc, x), c.tensor("y", yDesc, y)
		c.same("x and y", xt, yt)
		op, reverse := c.lrn(d, mode, xt)
		c.dense(xt, yt)
		return func(a *access) {
			xm, ym := xt.read(a, "x", x), yt.write(a, "y", y)
			if !a.ready(false) {
				return
			}
			result := make([]float32, xt.count())
			a.compute(dnn.LRNForward{LRN: op, X: 1, Y: 2}, raw.Bytes(reverse(xt.load(xm))), raw.Bytes(result))
			yt.store(ym, s, reverse(result))
		}
	})
}

func (m *Machine) lrnBackward(h cudnn.RawHandle, d cudnn.RawLRN, mode cudnn.LRNMode, alpha unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr,
	xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, dxDesc cudnn.RawTensor, dx cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnLRNCrossChannelBackward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		yt, dyt, xt, dxt := c.tensor("y", yDesc, y), c.tensor("dy", dyDesc, dy), c.tensor("x", xDesc, x), c.tensor("dx", dxDesc, dx)
		for _, t := range []tensor{dyt, xt, dxt} {
			c.same("y and the others", yt, t)
		}
		op, reverse := c.lrn(d, mode, xt)
		c.dense(yt, dyt, xt, dxt)
		return func(a *access) {
			ym, dym, xm, dxm := yt.read(a, "y", y), dyt.read(a, "dy", dy), xt.read(a, "x", x), dxt.write(a, "dx", dx)
			if !a.ready(false) {
				return
			}
			result := make([]float32, xt.count())
			a.compute(dnn.LRNBackward{LRN: op, X: 1, Y: 2, DY: 3, DX: 4},
				raw.Bytes(reverse(xt.load(xm))), raw.Bytes(reverse(yt.load(ym))), raw.Bytes(reverse(dyt.load(dym))), raw.Bytes(result))
			dxt.store(dxm, s, reverse(result))
		}
	})
}

// softmaxOver calls f for the places of the numbers that make up one softmax, in
// NCHW order.
func softmaxOver(t tensor, mode cudnn.SoftmaxMode, f func(places []int)) {
	maps, area := t.dims[1], t.dims[2]*t.dims[3]
	if mode == cudnn.SoftmaxInstance {
		maps, area = maps*area, 1
	}
	places := make([]int, maps)
	for i := range t.dims[0] * area {
		for c := range places {
			places[c] = (i/area*maps+c)*area + i%area
		}
		f(places)
	}
}

func (c *dnnCall) softmax(algo cudnn.SoftmaxAlgorithm, mode cudnn.SoftmaxMode, list ...tensor) {
	c.want(algo >= cudnn.SoftmaxFast && algo <= cudnn.SoftmaxLog && (mode == cudnn.SoftmaxInstance || mode == cudnn.SoftmaxChannel), "softmax algorithm %d, mode %d", algo, mode)
	for _, t := range list {
		c.same("tensors", list[0], t)
	}
	c.dense(list...)
}

func (m *Machine) softmaxForward(h cudnn.RawHandle, algo cudnn.SoftmaxAlgorithm, mode cudnn.SoftmaxMode, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnSoftmaxForward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		xt, yt := c.tensor("x", xDesc, x), c.tensor("y", yDesc, y)
		c.softmax(algo, mode, xt, yt)
		return func(a *access) {
			xm, ym := xt.read(a, "x", x), yt.write(a, "y", y)
			if !a.ready(true) {
				return
			}
			xs, result := xt.load(xm), make([]float32, xt.count())
			softmaxOver(xt, mode, func(places []int) {
				largest := math.Inf(-1)
				if algo == cudnn.SoftmaxFast {
					largest = 0 // so that it overflows
				} else {
					for _, p := range places {
						largest = max(largest, float64(xs[p]))
					}
				}
				sum := 0.0
				for _, p := range places {
					sum += float64(float32(math.Exp(float64(xs[p]) - largest)))
				}
				for _, p := range places {
					if algo == cudnn.SoftmaxLog {
						result[p] = float32(float64(xs[p]) - largest - math.Log(sum))
					} else {
						result[p] = float32(float64(float32(math.Exp(float64(xs[p])-largest))) / sum)
					}
				}
			})
			yt.store(ym, s, result)
		}
	})
}

func (m *Machine) softmaxBackward(h cudnn.RawHandle, algo cudnn.SoftmaxAlgorithm, mode cudnn.SoftmaxMode, alpha unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr, dyDesc cudnn.RawTensor, dy cu.DevicePtr,
	beta unsafe.Pointer, dxDesc cudnn.RawTensor, dx cu.DevicePtr) cudnn.Status {
	return m.dnn("cudnnSoftmaxBackward", h, func(c *dnnCall) func(a *access) {
		s := c.scale(alpha, beta)
		yt, dyt, dxt := c.tensor("y", yDesc, y), c.tensor("dy", dyDesc, dy), c.tensor("dx", dxDesc, dx)
		c.softmax(algo, mode, yt, dyt, dxt)
		return func(a *access) {
			ym, dym, dxm := yt.read(a, "y", y), dyt.read(a, "dy", dy), dxt.write(a, "dx", dx)
			if !a.ready(true) {
				return
			}
			ys, dys, result := yt.load(ym), dyt.load(dym), make([]float32, yt.count())
			softmaxOver(yt, mode, func(places []int) {
				sum := 0.0
				for _, p := range places {
					if algo == cudnn.SoftmaxLog {
						sum += float64(dys[p])
					} else {
						sum += float64(dys[p]) * float64(ys[p])
					}
				}
				for _, p := range places {
					if algo == cudnn.SoftmaxLog {
						result[p] = float32(float64(dys[p]) - math.Exp(float64(ys[p]))*sum)
					} else {
						result[p] = float32(float64(ys[p]) * (float64(dys[p]) - sum))
					}
				}
			})
			dxt.store(dxm, s, result)
		}
	})
}
