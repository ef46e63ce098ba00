package cuda

import (
	"fmt"

	"alexnet/dnn/cuda/cu"
)

// workspace is the memory that a device's tasks work in, one at a time: as much
// as the task that needs most.
type workspace struct {
	memory *cu.Memory
	need   int64 // of all tasks so far
	// generation counts the blocks of memory. A task is bound to one of them.
	generation int
	user       *stream   // that launched the last task which works in it
	handover   *cu.Event // recorded when the user changes
}

// claim makes sure that the workspace is there and that s may use it: after the
// stream which used it before.
func (d *Device) claim(s *stream) error {
	w := &d.workspace
	if w.memory == nil || w.memory.Bytes() < w.need {
		if w.memory != nil {
			if w.user != nil { // whose work comes after that of all users before it
				if err := w.user.cu.Synchronize(); err != nil {
					return err
				}
			}
			if err := w.memory.Close(); err != nil {
				return err
			}
			w.memory, w.user = nil, nil
		}
		m, err := d.take(w.need)
		if err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
		w.memory, w.user = m, nil
		w.generation++
	}
	if w.user != nil && w.user != s {
		if w.handover == nil {
			var err error
			if w.handover, err = d.ctx.NewEvent(cu.EventDisableTiming); err != nil {
				return err
			}
		}
		if err := w.handover.Record(w.user.cu); err != nil {
			return err
		}
		if err := s.cu.Wait(w.handover); err != nil {
			return err
		}
	}
	w.user = s
	return nil
}

func (w *workspace) close() error {
	var err error
	if w.handover != nil {
		err = w.handover.Close()
	}
	if w.memory != nil {
		if e := w.memory.Close(); err == nil {
			err = e
		}
	}
	return err
}
