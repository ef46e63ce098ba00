package train

import (
	"errors"
	"fmt"

	"alexnet/checkpoint"
	"alexnet/model"
	"alexnet/plan"
)

// Checked is a checkpoint that was found to be whole.
type Checked struct {
	*checkpoint.Checkpoint
	Net    *model.Net // nil if the file holds tensors alone
	Summed bool       // its numbers were held against checksums, which files of others do not have
}

// Check reads a whole checkpoint. The error says what is damaged, not finite, or not
// as its network needs it.
func Check(path string) (c Checked, err error) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return c, err
	}
	c.Summed = f.Summed()
	if err := f.Close(); err != nil {
		return c, err
	}
	if c.Checkpoint, err = read(path); err != nil || c.State.Net == "" {
		return c, err
	}
	m := &Model{Checkpoint: c.Checkpoint, path: path}
	if c.Net, err = NetOf(path, c.State); err != nil {
		return c, err
	}
	height, width, err := m.Stored()
	if err != nil {
		return c, err
	}
	p, err := plan.Compile(c.Net, []string{"cpu"}, plan.Options{Batch: c.Net.Train.Batch, MeanH: height, MeanW: width})
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	var errs []error
	named := byName(c.Tensors)
	for _, param := range p.Params(0) {
		if _, err := find(c.Net, named, param.Name, param.Shape); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	return c, errors.Join(errs...)
}
