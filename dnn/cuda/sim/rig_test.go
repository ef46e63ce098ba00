package sim

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
)

// rig is a machine whose GPUs have their contexts, with the first GPU's current
// on the test's thread.
type rig struct {
	testing.TB
	m   *Machine
	f   *cu.Functions
	ctx []cu.CUContext

	racy bool // the test makes a race, which must be found
}

// newRig takes two GPUs unless o says how many. At the end nothing may be left but
// what the rig made.
func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	runtime.LockOSThread()
	if o.GPUs == 0 {
		o.GPUs = 2
	}
	m, err := New(o)
	check(t, err)
	r := &rig{TB: t, m: m, f: m.Driver()}
	t.Cleanup(func() {
		r.wants(cu.Success, r.f.CtxSetCurrent(0))
		for i := range r.ctx {
			r.f.PrimaryCtxRelease(cu.Device(i))
		}
		err := m.Close()
		if r.racy && (err == nil || !strings.HasPrefix(err.Error(), "sim: races")) {
			t.Errorf("a race was not found: %v", err)
		}
		if !r.racy && err != nil && !t.Failed() {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	r.wants(cu.Success, r.f.Init(0))
	for i := range o.GPUs {
		var c cu.CUContext
		r.wants(cu.Success, r.f.PrimaryCtxRetain(&c, cu.Device(i)))
		r.ctx = append(r.ctx, c)
	}
	r.enter(0)
	return r
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants fails the test unless a call of the driver returned want.
func (r *rig) wants(want, got cu.Result) {
	r.Helper()
	if got != want {
		var s *byte
		if r.f.GetErrorString(got, &s) == cu.Success {
			r.Logf("%s", cstring.Copy(s))
		}
		r.Fatalf("%v (%d), want %v (%d)", results[got].name, got, results[want].name, want)
	}
}

func (r *rig) ok(got cu.Result) { r.Helper(); r.wants(cu.Success, got) }

func (r *rig) enter(gpu int) { r.Helper(); r.ok(r.f.CtxSetCurrent(r.ctx[gpu])) }

// on calls f with another GPU's context current.
func (r *rig) on(gpu int, f func()) {
	r.Helper()
	r.enter(gpu)
	f()
	r.enter(0)
}

func (r *rig) stream() (s cu.CUStream) {
	r.Helper()
	r.ok(r.f.StreamCreate(&s, cu.StreamNonBlocking))
	return s
}

func (r *rig) event() (e cu.CUEvent) {
	r.Helper()
	r.ok(r.f.EventCreate(&e, cu.EventDefault))
	return e
}

func (r *rig) alloc(bytes int) (p cu.DevicePtr) {
	r.Helper()
	r.ok(r.f.MemAlloc(&p, uintptr(bytes)))
	return p
}

// host takes page-locked memory for numbers.
func (r *rig) host(x ...float32) []float32 {
	r.Helper()
	var p unsafe.Pointer
	r.ok(r.f.MemHostAlloc(&p, uintptr(4*len(x)), 0))
	h := unsafe.Slice((*float32)(p), len(x))
	copy(h, x)
	return h
}

// put takes memory of the GPU and puts numbers there.
func (r *rig) put(x ...float32) cu.DevicePtr {
	r.Helper()
	p := r.alloc(4 * len(x))
	r.ok(r.upload(p, x, 0))
	r.ok(r.f.StreamSynchronize(0))
	return p
}

// get reads numbers from the GPU, after all of its work.
func (r *rig) get(p cu.DevicePtr, n int) []float32 {
	r.Helper()
	r.ok(r.f.CtxSynchronize())
	x := make([]float32, n)
	r.ok(r.download(x, p, 0))
	return x
}

func (r *rig) upload(p cu.DevicePtr, x []float32, s cu.CUStream) cu.Result {
	return r.f.MemcpyHtoDAsync(p, unsafe.Pointer(unsafe.SliceData(x)), uintptr(4*len(x)), s)
}

func (r *rig) download(x []float32, p cu.DevicePtr, s cu.CUStream) cu.Result {
	return r.f.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(x)), p, uintptr(4*len(x)), s)
}

// free gives back streams, events, memory of GPUs and of the host, and modules.
func (r *rig) free(things ...any) {
	r.Helper()
	for _, t := range things {
		switch t := t.(type) {
		case cu.CUStream:
			r.ok(r.f.StreamDestroy(t))
		case cu.CUEvent:
			r.ok(r.f.EventDestroy(t))
		case cu.DevicePtr:
			r.ok(r.f.MemFree(t))
		case []float32:
			r.ok(r.f.MemFreeHost(unsafe.Pointer(unsafe.SliceData(t))))
		case cu.CUModule:
			r.ok(r.f.ModuleUnload(t))
		}
	}
}

// code loads the kernels.
func (r *rig) code() cu.CUModule {
	r.Helper()
	image := newCubin(architecture, kernels.Names())
	var m cu.CUModule
	r.ok(r.f.ModuleLoadData(&m, unsafe.Pointer(&image[0])))
	return m
}

// launch puts a kernel into a stream.
func (r *rig) launch(m cu.CUModule, s cu.CUStream, a kernels.Args) cu.Result {
	r.Helper()
	name, blocks, threads := a.Kernel()
	var f cu.CUFunction
	r.ok(r.f.ModuleGetFunction(&f, m, text(name)))
	params := kernels.Params(a)
	return r.f.LaunchKernel(f, uint32(max(blocks, 1)), 1, 1, uint32(threads), 1, 1, 0, s, unsafe.SliceData(params), nil)
}

// normals returns random numbers.
func normals(n int, seed uint64) []float32 {
	x := make([]float32, n)
	philox.Normals(x, 1, seed, philox.Init, 0)
	return x
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// near compares with a reference: the distance may be limit of its norm. A NaN
// that is left makes it fail.
func near(t testing.TB, what string, got []float32, want []float64, limit float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	var diff, norm float64
	for i, w := range want {
		diff += (float64(got[i]) - w) * (float64(got[i]) - w)
		norm += w * w
	}
	if e := math.Sqrt(diff) / math.Max(math.Sqrt(norm), 1e-30); !(e <= limit) && diff != 0 {
		t.Errorf("%s: off by %.3g of its norm, want at most %g", what, e, limit)
	}
}

// same compares numbers bit by bit.
func same(t testing.TB, what string, got []float32, want ...float32) {
	t.Helper()
	if !slices.Equal(raw.Bytes(got), raw.Bytes(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func allNaN(x []float32) bool {
	return !slices.ContainsFunc(x, func(v float32) bool { return v == v })
}
