package cublaslt

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
	"alexnet/internal/testenv"
)

// library returns cuBLASLt 12.5.1 of a fake machine.
func library(t testing.TB) (*fake.Machine, *Library) {
	t.Helper()
	m, f := fake.New(t), new(Functions)
	m.Fill(t, f.Bindings())
	f.GetVersion = func() uintptr { return 120501 }
	l, err := New(f, "/lib/libcublasLt.so.12")
	if err != nil {
		t.Fatal(err)
	}
	return m, l
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

// offer makes the heuristic offer algorithms.
func offer(m *fake.Machine, list ...HeuristicResult) {
	m.Hooks["cublasLtMatmulAlgoGetHeuristic"] = func(args []reflect.Value) {
		copy(unsafe.Slice(args[8].Interface().(*HeuristicResult), args[7].Int()), list)
		args[9].Elem().SetInt(int64(len(list)))
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		version             uintptr
		major, minor, patch int
		err                 string
	}{
		{version: 120501, major: 12, minor: 5, patch: 1},
		{version: 130002, major: 13, patch: 2},
		{version: 111103, err: "/lib/libcublasLt.so is cuBLASLt 11.11.3, but version 12 or 13 is needed"},
		{version: 140000, err: "/lib/libcublasLt.so is cuBLASLt 14.0.0, but version 12 or 13 is needed"},
	} {
		l, err := New(&Functions{GetVersion: func() uintptr { return c.version }}, "/lib/libcublasLt.so")
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
		if major, minor, patch := l.Version(); major != c.major || minor != c.minor || patch != c.patch || l.Path() != "/lib/libcublasLt.so" {
			t.Errorf("version %d: %d.%d.%d of %s", c.version, major, minor, patch, l.Path())
		}
	}
}

// product is d [4, 5] = aᵀ [4, 3] · b [3, 5].
var product = Product{A: Matrix{BFloat16, 3, 4, 8, 16}, B: Matrix{BFloat16, 3, 5, 0, 8}, D: Matrix{Float32, 4, 5, 6, 32},
	TransA: Trans, Compute: Compute32F, Epilogue: EpilogueReLUBias, BiasType: Float32}

// made is what NewMatmul calls for product, with handle 2 of context 1.
var made = []string{
	"cublasLtMatmulDescCreate(matmulDesc, computeType 68, scaleType 0) in 1",
	"cublasLtMatmulDescSetAttribute(matmulDesc 3, attr 3, buf 0x00000001, sizeInBytes 4) in 1",
	"cublasLtMatmulDescSetAttribute(matmulDesc 3, attr 4, buf 0x00000000, sizeInBytes 4) in 1",
	"cublasLtMatmulDescSetAttribute(matmulDesc 3, attr 7, buf 0x00000006, sizeInBytes 4) in 1",
	"cublasLtMatmulDescSetAttribute(matmulDesc 3, attr 26, buf 0x00000000, sizeInBytes 4) in 1",
	"cublasLtMatrixLayoutCreate(matLayout, type 14, rows 3, cols 4, ld 8) in 1",
	"cublasLtMatrixLayoutCreate(matLayout, type 14, rows 3, cols 5, ld 3) in 1",
	"cublasLtMatrixLayoutCreate(matLayout, type 0, rows 4, cols 5, ld 6) in 1",
	"cublasLtMatmulPreferenceCreate(pref) in 1",
	"cublasLtMatmulPreferenceSetAttribute(pref 7, attr 1, buf 0x0000000000010000, sizeInBytes 8) in 1",
	"cublasLtMatmulPreferenceSetAttribute(pref 7, attr 3, buf 0x00000002, sizeInBytes 4) in 1",
	"cublasLtMatmulPreferenceSetAttribute(pref 7, attr 5, buf 0x00000010, sizeInBytes 4) in 1",
	"cublasLtMatmulPreferenceSetAttribute(pref 7, attr 6, buf 0x00000008, sizeInBytes 4) in 1",
	"cublasLtMatmulPreferenceSetAttribute(pref 7, attr 7, buf 0x00000020, sizeInBytes 4) in 1",
	"cublasLtMatmulPreferenceSetAttribute(pref 7, attr 8, buf 0x00000020, sizeInBytes 4) in 1",
	"cublasLtMatmulAlgoGetHeuristic(lightHandle 2, operationDesc 3, Adesc 4, Bdesc 5, Cdesc 6, Ddesc 6, preference 7, requestedAlgoCount 16, heuristicResultsArray, returnAlgoCount) in 1",
	"cublasLtMatmulPreferenceDestroy(pref 7) in 1",
}

func TestMatmul(t *testing.T) {
	m, l := library(t)
	ctx := m.Context(t, 0)
	h := must(l.NewHandle(ctx))
	if h.Raw() != 2 {
		t.Errorf("raw handle %d", h.Raw())
	}
	fast := HeuristicResult{Algo: Algo{1}, WorkspaceSize: 64}
	small := HeuristicResult{Algo: Algo{2}}
	offer(m, HeuristicResult{State: NotSupported}, fast, HeuristicResult{State: InvalidValue}, small)
	m.Calls, m.Current = nil, 0
	p := must(h.NewMatmul(product, 1<<16))
	wantCalls(t, m, made...)

	if got := p.Algorithms(); !slices.Equal(got, []HeuristicResult{fast, small}) {
		t.Errorf("algorithms %v", got)
	}
	if p.Workspace() != 64 {
		t.Errorf("workspace of %d bytes, want 64", p.Workspace())
	}

	s := must(ctx.NewStream(0)) // 8
	other := must(m.Context(t, 1).NewStream(0))
	closed := must(ctx.NewStream(0))
	none(t, closed.Close())
	m.Calls, m.Current = nil, 0
	run := func(a, b, d cu.DevicePtr, bytes int64, s *cu.Stream) error { return p.Run(2, a, b, 3, d, 48, bytes, s) }
	for name, err := range map[string]error{
		"without a bias":              run(16, 32, 64, 64, s),
		"in a closed stream":          run(16, 32, 64, 64, closed),
		"in another context's stream": run(16, 32, 64, 64, other),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	none(t, p.SetBias(0x123456789a))
	wantCalls(t, m, "cublasLtMatmulDescSetAttribute(matmulDesc 3, attr 8, buf 0x000000123456789a, sizeInBytes 8)")
	for name, err := range map[string]error{
		"a not aligned":       run(8, 32, 64, 64, s),
		"b not aligned":       run(16, 36, 64, 64, s),
		"d not aligned":       run(16, 32, 80, 64, s),
		"workspace too small": run(16, 32, 64, 63, s),
	} {
		if err == nil || !strings.Contains(err.Error(), "d float32 4x5 (leading dimension 6) = T(bfloat16 3x4 (leading dimension 8)) · bfloat16 3x5") {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantCalls(t, m)
	const call = "cublasLtMatmul(lightHandle 2, computeDesc 3, alpha 2, A 16, Adesc 4, B 32, Bdesc 5, beta 3, C 64, Cdesc 6, D 64, Ddesc 6, algo, workspace 48, workspaceSizeInBytes "
	var algo Algo
	m.Hooks["cublasLtMatmul"] = func(args []reflect.Value) { algo = *args[12].Interface().(*Algo) }
	none(t, run(16, 32, 64, 64, s))
	wantCalls(t, m, call+"64, stream 8) in 1")
	if algo != fast.Algo {
		t.Errorf("ran %v, want %v", algo, fast.Algo)
	}
	p.SetAlgorithm(small)
	none(t, run(16, 32, 64, 0, nil))
	wantCalls(t, m, call+"0, stream 0) in 1")
	if algo != small.Algo {
		t.Errorf("ran %v, want %v", algo, small.Algo)
	}
	m.Fail["cublasLtMatmul"] = int32(ExecutionFailed)
	m.Texts["cublasLtGetStatusName"], m.Texts["cublasLtGetStatusString"] = "CUBLAS_STATUS_EXECUTION_FAILED", "it failed"
	err := run(16, 32, 64, 0, s)
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ExecutionFailed) || errors.Is(err, NotSupported) ||
		!strings.Contains(err.Error(), "· bfloat16 3x5") || !strings.HasSuffix(err.Error(), ": CUBLAS_STATUS_EXECUTION_FAILED (13): it failed") {
		t.Errorf("cuBLASLt's error: %v", err)
	}

	m.Calls, m.Current = nil, 0
	none(t, errors.Join(ctx.Close(), h.Close()))
	wantCalls(t, m)
	if _, err := h.NewMatmul(product, 0); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("product of a closed handle: %v", err)
	}
	none(t, p.Close())
	none(t, p.Close())
	m.Calls = slices.DeleteFunc(m.Calls, func(s string) bool { return strings.HasPrefix(s, "cuStream") || strings.HasPrefix(s, "cuDevice") })
	wantCalls(t, m, "cublasLtMatrixLayoutDestroy(matLayout 6)", "cublasLtMatrixLayoutDestroy(matLayout 5)", "cublasLtMatrixLayoutDestroy(matLayout 4)",
		"cublasLtMatmulDescDestroy(matmulDesc 3)", "cublasLtDestroy(lightHandle 2) in 1")
	for name, err := range map[string]error{"Run": run(16, 32, 64, 0, nil), "SetBias": p.SetBias(16)} {
		if !errors.Is(err, handle.ErrClosed) {
			t.Errorf("%s of a closed product: %v", name, err)
		}
	}
	wantCalls(t, m)
}

// Each call of NewMatmul fails once: all that was made is given back.
func TestNewMatmulGivesBackWhatItMadeWhenItFails(t *testing.T) {
	for i, call := range made {
		m, l := library(t)
		h := must(l.NewHandle(m.Context(t, 0)))
		offer(m, HeuristicResult{})
		function, _, _ := strings.Cut(call, "(")
		nth := 0
		for _, earlier := range made[:i+1] {
			if strings.HasPrefix(earlier, function+"(") {
				nth++
			}
		}
		before := m.Hooks[function]
		m.Hooks[function] = func(args []reflect.Value) {
			if before != nil {
				before(args)
			}
			delete(m.Fail, function)
			if nth--; nth == 0 {
				m.Fail[function] = int32(AllocFailed)
			}
		}
		m.Calls = nil
		_, err := h.NewMatmul(product, 0)
		if !errors.Is(err, AllocFailed) || !strings.Contains(err.Error(), "product d float32 4x5") || !strings.Contains(err.Error(), function) {
			t.Errorf("%s fails: %v", function, err)
		}
		created, destroyed := 0, 0
		for _, c := range m.Calls {
			name, _, _ := strings.Cut(c, "(")
			created += strings.Count(name, "Create")
			destroyed += strings.Count(name, "Destroy")
		}
		if strings.HasSuffix(function, "Create") {
			created--
		}
		if created != destroyed {
			t.Errorf("%s fails: %d descriptors were made and %d destroyed", function, created, destroyed)
		}
		m.Calls = nil
		none(t, h.Close()) // which no product holds back
		wantCalls(t, m, "cublasLtDestroy(lightHandle 2) in 1")
	}
}

func TestProductsThatCannotBe(t *testing.T) {
	m, l := library(t)
	h := must(l.NewHandle(m.Context(t, 0)))
	offer(m, HeuristicResult{})
	m.Calls = nil
	for _, c := range []struct {
		change func(*Product)
		want   string
	}{
		{func(p *Product) { p.A.Rows = 0 }, "rows and columns"},
		{func(p *Product) { p.D.Cols = -1 }, "rows and columns"},
		{func(p *Product) { p.B.LD = 2 }, "overlap"},
		{func(p *Product) { p.TransA = NoTrans }, "op(a) has 4 columns and op(b) 3 rows"},
		{func(p *Product) { p.D.Cols = 4 }, "the product is 4x5, not 4x4 as d"},
		{func(p *Product) { p.TransB, p.B.Rows, p.B.Cols, p.D.Cols = Trans, 6, 3, 5 }, "the product is 4x6, not 4x5 as d"},
		{func(p *Product) { p.A.Align = 12 }, "power of two"},
		{func(p *Product) { p.B.Align = -16 }, "power of two"},
		{func(p *Product) { p.D.Align = 1 << 32 }, "power of two"},
	} {
		p := product
		c.change(&p)
		if _, err := h.NewMatmul(p, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", p, err, c.want)
		}
	}
	wantCalls(t, m)

	p := product
	p.Epilogue, p.D.Align = 0, 0
	x := must(h.NewMatmul(p, -1))
	for _, want := range []string{"attr 7, buf 0x00000001", "attr 8, buf 0x00000100", "attr 1, buf 0x0000000000000000"} {
		if !slices.ContainsFunc(m.Calls, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("what zero stands for: no call with %s in %q", want, m.Calls)
		}
	}
	if err := x.SetBias(16); err == nil {
		t.Error("a bias for a product that adds none")
	}
	offer(m, HeuristicResult{State: NotSupported})
	if _, err := h.NewMatmul(product, 7); !errors.Is(err, NotSupported) || !strings.Contains(err.Error(), "within a workspace of 7 bytes") {
		t.Errorf("no algorithm: %v", err)
	}
	m.Hooks["cublasLtMatmulAlgoGetHeuristic"] = func(args []reflect.Value) { args[9].Elem().SetInt(1 << 20) }
	if x := must(h.NewMatmul(product, 0)); len(x.Algorithms()) != offers {
		t.Errorf("more algorithms than there is room for: %d", len(x.Algorithms()))
	}
}

func TestHandles(t *testing.T) {
	m, l := library(t)
	m.Fail["cublasLtCreate"] = int32(NotInitialized)
	if _, err := l.NewHandle(m.Context(t, 0)); !errors.Is(err, NotInitialized) {
		t.Errorf("handle that cannot be made: %v", err)
	}
	ctx := m.Context(t, 0)
	h := must(l.WrapHandle(ctx, 77))
	m.Calls, m.Current = nil, 0
	none(t, ctx.Close())
	wantCalls(t, m)
	none(t, h.Close())
	wantCalls(t, m, "cuDevicePrimaryCtxRelease_v2(dev 0)")
	for _, f := range []func(*cu.Context) (*Handle, error){l.NewHandle, func(c *cu.Context) (*Handle, error) { return l.WrapHandle(c, 1) }} {
		if _, err := f(nil); err == nil {
			t.Error("handle without a context")
		}
		if _, err := f(ctx); !errors.Is(err, handle.ErrClosed) {
			t.Errorf("handle of a closed context: %v", err)
		}
	}
}

// The functions of a fake machine take memory, as those of the library do not.
func TestRunTakesNoMemory(t *testing.T) {
	if testing.CoverMode() != "" || testenv.Race {
		t.Skip("the instrumentation takes memory")
	}
	var d cu.Functions
	d.DriverGetVersion = func(v *int32) cu.Result { *v = 12040; return cu.Success }
	d.Init = func(uint32) cu.Result { return cu.Success }
	d.PrimaryCtxRetain = func(c *cu.CUContext, _ cu.Device) cu.Result { *c = 1; return cu.Success }
	d.CtxSetCurrent = func(cu.CUContext) cu.Result { return cu.Success }
	ctx := must(must(cu.New(&d, "")).PrimaryContext(0))

	m, l := library(t)
	offer(m, HeuristicResult{})
	l.f.Matmul = func(RawHandle, RawMatmul, unsafe.Pointer, cu.DevicePtr, RawLayout, cu.DevicePtr, RawLayout, unsafe.Pointer,
		cu.DevicePtr, RawLayout, cu.DevicePtr, RawLayout, *Algo, cu.DevicePtr, uintptr, cu.CUStream) Status {
		return Success
	}
	x := must(must(l.NewHandle(ctx)).NewMatmul(product, 0))
	none(t, x.SetBias(16))
	s := must(ctx.WrapStream(2))
	if n := testing.AllocsPerRun(100, func() { none(t, x.Run(1, 16, 32, 0, 64, 0, 0, s)) }); n != 0 {
		t.Errorf("Run took memory %g times", n)
	}
}
