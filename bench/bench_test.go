package bench

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"alexnet/dnn/cuda"
	"alexnet/dsl"
	"alexnet/internal/devices"
	"alexnet/model"
	"alexnet/plan"
)

// TestMain makes ceilings quick to measure.
func TestMain(m *testing.M) {
	mostSide, mostBytes = 512, 1<<20
	os.Exit(m.Run())
}

func read(t *testing.T, path string) *model.Net {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	net, err := dsl.Parse(path, src)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func open(t *testing.T, list string) plan.Placement {
	t.Helper()
	return openWith(t, list, cuda.Options{})
}

func openWith(t *testing.T, list string, o cuda.Options) plan.Placement {
	t.Helper()
	on, err := devices.Open(list, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := on.Close(); err != nil {
			t.Error(err)
		}
	})
	return on.Placement
}

// TestWork: the arithmetic of a step of alexnet.net is what the paper's layers add
// up to, wherever its columns stand: 724 million multiply-adds forward, as many for
// the gradients by the weights, and as many for those by the data but for conv1's.
func TestWork(t *testing.T) {
	const batch = 2
	net := read(t, "../alexnet.net")
	_, _, forward := net.Totals()
	want := float64(2*batch) * float64(3*forward-net.Work(0))
	for _, names := range [][]string{{"a"}, {"a", "b"}} {
		p, err := plan.Compile(net, names, plan.Options{Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		var flop, update float64
		for i, s := range p.Steps {
			f, bytes := work(p, i)
			flop += f
			if bytes <= 0 {
				t.Errorf("%s touches no memory", p.StepName(i))
			}
			if s.Pass == plan.Update {
				update += bytes
			}
		}
		if math.Abs(flop-want) > 1e-6*want {
			t.Errorf("on %v: %g, want %g", names, flop, want)
		}
		// Read: gradient, weight and momentum; written: the last two. And ε, to each.
		if parameters, _, _ := net.Totals(); update < 5*4*float64(parameters) || update > 1.001*5*4*float64(parameters) {
			t.Errorf("on %v an update touches %g bytes for %d parameters", names, update, parameters)
		}
	}
}

// TestLosses: a CPU and a simulated GPU have the same losses, the step at the rate
// changes them, and afterwards the weights are as they were.
func TestLosses(t *testing.T) {
	net := read(t, "../nets/shapes.net")
	var first []float64
	for _, list := range []string{"cpu", "sim:0"} {
		on := open(t, list)
		s, err := NewStep(t.Context(), net, on, plan.Options{Batch: 4})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			losses, err := s.Losses(t.Context(), 1)
			if err != nil || len(losses) != 2 || math.Abs(losses[1]-losses[0]) < 1e-4 {
				t.Fatal(list, losses, err)
			}
			if first == nil {
				first = losses
			}
			for i, want := range first {
				if math.Abs(losses[i]-want) > 1e-5*want {
					t.Errorf("%s: losses %v, want %v", list, losses, first)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	forward, err := NewStep(t.Context(), net, open(t, "cpu"), plan.Options{Batch: 4, Mode: plan.Test})
	if err != nil {
		t.Fatal(err)
	}
	defer forward.Close()
	if losses, err := forward.Losses(t.Context(), 1); err != nil || len(losses) != 1 || math.Abs(losses[0]-first[0]) > 1e-5*first[0] {
		t.Errorf("forward alone: %v, %v; want the first of %v", losses, err, first)
	}
}

// TestRun: every operation is timed, parts add up to about the whole, and what is
// printed and written has it all.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		devices string
		forward bool
	}{{"cpu", false}, {"cpu", true}, {"sim:0", false}} {
		net := read(t, "../nets/shapes.net")
		rounds := int64(0)
		r, err := Run(t.Context(), Options{Net: net, Placement: open(t, c.devices), Batch: 4, Forward: c.forward, Precision: "fp32", Rounds: 3,
			Progress: func(done, total int64) {
				if rounds++; done != rounds || total != 4 {
					t.Errorf("round %d of %d, want %d of 4", done, total, rounds)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Step.Min <= 0 || r.Step.Min > r.Step.Median || r.Step.Median > r.Step.Max || r.ImagesPerSecond != 4/r.StepMS*1e3 ||
			r.Ceilings.GFLOPs <= 0 || r.Ceilings.GBs <= 0 || len(r.Memory) != 1 || r.Memory[0].Shared <= 0 {
			t.Errorf("%+v", r)
		}
		if onGPU := c.devices != "cpu"; r.Repeats < 1 || (r.InUse > 0) != onGPU {
			t.Errorf("%s: %d steps in a row, %d bytes in use", c.devices, r.Repeats, r.InUse)
		}
		seen := map[string]bool{}
		for _, o := range r.Operations {
			seen[o.Pass] = true
			if o.Median <= 0 || o.Share <= 0 || o.Repeats < 1 || o.Repeats > mostRepeats || (o.GFLOP > 0) != (strings.HasPrefix(o.What, "Conv") || strings.HasPrefix(o.What, "Full")) {
				t.Errorf("%+v", o)
			}
		}
		for _, pass := range []string{"feed", "forward", "result", "backward", "update"} {
			if want := !c.forward || pass != "backward" && pass != "update"; seen[pass] != want {
				t.Errorf("%s, forward alone %v: pass %s is there: %v", c.devices, c.forward, pass, seen[pass])
			}
		}
		var text bytes.Buffer
		if err := r.Write(&text); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"images/s", "ceilings: ", "conv1", "ConvForward", "roofline", "several times in a row"} {
			if !strings.Contains(text.String(), part) {
				t.Errorf("there is no %q in\n%s", part, &text)
			}
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Report
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		text.Reset()
		if err := r.Compare(&text, &back); err != nil || strings.Contains(text.String(), "faster") || strings.Contains(text.String(), "slower") || strings.Contains(text.String(), "then,") {
			t.Errorf("held against itself: %v\n%s", err, &text)
		}
		back.Batch = 5
		if err := r.Compare(&text, &back); err == nil || !strings.Contains(err.Error(), "batch 5") {
			t.Errorf("held against other work: error %v", err)
		}
	}
}

// TestCompare: only what differs by more than its rounds do is called other.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		old, new Time
		want     string
	}{
		{Time{10, 9, 11}, Time{8, 7, 8.9}, "faster"},
		{Time{10, 9, 11}, Time{8, 7, 9}, "same"},
		{Time{10, 9, 11}, Time{12, 11.1, 13}, "slower"},
		{Time{10, 9, 20}, Time{15, 14, 16}, "same"},
	} {
		if got := Verdict(c.old, c.new); got != c.want {
			t.Errorf("%v and then %v: %s, want %s", c.old, c.new, got, c.want)
		}
	}
	op := func(layer string, ms float64) Operation {
		return Operation{Layer: layer, Pass: "forward", What: "X", Time: Time{ms, ms, ms}}
	}
	old := &Report{Device: "cpu", Step: Time{3, 3, 3}, Passes: make([]Time, 3), Operations: []Operation{op("a", 1), op("b", 2)}}
	now := &Report{Device: "gpu", Step: Time{3, 3, 3}, Passes: make([]Time, 3), Operations: []Operation{op("a", 1), op("b", 1), op("c", 1)}}
	var text bytes.Buffer
	if err := now.Compare(&text, old); err != nil {
		t.Fatal(err)
	}
	if s := text.String(); strings.Count(s, "faster") != 1 || strings.Count(s, "new") != 1 || !strings.Contains(s, "device: cpu then, gpu now") {
		t.Errorf("%s", s)
	}
}
