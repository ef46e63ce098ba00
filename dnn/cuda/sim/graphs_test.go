package sim

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/dnn/cuda/kernels"
)

// begin makes a stream capture, as package cuda does.
func (r *rig) begin(s cu.CUStream) {
	r.Helper()
	r.ok(r.f.StreamBeginCapture(s, cu.CaptureThreadLocal))
}

// end returns what a stream has captured, ready to be launched.
func (r *rig) end(s cu.CUStream) (e cu.CUGraphExec) {
	r.Helper()
	var g cu.CUGraph
	r.ok(r.f.StreamEndCapture(s, &g))
	r.ok(r.f.GraphInstantiateWithFlags(&e, g, 0))
	r.ok(r.f.GraphDestroy(g)) // which leaves e as it is
	return e
}

// What is captured runs when the graph is launched, with the arguments of then.
func TestCapture(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		code, s, x, out := r.code(), r.stream(), r.put(1), r.host(0)
		a := kernels.Scale{X: x, Y: x, Count: 1, Factor: 3}
		params := kernels.Params(&a)
		var f cu.CUFunction
		r.ok(r.f.ModuleGetFunction(&f, code, text("scale")))
		r.begin(s)
		r.ok(r.f.LaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, unsafe.SliceData(params), nil))
		r.ok(r.download(out, x, s))
		for i, p := range params {
			*(*float32)(p), params[i] = 0, nil
		}
		e := r.end(s)
		same(t, "before the launch", r.get(x, 1), 1)
		if r.m.tasks != 0 {
			t.Errorf("%d kernels were launched by the capture", r.m.tasks)
		}
		const launches = 3
		for range launches {
			r.ok(r.f.GraphLaunch(e, s))
		}
		r.ok(r.f.StreamSynchronize(s))
		same(t, "after three launches", out, 27)
		if r.m.tasks != launches {
			t.Errorf("%d kernels, want one a launch", r.m.tasks)
		}

		// Launches of one graph run one after the other, in whatever streams; and to be
		// destroyed does not end them.
		other := r.stream()
		r.ok(r.f.GraphLaunch(e, s))
		r.ok(r.f.GraphLaunch(e, other))
		r.ok(r.f.GraphExecDestroy(e))
		r.ok(r.f.StreamSynchronize(other))
		same(t, "in two streams", out, 243)
		r.wants(cu.ErrorInvalidValue, r.f.GraphLaunch(e, s))
		r.wants(cu.ErrorInvalidValue, r.f.GraphExecDestroy(e))
		r.free(code, s, other, x, out)
	})
}

// A graph that is launched in a stream that captures becomes part of the other.
func TestGraphInGraph(t *testing.T) {
	r := newRig(t, Options{})
	s, p := r.stream(), r.put(0, 0)
	r.begin(s)
	r.ok(r.f.MemcpyDtoDAsync(p+4, p, 4, s))
	inner := r.end(s)
	r.ok(r.f.GraphLaunch(inner, s))
	r.begin(s)
	r.ok(r.f.MemsetD8Async(p, 0x40, 4, s))
	r.ok(r.f.GraphLaunch(inner, s))
	outer := r.end(s)
	same(t, "before", r.get(p, 2), 0, 0)
	r.ok(r.f.GraphLaunch(outer, s))
	r.ok(r.f.StreamSynchronize(s))
	const x40 = 3.0039215
	same(t, "after", r.get(p, 2), x40, x40)
	r.ok(r.f.GraphExecDestroy(inner))
	r.ok(r.f.GraphExecDestroy(outer))
	r.free(s, p)
}

// Pieces of work of two graphs that nothing orders race like others.
func TestGraphsRace(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.racy = true
		a, b, p := r.stream(), r.stream(), r.put(0)
		var graphs []cu.CUGraphExec
		for _, s := range []cu.CUStream{a, b} {
			r.begin(s)
			r.ok(r.f.MemsetD8Async(p, 1, 4, s))
			graphs = append(graphs, r.end(s))
			r.ok(r.f.GraphLaunch(graphs[len(graphs)-1], s))
		}
		r.ok(r.f.CtxSynchronize())
		for _, e := range graphs {
			r.ok(r.f.GraphExecDestroy(e))
		}
		r.free(a, b, p)
	})
}

// Memory that a graph works on may be given back, but not used any more.
func TestGraphOfFreedMemory(t *testing.T) {
	r := newRig(t, Options{})
	s, p := r.stream(), r.put(0)
	r.begin(s)
	r.ok(r.f.MemsetD8Async(p, 1, 4, s))
	e := r.end(s)
	r.free(p)
	r.ok(r.f.GraphLaunch(e, s))
	r.wants(cu.ErrorIllegalAddress, r.f.StreamSynchronize(s))
	var what *byte
	r.ok(r.f.GetErrorString(cu.ErrorIllegalAddress, &what))
	if got := cstring.Copy(what); !strings.Contains(got, "memset on GPU 0") || !strings.Contains(got, "none any more") {
		t.Errorf("the error is %q", got)
	}
	r.wants(cu.ErrorIllegalAddress, r.f.GraphExecDestroy(e))
	r.wants(cu.ErrorIllegalAddress, r.f.StreamDestroy(s))
}

// Faults are counted when graphs are launched.
func TestFaultInGraph(t *testing.T) {
	r := newRig(t, Options{Faults: Faults{FailLaunchAt: 4}})
	code, s, x := r.code(), r.stream(), r.put(1)
	r.begin(s)
	for range 3 {
		r.ok(r.launch(code, s, kernels.Scale{X: x, Y: x, Count: 1, Factor: 3}))
	}
	e := r.end(s)
	r.ok(r.f.GraphLaunch(e, s))
	r.ok(r.f.StreamSynchronize(s))
	r.ok(r.f.GraphLaunch(e, s))
	r.wants(cu.ErrorLaunchFailed, r.f.StreamSynchronize(s))
	r.f.GraphExecDestroy(e)
	r.f.StreamDestroy(s)
	r.f.ModuleUnload(code)
	r.f.MemFree(x)
}

func TestGraphLeaks(t *testing.T) {
	r := newRig(t, Options{})
	s := r.stream()
	r.begin(s)
	var g cu.CUGraph
	r.ok(r.f.StreamEndCapture(s, &g))
	var e cu.CUGraphExec
	r.ok(r.f.GraphInstantiateWithFlags(&e, g, 0))
	if left := strings.Join(r.m.Leaks(), "\n"); !strings.Contains(left, "\ngraph of GPU 0, made at graphs_test.go:") ||
		!strings.Contains(left, "\nexecutable graph of GPU 0, made at graphs_test.go:") {
		t.Errorf("left are\n%s", left)
	}
	r.ok(r.f.GraphLaunch(e, s)) // of nothing
	r.ok(r.f.GraphDestroy(g))
	r.ok(r.f.GraphExecDestroy(e))
	r.wants(cu.ErrorInvalidValue, r.f.GraphDestroy(g))
	r.wants(cu.ErrorInvalidValue, r.f.GraphInstantiateWithFlags(&e, g, 0))
	r.begin(s)
	r.free(s) // and what it captures
}

// What cannot be part of a capture is refused, and makes the capture fail. In the
// relaxed mode, the calls that are only unsafe go through.
func TestNotInCapture(t *testing.T) {
	const unsupported = cu.ErrorStreamCaptureUnsupported
	type thing struct {
		s, other, ordered cu.CUStream
		outside, inside   cu.CUEvent // recorded outside of the capture, and inside
		p                 cu.DevicePtr
	}
	for name, c := range map[string]struct {
		call          func(r *rig, x thing) cu.Result
		want, relaxed cu.Result
	}{
		"cuStreamSynchronize": {func(r *rig, x thing) cu.Result { return r.f.StreamSynchronize(x.s) }, unsupported, unsupported},
		"cuStreamQuery":       {func(r *rig, x thing) cu.Result { return r.f.StreamQuery(x.s) }, unsupported, unsupported},
		"cuCtxSynchronize":    {func(r *rig, x thing) cu.Result { return r.f.CtxSynchronize() }, unsupported, unsupported},
		"cuStreamSynchronize of another": {func(r *rig, x thing) cu.Result { return r.f.StreamSynchronize(x.other) },
			unsupported, cu.Success},
		"cuEventQuery outside":       {func(r *rig, x thing) cu.Result { return r.f.EventQuery(x.outside) }, unsupported, cu.Success},
		"cuEventSynchronize outside": {func(r *rig, x thing) cu.Result { return r.f.EventSynchronize(x.outside) }, unsupported, cu.Success},
		"cuEventQuery inside":        {func(r *rig, x thing) cu.Result { return r.f.EventQuery(x.inside) }, unsupported, cu.ErrorCapturedEvent},
		"cuEventSynchronize inside":  {func(r *rig, x thing) cu.Result { return r.f.EventSynchronize(x.inside) }, unsupported, cu.ErrorCapturedEvent},
		"cuStreamWaitEvent outside": {func(r *rig, x thing) cu.Result { return r.f.StreamWaitEvent(x.s, x.outside, 0) },
			cu.ErrorStreamCaptureIsolation, cu.ErrorStreamCaptureIsolation},
		"cuStreamWaitEvent elsewhere": {func(r *rig, x thing) cu.Result { return r.f.StreamWaitEvent(x.other, x.inside, 0) },
			cu.ErrorNotSupported, cu.ErrorNotSupported},
		"cuStreamWaitEvent of another capture": {func(r *rig, x thing) cu.Result {
			r.ok(r.f.StreamBeginCapture(x.other, cu.CaptureRelaxed))
			got := r.f.StreamWaitEvent(x.other, x.inside, 0)
			var g cu.CUGraph
			r.wants(cu.ErrorStreamCaptureInvalidated, r.f.StreamEndCapture(x.other, &g))
			return got
		}, cu.ErrorStreamCaptureMerge, cu.ErrorStreamCaptureMerge},
		"the default stream": {func(r *rig, x thing) cu.Result {
			r.ok(r.f.StreamBeginCapture(x.ordered, cu.CaptureRelaxed))
			got := r.f.MemsetD8Async(x.p, 0, 4, 0)
			var g cu.CUGraph
			r.wants(cu.ErrorStreamCaptureInvalidated, r.f.StreamEndCapture(x.ordered, &g))
			r.f.StreamSynchronize(x.s) // and this capture fails too
			return got
		}, cu.ErrorStreamCaptureImplicit, cu.ErrorStreamCaptureImplicit},
		"a copy from ordinary memory": {func(r *rig, x thing) cu.Result { return r.upload(x.p, []float32{1}, x.s) }, unsupported, unsupported},
		"a copy to ordinary memory":   {func(r *rig, x thing) cu.Result { return r.download([]float32{1}, x.p, x.s) }, unsupported, unsupported},
		"cuMemFree":                   {func(r *rig, x thing) cu.Result { return r.f.MemFree(0) }, unsupported, cu.Success},
		"cuMemAlloc": {func(r *rig, x thing) cu.Result {
			var p cu.DevicePtr
			got := r.f.MemAlloc(&p, 4)
			if got == cu.Success {
				r.free(p)
			}
			return got
		}, unsupported, cu.Success},
	} {
		t.Run(name, func(t *testing.T) {
			for mode, want := range map[cu.CaptureMode]cu.Result{cu.CaptureGlobal: c.want, cu.CaptureThreadLocal: c.want, cu.CaptureRelaxed: c.relaxed} {
				r := newRig(t, Options{})
				x := thing{s: r.stream(), other: r.stream(), outside: r.event(), inside: r.event(), p: r.put(0)}
				r.ok(r.f.StreamCreate(&x.ordered, 0))
				r.ok(r.f.EventRecord(x.outside, x.other))
				r.ok(r.f.EventSynchronize(x.outside))
				r.ok(r.f.StreamBeginCapture(x.s, mode))
				r.ok(r.f.EventRecord(x.inside, x.s))
				r.ok(r.f.StreamWaitEvent(x.s, x.inside, 0))
				r.wants(want, c.call(r, x))
				var g cu.CUGraph
				if want == cu.Success {
					r.ok(r.f.StreamEndCapture(x.s, &g))
					r.ok(r.f.GraphDestroy(g))
				} else {
					r.wants(cu.ErrorStreamCaptureInvalidated, r.f.MemsetD8Async(x.p, 0, 4, x.s))
					g = 1
					r.wants(cu.ErrorStreamCaptureInvalidated, r.f.StreamEndCapture(x.s, &g))
					if g != 0 {
						t.Error("a capture that failed gives a graph")
					}
				}
				r.wants(cu.ErrorCapturedEvent, r.f.EventQuery(x.inside)) // not recorded since
				r.wants(cu.ErrorCapturedEvent, r.f.StreamWaitEvent(x.s, x.inside, 0))
				r.ok(r.f.MemsetD8Async(x.p, 0, 4, x.s)) // and runs
				r.ok(r.f.EventRecord(x.inside, x.s))
				r.ok(r.f.EventSynchronize(x.inside))
				r.free(x.s, x.other, x.ordered, x.outside, x.inside, x.p)
			}
		})
	}
}

// Captures are begun and ended in pairs.
func TestCapturePairs(t *testing.T) {
	r := newRig(t, Options{})
	s := r.stream()
	var g cu.CUGraph
	r.wants(cu.ErrorIllegalState, r.f.StreamEndCapture(s, &g))
	r.wants(cu.ErrorStreamCaptureUnsupported, r.f.StreamBeginCapture(0, cu.CaptureThreadLocal))
	r.wants(cu.ErrorInvalidValue, r.f.StreamBeginCapture(s, 3))
	r.begin(s)
	r.wants(cu.ErrorIllegalState, r.f.StreamBeginCapture(s, cu.CaptureThreadLocal))
	r.wants(cu.ErrorInvalidValue, r.f.StreamEndCapture(s, nil))
	r.ok(r.f.StreamEndCapture(s, &g))
	r.ok(r.f.GraphDestroy(g))
	r.free(s)
}

// A capture belongs to its thread, which alone it restricts unless it is global.
func TestCaptureThreads(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("threads are told apart on Linux only")
	}
	r := newRig(t, Options{})
	s := r.stream()
	elsewhere := func(f func()) {
		var w sync.WaitGroup
		w.Go(func() {
			runtime.LockOSThread() // and ends with the goroutine
			r.f.CtxSetCurrent(r.ctx[0])
			f()
			r.f.CtxSetCurrent(0)
		})
		w.Wait()
	}
	for _, c := range []struct {
		mode       cu.CaptureMode
		alloc, end cu.Result
	}{
		{cu.CaptureGlobal, cu.ErrorStreamCaptureUnsupported, cu.ErrorStreamCaptureWrongThread},
		{cu.CaptureThreadLocal, cu.Success, cu.ErrorStreamCaptureWrongThread},
		{cu.CaptureRelaxed, cu.Success, cu.Success},
	} {
		r.ok(r.f.StreamBeginCapture(s, c.mode))
		var g cu.CUGraph
		elsewhere(func() {
			var p cu.DevicePtr
			if got := r.f.MemAlloc(&p, 4); got != c.alloc {
				t.Errorf("mode %d: memory on another thread: %v", c.mode, results[got].name)
			}
			if p != 0 {
				r.f.MemFree(p)
			}
			if got := r.f.StreamEndCapture(s, &g); got != c.end {
				t.Errorf("mode %d: end on another thread: %v", c.mode, results[got].name)
			}
		})
		if c.end != cu.Success {
			r.f.StreamEndCapture(s, &g)
		}
		if g != 0 {
			r.ok(r.f.GraphDestroy(g))
		}
	}
	r.free(s)
}
