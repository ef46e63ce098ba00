package plan_test

import (
	"math"
	"os"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/dsl"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
	"alexnet/internal/reference"
	"alexnet/internal/testenv"
	"alexnet/model"
	"alexnet/plan"
)

const (
	smallBatch = 2
	smallSteps = 10
)

// eighth is alexnet.net with an eighth of its kernels and neurons. Weights start
// larger, so that what they do to each other is seen within ten steps.
func eighth(t *testing.T) *model.Net {
	t.Helper()
	src, err := os.ReadFile("../alexnet.net")
	check(t, err)
	net, err := dsl.Parse("alexnet.net", src)
	check(t, err)
	for _, l := range net.Layers {
		switch s := l.Spec.(type) {
		case model.Conv:
			s.Kernels /= 8
			s.Params.Deviation = 0.05
			l.Spec = s
		case model.Full:
			s.Outputs = s.Outputs / 8 / net.Columns * net.Columns
			s.Params.Deviation = 0.05
			l.Spec = s
		}
	}
	for _, problem := range net.Infer() {
		t.Fatalf("%+v", problem)
	}
	return net
}

// controlOf returns what slot Control holds: every layer learns at the same rate.
func controlOf(net *model.Net, step int, rate float32) []byte {
	words := []uint32{uint32(step)}
	for range net.Layers {
		words = append(words, math.Float32bits(rate))
	}
	return raw.Bytes(words)
}

// weights gives every parameter its initial value, by name.
func weights(net *model.Net, p *plan.Program) map[string][]float32 {
	all := map[string][]float32{}
	for _, param := range p.Params(0) {
		n := 1
		for _, d := range param.Shape {
			n *= d
		}
		x := make([]float32, n)
		params, _ := net.Layers[param.Layer].Params()
		switch name := net.Layers[param.Layer].Name; param.Name {
		case name + ".weight":
			philox.Normals(x, params.Deviation, 5, philox.Init.Layer(param.Layer), 0)
		case name + ".bias":
			for i := range x {
				x[i] = float32(params.Bias)
			}
		}
		all[param.Name] = x
	}
	return all
}

// batches are the pixels and labels of every step, and the colour shifts.
type batches struct {
	pixels [][]byte
	views  [][]float32
	labels [][]int32
}

func randomBatches(net *model.Net, batch int) batches {
	var b batches
	for step := range smallSteps {
		s := philox.NewStream(9, philox.Draw, uint32(step), 0)
		pixels := make([]byte, batch*net.Input.Size())
		for i := range pixels {
			pixels[i] = byte(s.Uint32())
		}
		views := make([]float32, batch*dnn.ViewFloats)
		for i := range views {
			if i%dnn.ViewFloats > 2 {
				views[i] = float32(10 * s.Normal())
			}
		}
		labels := make([]int32, batch)
		for i := range labels {
			labels[i] = int32(s.IntN(net.Classes()))
		}
		b.pixels, b.views, b.labels = append(b.pixels, pixels), append(b.views, views), append(b.labels, labels)
	}
	return b
}

const smallRate = 0.001

// mean is subtracted from every pixel.
const mean = 127

// outcome is what training leaves: the loss of every step and the parameters.
type outcome struct {
	losses []float64
	params map[string][]float64
}

// pace is how far the host stays behind the devices.
type pace int

const (
	eachStep pace = iota // it waits after each
	eachLoss             // it waits for the loss before it has the weights updated
	never                // it launches all steps and waits for the last
)

// runOn trains on CPU devices.
func runOn(t *testing.T, net *model.Net, devices int, wait pace) outcome {
	t.Helper()
	return runWith(t, net, devices, wait, smallSteps, plan.Options{Batch: smallBatch}, func(*plan.Runner, *plan.Program) {})
}

// runWith trains for up to smallSteps steps, and looks at what there is before all is
// given back.
func runWith(t *testing.T, net *model.Net, devices int, wait pace, steps int, o plan.Options, look func(*plan.Runner, *plan.Program)) outcome {
	t.Helper()
	ctx := t.Context()
	names := []string{"cpu:0", "cpu:1", "cpu:2", "cpu:3"}[:devices]
	p, err := plan.Compile(net, names, o)
	check(t, err)
	var devs []dnn.Device
	for _, name := range names {
		d, err := cpu.New(name)
		check(t, err)
		defer func() { check(t, d.Close()) }()
		devs = append(devs, d)
	}
	r, err := plan.NewRunner(devs, p)
	check(t, err)
	defer func() { check(t, r.Close()) }()
	start := weights(net, p)
	for device, d := range p.Devices {
		values := make([]float32, d.Tensors[d.Mean].Bytes/4)
		for i := range values {
			values[i] = mean
		}
		check(t, r.Write(ctx, p, device, d.Mean, raw.Bytes(values)))
		for _, param := range p.Params(device) {
			x := start[param.Name]
			row := len(x) / param.Shape[0]
			check(t, r.Write(ctx, p, device, param.Tensor, raw.Bytes(x[param.First*row:(param.First+param.Rows)*row])))
		}
	}
	var out outcome
	data, stats := randomBatches(net, p.Batch), make([][]float32, steps)
	for step := range steps {
		stats[step] = make([]float32, p.Replicas*dnn.StatFloats)
		host := plan.Host{
			plan.Pixels: data.pixels[step], plan.Views: raw.Bytes(data.views[step]), plan.Labels: raw.Bytes(data.labels[step]),
			plan.Control: controlOf(net, step, smallRate),
			plan.Stats:   raw.Bytes(stats[step]),
		}
		check(t, r.Launch(ctx, p, 0, p.Update, &host))
		if wait == eachLoss {
			check(t, r.WaitLoss(ctx, p))
			for replica := range p.Replicas {
				if stats[step][replica*dnn.StatFloats+dnn.StatLoss] == 0 {
					t.Errorf("step %d: the loss of replica %d was waited for and has not come", step, replica)
				}
			}
		}
		check(t, r.Launch(ctx, p, p.Update, len(p.Steps), &host))
		if wait == eachStep {
			check(t, r.Synchronize(ctx))
		}
	}
	check(t, r.Synchronize(ctx))
	look(r, p)
	for _, s := range stats {
		out.losses = append(out.losses, totalLoss(wide(s)))
	}
	out.params = paramsOf(t, p, func(device int, tensor dnn.Tensor) []float64 {
		x := make([]float32, p.Devices[device].Tensors[tensor].Bytes/4)
		check(t, r.Read(ctx, p, device, tensor, raw.Bytes(x)))
		return wide(x)
	})
	return out
}

// totalLoss returns the sum of the losses of all replicas.
func totalLoss(stats []float64) (sum float64) {
	for i := dnn.StatLoss; i < len(stats); i += dnn.StatFloats {
		sum += stats[i]
	}
	return sum
}

// paramsOf reads the parameters, which must be the same for all replicas, to the bit.
func paramsOf(t *testing.T, p *plan.Program, read func(device int, tensor dnn.Tensor) []float64) map[string][]float64 {
	t.Helper()
	var first map[string][]float64
	for replica := range p.Replicas {
		params := map[string][]float64{}
		for column := range p.Width() {
			device := replica*p.Width() + column
			for _, param := range p.Params(device) {
				params[param.Name] = append(params[param.Name], read(device, param.Tensor)...)
			}
		}
		if replica == 0 {
			first = params
		}
		for name, x := range params {
			if !slices.Equal(x, first[name]) {
				t.Errorf("%s of replica %d is not that of the first", name, replica)
			}
		}
	}
	return first
}

// runReference trains in float64, with run doing each step of p.
func runReference(t *testing.T, net *model.Net, p *plan.Program, steps int, run func(*reference.Machine)) outcome {
	t.Helper()
	m := reference.NewMachine(p)
	start := weights(net, p)
	for device, d := range p.Devices {
		for i := range m.Tensor(device, d.Mean) {
			m.Tensor(device, d.Mean)[i] = mean
		}
		for _, param := range p.Params(device) {
			x := start[param.Name]
			copy(m.Tensor(device, param.Tensor), wide(x[param.First*len(x)/param.Shape[0]:]))
		}
	}
	var out outcome
	data := randomBatches(net, p.Batch)
	for step := range steps {
		m.Host[plan.Pixels], m.Host[plan.Views], m.Host[plan.Labels] = wide(data.pixels[step]), wide(data.views[step]), wide(data.labels[step])
		m.Host[plan.Control] = append([]float64{float64(step)}, slices.Repeat([]float64{smallRate}, len(p.Net.Layers))...)
		run(m)
		out.losses = append(out.losses, totalLoss(m.Host[plan.Stats]))
	}
	out.params = paramsOf(t, p, m.Tensor)
	return out
}

func wide[T byte | int32 | float32](x []T) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// difference returns the largest relative difference of a loss or, by norm, of a
// parameter tensor.
func difference(a, b outcome) float64 {
	worst := 0.0
	for i := range a.losses {
		worst = max(worst, math.Abs(a.losses[i]-b.losses[i])/math.Abs(b.losses[i]))
	}
	for name, x := range a.params {
		var diff, norm float64
		for i, v := range x {
			diff += (v - b.params[name][i]) * (v - b.params[name][i])
			norm += b.params[name][i] * b.params[name][i]
		}
		worst = max(worst, math.Sqrt(diff/norm))
	}
	if math.IsNaN(worst) {
		return math.Inf(1)
	}
	return worst
}

// TestColumnsAgree: ten steps of the paper's network, small, give the same
// losses, weights and momentum on one device with merged columns, on two with a
// column each, and in float64. A relative difference of 1e-4 leaves room for ten
// steps of float32 rounding (2^-24 each operation, sums of up to 9216 terms).
func TestColumnsAgree(t *testing.T) {
	net := eighth(t)
	merged, apart := runOn(t, net, 1, eachStep), runOn(t, net, 2, eachStep)
	if first, last := merged.losses[0], merged.losses[smallSteps-1]; math.Abs(first-last) < 0.1 {
		t.Fatalf("losses hardly change, %g to %g: the test would see nothing", first, last)
	}
	agree := func(what string, got, want outcome) {
		t.Helper()
		d := difference(got, want)
		t.Logf("%s: relative difference %.2g", what, d)
		if d > 1e-4 {
			t.Errorf("%s: relative difference %g\nlosses %v\nand    %v", what, d, got.losses, want.losses)
		}
	}
	agree("merged and apart", merged, apart)
	if testenv.Race {
		t.Log("float64 is left to runs without the race detector, which would take minutes over it")
		return
	}
	p, err := plan.Compile(net, []string{"reference"}, plan.Options{Batch: smallBatch})
	check(t, err)
	want := runReference(t, net, p, smallSteps, (*reference.Machine).Run)
	agree("merged and float64", merged, want)
	agree("apart and float64", apart, want)
}

// TestAhead: launching ahead of the devices, with the host waiting for the loss or
// for nothing, changes no bit.
func TestAhead(t *testing.T) {
	net := plan.SmallNet(t, 2)
	for _, on := range []struct{ devices, replicas int }{{1, 1}, {2, 1}, {2, 2}, {4, 2}} {
		run := func(wait pace) outcome {
			return runWith(t, net, on.devices, wait, smallSteps, plan.Options{Batch: smallBatch, Replicas: on.replicas}, func(*plan.Runner, *plan.Program) {})
		}
		want := run(eachStep)
		for _, wait := range []pace{eachLoss, never} {
			if d := difference(run(wait), want); d != 0 {
				t.Errorf("%+v, pace %d: relative difference %g", on, wait, d)
			}
		}
	}
}

// TestALostWaitIsNoticed takes away, one after the other, the waits for what the
// other column sends, on two devices of which the one that waits runs ahead as
// far as the plan allows: the outcome must be another one then, and only then.
func TestALostWaitIsNoticed(t *testing.T) {
	net := plan.SmallNet(t, 2)
	const steps = 2
	p, err := plan.Compile(net, []string{"reference:0", "reference:1"}, plan.Options{Batch: smallBatch})
	check(t, err)
	want := runReference(t, net, p, steps, (*reference.Machine).Run)
	ahead := func(device int) float64 {
		return difference(runReference(t, net, p, steps, func(m *reference.Machine) { m.RunAhead(device) }), want)
	}
	for device := range p.Devices {
		if d := ahead(device); d != 0 {
			t.Fatalf("running ahead alone makes a relative difference of %g", d)
		}
	}
	lost := 0
	for i := range p.Steps {
		s := &p.Steps[i]
		for j, wait := range s.Waits {
			peer, ok := p.Steps[wait].Action.(plan.Peer)
			if !ok || wait > i || !reads(s, peer.Dst) {
				continue
			}
			all := s.Waits
			s.Waits = slices.Delete(slices.Clone(all), j, j+1)
			if d := ahead(s.Device); d < 1e-4 {
				t.Errorf("%s without waiting for %s: relative difference %g only", p.StepName(i), p.StepName(wait), d)
			}
			s.Waits = all
			lost++
		}
	}
	if lost == 0 {
		t.Error("no step waits for what another device sends")
	}
}

// reads reports whether a step is an operation that reads t.
func reads(s *plan.Step, t dnn.Tensor) bool {
	launch, ok := s.Action.(plan.Launch)
	if !ok {
		return false
	}
	tensors, _ := launch.Op.Operands()
	return slices.Contains(tensors, t)
}
