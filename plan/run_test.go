package plan_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/internal/raw"
	"alexnet/plan"
)

// poor is a device that has no memory after the first few buffers, or cannot
// prepare anything.
type poor struct {
	dnn.Device
	buffers int
	err     error
}

func (d *poor) NewBuffer(bytes int64) (dnn.Buffer, error) {
	if d.buffers--; d.buffers < 0 {
		return nil, d.err
	}
	return d.Device.NewBuffer(bytes)
}

// TestRunnerWithoutMemory: whatever cannot be had, the error says so and all that
// was taken is given back, or the device could not be closed.
func TestRunnerWithoutMemory(t *testing.T) {
	net := plan.SmallNet(t, 2)
	p, err := plan.Compile(net, []string{"cpu:0", "cpu:1"}, plan.Options{Batch: smallBatch})
	check(t, err)
	for buffers := range 4 {
		var devices []dnn.Device
		full := errors.New("no memory is left")
		for i := range 2 {
			d, err := cpu.New("cpu")
			check(t, err)
			devices = append(devices, &poor{Device: d, buffers: buffers - 2*i, err: full})
		}
		if _, err := plan.NewRunner(devices, p); !errors.Is(err, full) || !strings.Contains(err.Error(), "memory for ") {
			t.Errorf("with memory for %d buffers: %v", buffers, err)
		}
		for _, d := range devices {
			check(t, d.Close())
		}
	}
	d, err := cpu.New("cpu")
	check(t, err)
	defer func() { check(t, d.Close()) }()
	if _, err := plan.NewRunner([]dnn.Device{d}, p); err == nil || !strings.Contains(err.Error(), "2 devices cannot run on 1") {
		t.Errorf("a program for two devices on one: %v", err)
	}
}

// apart is a device on which joined tasks cannot be made, or not be launched.
type apart struct {
	dnn.Device
	join, launch error
}

func (d *apart) Join(tasks []dnn.Task) (dnn.Task, error) {
	if d.join != nil {
		return nil, d.join
	}
	t, err := d.Device.Join(tasks)
	return joined{t}, err
}

func (d *apart) NewStream() (dnn.Stream, error) {
	s, err := d.Device.NewStream()
	return apartStream{s, d}, err
}

type joined struct{ dnn.Task }

type apartStream struct {
	dnn.Stream
	device *apart
}

func (s apartStream) Launch(t dnn.Task) error {
	if _, ok := t.(joined); ok {
		return s.device.launch
	}
	return s.Stream.Launch(t)
}

// TestErrorsOfJoinedSteps: they name the first step and the last.
func TestErrorsOfJoinedSteps(t *testing.T) {
	net := plan.SmallNet(t, 1)
	p, err := plan.Compile(net, []string{"cpu"}, plan.Options{Batch: smallBatch})
	check(t, err)
	cpu, err := cpu.New("cpu")
	check(t, err)
	defer func() { check(t, cpu.Close()) }()
	oops := errors.New("oops")
	first := p.Segments()[0]
	want := p.StepName(first[0]) + " to " + p.StepName(first[len(first)-1]) + ": oops"
	if _, err := plan.NewRunner([]dnn.Device{&apart{Device: cpu, join: oops}}, p); !errors.Is(err, oops) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	r, err := plan.NewRunner([]dnn.Device{&apart{Device: cpu, launch: oops}}, p)
	check(t, err)
	defer func() { check(t, r.Close()) }()
	host := plan.Host{
		plan.Pixels: make([]byte, smallBatch*net.Input.Size()), plan.Views: raw.Bytes(make([]float32, smallBatch*dnn.ViewFloats)),
		plan.Labels: raw.Bytes(make([]int32, smallBatch)), plan.Control: make([]byte, p.ControlBytes()), plan.Stats: make([]byte, 4*dnn.StatFloats),
	}
	if err := r.Launch(t.Context(), p, 0, len(p.Steps), &host); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	last := first[len(first)-1]
	check(t, r.Launch(t.Context(), p, 0, last, &host)) // without the last: one by one
	check(t, r.Launch(t.Context(), p, first[0]+1, last+1, &host))
}

// TestRepeat: a step repeated is the step launched as often.
func TestRepeat(t *testing.T) {
	net := plan.SmallNet(t, 2)
	update := func(times int, repeat bool) outcome {
		return runWith(t, net, 2, eachStep, 1, plan.Options{Batch: smallBatch}, func(r *plan.Runner, p *plan.Program) {
			for _, step := range []int{len(p.Steps) - 2, len(p.Steps) - 1} { // of each device
				if repeat {
					check(t, r.Repeat(t.Context(), p, step, times, &plan.Host{}))
					continue
				}
				for range times {
					check(t, r.Launch(t.Context(), p, step, step+1, &plan.Host{}))
				}
			}
			check(t, r.Synchronize(t.Context()))
		})
	}
	want, none := update(3, false), update(0, false)
	for name, x := range update(3, true).params {
		if !slices.Equal(x, want.params[name]) || slices.Equal(x, none.params[name]) {
			t.Errorf("%s is not what three launches make of it", name)
		}
	}
	if got := update(1, true); !slices.Equal(got.params["fc6.weight"], update(1, false).params["fc6.weight"]) {
		t.Error("one repeat is not one launch")
	}
}

// TestWaitLossReportsEarlierWork: labels that are no class make the loss worthless,
// and the host hears of it when it asks for the loss, once.
func TestWaitLossReportsEarlierWork(t *testing.T) {
	net := plan.SmallNet(t, 2)
	p, err := plan.Compile(net, []string{"cpu:0", "cpu:1"}, plan.Options{Batch: smallBatch})
	check(t, err)
	var devices []dnn.Device
	for _, name := range []string{"cpu:0", "cpu:1"} {
		d, err := cpu.New(name)
		check(t, err)
		defer func() { check(t, d.Close()) }()
		devices = append(devices, d)
	}
	r, err := plan.NewRunner(devices, p)
	check(t, err)
	defer func() { check(t, r.Close()) }() // which returns what nobody has heard of
	ctx := t.Context()
	check(t, r.WaitLoss(ctx, p)) // of nothing
	host := plan.Host{
		plan.Pixels: make([]byte, smallBatch*net.Input.Size()), plan.Views: raw.Bytes(make([]float32, smallBatch*dnn.ViewFloats)),
		plan.Labels: raw.Bytes([]int32{0, 99}), plan.Control: make([]byte, p.ControlBytes()), plan.Stats: make([]byte, 4*dnn.StatFloats),
	}
	check(t, r.Launch(ctx, p, 0, p.Forward, &host))
	if err := r.WaitLoss(ctx, p); err == nil || !strings.Contains(err.Error(), "cpu:0: SoftmaxForward: image 1 of the batch has label 99") {
		t.Errorf("error %v", err)
	}
	check(t, r.WaitLoss(ctx, p))
}
