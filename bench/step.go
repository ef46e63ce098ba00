// Package bench times a network: each operation of a training step by itself, in
// the manner of caffe time, and the step as a whole, as convnet-benchmarks does,
// beside what the device can do at most.
//
// The folder also holds notes of what made things faster (NOTES.md) and the tables
// that the scripts in scripts/bench and scripts/gpu-check wrote (results).
package bench

import (
	"context"
	"errors"
	"slices"
	"strings"

	"alexnet/dnn"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
	"alexnet/model"
	"alexnet/plan"
)

// Step is a program of a network on devices, with pixels of noise and small
// weights: what a training step needs, but for images and a loss that falls.
type Step struct {
	Program *plan.Program
	runner  *plan.Runner
	host    plan.Host
	memory  []dnn.Host
	scratch []float32 // of fill, used again so that the peak of memory stays low
}

// NewStep plans and prepares a step. The devices remain the caller's.
func NewStep(ctx context.Context, net *model.Net, on plan.Placement, o plan.Options) (_ *Step, err error) {
	s := &Step{}
	if s.Program, err = on.Compile(net, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.takeHost(on.Devices[0]); err != nil {
		return nil, err
	}
	if s.runner, err = plan.NewRunner(on.Devices, s.Program); err != nil {
		return nil, err
	}
	return s, s.fill(ctx)
}

// takeHost makes the host's side, in memory that the device copies from fastest.
func (s *Step) takeHost(device dnn.Device) error {
	p := s.Program
	for slot, bytes := range map[plan.Slot]int64{
		plan.Pixels:  int64(p.Batch) * int64(p.Net.Input.Size()),
		plan.Views:   int64(p.Batch) * dnn.ViewFloats * 4,
		plan.Labels:  int64(p.Batch) * 4,
		plan.Control: p.ControlBytes(),
		plan.Stats:   int64(p.Replicas) * dnn.StatFloats * 4,
		plan.Logits:  int64(p.Batch) * int64(p.Net.Classes()) * 4,
	} {
		h, err := device.NewHost(bytes)
		if err != nil {
			return err
		}
		s.memory = append(s.memory, h)
		s.host[slot] = h.Bytes()
		clear(s.host[slot])
	}
	Pixels(s.host[plan.Pixels])
	labels := raw.Numbers[int32](s.host[plan.Labels])
	for i := range labels {
		labels[i] = int32(i % p.Net.Classes())
	}
	s.setRate(lowRate)
	return nil
}

// lowRate keeps the weights small, however many steps are timed.
const lowRate = 1e-6

// setRate sets the rate of all layers for the steps that are issued next. Wait for
// the earlier ones first.
func (s *Step) setRate(rate float32) {
	for i, control := 1, raw.Numbers[float32](s.host[plan.Control]); i < len(control); i++ {
		control[i] = rate
	}
}

// Pixels fills p with the noise that a step has for images, [batch, height, width,
// channels]. A smaller batch has the first images of a larger one.
func Pixels(p []byte) {
	numbers := philox.NewStream(1, philox.Draw, 0, 0)
	for i := range p {
		p[i] = byte(numbers.Uint32())
	}
}

// Weights returns the numbers that fill each weight tensor and each bias of a step,
// from the first on. A longer tensor repeats them: to draw all would take longer than
// the measurement.
func Weights() []float32 {
	normals := make([]float32, 1<<20)
	philox.Normals(normals, 0.01, 1, philox.Init, 0)
	return normals
}

// fill makes the weights and the mean, and clears the momentum.
func (s *Step) fill(ctx context.Context) error {
	normals := Weights()
	p := s.Program
	for d := range p.Devices {
		for _, param := range p.Params(d) {
			count := int(p.Devices[d].Tensors[param.Tensor].Bytes / 4)
			s.scratch = slices.Grow(s.scratch[:0], count)
			data := s.scratch[:count]
			clear(data)
			for n := 0; n < len(data) && !strings.HasPrefix(param.Name, "momentum."); n += len(normals) {
				copy(data[n:], normals)
			}
			if err := s.runner.Write(ctx, p, d, param.Tensor, raw.Bytes(data)); err != nil {
				return err
			}
		}
		mean := p.Devices[d].Mean
		if err := s.runner.Write(ctx, p, d, mean, make([]byte, p.Devices[d].Tensors[mean].Bytes)); err != nil {
			return err
		}
	}
	return nil
}

// Launch issues the program's steps from first up to, but not including, end.
func (s *Step) Launch(ctx context.Context, first, end int) error {
	return s.runner.Launch(ctx, s.Program, first, end, &s.host)
}

// Repeat issues one step of the program several times; see [plan.Runner.Repeat].
func (s *Step) Repeat(ctx context.Context, step, times int) error {
	return s.runner.Repeat(ctx, s.Program, step, times, &s.host)
}

// Losses returns the mean loss of the first step at that rate and, unless the
// program is of a test, the loss after it. Then the weights are as they were.
func (s *Step) Losses(ctx context.Context, rate float64) (losses []float64, err error) {
	steps := 1
	if s.Program.Mode == plan.Train {
		steps = 2
	}
	s.setRate(float32(rate))
	for range steps {
		err := s.Launch(ctx, 0, len(s.Program.Steps))
		if err := errors.Join(err, s.Wait(ctx)); err != nil {
			return nil, err
		}
		losses = append(losses, s.loss())
	}
	s.setRate(lowRate)
	err = s.fill(ctx)
	s.scratch = nil
	return losses, err
}

// loss returns the mean loss of the last step that was waited for.
func (s *Step) loss() float64 {
	var sum float64
	for i, v := range raw.Numbers[float32](s.host[plan.Stats]) {
		if i%dnn.StatFloats == dnn.StatLoss {
			sum += float64(v)
		}
	}
	return sum / float64(s.Program.Batch)
}

// Wait waits for all that was issued.
func (s *Step) Wait(ctx context.Context) error { return s.runner.Synchronize(ctx) }

// Close gives back what NewStep took.
func (s *Step) Close() error {
	var errs []error
	if s.runner != nil {
		errs = append(errs, s.runner.Close())
	}
	for _, h := range s.memory {
		errs = append(errs, h.Close())
	}
	s.runner, s.memory = nil, nil
	return errors.Join(errs...)
}
