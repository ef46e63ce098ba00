package sim

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/kernels"
	"alexnet/dnn/cuda/nvrtc"
)

func TestNotStarted(t *testing.T) {
	m, err := New(Options{GPUs: 1})
	check(t, err)
	f := m.Driver()
	var n int32
	var c cu.CUContext
	if r := f.DriverGetVersion(&n); r != cu.Success || n != driverVersion {
		t.Errorf("version %d, %v", n, r)
	}
	for name, r := range map[string]cu.Result{
		"count": f.DeviceGetCount(&n), "retain": f.PrimaryCtxRetain(&c, 0), "current": f.CtxSetCurrent(0), "synchronize": f.CtxSynchronize(),
	} {
		if r != cu.ErrorNotInitialized {
			t.Errorf("%s before cuInit: %v", name, results[r].name)
		}
	}
	if r := f.Init(1); r != cu.ErrorInvalidValue {
		t.Errorf("flags: %v", r)
	}
	check(t, m.Close())
	if r := f.Init(0); r != errorDeinitialized {
		t.Errorf("after Close: %v", results[r].name)
	}
	none, err := New(Options{})
	check(t, err)
	if r := none.Driver().Init(0); r != cu.ErrorNoDevice {
		t.Errorf("without a GPU: %v", results[r].name)
	}
	check(t, none.Close())
}

// Each thread has a current context of its own.
func TestCurrent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("threads are told apart on Linux only")
	}
	r := newRig(t, Options{})
	elsewhere := func(f func()) {
		var w sync.WaitGroup
		w.Go(func() {
			runtime.LockOSThread() // and ends with the goroutine
			f()
		})
		w.Wait()
	}
	var p cu.DevicePtr
	elsewhere(func() {
		var c cu.CUContext
		if got := r.f.MemAlloc(&p, 4); got != cu.ErrorInvalidContext {
			t.Errorf("no context: %v", results[got].name)
		}
		r.f.CtxGetCurrent(&c)
		if c != 0 {
			t.Error("a fresh thread has a context")
		}
		r.f.CtxSetCurrent(r.ctx[1])
	})
	var c cu.CUContext
	if r.ok(r.f.CtxGetCurrent(&c)); c != r.ctx[0] {
		t.Error("another thread's context came over")
	}
	r.wants(cu.ErrorInvalidContext, r.f.CtxSetCurrent(r.ctx[0]+1))

	// A context that has ended is none, even if its GPU has another.
	r.ok(r.f.PrimaryCtxRelease(0))
	r.wants(cu.ErrorInvalidContext, r.f.MemAlloc(&p, 4))
	r.wants(cu.ErrorInvalidContext, r.f.CtxSetCurrent(r.ctx[0]))
	r.wants(cu.ErrorInvalidContext, r.f.PrimaryCtxRelease(0))
	r.ok(r.f.PrimaryCtxRetain(&r.ctx[0], 0))
	r.wants(cu.ErrorInvalidContext, r.f.CtxSynchronize())
	r.enter(0)
	r.ok(r.f.CtxSynchronize())

	// Two who retain it share one context.
	var again cu.CUContext
	r.ok(r.f.PrimaryCtxRetain(&again, 0))
	if again != r.ctx[0] {
		t.Error("a second primary context")
	}
	r.ok(r.f.PrimaryCtxRelease(0))
	r.ok(r.f.CtxSynchronize())
}

// What is unknown, given back, of another kind or of another context is an error
// and never a crash.
func TestInvalidHandles(t *testing.T) {
	r := newRig(t, Options{})
	dnn, blas := r.m.CuDNN(), r.m.CuBLASLt()
	s, gone, e, p, code := r.stream(), r.stream(), r.event(), r.alloc(64), r.code()
	r.free(gone)
	var far cu.CUStream
	var farEvent cu.CUEvent
	var farCode cu.CUModule
	r.on(1, func() { far, farEvent, farCode = r.stream(), r.event(), r.code() })
	var fn cu.CUFunction
	var ms float32
	one := float32(1)
	onePtr := unsafe.Pointer(&one)
	var h cudnn.RawHandle
	if st := dnn.Create(&h); st != cudnn.Success {
		t.Fatal(st)
	}
	var bh cublaslt.RawHandle
	if st := blas.Create(&bh); st != cublaslt.Success {
		t.Fatal(st)
	}

	for _, bad := range []uintptr{1, 8, uintptr(gone), uintptr(far), uintptr(p), uintptr(r.ctx[0]), ^uintptr(0)} {
		st, ev, mo := cu.CUStream(bad), cu.CUEvent(bad), cu.CUModule(bad)
		for name, got := range map[string]cu.Result{
			"destroy": r.f.StreamDestroy(st), "synchronize": r.f.StreamSynchronize(st), "query": r.f.StreamQuery(st), "wait": r.f.StreamWaitEvent(st, e, 0),
			"wait for": r.f.StreamWaitEvent(s, ev, 0), "record": r.f.EventRecord(ev, s), "record in": r.f.EventRecord(e, st),
			"event": r.f.EventSynchronize(ev), "event query": r.f.EventQuery(ev), "event destroy": r.f.EventDestroy(ev), "elapsed": r.f.EventElapsedTime(&ms, ev, e),
			"elapsed to": r.f.EventElapsedTime(&ms, e, ev),
			"unload":     r.f.ModuleUnload(mo), "function": r.f.ModuleGetFunction(&fn, mo, text("scale")), "memset": r.f.MemsetD8Async(p, 0, 1, st),
			"launch": r.f.LaunchKernel(cu.CUFunction(bad), 1, 1, 1, 1, 1, 1, 0, s, nil, nil),
		} {
			if got != cu.ErrorInvalidHandle {
				t.Errorf("%s of %#x: %v", name, bad, results[got].name)
			}
		}
		d := cudnn.RawTensor(bad)
		for name, got := range map[string]cudnn.Status{
			"destroy": dnn.Destroy(cudnn.RawHandle(bad)), "stream": dnn.SetStream(h, st), "of": dnn.SetStream(cudnn.RawHandle(bad), s),
			"set tensor": dnn.SetTensor4dDescriptorEx(d, cudnn.Float, 1, 1, 1, 1, 1, 1, 1, 1), "tensor": dnn.DestroyTensorDescriptor(d), "filter": dnn.DestroyFilterDescriptor(cudnn.RawFilter(bad)),
			"convolution": dnn.DestroyConvolutionDescriptor(cudnn.RawConvolution(bad)), "activation": dnn.DestroyActivationDescriptor(cudnn.RawActivation(bad)),
			"pooling": dnn.DestroyPoolingDescriptor(cudnn.RawPooling(bad)), "lrn": dnn.DestroyLRNDescriptor(cudnn.RawLRN(bad)),
			"add": dnn.AddTensor(h, onePtr, d, p, onePtr, d, p), "softmax": dnn.SoftmaxForward(cudnn.RawHandle(bad), cudnn.SoftmaxFast, cudnn.SoftmaxChannel, onePtr, d, p, onePtr, d, p),
			"forward": dnn.ConvolutionForward(h, onePtr, d, p, cudnn.RawFilter(bad), p, cudnn.RawConvolution(bad), 0, 0, 0, onePtr, d, p),
		} {
			if got != cudnn.BadParam {
				t.Errorf("cuDNN: %s of %#x: %v", name, bad, got)
			}
		}
		l, md := cublaslt.RawLayout(bad), cublaslt.RawMatmul(bad)
		var n int32
		var results [1]cublaslt.HeuristicResult
		for name, got := range map[string]cublaslt.Status{
			"layout": blas.MatrixLayoutDestroy(l), "matmul": blas.MatmulDescDestroy(md), "preference": blas.MatmulPreferenceDestroy(cublaslt.RawPreference(bad)),
			"attribute": blas.MatmulDescSetAttribute(md, cublaslt.MatmulTransA, onePtr, 4), "limit": blas.MatmulPreferenceSetAttribute(cublaslt.RawPreference(bad), cublaslt.PreferenceMaxWorkspace, onePtr, 8),
			"heuristic": blas.MatmulAlgoGetHeuristic(bh, md, l, l, l, l, cublaslt.RawPreference(bad), 1, &results[0], &n),
			"product":   blas.Matmul(bh, md, onePtr, p, l, p, l, onePtr, p, l, p, l, nil, 0, 0, 0),
		} {
			if got != cublaslt.InvalidValue {
				t.Errorf("cuBLASLt: %s of %#x: %v", name, bad, got)
			}
		}
		if got := blas.Destroy(cublaslt.RawHandle(bad)); got != cublaslt.NotInitialized {
			t.Errorf("cuBLASLt: destroy of %#x: %v", bad, got)
		}
	}
	r.ok(r.f.StreamWaitEvent(s, farEvent, 0)) // which may be of another GPU
	r.wants(cu.ErrorInvalidHandle, r.f.EventRecord(farEvent, s))
	r.wants(cu.ErrorInvalidHandle, r.f.ModuleUnload(farCode))
	r.wants(cu.ErrorInvalidHandle, r.f.StreamDestroy(0))
	r.on(1, func() {
		// Memory may be given back from any context.
		r.free(p, far, farEvent, farCode)
		var tensor cudnn.RawTensor
		dnn.CreateTensorDescriptor(&tensor)
		dnn.SetTensor4dDescriptorEx(tensor, cudnn.Float, 1, 1, 1, 1, 1, 1, 1, 1)
		if st := dnn.AddTensor(h, onePtr, tensor, p, onePtr, tensor, p); st != cudnn.ExecutionFailed {
			t.Errorf("cuDNN in another context: %v", st)
		}
		dnn.DestroyTensorDescriptor(tensor)
	})
	dnn.Destroy(h)
	blas.Destroy(bh)
	r.free(s, e, code)
}

// Limits of a launch, and code that is no code.
func TestLaunches(t *testing.T) {
	r := newRig(t, Options{})
	code, p := r.code(), r.put(1)
	var f cu.CUFunction
	r.wants(cu.ErrorNotFound, r.f.ModuleGetFunction(&f, code, text("scales")))
	r.ok(r.f.ModuleGetFunction(&f, code, text("scale")))
	params := unsafe.SliceData(kernels.Params(kernels.Scale{X: p, Y: p, Count: 1, Factor: 2}))
	for name, test := range map[string]struct {
		blocks, threads, shared uint32
		params                  *unsafe.Pointer
		want                    cu.Result
	}{
		"good":            {1, 1024, 48 << 10, params, cu.Success},
		"no blocks":       {0, 1, 0, params, cu.ErrorInvalidValue},
		"no threads":      {1, 0, 0, params, cu.ErrorInvalidValue},
		"too many":        {1, 1025, 0, params, cu.ErrorInvalidValue},
		"too many blocks": {1 << 31, 1, 0, params, cu.ErrorInvalidValue},
		"too much shared": {1, 1, 48<<10 + 1, params, cu.ErrorInvalidValue},
		"no arguments":    {1, 1, 0, nil, cu.ErrorNotSupported},
	} {
		if got := r.f.LaunchKernel(f, test.blocks, 1, 1, test.threads, 1, 1, test.shared, 0, test.params, nil); got != test.want {
			t.Errorf("%s: %v", name, results[got].name)
		}
	}
	same(t, "launched once", r.get(p, 1), 2)

	var m cu.CUModule
	damaged := newCubin(architecture, []string{"scale"})
	damaged[len(damaged)-9] ^= 1
	for name, test := range map[string]struct {
		image []byte
		want  cu.Result
	}{
		"an ELF file": {[]byte("\x7fELF"), errorInvalidImage},
		"one byte":    {[]byte{magic[0] + 1}, errorInvalidImage},
		"damaged":     {damaged, errorInvalidImage},
		"for another": {newCubin("sm_80", []string{"scale"}), errorNoBinaryForGPU},
	} {
		if got := r.f.ModuleLoadData(&m, unsafe.Pointer(&test.image[0])); got != test.want {
			t.Errorf("%s: %v", name, results[got].name)
		}
	}
	r.ok(r.launch(code, 0, kernels.Scale{X: p, Y: p, Count: 1, Factor: 2}))
	r.free(code)
	r.wants(cu.ErrorLaunchFailed, r.f.CtxSynchronize()) // unloaded before it ran
	r.wants(cu.ErrorLaunchFailed, r.f.MemFree(p))
}

func TestFaults(t *testing.T) {
	t.Run("out of memory", func(t *testing.T) {
		r := newRig(t, Options{Faults: Faults{OutOfMemoryAt: 2}})
		p := r.alloc(4)
		var h unsafe.Pointer
		r.wants(cu.ErrorOutOfMemory, r.f.MemHostAlloc(&h, 4, 0))
		r.free(p, r.alloc(4))
	})
	for name, test := range map[string]struct {
		faults Faults
		want   cu.Result
	}{"launch": {Faults{FailLaunchAt: 3}, cu.ErrorLaunchFailed}, "device": {Faults{LoseDeviceAt: 3}, errorUnknown}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{Faults: test.faults})
			code, s, p := r.code(), r.stream(), r.put(1)
			var far cu.DevicePtr
			r.on(1, func() { far = r.put(1) })
			double := kernels.Scale{X: p, Y: p, Count: 1, Factor: 2}
			r.ok(r.launch(code, s, double))
			r.ok(r.launch(code, s, double))
			r.ok(r.f.StreamSynchronize(s))
			same(t, "before", r.get(p, 1), 4)
			h := r.host(7)
			r.ok(r.launch(code, s, double)) // the failure is of the work, not of the call
			r.ok(r.download(h, p, s))
			r.wants(test.want, r.f.StreamSynchronize(s))
			same(t, "what was queued behind it", h, 7)
			r.wants(test.want, r.f.MemFreeHost(unsafe.Pointer(&h[0])))
			r.wants(test.want, r.f.CtxSynchronize())
			r.wants(test.want, r.launchRaw(code, s))
			r.wants(test.want, r.f.MemFree(p))
			r.wants(test.want, r.f.StreamDestroy(s))
			r.wants(test.want, r.f.ModuleUnload(code))
			r.on(1, func() { same(t, "the other GPU", r.get(far, 1), 1); r.free(far) })

			// With a fresh context all is well, unless the GPU is gone.
			r.wants(test.want, r.f.PrimaryCtxRelease(0))
			want := cu.Success
			if test.faults.LoseDeviceAt > 0 {
				want = test.want
			}
			r.wants(want, r.f.PrimaryCtxRetain(&r.ctx[0], 0))
		})
	}
	for _, name := range libraryNames {
		for word, o := range map[string]Options{
			"it was not found": {GPUs: 1, Faults: Faults{Missing: name}}, "is needed": {GPUs: 1, Faults: Faults{OldVersion: name}},
		} {
			m, err := New(o)
			check(t, err)
			if _, err := m.Libraries(); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), word) && !strings.Contains(err.Error(), "are needed") {
				t.Errorf("%s: %v", name, err)
			}
			check(t, m.Close())
		}
	}
	for _, o := range []Options{{GPUs: -1}, {GPUs: maxGPUs + 1}, {Memory: -1}, {Faults: Faults{Missing: "libc"}}, {Faults: Faults{OldVersion: "cuDNN"}}, {Faults: Faults{LoseDeviceAt: -1}}} {
		if m, err := New(o); err == nil {
			t.Errorf("%+v is a machine", o)
			m.Close()
		}
	}
}

// launchRaw is a launch that fails for its context.
func (r *rig) launchRaw(m cu.CUModule, s cu.CUStream) cu.Result {
	var f cu.CUFunction
	return r.f.ModuleGetFunction(&f, m, text("scale"))
}

// What is left is listed, with where it was made, in order.
func TestLeaks(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m, err := New(Options{GPUs: 1})
	check(t, err)
	f, dnn, blas, rtc := m.Driver(), m.CuDNN(), m.CuBLASLt(), m.NVRTC()
	f.Init(0)
	var c cu.CUContext
	f.PrimaryCtxRetain(&c, 0)
	f.CtxSetCurrent(c)
	var s cu.CUStream
	var e cu.CUEvent
	var p cu.DevicePtr
	var host unsafe.Pointer
	var code cu.CUModule
	var fn cu.CUFunction
	var h cudnn.RawHandle
	var x cudnn.RawTensor
	var bh cublaslt.RawHandle
	var l cublaslt.RawLayout
	var program nvrtc.RawProgram
	f.StreamCreate(&s, 0)
	f.EventCreate(&e, 0)
	f.MemAlloc(&p, 123)
	f.MemHostAlloc(&host, 45, 0)
	image := newCubin(architecture, []string{"scale"})
	f.ModuleLoadData(&code, unsafe.Pointer(&image[0]))
	f.ModuleGetFunction(&fn, code, text("scale"))
	dnn.Create(&h)
	dnn.CreateTensorDescriptor(&x)
	blas.Create(&bh)
	blas.MatrixLayoutCreate(&l, cublaslt.Float32, 1, 1, 1)
	rtc.CreateProgram(&program, text(""), text("k.cu"), 0, nil, nil)
	want := []string{"context of GPU 0", "stream of GPU 0", "event of GPU 0", "123 bytes of GPU 0", "45 bytes of page-locked memory", "module of GPU 0",
		"cuDNN handle of GPU 0", "cuDNN tensor descriptor", "cuBLASLt handle of GPU 0", "cuBLASLt matrix layout", "NVRTC program k.cu"}
	left := m.Leaks()
	if len(left) != len(want) {
		t.Fatalf("%d things are left: %q", len(left), left)
	}
	for i, w := range want {
		if !strings.HasPrefix(left[i], w+", made at errors_test.go:") {
			t.Errorf("%q, want %s", left[i], w)
		}
	}
	f.PrimaryCtxRelease(0) // ends what is in it, but that is still a leak
	if n := len(m.Leaks()); n != len(want)-1 {
		t.Errorf("after the context's end %d things are left", n)
	}
	err = m.Close()
	if err == nil || !strings.Contains(err.Error(), "not given back, 10:") || !strings.Contains(err.Error(), want[3]) {
		t.Errorf("Close: %v", err)
	}
	check(t, m.Close()) // which it is
}

// Goroutines on threads of their own use one machine at the same time.
func TestConcurrent(t *testing.T) {
	const users, rounds = 6, 20
	for seed := range uint64(3) {
		m, err := New(Options{GPUs: 2, Seed: seed})
		check(t, err)
		libs, err := m.Libraries()
		check(t, err)
		var w sync.WaitGroup
		errs := make([]error, users)
		for i := range users {
			w.Go(func() { errs[i] = use(libs.Driver, i%2, rounds) })
		}
		w.Wait()
		check(t, errors.Join(errs...))
		check(t, m.Close())
	}
}

// use copies there and back on a GPU.
func use(d *cu.Driver, gpu, rounds int) (err error) {
	ctx, err := d.PrimaryContext(cu.Device(gpu))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ctx.Close()) }()
	s, err := ctx.NewStream(cu.StreamNonBlocking)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p, err := ctx.MemAlloc(16)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	h, err := ctx.MemHostAlloc(16)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	for i := range rounds {
		copy(h.Bytes(), fmt.Sprintf("round %2d        ", i))
		err := errors.Join(s.MemcpyHtoDAsync(p.Ptr(), h.Bytes()), s.Synchronize())
		clear(h.Bytes())
		if err = errors.Join(err, s.MemcpyDtoHAsync(h.Bytes(), p.Ptr()), s.Synchronize()); err != nil {
			return err
		}
		if got := string(h.Bytes()[:8]); got != fmt.Sprintf("round %2d", i) {
			return fmt.Errorf("%q in round %d", got, i)
		}
	}
	return nil
}
