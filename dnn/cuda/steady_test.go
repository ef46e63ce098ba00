package cuda_test

import (
	"runtime"
	"testing"
	"unsafe"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/sim"
	"alexnet/internal/testenv"
)

// TestSteady: after the first time, no work that is queued takes memory from Go's
// heap. Once all is prepared, functions that do nothing take the place of those
// that queue and wait, since the simulated ones do take memory.
func TestSteady(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector makes pools forget what they hold")
	}
	runtime.LockOSThread() // whose context stays as it is while nothing changes it
	defer runtime.UnlockOSThread()
	m, err := sim.New(sim.Options{GPUs: 2})
	check(t, err)
	defer func() { check(t, m.Close()) }()
	var f tables
	libs := tabled(t, m, func(made *tables) { f = *made })
	driver, dnnTable, blas := f.driver, f.dnn, f.blas
	savedDriver, savedDNN, savedBLAS := *driver, *dnnTable, *blas

	for _, p := range []cuda.Precision{cuda.FP32, cuda.BF16} {
		d, err := libs.New("a", 0, cuda.Options{Precision: p, KernelCache: t.TempDir()})
		check(t, err)
		other, err := libs.New("b", 1, cuda.Options{KernelCache: t.TempDir()})
		check(t, err)
		check(t, cuda.Connect([]*cuda.Device{d, other}))
		r := newRig(t, d, p, 3)
		const most = 4 << 20 // bytes of a tensor
		mem, err := d.NewBuffer(8 * most)
		check(t, err)
		there, err := other.NewBuffer(1 << 20)
		check(t, err)
		host, err := d.NewHost(1 << 10)
		check(t, err)
		event, err := d.NewEvent()
		check(t, err)

		s, ctx := r.streams[0], t.Context()
		var tasks []dnn.Task
		operations := r.operations
		if p == cuda.BF16 {
			operations = r.halves
		}
		for _, op := range operations() {
			task, err := d.Prepare(op, func(t dnn.Tensor) dnn.Buffer { return mem.Slice(int64(t)%8*most, most) })
			check(t, err)
			tasks = append(tasks, task)
		}
		joined, err := d.Join(tasks)
		check(t, err)
		step := func() {
			check(t, s.Upload(mem, host.Bytes()))
			for _, task := range tasks {
				check(t, s.Launch(task))
			}
			check(t, s.Launch(joined))
			check(t, s.Record(event))
			check(t, s.Wait(event))
			check(t, s.Copy(there, mem, dnn.Rows{Count: 2, Width: 3, DstStride: 3, SrcStride: 3}))
			check(t, s.Copy(there, mem, dnn.Rows{Count: 2, Width: 3, DstStride: 4, SrcStride: 5}))
			check(t, s.Download(host.Bytes(), mem))
			check(t, event.Synchronize(ctx))
			check(t, s.Synchronize(ctx))
		}
		idle(driver, dnnTable, blas)
		step() // and the next one, which is not counted, makes the graph
		if n := testing.AllocsPerRun(5, step); n > 0 {
			t.Errorf("%v: a step of %d operations takes memory %g times", p, len(tasks), n)
		}
		check(t, joined.Close())
		*driver, *dnnTable, *blas = savedDriver, savedDNN, savedBLAS
		for _, task := range tasks {
			check(t, task.Close())
		}
		check(t, event.Close())
		check(t, host.Close())
		check(t, mem.Close())
		check(t, there.Close())
		r.close()
		check(t, d.Close())
		check(t, other.Close())
	}
}

// idle makes all that queues work, and all that waits, do nothing.
func idle(d *cu.Functions, n *cudnn.Functions, b *cublaslt.Functions) {
	d.LaunchKernel = func(cu.CUFunction, uint32, uint32, uint32, uint32, uint32, uint32, uint32, cu.CUStream, *unsafe.Pointer, *unsafe.Pointer) cu.Result {
		return cu.Success
	}
	d.StreamBeginCapture = func(cu.CUStream, cu.CaptureMode) cu.Result { return cu.Success }
	d.StreamEndCapture = func(cu.CUStream, *cu.CUGraph) cu.Result { return cu.Success }
	d.GraphInstantiateWithFlags = func(*cu.CUGraphExec, cu.CUGraph, uint64) cu.Result { return cu.Success }
	d.GraphDestroy = func(cu.CUGraph) cu.Result { return cu.Success }
	d.GraphLaunch = func(cu.CUGraphExec, cu.CUStream) cu.Result { return cu.Success }
	d.GraphExecDestroy = func(cu.CUGraphExec) cu.Result { return cu.Success }
	d.CtxSetCurrent = func(cu.CUContext) cu.Result { return cu.Success }
	d.MemcpyHtoDAsync = func(cu.DevicePtr, unsafe.Pointer, uintptr, cu.CUStream) cu.Result { return cu.Success }
	d.MemcpyDtoHAsync = func(unsafe.Pointer, cu.DevicePtr, uintptr, cu.CUStream) cu.Result { return cu.Success }
	d.MemcpyPeerAsync = func(cu.DevicePtr, cu.CUContext, cu.DevicePtr, cu.CUContext, uintptr, cu.CUStream) cu.Result {
		return cu.Success
	}
	d.Memcpy3DPeerAsync = func(*cu.Memcpy3DPeer, cu.CUStream) cu.Result { return cu.Success }
	d.EventRecord = func(cu.CUEvent, cu.CUStream) cu.Result { return cu.Success }
	d.StreamWaitEvent = func(cu.CUStream, cu.CUEvent, uint32) cu.Result { return cu.Success }
	d.EventSynchronize = func(cu.CUEvent) cu.Result { return cu.Success }
	d.StreamSynchronize = func(cu.CUStream) cu.Result { return cu.Success }
	n.ConvolutionForward = func(cudnn.RawHandle, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, cudnn.RawFilter, cu.DevicePtr, cudnn.RawConvolution, cudnn.ConvFwdAlgo, cu.DevicePtr, uintptr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.ConvolutionBiasActivationForward = func(cudnn.RawHandle, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, cudnn.RawFilter, cu.DevicePtr, cudnn.RawConvolution, cudnn.ConvFwdAlgo, cu.DevicePtr, uintptr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, cudnn.RawTensor, cu.DevicePtr, cudnn.RawActivation, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.ConvolutionBackwardData = func(cudnn.RawHandle, unsafe.Pointer, cudnn.RawFilter, cu.DevicePtr, cudnn.RawTensor, cu.DevicePtr, cudnn.RawConvolution, cudnn.ConvBwdDataAlgo, cu.DevicePtr, uintptr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.ConvolutionBackwardFilter = func(cudnn.RawHandle, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, cudnn.RawTensor, cu.DevicePtr, cudnn.RawConvolution, cudnn.ConvBwdFilterAlgo, cu.DevicePtr, uintptr, unsafe.Pointer, cudnn.RawFilter, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.ConvolutionBackwardBias = func(cudnn.RawHandle, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.AddTensor = n.ConvolutionBackwardBias
	n.ActivationForward = func(cudnn.RawHandle, cudnn.RawActivation, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.ActivationBackward = func(cudnn.RawHandle, cudnn.RawActivation, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, cudnn.RawTensor, cu.DevicePtr, cudnn.RawTensor, cu.DevicePtr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.LRNCrossChannelForward = func(cudnn.RawHandle, cudnn.RawLRN, cudnn.LRNMode, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	n.LRNCrossChannelBackward = func(cudnn.RawHandle, cudnn.RawLRN, cudnn.LRNMode, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr, cudnn.RawTensor, cu.DevicePtr, cudnn.RawTensor, cu.DevicePtr, unsafe.Pointer, cudnn.RawTensor, cu.DevicePtr) cudnn.Status {
		return cudnn.Success
	}
	b.Matmul = func(cublaslt.RawHandle, cublaslt.RawMatmul, unsafe.Pointer, cu.DevicePtr, cublaslt.RawLayout, cu.DevicePtr, cublaslt.RawLayout, unsafe.Pointer, cu.DevicePtr, cublaslt.RawLayout, cu.DevicePtr, cublaslt.RawLayout, *cublaslt.Algo, cu.DevicePtr, uintptr, cu.CUStream) cublaslt.Status {
		return cublaslt.Success
	}
}
