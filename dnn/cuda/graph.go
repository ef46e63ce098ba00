package cuda

import (
	"errors"
	"fmt"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
)

// joined is tasks that are launched as one. From the second launch on it is a
// graph, which costs the host one call, not one for each kernel of each task.
//
// A graph holds addresses in the workspace, and is what the libraries make of the
// handles of one stream. When the workspace has moved, or another stream comes, it
// is made anew. The launch before that is always of the tasks one by one: then
// libraries load and take what they need, which a capture would not allow.
type joined struct {
	parts   []*task
	device  *Device
	scratch bool // whether a part works in the workspace

	plain      bool          // there is to be no graph
	stream     *stream       // of the last launch
	generation int           // of the workspace then
	graph      *cu.GraphExec // nil if there is none yet for these two
}

// Join makes one task of several.
func (d *Device) Join(tasks []dnn.Task) (dnn.Task, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("%s: no tasks to join", d.name)
	}
	j := &joined{device: d, plain: d.options.NoGraphs}
	for _, t := range tasks {
		part, ok := t.(*task)
		if !ok || part.device != d {
			return nil, fmt.Errorf("%s: a task to join that it has not prepared", d.name)
		}
		j.parts = append(j.parts, part)
		j.scratch = j.scratch || part.scratch > 0
	}
	return j, nil
}

// Op is the first task's.
func (j *joined) Op() dnn.Op { return j.parts[0].op }

// Close gives the graph back.
func (j *joined) Close() error {
	if j.graph == nil {
		return nil
	}
	err := j.graph.Close()
	j.graph = nil
	return j.device.ending(err)
}

func (j *joined) launch(s *stream) error {
	generation := 0
	if j.scratch { // before the capture, since it may let s wait for another stream
		if err := j.device.claim(s); err != nil {
			return err
		}
		generation = j.device.workspace.generation
	}
	switch {
	case j.plain:
		return j.each(s)
	case j.stream != s || j.generation != generation:
		if err := j.forget(); err != nil {
			return err
		}
		if err := j.each(s); err != nil {
			return err
		}
		j.stream, j.generation = s, generation
		return nil
	case j.graph == nil:
		if err := j.capture(s); err != nil {
			return j.named(err)
		}
		if j.plain {
			return j.afterRefusal(s)
		}
	}
	if err := j.graph.Launch(s.cu); err != nil {
		return j.named(err)
	}
	return nil
}

// afterRefusal launches the parts after a capture was refused. A library may come back
// once more with the error that the capture gave it.
func (j *joined) afterRefusal(s *stream) error {
	err := j.each(s)
	var dnn *cudnn.Error
	var blas *cublaslt.Error
	if errors.As(err, &dnn) || errors.As(err, &blas) {
		return j.each(s)
	}
	return err
}

// IsGraph reports whether the tasks are launched as a graph by now.
func (j *joined) IsGraph() bool { return j.graph != nil }

// each launches the parts one by one.
func (j *joined) each(s *stream) error {
	for _, t := range j.parts {
		if err := t.launch(s); err != nil {
			return err
		}
	}
	return nil
}

func (j *joined) named(err error) error {
	return fmt.Errorf("%s to %s: %w", dnn.NameOf(j.parts[0].op), dnn.NameOf(j.parts[len(j.parts)-1].op), err)
}

// capture makes the graph. If that cannot be, there is none for good: nothing of
// the capture has run, and the parts, launched one by one, either work or say what
// is wrong.
//
// The capture is of this thread: what a library does on it that a graph would not
// repeat, such as to take memory, makes the capture fail, in the place of a graph
// that works on memory which is given back. Other threads may do so.
func (j *joined) capture(s *stream) error {
	var refused error
	graph, err := s.cu.Capture(cu.CaptureThreadLocal, func() error {
		refused = j.each(s)
		return refused
	})
	if err == nil {
		j.graph, err = graph.Instantiate()
		err = errors.Join(err, graph.Close())
	}
	var e *cu.Error
	if refused != nil || errors.As(err, &e) && (e.Result.OfCapture() || e.Result == cu.ErrorNotSupported) {
		j.plain = true
		return nil
	}
	return err
}

// forget gives the graph back once its stream is done with it.
func (j *joined) forget() error {
	if j.graph == nil {
		return nil
	}
	if !j.stream.closed {
		if err := j.stream.cu.Synchronize(); err != nil {
			return err
		}
	}
	err := j.graph.Close()
	j.graph = nil
	return err
}
