package cpu

import (
	"fmt"

	"alexnet/dnn"
)

// joined is tasks that are launched as one: one after the other.
type joined struct {
	device *Device
	parts  []*task
}

// Join makes one task of several.
func (d *Device) Join(tasks []dnn.Task) (dnn.Task, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("%s: no tasks to join", d.name)
	}
	j := &joined{device: d}
	for _, t := range tasks {
		part, ok := t.(*task)
		if !ok || part.device != d {
			return nil, fmt.Errorf("%s: a task to join that it has not prepared", d.name)
		}
		j.parts = append(j.parts, part)
	}
	return j, nil
}

// Op is the first task's.
func (j *joined) Op() dnn.Op { return j.parts[0].op }

// Close has nothing to give back.
func (j *joined) Close() error { return nil }
