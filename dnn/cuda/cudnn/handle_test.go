package cudnn

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/fake"
	"alexnet/internal/handle"
)

// library returns cuDNN 9.1.2 of a fake machine.
func library(t testing.TB) (*fake.Machine, *Functions, *Library) {
	t.Helper()
	m, f := fake.New(t), new(Functions)
	m.Fill(t, f.Bindings())
	f.GetVersion = func() uintptr { return 90102 }
	l, err := New(f, "/lib/libcudnn.so.9")
	if err != nil {
		t.Fatal(err)
	}
	return m, f, l
}

// must returns v, which was made without an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// none fails the test if there was an error.
func none(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func wantCalls(t *testing.T, m *fake.Machine, want ...string) {
	t.Helper()
	if !slices.Equal(m.Calls, want) {
		t.Errorf("calls\n\t%s\nwant\n\t%s", strings.Join(m.Calls, "\n\t"), strings.Join(want, "\n\t"))
	}
	m.Calls = nil
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		version             uintptr
		major, minor, patch int
		err                 string
	}{
		{version: 90102, major: 9, minor: 1, patch: 2},
		{version: 91900, major: 9, minor: 19},
		{version: 8907, err: "/lib/libcudnn.so is cuDNN 8.9.7, but version 9 is needed"},
		{version: 100100, err: "/lib/libcudnn.so is cuDNN 10.1.0, but version 9 is needed"},
	} {
		l, err := New(&Functions{GetVersion: func() uintptr { return c.version }}, "/lib/libcudnn.so")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("version %d: %v, want %q", c.version, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("version %d: %v", c.version, err)
			continue
		}
		if major, minor, patch := l.Version(); major != c.major || minor != c.minor || patch != c.patch || l.Path() != "/lib/libcudnn.so" {
			t.Errorf("version %d: %d.%d.%d of %s", c.version, major, minor, patch, l.Path())
		}
	}
	_, f, l := library(t)
	f.GetCudartVersion = func() uintptr { return 12040 }
	if v := l.CudartVersion(); v != 12040 {
		t.Errorf("built with CUDA %d, want 12040", v)
	}
}

func TestDescriptorsAreSet(t *testing.T) {
	m, _, l := library(t)
	x := must(l.NewTensor(Float, NCHW, 2, 3, 5, 7))
	wantCalls(t, m, "cudnnCreateTensorDescriptor(tensorDesc)",
		"cudnnSetTensor4dDescriptorEx(tensorDesc 1, dataType 0, n 2, c 3, h 5, w 7, nStride 105, cStride 35, hStride 7, wStride 1)")
	must(l.NewTensor(BFloat16, NHWC, 2, 3, 5, 7))
	wantCalls(t, m, "cudnnCreateTensorDescriptor(tensorDesc)",
		"cudnnSetTensor4dDescriptorEx(tensorDesc 2, dataType 9, n 2, c 3, h 5, w 7, nStride 105, cStride 1, hStride 21, wStride 3)")
	must(l.NewTensorStrided(Half, [4]int{1, 2, 3, 4}, [4]int{100, 50, 10, 2}))
	wantCalls(t, m, "cudnnCreateTensorDescriptor(tensorDesc)",
		"cudnnSetTensor4dDescriptorEx(tensorDesc 3, dataType 2, n 1, c 2, h 3, w 4, nStride 100, cStride 50, hStride 10, wStride 2)")
	w := must(l.NewFilter(Float, NHWC, 4, 3, 2, 1))
	wantCalls(t, m, "cudnnCreateFilterDescriptor(filterDesc)", "cudnnSetFilter4dDescriptor(filterDesc 4, dataType 0, format 1, k 4, c 3, h 2, w 1)")
	c := must(l.NewConvolution(ConvolutionOptions{PadH: 1, PadW: 2, StrideH: 3, DilationW: 4, Math: FmaMath}))
	wantCalls(t, m, "cudnnCreateConvolutionDescriptor(convDesc)",
		"cudnnSetConvolution2dDescriptor(convDesc 5, pad_h 1, pad_w 2, u 3, v 1, dilation_h 1, dilation_w 4, mode 1, computeType 0)",
		"cudnnSetConvolutionGroupCount(convDesc 5, groupCount 1)", "cudnnSetConvolutionMathType(convDesc 5, mathType 3)")
	must(l.NewConvolution(ConvolutionOptions{StrideW: 5, DilationH: 6, Groups: 7, Flip: true, Compute: Double}))
	wantCalls(t, m, "cudnnCreateConvolutionDescriptor(convDesc)",
		"cudnnSetConvolution2dDescriptor(convDesc 6, pad_h 0, pad_w 0, u 1, v 5, dilation_h 6, dilation_w 1, mode 0, computeType 1)",
		"cudnnSetConvolutionGroupCount(convDesc 6, groupCount 7)", "cudnnSetConvolutionMathType(convDesc 6, mathType 0)")
	must(l.NewActivation(ClippedReLU, PropagateNan, 6.5))
	wantCalls(t, m, "cudnnCreateActivationDescriptor(activationDesc)", "cudnnSetActivationDescriptor(activationDesc 7, mode 3, reluNanOpt 1, coef 6.5)")
	must(l.NewPooling(PoolingOptions{Mode: AverageCountExcludePadding, Nan: PropagateNan, WindowH: 2, WindowW: 3, PadH: 4, PadW: 5, StrideH: 6}))
	wantCalls(t, m, "cudnnCreatePoolingDescriptor(poolingDesc)",
		"cudnnSetPooling2dDescriptor(poolingDesc 8, mode 2, maxpoolingNanOpt 1, windowHeight 2, windowWidth 3, verticalPadding 4, horizontalPadding 5, verticalStride 6, horizontalStride 1)")
	must(l.NewLRN(5, 1e-4, 0.75, 2))
	wantCalls(t, m, "cudnnCreateLRNDescriptor(normDesc)", "cudnnSetLRNDescriptor(normDesc 9, lrnN 5, lrnAlpha 0.0001, lrnBeta 0.75, lrnK 2)")

	m.Hooks["cudnnGetConvolution2dForwardOutputDim"] = func(args []reflect.Value) {
		for i, v := range []int64{2, 4, 6, 8} {
			args[3+i].Elem().SetInt(v)
		}
	}
	if n, ch, h, wd, err := c.OutputDim(x, w); err != nil || n != 2 || ch != 4 || h != 6 || wd != 8 {
		t.Errorf("output of %dx%dx%dx%d, error %v", n, ch, h, wd, err)
	}
	wantCalls(t, m, "cudnnGetConvolution2dForwardOutputDim(convDesc 5, inputTensorDesc 1, filterDesc 4, n, c, h, w)")
}

func TestSizesThatCuDNNCannotCountAreRefused(t *testing.T) {
	m, _, l := library(t)
	const big = 1 << 31
	for name, f := range map[string]func() error{
		"dimension":        func() error { _, err := l.NewTensor(Float, NCHW, big, 1, 1, 1); return err },
		"channels' stride": func() error { _, err := l.NewTensor(Float, NCHW, 1, 1, 1<<16, 1<<15); return err },
		"images' stride":   func() error { _, err := l.NewTensor(Float, NHWC, 1, 1<<11, 1<<10, 1<<10); return err },
		"all but overflow": func() error { _, err := l.NewTensor(Float, NCHW, 1, big-1, big-1, big-1); return err },
		"format":           func() error { _, err := l.NewTensor(Float, 7, 1, 1, 1, 1); return err },
		"stride": func() error {
			_, err := l.NewTensorStrided(Float, [4]int{1, 1, 1, 1}, [4]int{1, 1, -big - 1, 1})
			return err
		},
		"filter":            func() error { _, err := l.NewFilter(Float, NCHW, 1, 1, 1, big); return err },
		"convolution":       func() error { _, err := l.NewConvolution(ConvolutionOptions{PadW: big}); return err },
		"pooling":           func() error { _, err := l.NewPooling(PoolingOptions{WindowH: big}); return err },
		"normalisation":     func() error { _, err := l.NewLRN(big, 1, 1, 1); return err },
		"less than nothing": func() error { _, err := l.NewLRN(-1, 1, 1, 1); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	wantCalls(t, m)
}

func TestErrors(t *testing.T) {
	m, _, l := library(t)
	m.Texts["cudnnGetErrorString"] = "CUDNN_STATUS_BAD_PARAM"
	m.Fail["cudnnSetTensor4dDescriptorEx"] = int32(BadParam) + 3
	detail := "  n is too small\n"
	m.Hooks["cudnnGetLastErrorString"] = func(args []reflect.Value) {
		copy(unsafe.Slice((*byte)(args[0].UnsafePointer()), args[1].Uint()), detail)
	}
	for _, c := range []struct{ detail, want string }{
		{"  n is too small\n", "cudnnSetTensor4dDescriptorEx(float32, n 0, c 3, h 5, w 7, strides [105 35 7 1]): CUDNN_STATUS_BAD_PARAM (2003): n is too small"},
		{"", "cudnnSetTensor4dDescriptorEx(float32, n 0, c 3, h 5, w 7, strides [105 35 7 1]): CUDNN_STATUS_BAD_PARAM (2003)"},
		{strings.Repeat("x", 5000), strings.Repeat("x", 1000)}, // more than there is room for
	} {
		detail = c.detail
		x, err := l.NewTensor(Float, NCHW, 0, 3, 5, 7)
		var e *Error
		if x != nil || !errors.As(err, &e) || e.Status != 2003 || !strings.Contains(err.Error(), c.want) {
			t.Fatalf("%v: %v, want %q", x, err, c.want)
		}
		if !errors.Is(err, Status(2003)) || !errors.Is(err, BadParam) || errors.Is(err, Status(2001)) || errors.Is(err, NotSupported) {
			t.Errorf("%v is the wrong Status", err)
		}
	}
	m.Fail["cudnnDestroyTensorDescriptor"] = int32(InternalError)
	if _, err := l.NewTensor(Float, NCHW, 0, 3, 5, 7); !errors.Is(err, BadParam) || !errors.Is(err, InternalError) {
		t.Errorf("descriptor that can neither be set nor given back: %v", err)
	}
	m.Calls = nil
	m.Fail["cudnnCreateTensorDescriptor"] = int32(NotInitialized)
	if _, err := l.NewTensor(Float, NCHW, 1, 3, 5, 7); !errors.Is(err, NotInitialized) {
		t.Errorf("descriptor that cannot be made: %v", err)
	}
	wantCalls(t, m, "cudnnCreateTensorDescriptor(tensorDesc)")
}

func TestHandleOutlivesItsContextAndItsStreamTheHandle(t *testing.T) {
	m, _, l := library(t)
	ctx := m.Context(t, 0)                                          // 1
	first, second := must(ctx.NewStream(0)), must(ctx.NewStream(0)) // 2 and 3
	h := must(l.NewHandle(ctx))                                     // 4
	if h.Raw() != 4 {
		t.Errorf("raw handle %d", h.Raw())
	}
	other := m.Context(t, 1)              // 5
	elsewhere := must(other.NewStream(0)) // 6
	m.Calls, m.Current = nil, 0
	none(t, h.SetStream(first))
	none(t, first.Close())
	wantCalls(t, m, "cudnnSetStream(handle 4, streamId 2) in 1")
	x := must(l.WrapTensor(Float, 9))
	if err := h.TransformTensor(1, x, 0, 0, x, 0); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("work in a closed stream: %v", err)
	}
	if err := h.SetStream(first); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("a closed stream: %v", err)
	}
	if err := h.SetStream(elsewhere); err == nil || !strings.Contains(err.Error(), "device 1") {
		t.Errorf("a stream of another context: %v", err)
	}
	m.Fail["cudnnSetStream"] = int32(InternalError)
	if err := h.SetStream(second); !errors.Is(err, InternalError) {
		t.Errorf("cuDNN's error: %v", err)
	}
	delete(m.Fail, "cudnnSetStream")
	m.Calls, m.Current = nil, 0
	none(t, h.SetStream(second))
	wantCalls(t, m, "cudnnSetStream(handle 4, streamId 3) in 1", "cuStreamDestroy_v2(hStream 2) in 1")
	none(t, second.Close())
	none(t, ctx.Close())
	wantCalls(t, m)
	m.Current = 0
	none(t, h.Close())
	none(t, h.Close())
	wantCalls(t, m, "cudnnDestroy(handle 4) in 1", "cuStreamDestroy_v2(hStream 3) in 1", "cuDevicePrimaryCtxRelease_v2(dev 0) in 1")
	if err := h.SetStream(nil); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("a closed handle: %v", err)
	}
	if _, err := l.NewHandle(ctx); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("handle of a closed context: %v", err)
	}
	wantCalls(t, m)
}

func TestDefaultStream(t *testing.T) {
	m, _, l := library(t)
	ctx := m.Context(t, 0)
	h, s := must(l.NewHandle(ctx)), must(ctx.NewStream(0))
	none(t, h.SetStream(s))
	none(t, s.Close())
	m.Calls = nil
	none(t, h.SetStream(nil))
	wantCalls(t, m, "cudnnSetStream(handle 2, streamId 0) in 1", "cuStreamDestroy_v2(hStream 3) in 1")
}

func TestForeignIsNotDestroyed(t *testing.T) {
	m, _, l := library(t)
	ctx := m.Context(t, 0)
	s := must(ctx.NewStream(0))
	h := must(l.WrapHandle(ctx, 77))
	none(t, h.SetStream(s))
	m.Calls = nil
	none(t, errors.Join(s.Close(), ctx.Close()))
	wantCalls(t, m)
	none(t, h.Close())
	wantCalls(t, m, "cuStreamDestroy_v2(hStream 2) in 1", "cuDevicePrimaryCtxRelease_v2(dev 0) in 1")
	none(t, must(l.WrapTensor(Float, 1)).Close())
	none(t, must(l.WrapFilter(Float, 1)).Close())
	none(t, must(l.WrapConvolution(1)).Close())
	none(t, must(l.WrapActivation(1)).Close())
	none(t, must(l.WrapPooling(1)).Close())
	none(t, must(l.WrapLRN(1)).Close())
	wantCalls(t, m)
	for _, f := range []func(*cu.Context) (*Handle, error){l.NewHandle, func(c *cu.Context) (*Handle, error) { return l.WrapHandle(c, 1) }} {
		if _, err := f(nil); err == nil {
			t.Error("handle without a context")
		}
	}
}

func TestDescriptorsAreDestroyedOnce(t *testing.T) {
	m, _, l := library(t)
	for _, c := range []struct {
		made interface{ Close() error }
		want string
	}{
		{must(l.NewTensor(Float, NCHW, 1, 1, 1, 1)), "cudnnDestroyTensorDescriptor(tensorDesc 1)"},
		{must(l.NewFilter(Float, NCHW, 1, 1, 1, 1)), "cudnnDestroyFilterDescriptor(filterDesc 2)"},
		{must(l.NewConvolution(ConvolutionOptions{})), "cudnnDestroyConvolutionDescriptor(convDesc 3)"},
		{must(l.NewActivation(ReLU, PropagateNan, 0)), "cudnnDestroyActivationDescriptor(activationDesc 4)"},
		{must(l.NewPooling(PoolingOptions{})), "cudnnDestroyPoolingDescriptor(poolingDesc 5)"},
		{must(l.NewLRN(5, 1, 1, 1)), "cudnnDestroyLRNDescriptor(lrnDesc 6)"},
	} {
		m.Calls = nil
		none(t, c.made.Close())
		none(t, c.made.Close())
		wantCalls(t, m, c.want)
	}
}

// work is a handle, and arguments of its methods.
type work struct {
	h            *Handle
	x, y, dx, dy *Tensor
	z, bias      *Tensor
	w            *Filter
	c            *Convolution
	act          *Activation
	pool         *Pooling
	lrn          *LRN
}

// newWork returns foreign descriptors 11 to 21 and the handle 10.
func newWork(ctx *cu.Context, l *Library, t DataType) work {
	return work{must(l.WrapHandle(ctx, 10)),
		must(l.WrapTensor(t, 11)), must(l.WrapTensor(t, 12)), must(l.WrapTensor(t, 13)), must(l.WrapTensor(t, 14)),
		must(l.WrapTensor(t, 15)), must(l.WrapTensor(t, 16)),
		must(l.WrapFilter(t, 17)), must(l.WrapConvolution(18)), must(l.WrapActivation(19)), must(l.WrapPooling(20)), must(l.WrapLRN(21))}
}

// calls are the methods of a handle, and what they call.
var calls = map[string]struct {
	do   func(work) error
	want string
	asks bool // for algorithms: it queues nothing
}{
	"ConvolutionForward": {func(a work) error { return a.h.ConvolutionForward(2, a.x, 31, a.w, 32, a.c, 1, 33, 64, 3, a.y, 34) },
		"cudnnConvolutionForward(handle 10, alpha 2, xDesc 11, x 31, wDesc 17, w 32, convDesc 18, algo 1, workSpace 33, workSpaceSizeInBytes 64, beta 3, yDesc 12, y 34) in 1", false},
	"ConvolutionBackwardData": {func(a work) error {
		return a.h.ConvolutionBackwardData(2, a.w, 31, a.dy, 32, a.c, 1, 33, 64, 3, a.dx, 34)
	},
		"cudnnConvolutionBackwardData(handle 10, alpha 2, wDesc 17, w 31, dyDesc 14, dy 32, convDesc 18, algo 1, workSpace 33, workSpaceSizeInBytes 64, beta 3, dxDesc 13, dx 34) in 1", false},
	"ConvolutionBackwardFilter": {func(a work) error {
		return a.h.ConvolutionBackwardFilter(2, a.x, 31, a.dy, 32, a.c, 1, 33, 64, 3, a.w, 34)
	},
		"cudnnConvolutionBackwardFilter(handle 10, alpha 2, xDesc 11, x 31, dyDesc 14, dy 32, convDesc 18, algo 1, workSpace 33, workSpaceSizeInBytes 64, beta 3, dwDesc 17, dw 34) in 1", false},
	"ConvolutionBackwardBias": {func(a work) error { return a.h.ConvolutionBackwardBias(2, a.dy, 31, 3, a.bias, 32) },
		"cudnnConvolutionBackwardBias(handle 10, alpha 2, dyDesc 14, dy 31, beta 3, dbDesc 16, db 32) in 1", false},
	"ConvolutionBiasActivationForward": {func(a work) error {
		return a.h.ConvolutionBiasActivationForward(2, a.x, 31, a.w, 32, a.c, 1, 33, -1, 3, a.z, 34, a.bias, 35, a.act, a.y, 36)
	}, "cudnnConvolutionBiasActivationForward(handle 10, alpha1 2, xDesc 11, x 31, wDesc 17, w 32, convDesc 18, algo 1, workSpace 33, workSpaceSizeInBytes 0, alpha2 3, zDesc 15, z 34, biasDesc 16, bias 35, activationDesc 19, yDesc 12, y 36) in 1", false},
	"AddTensor": {func(a work) error { return a.h.AddTensor(2, a.bias, 31, 3, a.y, 32) },
		"cudnnAddTensor(handle 10, alpha 2, aDesc 16, A 31, beta 3, cDesc 12, C 32) in 1", false},
	"TransformTensor": {func(a work) error { return a.h.TransformTensor(2, a.x, 31, 3, a.y, 32) },
		"cudnnTransformTensor(handle 10, alpha 2, xDesc 11, x 31, beta 3, yDesc 12, y 32) in 1", false},
	"ActivationForward": {func(a work) error { return a.h.ActivationForward(a.act, 2, a.x, 31, 3, a.y, 32) },
		"cudnnActivationForward(handle 10, activationDesc 19, alpha 2, xDesc 11, x 31, beta 3, yDesc 12, y 32) in 1", false},
	"ActivationBackward": {func(a work) error { return a.h.ActivationBackward(a.act, 2, a.y, 31, a.dy, 32, a.x, 33, 3, a.dx, 34) },
		"cudnnActivationBackward(handle 10, activationDesc 19, alpha 2, yDesc 12, y 31, dyDesc 14, dy 32, xDesc 11, x 33, beta 3, dxDesc 13, dx 34) in 1", false},
	"PoolingForward": {func(a work) error { return a.h.PoolingForward(a.pool, 2, a.x, 31, 3, a.y, 32) },
		"cudnnPoolingForward(handle 10, poolingDesc 20, alpha 2, xDesc 11, x 31, beta 3, yDesc 12, y 32) in 1", false},
	"PoolingBackward": {func(a work) error { return a.h.PoolingBackward(a.pool, 2, a.y, 31, a.dy, 32, a.x, 33, 3, a.dx, 34) },
		"cudnnPoolingBackward(handle 10, poolingDesc 20, alpha 2, yDesc 12, y 31, dyDesc 14, dy 32, xDesc 11, x 33, beta 3, dxDesc 13, dx 34) in 1", false},
	"LRNCrossChannelForward": {func(a work) error { return a.h.LRNCrossChannelForward(a.lrn, 2, a.x, 31, 3, a.y, 32) },
		"cudnnLRNCrossChannelForward(handle 10, normDesc 21, lrnMode 0, alpha 2, xDesc 11, x 31, beta 3, yDesc 12, y 32) in 1", false},
	"LRNCrossChannelBackward": {func(a work) error {
		return a.h.LRNCrossChannelBackward(a.lrn, 2, a.y, 31, a.dy, 32, a.x, 33, 3, a.dx, 34)
	},
		"cudnnLRNCrossChannelBackward(handle 10, normDesc 21, lrnMode 0, alpha 2, yDesc 12, y 31, dyDesc 14, dy 32, xDesc 11, x 33, beta 3, dxDesc 13, dx 34) in 1", false},
	"SoftmaxForward": {func(a work) error { return a.h.SoftmaxForward(SoftmaxLog, SoftmaxChannel, 2, a.x, 31, 3, a.y, 32) },
		"cudnnSoftmaxForward(handle 10, algo 2, mode 1, alpha 2, xDesc 11, x 31, beta 3, yDesc 12, y 32) in 1", false},
	"SoftmaxBackward": {func(a work) error {
		return a.h.SoftmaxBackward(SoftmaxLog, SoftmaxChannel, 2, a.y, 31, a.dy, 32, 3, a.dx, 33)
	},
		"cudnnSoftmaxBackward(handle 10, algo 2, mode 1, alpha 2, yDesc 12, y 31, dyDesc 14, dy 32, beta 3, dxDesc 13, dx 33) in 1", false},

	"ForwardAlgorithms": {func(a work) error { _, err := a.h.ForwardAlgorithms(a.x, a.w, a.c, a.y); return err },
		"cudnnGetConvolutionForwardAlgorithm_v7(handle 10, srcDesc 11, filterDesc 17, convDesc 18, destDesc 12, requestedAlgoCount 32, returnedAlgoCount, perfResults) in 1", true},
	"BackwardDataAlgorithms": {func(a work) error { _, err := a.h.BackwardDataAlgorithms(a.w, a.dy, a.c, a.dx); return err },
		"cudnnGetConvolutionBackwardDataAlgorithm_v7(handle 10, filterDesc 17, diffDesc 14, convDesc 18, gradDesc 13, requestedAlgoCount 32, returnedAlgoCount, perfResults) in 1", true},
	"BackwardFilterAlgorithms": {func(a work) error { _, err := a.h.BackwardFilterAlgorithms(a.x, a.dy, a.c, a.w); return err },
		"cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle 10, srcDesc 11, diffDesc 14, convDesc 18, gradDesc 17, requestedAlgoCount 32, returnedAlgoCount, perfResults) in 1", true},
	"FindForwardAlgorithms": {func(a work) error {
		_, err := a.h.FindForwardAlgorithms(a.x, 31, a.w, 32, a.c, a.y, 33, 34, 64)
		return err
	},
		"cudnnFindConvolutionForwardAlgorithmEx(handle 10, xDesc 11, x 31, wDesc 17, w 32, convDesc 18, yDesc 12, y 33, requestedAlgoCount 32, returnedAlgoCount, perfResults, workSpace 34, workSpaceSizeInBytes 64) in 1", true},
	"FindBackwardDataAlgorithms": {func(a work) error {
		_, err := a.h.FindBackwardDataAlgorithms(a.w, 31, a.dy, 32, a.c, a.dx, 33, 34, 64)
		return err
	},
		"cudnnFindConvolutionBackwardDataAlgorithmEx(handle 10, wDesc 17, w 31, dyDesc 14, dy 32, convDesc 18, dxDesc 13, dx 33, requestedAlgoCount 32, returnedAlgoCount, perfResults, workSpace 34, workSpaceSizeInBytes 64) in 1", true},
	"FindBackwardFilterAlgorithms": {func(a work) error {
		_, err := a.h.FindBackwardFilterAlgorithms(a.x, 31, a.dy, 32, a.c, a.w, 33, 34, 64)
		return err
	},
		"cudnnFindConvolutionBackwardFilterAlgorithmEx(handle 10, xDesc 11, x 31, dyDesc 14, y 32, convDesc 18, dwDesc 17, dw 33, requestedAlgoCount 32, returnedAlgoCount, perfResults, workSpace 34, workSpaceSizeInBytes 64) in 1", true},
}

// offer makes cuDNN offer algorithms.
func offer(m *fake.Machine, list ...Perf) {
	hook := func(args []reflect.Value) {
		for i, a := range args {
			if p, ok := a.Interface().(*Perf); ok {
				copy(unsafe.Slice(p, 6), list) // the least that a caller leaves room for
				args[i-1].Elem().SetInt(int64(len(list)))
			}
		}
	}
	for _, f := range []string{"Forward", "BackwardData", "BackwardFilter"} {
		m.Hooks["cudnnGetConvolution"+f+"Algorithm_v7"] = hook
		m.Hooks["cudnnFindConvolution"+f+"AlgorithmEx"] = hook
	}
}

func TestMethodsOfAHandle(t *testing.T) {
	m, _, l := library(t)
	a := newWork(m.Context(t, 0), l, Float)
	offer(m, Perf{})
	for name, c := range calls {
		m.Calls, m.Current = nil, 0
		none(t, c.do(a))
		wantCalls(t, m, c.want)

		function, _, _ := strings.Cut(c.want, "(")
		m.Fail[function] = int32(ExecutionFailed)
		if err := c.do(a); !errors.Is(err, ExecutionFailed) || !strings.HasPrefix(err.Error(), function+"(") {
			t.Errorf("%s: %v", name, err)
		}
		delete(m.Fail, function)
	}
	for i := range reflect.TypeFor[*Handle]().NumMethod() {
		name := reflect.TypeFor[*Handle]().Method(i).Name
		if _, ok := calls[name]; !ok && !slices.Contains([]string{"Raw", "Close", "SetStream"}, name) {
			t.Errorf("%s is not tested", name)
		}
	}

	// Factors are of the type of the result, if that is of 64 bits.
	m.Double = true
	a = newWork(a.h.ctx, l, Double)
	for _, c := range calls {
		m.Calls, m.Current = nil, 0
		none(t, c.do(a))
		wantCalls(t, m, c.want)
	}
}

// Every argument of every method is tried when it is closed and when it is nil.
func TestNothingIsUsedAfterClose(t *testing.T) {
	m, _, l := library(t)
	offer(m, Perf{})
	for name, c := range calls {
		tried := 0
		for i := range reflect.TypeFor[work]().NumField() {
			for _, close := range []bool{true, false} {
				a := newWork(m.Context(t, 0), l, Float)
				field := reflect.NewAt(reflect.TypeFor[work]().Field(i).Type, unsafe.Add(unsafe.Pointer(&a), reflect.TypeFor[work]().Field(i).Offset)).Elem()
				switch {
				case close:
					none(t, field.Interface().(interface{ Close() error }).Close())
				case i > 0: // methods of no handle at all are the caller's
					field.SetZero()
				}
				m.Calls = nil
				err := c.do(a)
				if len(m.Calls) > 0 && err == nil { // with all that it uses
					continue
				}
				tried++
				if len(m.Calls) > 0 || err == nil || close && !errors.Is(err, handle.ErrClosed) {
					t.Errorf("%s without %s: calls %v, error %v", name, reflect.TypeFor[work]().Field(i).Name, m.Calls, err)
				}
			}
		}
		// A closed handle, and closed and missing descriptors.
		if want := 1 + 2*strings.Count(strings.ReplaceAll(c.want, "Desc ", "desc "), "desc "); tried != want {
			t.Errorf("%s refused %d of %d closed or missing arguments", name, tried, want)
		}
	}

	a := newWork(m.Context(t, 0), l, Float)
	none(t, a.h.ctx.Close())
	if err := calls["AddTensor"].do(a); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("with a closed context: %v", err)
	}
	for _, err := range []error{func() error { _, _, _, _, err := a.c.OutputDim(nil, a.w); return err }(),
		func() error { none(t, a.w.Close()); _, _, _, _, err := a.c.OutputDim(a.x, a.w); return err }()} {
		if err == nil || !strings.HasPrefix(err.Error(), "cudnnGetConvolution2dForwardOutputDim: ") {
			t.Errorf("shape of what comes out: %v", err)
		}
	}
	if err := (&Tensor{}).Close(); err != nil {
		t.Errorf("Close of what was never made: %v", err)
	}
}

func TestAlgorithmsThatCannotAreLeftOut(t *testing.T) {
	m, _, l := library(t)
	a := newWork(m.Context(t, 0), l, Float)
	able := []Perf{{Algo: 6, Memory: 100, Time: 1}, {Algo: 1, Memory: 10, Time: 2, Determinism: 1}, {Algo: 0, Time: 3}}
	offer(m, able[0], Perf{Algo: 5, Status: NotSupported, Time: -1}, able[1], Perf{Algo: 4, Status: 4002}, able[2])
	for name, f := range map[string]func() ([]Perf, error){
		"forward":       func() ([]Perf, error) { return a.h.ForwardAlgorithms(a.x, a.w, a.c, a.y) },
		"data":          func() ([]Perf, error) { return a.h.BackwardDataAlgorithms(a.w, a.dy, a.c, a.dx) },
		"filter":        func() ([]Perf, error) { return a.h.BackwardFilterAlgorithms(a.x, a.dy, a.c, a.w) },
		"found forward": func() ([]Perf, error) { return a.h.FindForwardAlgorithms(a.x, 1, a.w, 2, a.c, a.y, 3, 4, 5) },
	} {
		if got, err := f(); err != nil || !slices.Equal(got, able) {
			t.Errorf("%s: %v, error %v, want %v", name, got, err, able)
		}
	}
	offer(m, Perf{Status: NotSupported}, Perf{Status: NotSupported})
	if _, err := a.h.ForwardAlgorithms(a.x, a.w, a.c, a.y); !errors.Is(err, NotSupported) || !strings.Contains(err.Error(), "offers 2 algorithms, and none can") {
		t.Errorf("none that can: %v", err)
	}
	m.Hooks["cudnnGetConvolutionForwardAlgorithm_v7"] = func(args []reflect.Value) { args[6].Elem().SetInt(1 << 20) }
	if got, err := a.h.ForwardAlgorithms(a.x, a.w, a.c, a.y); err != nil || len(got) != most {
		t.Errorf("more than there is room for: %d, error %v", len(got), err)
	}
}
