package train

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/plan"
)

// TestReplicas: replicas train as one network does, to rounding; test alike; and go on
// from a checkpoint as if they had never been stopped, to the bit.
func TestReplicas(t *testing.T) {
	net, set, devices := open(t, "cpu:0", "cpu:1", "cpu:2", "cpu:3")
	run := func(on plan.Placement, change func(*Config)) (string, []float64) {
		var losses []float64
		c := config(t, net, set, nil, func(m metrics.Metric) { losses = append(losses, m.Loss) })
		c.Placement = on
		change(&c)
		check(t, Run(t.Context(), c))
		return c.Dir, losses
	}
	whole := func(*Config) {}
	tensors := func(dir string) []checkpoint.Tensor {
		c, err := checkpoint.Read(filepath.Join(dir, Newest))
		check(t, err)
		return c.Tensors
	}
	test := func(dir string, on plan.Placement) Result {
		r, _, err := Test(t.Context(), Testing{Models: []string{filepath.Join(dir, Newest)}, Placement: on, Set: set, Batch: 7, Views: 10, Progress: func(int64, int64) {}})
		check(t, err)
		return r
	}
	alone := plan.On(devices[0])
	one, want := run(alone, whole)
	for _, on := range []plan.Placement{{Devices: devices[:2], Replicas: 2}, {Devices: devices, Replicas: 2}, {Devices: devices, Replicas: 4}} {
		dir, losses := run(on, whole)
		if len(losses) != len(want) {
			t.Fatalf("%d replicas: %d lines, want %d", on.Replicas, len(losses), len(want))
		}
		for i, loss := range losses {
			if math.Abs(loss-want[i]) > 1e-4*want[i] {
				t.Errorf("%d replicas on %d devices: loss %d is %g, and %g on one", on.Replicas, len(on.Devices), i, loss, want[i])
			}
		}
		a, b := test(one, alone), test(one, on)
		if a.Images != b.Images || a.Top1Error != b.Top1Error || math.Abs(a.Loss-b.Loss) > 1e-5*a.Loss {
			t.Errorf("%d replicas on %d devices: tested %+v, and %+v on one", on.Replicas, len(on.Devices), b, a)
		}
		stopped, _ := run(on, func(c *Config) { c.Steps = 9 })
		run(on, func(c *Config) { c.Dir, c.Resume = stopped, true })
		for i, x := range tensors(dir) {
			if y := tensors(stopped)[i]; x.Name != y.Name || !slices.Equal(x.Data, y.Data) {
				t.Errorf("%d replicas on %d devices: %s after going on differs", on.Replicas, len(on.Devices), x.Name)
			}
		}
	}
}
