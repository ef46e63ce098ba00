package train

import (
	"context"
	"errors"
	"fmt"

	"alexnet/checkpoint"
	"alexnet/dsl"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"
)

// Model is a trained network on devices, ready to be tested.
type Model struct {
	Net        *model.Net
	Checkpoint *checkpoint.Checkpoint
	path       string
	runner     *plan.Runner
	program    *plan.Program
	memory     memory
	host       *host
}

// OpenModel reads a checkpoint and puts its network on the devices. batch is how
// many patches are worked on at once; 0 takes the network's own.
func OpenModel(ctx context.Context, path string, on plan.Placement, batch int) (*Model, error) {
	m, err := readModel(path)
	if err != nil {
		return nil, err
	}
	if err := m.open(ctx, on, batch, ""); err != nil {
		return nil, err
	}
	return m, nil
}

// readModel reads a checkpoint and its network.
func readModel(path string) (*Model, error) {
	c, err := read(path)
	if err != nil {
		return nil, err
	}
	net, err := NetOf(path, c.State)
	if err != nil {
		return nil, err
	}
	return &Model{Net: net, Checkpoint: c, path: path}, nil
}

// open puts the network on the devices. The output of layer keep, if it is named,
// can be read after a step. After an error nothing is left to be closed.
func (m *Model) open(ctx context.Context, on plan.Placement, batch int, keep string) error {
	if batch == 0 {
		batch = m.Net.Train.Batch
	}
	if over := batch % max(1, on.Replicas); over > 0 { // the rows that this adds may stay empty
		batch += on.Replicas - over
	}
	height, width, err := m.Stored()
	if err != nil {
		return err
	}
	m.program, err = on.Compile(m.Net, plan.Options{
		Batch: batch, Mode: plan.Test, MeanH: height, MeanW: width, Keep: keep})
	if err != nil {
		return err
	}
	m.memory.device = on.Devices[0]
	if m.host, err = newHost(&m.memory, m.program); err != nil {
		return err
	}
	if m.runner, err = plan.NewRunner(on.Devices, m.program); err != nil {
		return errors.Join(err, m.memory.Close())
	}
	if err := load(ctx, m.runner, m.program, m.Checkpoint.Tensors); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", m.path, err), m.Close())
	}
	return nil
}

// NetOf returns the network that stands in a checkpoint.
func NetOf(path string, s checkpoint.State) (*model.Net, error) {
	if s.Net == "" {
		return nil, fmt.Errorf("%s: it holds tensors but no network: only a checkpoint written by alexnet train says which network it is of", path)
	}
	return dsl.Parse(path+" (its network)", []byte(s.Net))
}

// Stored returns the size of the images that the network was trained on, of which
// it sees patches.
func (m *Model) Stored() (height, width int, err error) {
	for _, t := range m.Checkpoint.Tensors {
		if t.Name == meanName && len(t.Shape) == 3 {
			return t.Shape[0], t.Shape[1], nil
		}
	}
	return 0, 0, fmt.Errorf("%s: it has no tensor %s of 3 dimensions: take another checkpoint", m.path, meanName)
}

// images returns the count of images in a split.
func images(set *loader.Set, split string) int64 { return int64(set.Info().Splits[split].Images) }

// classNames returns the names of a set's classes, in the order of labels.
func classNames(set *loader.Set) []string {
	var names []string
	for _, c := range set.Info().Classes {
		names = append(names, c.Name)
	}
	return names
}

// Fits reports, as an error, what keeps a data set from being put through a
// network. It may have fewer classes than the network tells apart.
func Fits(net *model.Net, set *loader.Set) error {
	info := set.Info()
	if n := len(info.Classes); n > net.Classes() {
		return fmt.Errorf("the data set %s has %d classes, but the network %s tells only %d apart: change its last layer, or give other data (-data)",
			info.Name, n, net.Name, net.Classes())
	}
	if info.Height < net.Input.H || info.Width < net.Input.W {
		return fmt.Errorf("the images of the data set %s are %dx%d, smaller than the input of the network %s, %v: pack them larger, or give other data (-data)",
			info.Name, info.Height, info.Width, net.Name, net.Input)
	}
	return nil
}

// Predict calls each with the index, label and logits of every image of the set's
// test split, for 1 view or 10. The softmax of the logits is the mean of the views'
// probabilities: see [Probability]. The logits are each's only until it returns.
func (m *Model) Predict(ctx context.Context, set *loader.Set, views int, each func(image int64, label int32, logits []float64)) error {
	if err := m.Suits(set); err != nil {
		return err
	}
	return predict(ctx, m.memory.device, m.runner, m.program, m.host, set, views, each)
}

// PredictStills is Predict for images that are chosen one by one.
func (m *Model) PredictStills(ctx context.Context, s *loader.Stills, views int, each func(image int64, label int32, logits []float64)) (err error) {
	mem := memory{device: m.memory.device}
	defer func() { err = errors.Join(err, mem.Close()) }()
	from, err := s.Test(batchOptions(m.program, views, mem.take))
	if err != nil {
		return err
	}
	return average(ctx, m.runner, m.program, m.host, from, views, each)
}

// Suits reports, as an error, what keeps the network from being tested on a set: it
// must have been trained on images of that size and on the same classes.
func (m *Model) Suits(set *loader.Set) error {
	if err := Fits(m.Net, set); err != nil {
		return err
	}
	for i, name := range classNames(set) {
		if i >= len(m.Checkpoint.Classes) || m.Checkpoint.Classes[i] != name {
			return fmt.Errorf("%s was trained on other classes than the data set %s has: class %d is %q there and %q here",
				m.path, set.Info().Name, i, at(m.Checkpoint.Classes, i), name)
		}
	}
	if h, w, _ := m.Stored(); h != set.Info().Height || w != set.Info().Width {
		return fmt.Errorf("%s was trained on images of %dx%d, but those of the data set %s are %dx%d: pack them in that size",
			m.path, h, w, set.Info().Name, set.Info().Height, set.Info().Width)
	}
	return nil
}

// at returns list[i], or nothing past its end.
func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// Close gives back the devices' memory. The devices remain the caller's.
func (m *Model) Close() error { return errors.Join(m.runner.Close(), m.memory.Close()) }
