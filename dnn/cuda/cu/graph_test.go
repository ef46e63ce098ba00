package cu_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/fake"
	"alexnet/internal/handle"
)

// captured returns a machine with a stream, where the graphs are number 8 and,
// executable, 9.
func captured(t *testing.T) (*fake.Machine, *cu.Context, *cu.Stream) {
	t.Helper()
	m := fake.New(t)
	m.Hooks["cuStreamEndCapture"] = func(args []reflect.Value) { args[1].Elem().SetUint(8) }
	m.Hooks["cuGraphInstantiateWithFlags"] = func(args []reflect.Value) { args[0].Elem().SetUint(9) }
	c := m.Context(t, 0)
	s, err := c.NewStream(cu.StreamNonBlocking)
	check(t, err)
	m.Calls = nil
	return m, c, s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCalls(t *testing.T, m *fake.Machine, want ...string) {
	t.Helper()
	if !slices.Equal(m.Calls, want) {
		t.Errorf("calls\n\t%s\nwant\n\t%s", strings.Join(m.Calls, "\n\t"), strings.Join(want, "\n\t"))
	}
	m.Calls = nil
}

func TestGraph(t *testing.T) {
	m, c, s := captured(t)
	g, err := s.Capture(cu.CaptureThreadLocal, func() error { return s.MemsetD8Async(1, 2, 3) })
	check(t, err)
	e, err := g.Instantiate()
	check(t, err)
	check(t, g.Close())
	check(t, g.Close())
	check(t, e.Launch(s))
	if _, err := g.Instantiate(); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("a closed graph: %v", err)
	}
	check(t, c.Close()) // which lives as long as the graph
	check(t, s.Close())
	if err := e.Launch(s); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("in a closed stream: %v", err)
	}
	check(t, e.Close())
	if err := e.Launch(s); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("a closed graph: %v", err)
	}
	wantCalls(t, m,
		"cuStreamBeginCapture_v2(hStream 2, mode 1) in 1",
		"cuMemsetD8Async(dstDevice 1, uc 2, N 3, hStream 2) in 1",
		"cuStreamEndCapture(hStream 2, phGraph) in 1",
		"cuGraphInstantiateWithFlags(phGraphExec, hGraph 8, flags 0) in 1",
		"cuGraphDestroy(hGraph 8) in 1",
		"cuGraphLaunch(hGraphExec 9, hStream 2) in 1",
		"cuStreamDestroy_v2(hStream 2) in 1",
		"cuGraphExecDestroy(hGraphExec 9) in 1",
		"cuDevicePrimaryCtxRelease_v2(dev 0) in 1")
}

// TestCaptureFails: whatever fails, the stream does not go on capturing, and no
// graph is left.
func TestCaptureFails(t *testing.T) {
	const begin, end, destroy = "cuStreamBeginCapture_v2(hStream 2, mode 2) in 1", "cuStreamEndCapture(hStream 2, phGraph) in 1", "cuGraphDestroy(hGraph 8) in 1"
	oops := errors.New("oops")
	for _, c := range []struct {
		fail  string // a function
		work  error
		calls []string
	}{
		{"cuStreamBeginCapture_v2", nil, []string{begin}},
		{"cuStreamEndCapture", nil, []string{begin, end}},
		{"cuStreamEndCapture", oops, []string{begin, end}},
		{"", oops, []string{begin, end, destroy}},
	} {
		m, _, s := captured(t)
		const result = cu.ErrorStreamCaptureInvalidated
		if c.fail != "" {
			m.Fail[c.fail] = int32(result)
		}
		g, err := s.Capture(cu.CaptureRelaxed, func() error { return c.work })
		if g != nil || c.fail != "" && !errors.Is(err, result) || c.work != nil && !errors.Is(err, c.work) {
			t.Errorf("%+v: graph %v, error %v", c, g, err)
		}
		wantCalls(t, m, c.calls...)
	}
	m, _, s := captured(t)
	g, err := s.Capture(cu.CaptureRelaxed, func() error { return nil })
	check(t, err)
	m.Fail["cuGraphInstantiateWithFlags"] = int32(cu.ErrorOutOfMemory)
	if e, err := g.Instantiate(); e != nil || !errors.Is(err, cu.ErrorOutOfMemory) {
		t.Errorf("graph %v, error %v", e, err)
	}
	check(t, g.Close())
	check(t, s.Close())
	if _, err := s.Capture(cu.CaptureRelaxed, nil); !errors.Is(err, handle.ErrClosed) {
		t.Errorf("of a closed stream: %v", err)
	}
}

func TestOfCapture(t *testing.T) {
	for r, want := range map[cu.Result]bool{
		cu.ErrorNotSupported: false, cu.ErrorStreamCaptureUnsupported: true, cu.ErrorStreamCaptureInvalidated: true,
		cu.ErrorCapturedEvent: true, cu.ErrorStreamCaptureWrongThread: true, 909: false, cu.ErrorUnknown: false, cu.Success: false,
	} {
		if r.OfCapture() != want {
			t.Errorf("%v: %v", r, !want)
		}
	}
}
