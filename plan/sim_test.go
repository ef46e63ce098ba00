package plan_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/sim"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
	"alexnet/internal/testenv"
	"alexnet/model"
	"alexnet/plan"
)

const (
	simRuns = 3 // launched one after the other without waiting for any
	// simBatch is one with which tensors that share memory, as the plan sees it, share
	// bytes that steps of different streams use: else a wait for them would be missed
	// by nobody. Four replicas can share it.
	simBatch = 8
)

// compileFor plans for a count of devices, sim:a and so on.
func compileFor(t *testing.T, net *model.Net, devices int, o plan.Options) *plan.Program {
	t.Helper()
	var names []string
	for i := range devices {
		names = append(names, fmt.Sprintf("sim:%c", 'a'+i))
	}
	p, err := plan.Compile(net, names, o)
	check(t, err)
	return p
}

// simulate runs a training program on simulated GPUs, one for each ordinal, and
// returns the bits of all that it leaves, the losses and the parameters, and the
// races between its steps. Each run has page-locked memory of its own, which the
// GPUs may read or write at any time until the end.
func simulate(t *testing.T, net *model.Net, p *plan.Program, seed uint64, ordinals ...int) (out []uint32, races []string) {
	t.Helper()
	out, races, _ = simulateLaunching(t, allAtOnce, cuda.Options{}, net, p, seed, ordinals...)
	return out, races
}

// launching is how the steps of a program are launched.
type launching func(t *testing.T, r *plan.Runner, p *plan.Program, host *plan.Host)

func allAtOnce(t *testing.T, r *plan.Runner, p *plan.Program, host *plan.Host) {
	check(t, r.Launch(t.Context(), p, 0, len(p.Steps), host))
}

func oneByOne(t *testing.T, r *plan.Runner, p *plan.Program, host *plan.Host) {
	for i := range p.Steps {
		check(t, r.Launch(t.Context(), p, i, i+1, host))
	}
}

// simulateLaunching also returns how many graphs were launched.
func simulateLaunching(t *testing.T, launch launching, o cuda.Options, net *model.Net, p *plan.Program, seed uint64, ordinals ...int) (out []uint32, races []string, graphs int) {
	t.Helper()
	ctx := t.Context()
	m, err := sim.New(sim.Options{GPUs: 2, Seed: seed})
	check(t, err)
	o.KernelCache = t.TempDir()
	defer func() {
		if leaks := m.Leaks(); len(leaks) > 0 {
			t.Errorf("left are %v", leaks)
		}
		races = m.Races()
		if err := m.Close(); len(races) == 0 { // which are errors of it
			check(t, err)
		}
	}()
	libs, err := m.Libraries()
	check(t, err)
	var devices []dnn.Device
	var gpus []*cuda.Device
	for i, ordinal := range ordinals {
		d, err := libs.New(p.Devices[i].Name, ordinal, o)
		check(t, err)
		defer func() { check(t, d.Close()) }()
		devices, gpus = append(devices, d), append(gpus, d)
	}
	check(t, cuda.Connect(gpus))
	r, err := plan.NewRunner(devices, p)
	check(t, err)
	start := weights(net, p)
	for device, d := range p.Devices {
		check(t, r.Write(ctx, p, device, d.Mean, make([]byte, d.Tensors[d.Mean].Bytes)))
		for _, param := range p.Params(device) {
			x := start[param.Name]
			row := len(x) / param.Shape[0]
			check(t, r.Write(ctx, p, device, param.Tensor, raw.Bytes(x[param.First*row:(param.First+param.Rows)*row])))
		}
	}
	stats := make([]dnn.Host, simRuns)
	for run := range simRuns {
		host := pageLocked(t, devices[0], p, run)
		defer func() {
			for _, h := range host {
				check(t, h.Close())
			}
		}()
		stats[run] = host[plan.Stats]
		slots := plan.Host{}
		for s, h := range host {
			slots[s] = h.Bytes()
		}
		launch(t, r, p, &slots)
	}
	check(t, r.Synchronize(ctx))
	for _, s := range stats {
		out = append(out, words(s.Bytes())...)
	}
	for device := range p.Devices {
		for i, param := range p.Params(device) {
			x := make([]byte, p.Devices[device].Tensors[param.Tensor].Bytes)
			check(t, r.Read(ctx, p, device, param.Tensor, x))
			out = append(out, words(x)...)
			if column := device % p.Width(); column != device {
				first := make([]byte, len(x))
				check(t, r.Read(ctx, p, column, p.Params(column)[i].Tensor, first))
				if !bytes.Equal(x, first) && len(m.Races()) == 0 {
					t.Errorf("%s on %s is not that of the first replica", param.Name, p.Devices[device].Name)
				}
			}
		}
	}
	check(t, r.Close())
	return out, nil, m.GraphLaunches()
}

func words(b []byte) []uint32 {
	w := make([]uint32, len(b)/4)
	copy(raw.Bytes(w), b)
	return w
}

// pageLocked returns the slots of one run, all of them different from those of
// every other.
func pageLocked(t *testing.T, d dnn.Device, p *plan.Program, run int) map[plan.Slot]dnn.Host {
	t.Helper()
	net := p.Net
	s := philox.NewStream(9, philox.Draw, uint32(run), 0)
	pixels := make([]byte, simBatch*net.Input.Size())
	for i := range pixels {
		pixels[i] = byte(s.Uint32())
	}
	views := make([]float32, simBatch*dnn.ViewFloats)
	for i := range views {
		if i%dnn.ViewFloats > 2 {
			views[i] = float32(10 * s.Normal())
		}
	}
	labels := make([]int32, simBatch)
	for i := range labels {
		labels[i] = int32((run + i) % net.Classes())
	}
	host := map[plan.Slot]dnn.Host{}
	for slot, data := range map[plan.Slot][]byte{
		plan.Pixels: pixels, plan.Views: raw.Bytes(views), plan.Labels: raw.Bytes(labels),
		plan.Control: controlOf(net, run, 0.001*float32(run+1)),
		plan.Stats:   make([]byte, 4*dnn.StatFloats*p.Replicas),
	} {
		h, err := d.NewHost(int64(len(data)))
		check(t, err)
		copy(h.Bytes(), data)
		host[slot] = h
	}
	return host
}

// TestSimulatedGPUsKeepTheOrder: in whatever order the streams of GPUs run that
// the events allow, the same bits come out, and no two steps race; and each wait of
// the plan is needed for that: without it, there is an order in which other bits
// come out, and steps race in every order.
func TestSimulatedGPUsKeepTheOrder(t *testing.T) {
	const seeds = 40
	orders := uint64(seeds)
	if testenv.Race { // whose detector is of this program, not of the GPUs; and slow
		orders /= 4
	}
	net := plan.SmallNet(t, 2)
	for _, ordinals := range [][]int{{0, 1}, {0, 0}, {0}} {
		t.Run(fmt.Sprint(ordinals), func(t *testing.T) {
			p := compileFor(t, net, len(ordinals), plan.Options{Batch: simBatch})
			want := inEveryOrder(t, net, p, orders, ordinals...)
			if testenv.Race {
				return
			}
			waits := 0
			for i := range p.Steps {
				for j, w := range p.Steps[i].Waits {
					waits++
					if !noticed(func(seed uint64) bool {
						got, races := simulate(t, net, without(p, i, j), seed, ordinals...)
						if len(races) == 0 {
							t.Errorf("%s need not wait for %s, as far as seed %d tells", p.StepName(i), p.StepName(w), seed)
						}
						return !slices.Equal(got, want)
					}, 4*seeds) {
						t.Errorf("%s need not wait for %s, as far as %d seeds tell", p.StepName(i), p.StepName(w), 4*seeds)
					}
				}
			}
			if waits < 5 {
				t.Errorf("the plan has %d waits: too few to tell", waits)
			}
		})
	}
}

// TestGraphsGiveTheSame: operations that are joined, as graphs or not, give the bits
// that they give one by one; and they are graphs from the second run on.
func TestGraphsGiveTheSame(t *testing.T) {
	net := plan.SmallNet(t, 2)
	for _, on := range []struct {
		ordinals []int
		replicas int
	}{{[]int{0, 1}, 1}, {[]int{0, 0}, 1}, {[]int{0}, 1}, {[]int{0, 1}, 2}} {
		p := compileFor(t, net, len(on.ordinals), plan.Options{Batch: simBatch, Replicas: on.replicas})
		for _, precision := range []cuda.Precision{cuda.FP32, cuda.BF16} {
			var want []uint32
			for _, c := range []struct {
				name   string
				launch launching
				o      cuda.Options
				graphs int
			}{
				{"one by one", oneByOne, cuda.Options{}, 0},
				{"joined", allAtOnce, cuda.Options{NoGraphs: true}, 0},
				{"graphs", allAtOnce, cuda.Options{}, (simRuns - 1) * len(p.Segments())},
			} {
				c.o.Precision = precision
				got, races, graphs := simulateLaunching(t, c.launch, c.o, net, p, 1, on.ordinals...)
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) || len(races) > 0 || graphs != c.graphs {
					t.Errorf("%v, %v, %s: same numbers %t, races %v, %d graphs launched, want %d", on, precision, c.name, slices.Equal(got, want), races, graphs, c.graphs)
				}
			}
		}
	}
}

// inEveryOrder simulates a program in the orders of so many seeds, and returns the bits
// that come out of each.
func inEveryOrder(t *testing.T, net *model.Net, p *plan.Program, seeds uint64, ordinals ...int) (want []uint32) {
	t.Helper()
	for seed := range seeds {
		got, races := simulate(t, net, p, seed, ordinals...)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) || len(races) > 0 {
			t.Fatalf("seed %d gives other numbers, or races %v", seed, races)
		}
	}
	return want
}

// TestSimulatedGPUsInBFloat16: the same in bfloat16, whose maps are cut into columns
// another way. That a wait is missing shows as a race.
func TestSimulatedGPUsInBFloat16(t *testing.T) {
	seeds := uint64(10)
	if testenv.Race {
		seeds = 3
	}
	net := plan.SmallNet(t, 2)
	for _, ordinals := range [][]int{{0, 1}, {0}} {
		t.Run(fmt.Sprint(ordinals), func(t *testing.T) {
			p := compileFor(t, net, len(ordinals), plan.Options{Batch: simBatch, BFloat16: true})
			inEveryOrder(t, net, p, seeds, ordinals...)
			if testenv.Race {
				return
			}
			for i := range p.Steps {
				for j, w := range p.Steps[i].Waits {
					if _, races := simulate(t, net, without(p, i, j), 1, ordinals...); len(races) == 0 {
						t.Errorf("%s need not wait for %s, as far as one seed tells", p.StepName(i), p.StepName(w))
					}
				}
			}
		})
	}
}

// without returns p without one wait of a step.
func without(p *plan.Program, step, wait int) *plan.Program {
	q := *p
	q.Steps = slices.Clone(p.Steps)
	s := &q.Steps[step]
	s.Waits = slices.Delete(slices.Clone(s.Waits), wait, wait+1)
	return &q
}

func noticed(differs func(seed uint64) bool, seeds uint64) bool {
	for seed := range seeds {
		if differs(seed) {
			return true
		}
	}
	return false
}
