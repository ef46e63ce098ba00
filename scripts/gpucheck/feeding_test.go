package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/metrics"
	"alexnet/scripts/gpucheck/result"
)

// TestFeeding: the fakes train at 1900 images a second, after steps that do not count,
// and their bare step makes 2000.
func TestFeeding(t *testing.T) {
	c, log := newCheck(t, "", "feeding")
	r, markdown, err := outcome(t.Context(), t, c)
	if err != nil {
		t.Error(err)
	}
	all := r.Feeding()
	if len(all) != 2 || all[0].Batch != 128 || all[1].Batch != 1024 {
		t.Fatalf("%+v", all)
	}
	for _, f := range all {
		if math.Abs(f.ImagesPerSecond-1900) > 1e-6 || math.Abs(f.Ratio-0.95) > 1e-9 {
			t.Errorf("%+v", f)
		}
	}
	if found := rows(r.Find("feeding"), result.FeedingTitle, Row{"batch": 1024., "step": 2000., "90_passes": "15.8 hours"}); len(found) != 1 {
		t.Errorf("there is no row of batch 1024 in:\n%s", markdown)
	}
	if found := rows(r.Find("feeding"), "The loader alone", Row{"cores": 16., "images_per_second": 50000., "slowest": 50000.}); len(found) != 1 {
		t.Errorf("there is no loader in:\n%s", markdown)
	}
	round := []string{"training bf16", "ours bf16", "training bf16", "ours bf16", "loader"}
	if turns := logged(t, log); !slices.Equal(turns, slices.Repeat(round, 3)) {
		t.Errorf("turns: %s", strings.Join(turns, ", "))
	}
}

func TestQuickFeeding(t *testing.T) {
	c, log := newCheck(t, "", "feeding")
	c.quick = true
	if _, _, err := outcome(t.Context(), t, c); err != nil {
		t.Error(err)
	}
	if turns := logged(t, log); !slices.Equal(turns, []string{"training bf16", "ours bf16", "loader"}) {
		t.Errorf("turns: %s", strings.Join(turns, ", "))
	}
}

func TestSpeedAfter(t *testing.T) {
	line := func(step int64, speed float64) metrics.Metric {
		return metrics.Metric{Kind: metrics.Train, Step: step, ImagesPerSecond: speed}
	}
	lines := []metrics.Metric{line(49, 1), line(51, 1), line(52, 10), {Kind: metrics.Test, Step: 52, ImagesPerSecond: 1}, line(54, 40)}
	// 10 images in a second, and 20 in half of one; steps 50 and 51 are in a line with what is not to count.
	if got, err := speedAfter(lines, 50, 10); err != nil || got != 20 {
		t.Error(got, err)
	}
	for _, none := range [][]metrics.Metric{nil, lines[:2], {line(50, 1), line(60, math.NaN())}} {
		if got, err := speedAfter(none, 50, 10); err == nil {
			t.Error(got)
		}
	}
}
