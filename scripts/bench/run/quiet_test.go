package main

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// disturbed is a machine on which other programs keep so many cores busy while the
// measurements run, one after the other. Each takes 2 seconds, in which this program
// keeps one core busy.
func disturbed(t *testing.T, log *strings.Builder, limit float64, others ...float64) (q *quiet, pauses *int) {
	t.Helper()
	pauses = new(int)
	var now usage
	measuring := false
	return &quiet{limit: limit, log: log, load: &Load{Limit: limit}, pause: func(context.Context) error { *pauses++; return nil },
		clock: func() (usage, error) {
			if measuring {
				if len(others) == 0 {
					return now, errors.New("there were more measurements than expected")
				}
				const seconds = 2
				now.at = now.at.Add(seconds * time.Second)
				now.ours += seconds
				now.all += seconds * (1 + others[0])
				others = others[1:]
			}
			measuring = !measuring
			return now, nil
		}}, pauses
}

// counter is a measurement that gives 1, 2, 3 and so on.
func counter(name string) measurement {
	n := 0.0
	return measurement{name, func(context.Context) (float64, error) { n++; return n, nil }}
}

// TestQuiet: what was measured beside other work does not count and is measured again,
// the table has the most of each round that counts, and the first figures are gone.
func TestQuiet(t *testing.T) {
	var log strings.Builder
	q, pauses := disturbed(t, &log, 0.1, 0.02, 0.5, 0.3, 0.1, 0.04, 0.01)
	got, err := alternate(t.Context(), 2, []measurement{counter("a"), counter("b")}, q)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Series{series("a", []float64{1, 2}), series("b", []float64{3, 4})}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if !reflect.DeepEqual(near(q.load.Rounds), []float64{0.1, 0.04}) || q.load.Repeated != 2 || *pauses != 2 {
		t.Errorf("%+v, %d pauses", q.load, *pauses)
	}
	if said := log.String(); !strings.Contains(said, "b: other programs kept 0.50 cores busy, more than 0.10: try 1 of 6 does not count") || !strings.Contains(said, "0.30 cores busy") {
		t.Error(said)
	}
	want := "- cores that other programs kept busy, the most in a measurement of each round: 0.10, 0.04; 2 measurements were repeated, as it was more than 0.10\n"
	if line := q.load.line(); line != want {
		t.Errorf("%s, want %s", line, want)
	}
}

// near rounds to a hundredth.
func near(x []float64) []float64 {
	x = slices.Clone(x)
	for i := range x {
		x[i] = float64(int(x[i]*100+0.5)) / 100
	}
	return x
}

// TestNeverQuiet: a machine that stays busy is an error, after so many tries and no more.
func TestNeverQuiet(t *testing.T) {
	var log strings.Builder
	q, pauses := disturbed(t, &log, 0.1, 0.9, 0.8, 0.7, 0.6, 0.9, 0.8)
	_, err := alternate(t.Context(), 1, []measurement{counter("a")}, q)
	if err == nil || !strings.Contains(err.Error(), "round 1, a: other programs kept at least 0.60 cores busy in each of 6 tries") || !strings.Contains(err.Error(), "-others") || *pauses != 5 {
		t.Errorf("%v, %d pauses", err, *pauses)
	}

	// What is stopped in a pause stays stopped.
	stopped := errors.New("stopped")
	q, _ = disturbed(t, &log, 0.1, 0.9)
	q.pause = func(context.Context) error { return stopped }
	if _, _, err := q.measure(t.Context(), counter("a")); !errors.Is(err, stopped) {
		t.Error(err)
	}
	// Nor is a measurement that fails repeated.
	q, _ = disturbed(t, &log, 0.1, 0.9)
	if _, _, err := q.measure(t.Context(), measurement{"a", func(context.Context) (float64, error) { return 0, stopped }}); !errors.Is(err, stopped) {
		t.Error(err)
	}
}

func TestOthers(t *testing.T) {
	start := time.Now()
	before := usage{start, 100, 50}
	for _, k := range []struct{ all, ours, want float64 }{
		{110, 52, 0.8}, {102, 52, 0}, {101, 52, 0}, {1e6, 52, float64(runtime.NumCPU())},
	} {
		if got := (usage{start.Add(10 * time.Second), k.all, k.ours}).others(before); got != k.want {
			t.Errorf("%+v: %g", k, got)
		}
	}
}

func TestBusy(t *testing.T) {
	for line, want := range map[string]float64{
		"100 0 50 1000 10 0 5 1 0 0":     1.56,
		"100 20 50 1050 10 10 15 31 9 9": 2.26,
	} {
		if got, err := busy(line); err != nil || got != want {
			t.Errorf("%s: %g, %v; want %g", line, got, err, want)
		}
	}
	for _, bad := range []string{"", "1 2 3", "a 0 0 0 0 0 0 0"} {
		if got, err := busy(bad); err == nil {
			t.Errorf("%q gives %g", bad, got)
		}
	}
}

// TestClock: the work of a child is ours, and no other program's.
func TestClock(t *testing.T) {
	before, err := clockNow()
	if err != nil {
		t.Skip(err)
	}
	if _, err := findPython(t.Context(), []string{fake(t, "python3", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")}, "torch"); err != nil {
		t.Fatal(err)
	}
	after, err := clockNow()
	if err != nil || !(after.ours > before.ours+0.05) || !(after.all > before.all) || !after.at.After(before.at) {
		t.Errorf("%+v, %+v, %v", before, after, err)
	}
}

func TestUnknownLoad(t *testing.T) {
	q := alone(t)
	figure, _, err := q.measure(t.Context(), counter("a"))
	q.round(1)
	if line := q.load.line(); figure != 1 || err != nil || !strings.Contains(line, "not known") {
		t.Error(figure, err, line)
	}
}
