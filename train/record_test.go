package train

import (
	"bytes"
	"errors"
	"image/png"
	"math"
	"path/filepath"
	"testing"

	"alexnet/internal/metrics"
	"alexnet/internal/tensorboard/eventtest"
	"alexnet/internal/testenv"
)

// TestEventsAreTheRecord: TensorBoard shows each number of metrics.jsonl once, a
// picture of the first layer for each test, and the network's text, of a run that
// was stopped, resumed, killed and resumed again.
func TestEventsAreTheRecord(t *testing.T) {
	net, set, devices := open(t, "cpu:0", "cpu:1")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	errKilled := errors.New("killed")
	for _, stop := range []int64{8, 15, 0} { // 8 is saved; 15 is not, and done again from 12
		c.SaveEvery = 4
		c.Progress = func(done, _ int64) {
			if done == stop {
				panic(errKilled)
			}
		}
		func() {
			defer func() {
				if v := recover(); v != nil && v != errKilled {
					panic(v)
				}
			}()
			check(t, Run(t.Context(), c))
		}()
		c.Resume = true
	}
	lines, err := metrics.Read(filepath.Join(c.Dir, MetricsFile))
	check(t, err)
	events, err := eventtest.Read(c.Dir)
	check(t, err)
	tests := 0
	for tag, of := range map[string]func(m metrics.Metric) float64{
		"/loss":              func(m metrics.Metric) float64 { return m.Loss },
		"/top1_error":        func(m metrics.Metric) float64 { return m.Top1Error },
		"/top5_error":        func(m metrics.Metric) float64 { return m.Top5Error },
		"/images_per_second": func(m metrics.Metric) float64 { return m.ImagesPerSecond },
		"rate":               func(m metrics.Metric) float64 { return m.Rate },
	} {
		for _, kind := range []string{metrics.Train, metrics.Test} {
			name := kind + tag
			if tag == "rate" {
				name = tag
				kind = metrics.Train
			}
			steps, values := eventtest.Shown(events, name)
			i := 0
			for _, m := range lines {
				if m.Kind != kind {
					continue
				}
				if i < len(steps) && (steps[i] != m.Step || values[i].Scalar != float32(of(m))) {
					t.Errorf("%s: point %d is %g of step %d, want %g of step %d", name, i, values[i].Scalar, steps[i], of(m), m.Step)
				}
				i++
			}
			if i != len(steps) || i == 0 {
				t.Errorf("%s: %d points, want %d", name, len(steps), i)
			}
			if kind == metrics.Test {
				tests = i
			}
		}
	}
	steps, pictures := eventtest.Shown(events, "conv1/kernels")
	if len(steps) != tests {
		t.Errorf("pictures of steps %v, want one for each of %d tests", steps, tests)
	}
	for _, p := range pictures {
		img, err := png.Decode(bytes.NewReader(p.PNG))
		check(t, err)
		if b := img.Bounds(); b.Dx() != int(p.Width) || b.Dy() != int(p.Height) {
			t.Errorf("a picture of %v, said to be %dx%d", b, p.Width, p.Height)
		}
	}
	if steps, texts := eventtest.Shown(events, "network"); len(steps) != 1 || !bytes.HasPrefix([]byte(texts[0].Text), []byte("    \n    net tiny\n    input 3x24x24\n")) {
		t.Errorf("the network's text is %+v of steps %v", texts, steps)
	}
}

// TestNoRoomForEvents: a disk that is full ends the run with an error, though
// there is room for the line in metrics.jsonl.
func TestNoRoomForEvents(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
	dir := t.TempDir()
	r, err := newRecord(dir, filepath.Join(dir, MetricsFile), tiny)
	check(t, err)
	m := metrics.Metric{Kind: metrics.Test, Loss: math.Pi}
	if err := testenv.FullDisk(t, uint64(len(tiny)), func() error { return r.Write(m) }); err == nil {
		t.Error("an event was written beyond the limit")
	}
	check(t, r.Close())
}
