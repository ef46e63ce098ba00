package plan_test

import (
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/internal/raw"
	"alexnet/internal/testenv"
	"alexnet/plan"
)

// TestStepsDoNotAllocate: after the first step, training takes no memory from
// Go's heap, on one device, on two, and with replicas.
func TestStepsDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector makes pools forget what they hold")
	}
	net := plan.SmallNet(t, 2)
	for _, on := range []struct {
		names    []string
		replicas int
	}{{[]string{"cpu"}, 1}, {[]string{"cpu:0", "cpu:1"}, 1}, {[]string{"cpu:0", "cpu:1"}, 2}} {
		p, err := plan.Compile(net, on.names, plan.Options{Batch: smallBatch, Replicas: on.replicas})
		check(t, err)
		var devices []dnn.Device
		for _, name := range on.names {
			d, err := cpu.New(name)
			check(t, err)
			defer func() { check(t, d.Close()) }()
			devices = append(devices, d)
		}
		r, err := plan.NewRunner(devices, p)
		check(t, err)
		defer func() { check(t, r.Close()) }()
		for device, d := range p.Devices { // fresh memory may hold anything, and labels are checked
			for i := range d.Tensors[1:] {
				check(t, r.Write(t.Context(), p, device, dnn.Tensor(i+1), make([]byte, d.Tensors[i+1].Bytes)))
			}
		}
		host := plan.Host{
			plan.Pixels: make([]byte, smallBatch*net.Input.Size()), plan.Views: raw.Bytes(make([]float32, smallBatch*dnn.ViewFloats)),
			plan.Labels: raw.Bytes(make([]int32, smallBatch)), plan.Control: controlOf(net, 0, smallRate),
			plan.Stats: raw.Bytes(make([]float32, p.Replicas*dnn.StatFloats)),
		}
		ctx := t.Context()
		got := testing.AllocsPerRun(20, func() {
			check(t, r.Launch(ctx, p, 0, p.Update, &host))
			check(t, r.WaitLoss(ctx, p))
			check(t, r.Launch(ctx, p, p.Update, len(p.Steps), &host))
			check(t, r.Synchronize(ctx))
		})
		if got != 0 {
			t.Errorf("%+v: %g allocations a step", on, got)
		}
	}
}
