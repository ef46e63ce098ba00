package plan_test

import (
	"slices"
	"strings"
	"testing"

	"alexnet/internal/reference"
	"alexnet/internal/testenv"
	"alexnet/model"
	"alexnet/plan"
)

// TestReplicasAgree: replicas that share a batch train as one network does, be each of
// them on one device or on one for each column. Tolerances are those of columns.
func TestReplicasAgree(t *testing.T) {
	net := eighth(t)
	want := runOn(t, net, 1, eachStep)
	for _, devices := range []int{2, 4} {
		got := runWith(t, net, devices, never, smallSteps, plan.Options{Batch: smallBatch, Replicas: 2}, func(*plan.Runner, *plan.Program) {})
		d := difference(got, want)
		t.Logf("%d devices: relative difference %.2g", devices, d)
		if d > 1e-4 {
			t.Errorf("2 replicas on %d devices: relative difference %g\nlosses %v\nand    %v", devices, d, got.losses, want.losses)
		}
	}
}

// TestReplicasInFloat64: the more exact the arithmetic, the less do replicas differ from
// one network, however many they are: what they add up is the same.
func TestReplicasInFloat64(t *testing.T) {
	const batch, steps = 6, 3
	net := plan.SmallNet(t, 2)
	run := func(devices, replicas int) outcome {
		return runReference(t, net, compileFor(t, net, devices, plan.Options{Batch: batch, Replicas: replicas}), steps, (*reference.Machine).Run)
	}
	want := run(1, 1)
	for _, c := range [][2]int{{2, 2}, {4, 2}, {3, 3}, {6, 3}, {6, 6}} {
		if d := difference(run(c[0], c[1]), want); d > 1e-12 {
			t.Errorf("%d replicas on %d devices: relative difference %g", c[1], c[0], d)
		}
	}
}

// wider is SmallNet with a full layer whose gradient is cut into pieces.
func wider(t *testing.T, outputs int) *model.Net {
	net := plan.SmallNet(t, 2)
	i, err := net.Index("fc5")
	check(t, err)
	full := net.Layers[i].Spec.(model.Full)
	full.Outputs = outputs // of 36 inputs
	net.Layers[i].Spec = full
	if problems := net.Infer(); len(problems) > 0 {
		t.Fatal(problems)
	}
	return net
}

// TestReplicasExchange: of a gradient of n bytes the R replicas together send n to
// those that add pieces of it up, and as much of sums, whatever is cut, each its share
// where it is; nothing else goes from one replica to another.
func TestReplicasExchange(t *testing.T) {
	net := wider(t, 8192)
	for _, c := range []struct{ devices, replicas int }{{2, 2}, {4, 4}, {4, 2}, {6, 3}} {
		for _, half := range []bool{false, true} {
			p := compileFor(t, net, c.devices, plan.Options{Batch: 12, Replicas: c.replicas, BFloat16: half})
			moved := map[string][]int64{} // by gradient: bytes that each replica sends
			for i := range p.Steps {
				peer, ok := p.Steps[i].Action.(plan.Peer)
				if !ok || !between(p, i) {
					continue
				}
				name, _, _ := strings.Cut(p.Devices[p.Steps[i].Device].Tensors[peer.From].Name, " from ")
				if moved[name] == nil {
					moved[name] = make([]int64, c.replicas)
				}
				moved[name][p.Steps[i].Device/p.Width()] += peer.Bytes()
			}
			gradients := 0
			for _, tensor := range p.Devices[0].Tensors {
				if !strings.HasPrefix(tensor.Name, "gradient of ") || strings.Contains(tensor.Name, " from ") ||
					!strings.HasSuffix(tensor.Name, ".weight") && !strings.HasSuffix(tensor.Name, ".bias") {
					continue
				}
				gradients++
				total := int64(0)
				for _, bytes := range moved[tensor.Name] {
					total += bytes
				}
				want := 2 * int64(c.replicas-1) * tensor.Bytes * int64(p.Width())
				if total != want {
					t.Errorf("%+v: of %s of %d bytes %d are sent, want %d", c, tensor.Name, tensor.Bytes, total, want)
				}
				if tensor.Name == "gradient of fc5.weight" {
					for replica, bytes := range moved[tensor.Name] { // pieces are rounded up to 128 numbers
						if each := want / int64(c.replicas); bytes < each*98/100 || bytes > each*102/100 {
							t.Errorf("%+v: of %s replica %d sends %d bytes, want %d or so", c, tensor.Name, replica, bytes, each)
						}
					}
				}
				delete(moved, tensor.Name)
			}
			if gradients != 12 {
				t.Errorf("%+v: %d gradients, want those of 6 layers", c, gradients)
			}
			if len(moved) > 0 {
				t.Errorf("%+v: replicas send each other %v, too", c, moved)
			}
		}
	}
}

// between reports whether a step copies from one replica to another.
func between(p *plan.Program, step int) bool {
	s := &p.Steps[step]
	peer, ok := s.Action.(plan.Peer)
	return ok && peer.To/p.Width() != s.Device/p.Width()
}

// TestReplicasOverlap: until the updates no operation, and no copy between columns or
// from the host, has to come after what replicas send each other in that step.
func TestReplicasOverlap(t *testing.T) {
	for _, devices := range []int{2, 4} {
		for _, half := range []bool{false, true} {
			p := compileFor(t, wider(t, 1024), devices, plan.Options{Batch: 4, Replicas: 2, BFloat16: half})
			after := make([]bool, len(p.Steps)) // steps that come after an exchange
			sent := 0
			for i := range p.Steps {
				s := &p.Steps[i]
				if between(p, i) {
					after[i] = true
					sent++
				}
				for before := range i {
					b := &p.Steps[before]
					inLine := b.Device == s.Device && b.Stream == s.Stream
					if after[before] && (inLine || slices.Contains(s.Waits, before)) {
						after[i] = true
					}
				}
				if after[i] && s.Pass != plan.Update && (s.Stream == plan.Compute || s.Stream == plan.Copy) {
					t.Errorf("%d devices: %s on %s comes after what replicas send", devices, p.StepName(i), p.Devices[s.Device].Name)
				}
			}
			if sent == 0 {
				t.Error("replicas send nothing")
			}
		}
	}
}

// TestSimulatedReplicasKeepTheOrder: as one network does, replicas give the same bits in
// whatever order GPUs work, and steps do not race; without one of the plan's waits they
// do.
func TestSimulatedReplicasKeepTheOrder(t *testing.T) {
	seeds := uint64(5)
	if testenv.Race {
		seeds = 2
	}
	net := wider(t, 1024)
	for _, c := range []struct {
		replicas int
		ordinals []int
	}{{2, []int{0, 1}}, {2, []int{0, 1, 1, 0}}, {4, []int{0, 1, 0, 1}}} {
		for _, half := range []bool{false, true} {
			p := compileFor(t, net, len(c.ordinals), plan.Options{Batch: simBatch, Replicas: c.replicas, BFloat16: half})
			inEveryOrder(t, net, p, seeds, c.ordinals...)
		}
	}
	if testenv.Race {
		return
	}
	for _, half := range []bool{false, true} {
		p := compileFor(t, net, 2, plan.Options{Batch: simBatch, Replicas: 2, BFloat16: half})
		for i := range p.Steps {
			for j, w := range p.Steps[i].Waits {
				if _, races := simulate(t, net, without(p, i, j), 1, 0, 1); len(races) == 0 {
					t.Errorf("%s need not wait for %s, as far as one seed tells", p.StepName(i), p.StepName(w))
				}
			}
		}
	}
}

// TestReplicaErrors: what cannot be placed is said, and how to.
func TestReplicaErrors(t *testing.T) {
	for _, c := range []struct {
		columns, devices, replicas, batch int
		want                              string
	}{
		{2, 3, 2, 4, "2 replicas of small on 3 devices: each needs as many"},
		{2, 0, 1, 4, "on 0 devices"},
		{1, 2, 1, 4, "it has one column, for one device; put a + between devices, as in cuda:0+cuda:1"},
		{2, 3, 1, 4, "it has 2 columns, so give 1 device or one for each column; put a +"},
		{2, 6, 2, 4, "on 3 devices: it has 2 columns"},
		{2, 2, 2, 5, "a batch of 5 cannot be shared by 2 replicas of small: make it a multiple of 2"},
	} {
		_, err := plan.Compile(plan.SmallNet(t, c.columns), slices.Repeat([]string{"cpu"}, c.devices), plan.Options{Batch: c.batch, Replicas: c.replicas})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
