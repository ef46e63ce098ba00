package train

import (
	"bytes"
	"errors"
	"image/png"
	"math"
	"path/filepath"
	"slices"
	"strings"
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
	loss := func(m metrics.Metric) float64 { return m.Loss }
	top1 := func(m metrics.Metric) float64 { return m.Top1Error }
	top5 := func(m metrics.Metric) float64 { return m.Top5Error }
	speed := func(m metrics.Metric) float64 { return m.ImagesPerSecond }
	rate := func(m metrics.Metric) float64 { return m.Rate }
	for _, c := range []struct {
		tag, kind string
		value     func(metrics.Metric) float64
	}{
		{"train/loss", metrics.Train, loss}, {"test/loss", metrics.Test, loss},
		{"train/top1_error", metrics.Train, top1}, {"test/top1_error", metrics.Test, top1},
		{"train/top5_error", metrics.Train, top5}, {"test/top5_error", metrics.Test, top5},
		{"train/images_per_second", metrics.Train, speed}, {"test/images_per_second", metrics.Test, speed},
		{"rate", metrics.Train, rate},
	} {
		steps, values := eventtest.Shown(events, c.tag)
		of := slices.DeleteFunc(slices.Clone(lines), func(m metrics.Metric) bool { return m.Kind != c.kind })
		if len(of) == 0 || len(steps) != len(of) {
			t.Errorf("%s: %d points, want %d", c.tag, len(steps), len(of))
			continue
		}
		for i, m := range of {
			if steps[i] != m.Step || values[i].Scalar != float32(c.value(m)) {
				t.Errorf("%s: point %d is %g of step %d, want %g of step %d", c.tag, i, values[i].Scalar, steps[i], c.value(m), m.Step)
			}
		}
	}
	steps, pictures := eventtest.Shown(events, "conv1/kernels")
	if tests, _ := eventtest.Shown(events, "test/loss"); !slices.Equal(steps, tests) {
		t.Errorf("pictures of steps %v, want one for each test: %v", steps, tests)
	}
	for _, p := range pictures {
		img, err := png.Decode(bytes.NewReader(p.PNG))
		check(t, err)
		if b := img.Bounds(); b.Dx() != int(p.Width) || b.Dy() != int(p.Height) {
			t.Errorf("a picture of %v, said to be %dx%d", b, p.Width, p.Height)
		}
	}
	if steps, texts := eventtest.Shown(events, "network"); len(steps) != 1 || !strings.HasPrefix(texts[0].Text, "    \n    net tiny\n    input 3x24x24\n") {
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
	r, err := newRecord(dir, filepath.Join(dir, MetricsFile), tiny, 0)
	check(t, err)
	m := metrics.Metric{Kind: metrics.Test, Loss: math.Pi}
	if err := testenv.FullDisk(t, uint64(len(tiny)), func() error { return r.Write(m) }); err == nil {
		t.Error("an event was written beyond the limit")
	}
	check(t, r.Close())
}
