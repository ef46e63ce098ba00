package cudnn

import (
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/internal/testenv"
)

// The functions of a fake machine take memory, as those of the library do not.
func TestWorkIsQueuedWithoutTakingMemory(t *testing.T) {
	if testing.CoverMode() != "" || testenv.Race {
		t.Skip("the instrumentation takes memory")
	}
	type (
		scale = unsafe.Pointer
		ptr   = cu.DevicePtr
		ten   = RawTensor
	)
	var d cu.Functions
	d.DriverGetVersion = func(v *int32) cu.Result { *v = 12040; return cu.Success }
	d.Init = func(uint32) cu.Result { return cu.Success }
	d.PrimaryCtxRetain = func(c *cu.CUContext, _ cu.Device) cu.Result { *c = 1; return cu.Success }
	d.CtxSetCurrent = func(cu.CUContext) cu.Result { return cu.Success }
	driver := must(cu.New(&d, ""))

	var f Functions
	f.GetVersion = func() uintptr { return 90000 }
	f.ConvolutionForward = func(RawHandle, scale, ten, ptr, RawFilter, ptr, RawConvolution, ConvFwdAlgo, ptr, uintptr, scale, ten, ptr) Status {
		return Success
	}
	f.ConvolutionBackwardData = func(RawHandle, scale, RawFilter, ptr, ten, ptr, RawConvolution, ConvBwdDataAlgo, ptr, uintptr, scale, ten, ptr) Status {
		return Success
	}
	f.ConvolutionBackwardFilter = func(RawHandle, scale, ten, ptr, ten, ptr, RawConvolution, ConvBwdFilterAlgo, ptr, uintptr, scale, RawFilter, ptr) Status {
		return Success
	}
	f.ConvolutionBackwardBias = func(RawHandle, scale, ten, ptr, scale, ten, ptr) Status { return Success }
	f.ConvolutionBiasActivationForward = func(RawHandle, scale, ten, ptr, RawFilter, ptr, RawConvolution, ConvFwdAlgo, ptr, uintptr, scale, ten, ptr, ten, ptr, RawActivation, ten, ptr) Status {
		return Success
	}
	f.AddTensor = f.ConvolutionBackwardBias
	f.TransformTensor = f.ConvolutionBackwardBias
	f.ActivationForward = func(RawHandle, RawActivation, scale, ten, ptr, scale, ten, ptr) Status { return Success }
	f.ActivationBackward = func(RawHandle, RawActivation, scale, ten, ptr, ten, ptr, ten, ptr, scale, ten, ptr) Status {
		return Success
	}
	f.PoolingForward = func(RawHandle, RawPooling, scale, ten, ptr, scale, ten, ptr) Status { return Success }
	f.PoolingBackward = func(RawHandle, RawPooling, scale, ten, ptr, ten, ptr, ten, ptr, scale, ten, ptr) Status {
		return Success
	}
	f.LRNCrossChannelForward = func(RawHandle, RawLRN, LRNMode, scale, ten, ptr, scale, ten, ptr) Status { return Success }
	f.LRNCrossChannelBackward = func(RawHandle, RawLRN, LRNMode, scale, ten, ptr, ten, ptr, ten, ptr, scale, ten, ptr) Status {
		return Success
	}
	f.SoftmaxForward = func(RawHandle, SoftmaxAlgorithm, SoftmaxMode, scale, ten, ptr, scale, ten, ptr) Status {
		return Success
	}
	f.SoftmaxBackward = func(RawHandle, SoftmaxAlgorithm, SoftmaxMode, scale, ten, ptr, ten, ptr, scale, ten, ptr) Status {
		return Success
	}
	f.SetStream = func(RawHandle, cu.CUStream) Status { return Success }
	l := must(New(&f, ""))
	ctx := must(driver.PrimaryContext(0))
	a := newWork(ctx, l, Float)
	none(t, a.h.SetStream(must(ctx.WrapStream(2))))
	for name, c := range calls {
		if c.asks {
			continue
		}
		if n := testing.AllocsPerRun(100, func() { none(t, c.do(a)) }); n != 0 {
			t.Errorf("%s took memory %g times", name, n)
		}
	}
}
