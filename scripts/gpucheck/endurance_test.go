package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/internal/metrics"
	"alexnet/scripts/gpucheck/result"
)

func TestEndurance(t *testing.T) {
	for _, quick := range []bool{false, true} {
		c, _ := newCheck(t, "", "endurance")
		c.quick = quick
		if quick {
			c.second *= 10 // or the fake has not the lines for so short a time
		}
		r, _, err := outcome(t.Context(), t, c)
		if err != nil {
			t.Fatal(err)
		}
		p := r.Find("endurance")
		found := rows(p, "Minutes", Row{"gpu_least_mib": 4096., "gpu_most_mib": 4096., "images_per_second": 2560.})
		if len(found) != 5 {
			t.Errorf("minutes: %v", found)
		}
		for _, row := range found {
			if mib := row["resident_least_mib"].(float64); !(mib > 0.1 && mib < 100) || row["resident_most_mib"].(float64) < mib || row["samples"] == 0. {
				t.Errorf("a minute: %v", row)
			}
		}
		e := r.Endurance()
		if want := 300 * 5e-3; len(e.Changes) != 3 || e.Seconds != want {
			t.Fatalf("%+v, want three changes in %g seconds", e, want)
		}
		if gpu := e.Changes[1]; gpu != (result.Change{What: "memory of the GPU", Unit: "MiB", First: 4096, Last: 4096, AsWanted: true}) {
			t.Errorf("%+v", gpu)
		}
	}
}

// TestMinutes: the time of a line is what its speed says; a slow line counts once.
func TestMinutes(t *testing.T) {
	lines := []metrics.Metric{{Kind: metrics.Test, Step: 0, ImagesPerSecond: 1}}
	for i := range 10 { // of 10 seconds
		speed := 1280. + float64(i)
		lines = append(lines, metrics.Metric{Kind: metrics.Train, Step: int64(i+1) * 100, ImagesPerSecond: speed})
	}
	if got := minutes(lines, 40*time.Second); !slices.Equal(got, []float64{1281.5, 1287}) { // of the first four, and of five that end in the last 40 seconds
		t.Error(got)
	}
	if got := minutes(lines, 9*time.Second); got != nil {
		t.Error("lines of ten seconds say nothing of nine:", got)
	}
	if got := minutes(nil, time.Second); got != nil {
		t.Error(got)
	}
}

// TestJudge: growth counts from the first minute's end, and up to what is allowed.
func TestJudge(t *testing.T) {
	samples := []sample{{0, 10, 10}, {59 * time.Second, 20, 20}, {61 * time.Second, 1000, 2000}, {200 * time.Second, 5000, 5000}, {300 * time.Second, 1000, 2000}}
	even := []float64{1, 1000, 500, 970}
	for _, k := range []struct {
		resident, gpu float64
		speeds        []float64
		want          string
	}{
		{1025.9, 2035.9, even, ""},
		{900, 2000, even, ""},
		{1026, 2000, even, "resident memory has grown from 1000 to 1026 MiB; 26 MiB more are allowed"},
		{1000, 2036, even, "memory of the GPU has grown from 2000 to 2036 MiB"},
		{1000, 2000, []float64{1, 1000, 969}, "the speed has fallen"},
		{1000, 2000, []float64{1000, 1000}, "the speed of 2 minutes"},
	} {
		s := sampler{long: 300 * time.Second, samples: slices.Clone(samples)}
		last := &s.samples[len(samples)-1]
		last.resident, last.gpu = k.resident, k.gpu
		var p Part
		if err := s.judge(&p, time.Minute, k.speeds); (err == nil) != (k.want == "") || err != nil && !strings.Contains(err.Error(), k.want) {
			t.Errorf("%+v: %v", k, err)
		}
	}
}

// TestLook: this process has some memory, and a GPU that is once not looked at is not
// asked again.
func TestLook(t *testing.T) {
	asked := 0
	s := sampler{gpu: func(context.Context) (float64, error) { asked++; return 0, errors.New("none") }}
	for range 2 {
		if err := s.look(t.Context(), os.Getpid(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if mib := s.samples[1].resident; asked != 1 || len(s.samples) != 2 || mib < 1 || mib > 10000 {
		t.Errorf("asked %d times; %+v", asked, s.samples)
	}
	if _, err := residentMemory(-1); err == nil {
		t.Error("there is no process -1")
	}
}
