package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"alexnet/internal/metrics"
	"alexnet/train"
)

// TestRateByHand: the rate is turned down from another program in the middle of a
// run, which shows in its record, and survives kill -9 and -resume.
func TestRateByHand(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	alexnet(t, 2, "rate")
	alexnet(t, 2, "rate", "-run", run)
	alexnet(t, 2, "rate", "-run", run, "-divide", "0")
	alexnet(t, 2, "rate", "-run", run, "-layer", "fc2", "-stop")
	_, errs := alexnet(t, 1, "rate", "-run", run, "-divide", "10")
	contains(t, errs, run+" holds no run")

	start := func(args ...string) (kill func(), errs *bytes.Buffer, ended chan error) {
		c := program(append([]string{"train", "-data", data, "-run", run}, args...)...)
		errs = new(bytes.Buffer)
		c.Stderr = errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended = make(chan error, 1)
		go func() { ended <- c.Wait() }()
		t.Cleanup(func() { c.Process.Kill() })
		if !waitFor(t, filepath.Join(run, "metrics.jsonl"), ended) {
			t.Fatalf("it ended: %s", errs.String())
		}
		return func() { c.Process.Kill(); <-ended }, errs, ended
	}
	kill, _, _ := start("-config", config, "-set", "train.passes=100000", "-set", "train.divide=default")
	out, _ := alexnet(t, 0, "rate", "-run", run, "-divide", "10")
	contains(t, out, "the rate is divided by 10, a checkpoint is saved")
	out, _ = alexnet(t, 0, "rate", "-run", run, "-divide", "5", "-layer", "fc2")
	contains(t, out, "the rate of fc2 is divided by 5")
	_, message := alexnet(t, 1, "rate", "-run", run, "-divide", "5", "-layer", "relu")
	contains(t, message, `no layer "relu" that learns`)
	kill()
	_, message = alexnet(t, 1, "rate", "-run", run, "-stop")
	contains(t, message, "no training goes on in "+run, "alexnet train -resume -run")

	_, stopped, ended := start("-resume")
	out, _ = alexnet(t, 0, "rate", "-run", run, "-stop")
	contains(t, out, "the training has stopped")
	<-ended
	contains(t, stopped.String(), "stopped; the run is saved", "alexnet train -resume -run "+run)

	ms, err := metrics.Read(filepath.Join(run, train.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	var changes []metrics.Metric
	rate := 0.001
	for _, m := range ms {
		if m.Kind == metrics.Change {
			changes = append(changes, m)
			if m.Layer == "" {
				rate = m.Rate
			}
		} else if m.Rate != rate {
			t.Errorf("step %d learns at %g, want %g", m.Step, m.Rate, rate)
		}
	}
	if len(changes) != 2 || changes[0].Rate != 0.0001 || changes[1].Layer != "fc2" || changes[1].Rate != 0.00002 {
		t.Errorf("changes: %+v", changes)
	}
}
