package sim

import (
	"fmt"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/internal/native"
)

// CuDNN returns the functions of libcudnn.
func (m *Machine) CuDNN() *cudnn.Functions {
	return &cudnn.Functions{
		GetVersion: m.dnnVersion, GetCudartVersion: func() uintptr { return driverVersion }, GetErrorString: dnnErrorString, GetLastErrorString: m.dnnLastError,
		Create: m.dnnCreate, Destroy: m.dnnDestroy, SetStream: m.dnnSetStream,
		CreateTensorDescriptor: func(d *cudnn.RawTensor) cudnn.Status {
			return newDescriptor[tensorDesc](m, d, "cuDNN tensor descriptor")
		},
		DestroyTensorDescriptor: func(d cudnn.RawTensor) cudnn.Status { return endDescriptor[tensorDesc](m, d) },
		SetTensor4dDescriptorEx: m.setTensor,
		CreateFilterDescriptor: func(d *cudnn.RawFilter) cudnn.Status {
			return newDescriptor[filterDesc](m, d, "cuDNN filter descriptor")
		},
		DestroyFilterDescriptor: func(d cudnn.RawFilter) cudnn.Status { return endDescriptor[filterDesc](m, d) },
		SetFilter4dDescriptor:   m.setFilter,
		CreateConvolutionDescriptor: func(d *cudnn.RawConvolution) cudnn.Status {
			return newDescriptor[convDesc](m, d, "cuDNN convolution descriptor")
		},
		DestroyConvolutionDescriptor: func(d cudnn.RawConvolution) cudnn.Status { return endDescriptor[convDesc](m, d) },
		SetConvolution2dDescriptor:   m.setConvolution, SetConvolutionGroupCount: m.setGroups, SetConvolutionMathType: m.setMath,
		GetConvolution2dForwardOutputDim: m.outputDim,
		GetConvolutionForwardAlgorithm:   m.getForward, GetConvolutionBackwardDataAlgorithm: m.getBackwardData, GetConvolutionBackwardFilterAlgorithm: m.getBackwardFilter,
		FindConvolutionForwardAlgorithmEx: m.findForward, FindConvolutionBackwardDataAlgorithmEx: m.findBackwardData, FindConvolutionBackwardFilterAlgorithmEx: m.findBackwardFilter,
		ConvolutionForward: m.convForward, ConvolutionBackwardData: m.convBackwardData, ConvolutionBackwardFilter: m.convBackwardFilter,
		ConvolutionBackwardBias: m.convBackwardBias, ConvolutionBiasActivationForward: m.convBiasActivation,
		AddTensor: m.addTensor, TransformTensor: m.transformTensor,
		CreateActivationDescriptor: func(d *cudnn.RawActivation) cudnn.Status {
			return newDescriptor[activationDesc](m, d, "cuDNN activation descriptor")
		},
		DestroyActivationDescriptor: func(d cudnn.RawActivation) cudnn.Status { return endDescriptor[activationDesc](m, d) },
		SetActivationDescriptor:     m.setActivation, ActivationForward: m.activationForward, ActivationBackward: m.activationBackward,
		CreatePoolingDescriptor: func(d *cudnn.RawPooling) cudnn.Status {
			return newDescriptor[poolingDesc](m, d, "cuDNN pooling descriptor")
		},
		DestroyPoolingDescriptor: func(d cudnn.RawPooling) cudnn.Status { return endDescriptor[poolingDesc](m, d) },
		SetPooling2dDescriptor:   m.setPooling, PoolingForward: m.poolingForward, PoolingBackward: m.poolingBackward,
		CreateLRNDescriptor:  m.newLRN,
		DestroyLRNDescriptor: func(d cudnn.RawLRN) cudnn.Status { return endDescriptor[lrnDesc](m, d) },
		SetLRNDescriptor:     m.setLRN, LRNCrossChannelForward: m.lrnForward, LRNCrossChannelBackward: m.lrnBackward,
		SoftmaxForward: m.softmaxForward, SoftmaxBackward: m.softmaxBackward,
	}
}

// allocFailed is CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, which also
// goes by CUDNN_STATUS_ALLOC_FAILED.
const allocFailed cudnn.Status = 4003

func (m *Machine) dnnVersion() uintptr {
	if m.isOld(nameCuDNN) {
		return 8907
	}
	return 90100
}

func dnnErrorString(s cudnn.Status) *byte {
	names := map[cudnn.Status]string{
		cudnn.Success: "CUDNN_STATUS_SUCCESS", cudnn.NotInitialized: "CUDNN_STATUS_NOT_INITIALIZED", cudnn.BadParam: "CUDNN_STATUS_BAD_PARAM",
		cudnn.NotSupported: "CUDNN_STATUS_NOT_SUPPORTED", cudnn.InternalError: "CUDNN_STATUS_INTERNAL_ERROR",
		cudnn.ExecutionFailed: "CUDNN_STATUS_EXECUTION_FAILED", allocFailed: "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"}
	if name := names[s]; name != "" {
		return text(name)
	}
	return text("CUDNN_UNKNOWN_STATUS")
}

// dnnLastError says once what was wrong.
func (m *Machine) dnnLastError(message *byte, maxSize uintptr) native.None {
	m.mu.Lock()
	defer m.mu.Unlock()
	giveText(message, int32(min(maxSize, 1<<16)), m.dnnSaid[thread()])
	delete(m.dnnSaid, thread())
	return native.None{}
}

// dnnHandle is a handle of cuDNN.
type dnnHandle struct {
	ctx    *cudaContext
	stream *stream
}

func (m *Machine) dnnCreate(handle *cudnn.RawHandle) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if handle == nil {
		return cudnn.BadParam
	}
	c, r := m.entered()
	if r != cu.Success || c.failed != cu.Success {
		m.dnnSaid[thread()] = "no context that works is current"
		return cudnn.NotInitialized
	}
	*handle = cudnn.RawHandle(m.issue(&dnnHandle{c, c.first}, "cuDNN handle of GPU %d", c.gpu.ordinal))
	return cudnn.Success
}

// dnnDestroy waits for all work of the GPU.
func (m *Machine) dnnDestroy(handle cudnn.RawHandle) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := find[*dnnHandle](m, uintptr(handle))
	if !ok {
		return cudnn.BadParam
	}
	m.finish(h.ctx)
	drop[*dnnHandle](m, uintptr(handle))
	if h.ctx.failed != cu.Success {
		return cudnn.ExecutionFailed
	}
	return cudnn.Success
}

func (m *Machine) dnnSetStream(handle cudnn.RawHandle, id cu.CUStream) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := find[*dnnHandle](m, uintptr(handle))
	if !ok {
		return cudnn.BadParam
	}
	s, r := m.stream(h.ctx, id)
	if r != cu.Success {
		m.dnnSaid[thread()] = "not a stream of the handle's context"
		return cudnn.BadParam
	}
	h.stream = s
	return cudnn.Success
}

// Descriptors begin as zero values, which are not set.
type (
	tensorDesc struct{ tensor }
	filterDesc struct {
		tensor
		format cudnn.TensorFormat
	}
	convDesc struct {
		set                  bool
		pad, stride, dilated [2]int
		mode                 cudnn.ConvolutionMode
		compute              cudnn.DataType
		groups               int
		math                 cudnn.MathType
	}
	activationDesc struct {
		set  bool
		mode cudnn.ActivationMode
		nan  cudnn.NanPropagation
		coef float64
	}
	poolingDesc struct {
		set                 bool
		mode                cudnn.PoolingMode
		nan                 cudnn.NanPropagation
		window, pad, stride [2]int
	}
	lrnDesc struct {
		n              int
		alpha, beta, k float64
	}
)

func newDescriptor[T any, H ~uintptr](m *Machine, d *H, what string) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d == nil {
		return cudnn.BadParam
	}
	*d = H(m.issue(new(T), "%s", what))
	return cudnn.Success
}

func endDescriptor[T any, H ~uintptr](m *Machine, d H) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !drop[*T](m, uintptr(d)) {
		return cudnn.BadParam
	}
	return cudnn.Success
}

// setDescriptor calls f with what a handle stands for, which f changes unless it
// returns a failure.
func setDescriptor[T any, H ~uintptr](m *Machine, d H, f func(t *T) cudnn.Status) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := find[*T](m, uintptr(d))
	if !ok {
		return cudnn.BadParam
	}
	c := *t
	s := f(&c)
	if s == cudnn.Success {
		*t = c
	}
	return s
}

// maxElements is the most numbers of a tensor.
const maxElements = 1<<31 - 1

// sizes checks a tensor's dimensions.
func sizes(dims ...int32) cudnn.Status {
	n := int64(1)
	for _, d := range dims {
		if d < 1 {
			return cudnn.BadParam
		}
		if n *= int64(d); n > maxElements {
			return cudnn.NotSupported
		}
	}
	return cudnn.Success
}

func validType(t cudnn.DataType) bool {
	return t == cudnn.Float || t == cudnn.Double || t == cudnn.Half || t == cudnn.BFloat16
}

func (m *Machine) setTensor(d cudnn.RawTensor, t cudnn.DataType, n, c, h, w, nStride, cStride, hStride, wStride int32) cudnn.Status {
	return setDescriptor(m, d, func(desc *tensorDesc) cudnn.Status {
		if s := sizes(n, c, h, w); s != cudnn.Success {
			return s
		}
		if !validType(t) || min(nStride, cStride, hStride, wStride) < 1 {
			return cudnn.BadParam
		}
		desc.tensor = tensor{t, [4]int{int(n), int(c), int(h), int(w)}, [4]int{int(nStride), int(cStride), int(hStride), int(wStride)}}
		return cudnn.Success
	})
}

func (m *Machine) setFilter(d cudnn.RawFilter, t cudnn.DataType, f cudnn.TensorFormat, k, c, h, w int32) cudnn.Status {
	return setDescriptor(m, d, func(desc *filterDesc) cudnn.Status {
		if s := sizes(k, c, h, w); s != cudnn.Success {
			return s
		}
		if !validType(t) || f != cudnn.NCHW && f != cudnn.NHWC {
			return cudnn.BadParam
		}
		*desc = filterDesc{packed(t, f, int(k), int(c), int(h), int(w)), f}
		return cudnn.Success
	})
}

// dnnCall is a call of cuDNN that puts work into a stream. It keeps the first
// failure, so that the code for each function need not ask after every argument.
type dnnCall struct {
	machine *Machine
	handle  *dnnHandle
	status  cudnn.Status
}

func (c *dnnCall) fail(s cudnn.Status, format string, args ...any) {
	if c.status == cudnn.Success {
		c.status = s
		c.machine.dnnSaid[thread()] = fmt.Sprintf(format, args...)
	}
}

// want fails unless ok.
func (c *dnnCall) want(ok bool, format string, args ...any) {
	if !ok {
		c.fail(cudnn.BadParam, format, args...)
	}
}

// support fails unless ok.
func (c *dnnCall) support(ok bool, format string, args ...any) {
	if !ok {
		c.fail(cudnn.NotSupported, format, args...)
	}
}

// dnn does a call: check looks at its arguments, and returns what is to run.
func (m *Machine) dnn(name string, handle cudnn.RawHandle, check func(c *dnnCall) func(a *access)) cudnn.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.dnnCall(handle)
	if c.status != cudnn.Success {
		return c.status
	}
	if run := check(c); c.status == cudnn.Success {
		m.task(c.handle.stream, name, run)
	}
	return c.status
}

// dnnCall begins a call that needs the handle's context.
func (m *Machine) dnnCall(handle cudnn.RawHandle) *dnnCall {
	c := &dnnCall{machine: m}
	h, ok := find[*dnnHandle](m, uintptr(handle))
	if !ok {
		c.fail(cudnn.BadParam, "not a handle of cuDNN")
		return c
	}
	c.handle = h
	c.want(!h.stream.dead, "the handle's stream has been destroyed")
	if current, r := m.entered(); r != cu.Success || current != h.ctx {
		c.fail(cudnn.ExecutionFailed, "the current context is not the handle's")
	} else if r := current.failed; r != cu.Success {
		c.fail(cudnn.ExecutionFailed, "%s: %s", results[r].name, m.failures[r])
	}
	return c
}

// scale returns a factor, which is read during the call.
func (c *dnnCall) scale(alpha, beta unsafe.Pointer) scales {
	c.want(alpha != nil && beta != nil, "no scaling factors")
	if c.status != cudnn.Success {
		return scales{}
	}
	return scales{*(*float32)(alpha), *(*float32)(beta)}
}

// tensor returns what a descriptor has been set to.
func (c *dnnCall) tensor(name string, d cudnn.RawTensor, p cu.DevicePtr) tensor {
	desc, ok := find[*tensorDesc](c.machine, uintptr(d))
	if !ok {
		c.want(false, "%sDesc is not a tensor descriptor", name)
		return tensor{}
	}
	c.numbers(name, desc.tensor, p)
	return desc.tensor
}

// filter is tensor for a filter.
func (c *dnnCall) filter(name string, d cudnn.RawFilter, p cu.DevicePtr) filterDesc {
	desc, ok := find[*filterDesc](c.machine, uintptr(d))
	if !ok {
		c.want(false, "%sDesc is not a filter descriptor", name)
		return filterDesc{}
	}
	c.numbers(name, desc.tensor, p)
	return *desc
}

func (c *dnnCall) numbers(name string, t tensor, p cu.DevicePtr) {
	c.want(t.dims[0] > 0, "%sDesc has not been set", name)
	c.want(p != 0, "%s is no address", name)
	c.support(t.kind == cudnn.Float || t.kind == cudnn.BFloat16, "%s has a type of numbers that is not simulated", name)
}

// described is what a settled descriptor has been set to.
func described[T any, H ~uintptr](c *dnnCall, d H, set func(*T) bool) T {
	desc, ok := find[*T](c.machine, uintptr(d))
	if !ok || !set(desc) {
		var zero T
		c.want(false, "a %T that was not made, or not set", zero)
		return zero
	}
	return *desc
}

// same fails unless tensors have the same type and dimensions.
func (c *dnnCall) same(what string, a, b tensor) {
	c.want(a.kind == b.kind && a.dims == b.dims, "%s: %v and %v differ in type or dimensions", what, a, b)
}

// dense fails unless tensors are packed in one order.
func (c *dnnCall) dense(list ...tensor) {
	for _, f := range []cudnn.TensorFormat{cudnn.NCHW, cudnn.NHWC} {
		all := true
		for _, t := range list {
			all = all && t.is(f)
		}
		if all {
			return
		}
	}
	c.support(false, "tensors that are not all packed in one order, NCHW or NHWC")
}

// read and write are an operand's memory.
func (t tensor) read(a *access, name string, p cu.DevicePtr) []byte {
	return a.readAreas(name, p, t.bytes(), t.size(), t.areas()...)
}

func (t tensor) write(a *access, name string, p cu.DevicePtr) []byte {
	return a.writeAreas(name, p, t.bytes(), t.size(), t.areas()...)
}
