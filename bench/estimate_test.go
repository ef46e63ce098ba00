package bench

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
)

// TestSum: the parts add up as they do in a training.
func TestSum(t *testing.T) {
	p := Plan{Batch: 128, Images: 1000, TestImages: 300, Passes: 90, StepMS: 50, TestMS: 20, LoadUS: 500, Checkpoint: 2}
	// 704 steps of 50 ms and 128 images of 0.5 ms; 90 tests of 3 batches, with two checkpoints each.
	for _, c := range []struct {
		beside                       bool
		training, testing, including float64
	}{
		{false, 704 * 0.114, 270 * 0.084, 704*0.114 + 270*0.084 + 360},
		{true, 704 * 0.064, 270 * 0.064, 704*0.064 + 270*0.064 + 360}, // loading is what takes longer
	} {
		p.sum(c.beside)
		if p.Steps != 704 || math.Abs(p.Training-c.training) > 1e-9 || math.Abs(p.Testing-c.testing) > 1e-9 || math.Abs(p.Total-c.including) > 1e-9 {
			t.Errorf("%+v, want %+v", p, c)
		}
	}
	var text bytes.Buffer
	if err := p.Write(&text); err != nil || !strings.Contains(text.String(), "704 steps of 50 ms") || !strings.Contains(text.String(), "minutes") {
		t.Errorf("%v\n%s", err, &text)
	}
}

func TestSpan(t *testing.T) {
	for seconds, want := range map[float64]string{0.5: "0.5 seconds", 119: "119 seconds", 120: "2.0 minutes", 7199: "120.0 minutes", 7200: "2.0 hours", 6 * 86400: "6.0 days"} {
		if got := Span(seconds); got != want {
			t.Errorf("%g s is %s, want %s", seconds, got, want)
		}
	}
}

// TestEstimate: everything is measured, and nothing is left behind.
func TestEstimate(t *testing.T) {
	dir := t.TempDir()
	net := read(t, "../nets/shapes.net")
	net.Train.Batch = 4
	p, err := Estimate(t.Context(), EstimateOptions{Net: net, Placement: open(t, "cpu"), Images: 100, TestImages: 10, Dir: dir, Rounds: 1, Progress: func(int64, int64) {}})
	if err != nil {
		t.Fatal(err)
	}
	if p.StepMS <= 0 || p.TestMS <= 0 || p.Checkpoint <= 0 || p.Steps != 125 || p.Total < p.Training+p.Testing || p.LoadUS != 0 {
		t.Errorf("%+v", p)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
