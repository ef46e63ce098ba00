package train

import (
	"fmt"
	"strings"

	"alexnet/checkpoint"
	records "alexnet/loader/record"
)

// read reads a checkpoint. The tensors of one with a network must be the network's,
// which is found out before memory for them is taken.
func read(path string) (*checkpoint.Checkpoint, error) {
	return checkpoint.ReadIf(path, func(s checkpoint.State, tensors []checkpoint.Tensor) error {
		if s.Net == "" {
			return nil
		}
		net, err := NetOf(path, s)
		if err != nil {
			return err
		}
		wanted := map[string][]int{}
		for i, l := range net.Layers {
			wanted[l.Name+".weight"], wanted[l.Name+".bias"] = net.ParamShapes(i)
		}
		for _, t := range tensors {
			shape := wanted[strings.TrimPrefix(t.Name, "momentum.")]
			if t.Name == meanName {
				if shape, err = meanShape(t.Shape); err != nil {
					return err
				}
			}
			if shape == nil {
				return fmt.Errorf("its tensor %s is none of the network %s: it belongs to another network", t.Name, net.Name)
			}
			if err := hasShape(net, &t, shape); err != nil {
				return err
			}
		}
		return nil
	})
}

// meanShape returns the shape of a mean image of the size that shape says, which
// images of a data set may have.
func meanShape(shape []int) ([]int, error) {
	if len(shape) != 3 {
		return nil, fmt.Errorf("its tensor %s has shape %v, want height, width and 3 channels: take another checkpoint", meanName, shape)
	}
	if _, err := records.NewShape(shape[0], shape[1], 0); err != nil {
		return nil, fmt.Errorf("its tensor %s: %w; take another checkpoint", meanName, err)
	}
	return []int{shape[0], shape[1], 3}, nil
}
