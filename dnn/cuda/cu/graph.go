package cu

import (
	"errors"
	"fmt"
	"runtime"

	"alexnet/internal/handle"
)

// Graph is work that was captured, with all its arguments.
type Graph struct {
	ctx  *Context
	raw  CUGraph
	life *handle.Life
}

// Capture calls work, and makes a graph of what that queues in s, in the place of
// doing it (cuStreamBeginCapture, cuStreamEndCapture). Afterwards the stream works
// as before, whatever work returned. All is done on one thread, to which the driver
// ties a capture in every mode but the relaxed one.
func (s *Stream) Capture(mode CaptureMode, work func() error) (*Graph, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := s.beginCapture(mode); err != nil {
		return nil, err
	}
	workErr := work()
	g, err := s.endCapture()
	if err == nil && workErr != nil {
		err = g.Close()
	}
	if err := errors.Join(workErr, err); err != nil {
		return nil, err
	}
	return g, nil
}

func (s *Stream) beginCapture(mode CaptureMode) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	return s.ctx.driver.check(s.ctx.driver.f.StreamBeginCapture(s.raw, mode), "cuStreamBeginCapture(device %d)", s.ctx.device)
}

func (s *Stream) endCapture() (*Graph, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.ctx.Leave()
	g := &Graph{ctx: s.ctx}
	if err := s.ctx.driver.check(s.ctx.driver.f.StreamEndCapture(s.raw, &g.raw), "cuStreamEndCapture(device %d)", s.ctx.device); err != nil {
		return nil, err
	}
	var err error
	g.life, err = handle.New(fmt.Sprintf("a graph of device %d", s.ctx.device), func() error {
		return g.ctx.do(func() Result { return g.ctx.driver.f.GraphDestroy(g.raw) }, "cuGraphDestroy")
	}, s.ctx.life)
	return g, err
}

// Close gives the graph back. What was instantiated from it stays.
func (g *Graph) Close() error { return g.life.Close() }

// GraphExec is a graph that can be launched, as often as wanted. It works on the
// memory, and in the modules, that its work was captured with, which must be there
// as long as it is launched.
type GraphExec struct {
	ctx  *Context
	raw  CUGraphExec
	life *handle.Life
}

// Instantiate makes a graph ready to be launched (cuGraphInstantiateWithFlags).
func (g *Graph) Instantiate() (*GraphExec, error) {
	if err := g.life.Use(); err != nil {
		return nil, err
	}
	if err := g.ctx.Enter(); err != nil {
		return nil, err
	}
	defer g.ctx.Leave()
	e := &GraphExec{ctx: g.ctx}
	if err := g.ctx.driver.check(g.ctx.driver.f.GraphInstantiateWithFlags(&e.raw, g.raw, 0), "cuGraphInstantiateWithFlags(device %d)", g.ctx.device); err != nil {
		return nil, err
	}
	var err error
	e.life, err = handle.New(fmt.Sprintf("an executable graph of device %d", g.ctx.device), func() error {
		return e.ctx.do(func() Result { return e.ctx.driver.f.GraphExecDestroy(e.raw) }, "cuGraphExecDestroy")
	}, g.ctx.life)
	return e, err
}

// Launch queues all work of the graph. It begins after what is queued in s, and
// after the launch of the same graph before, in whatever stream that was
// (cuGraphLaunch).
func (e *GraphExec) Launch(s *Stream) error {
	if err := e.life.Use(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.GraphLaunch(e.raw, s.raw); r != Success {
		return s.ctx.driver.check(r, "cuGraphLaunch(device %d)", s.ctx.device)
	}
	return nil
}

// Close gives the executable graph back. Newer drivers say that they let a launch
// finish before; for others no stream may have one left.
func (e *GraphExec) Close() error { return e.life.Close() }
