package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/metrics"
)

func TestCurves(t *testing.T) {
	c, _ := newCheck(t, "", "curves")
	r, markdown, err := outcome(t.Context(), t, c)
	if err != nil {
		t.Error(err)
	}
	p := r.Find("curves")
	if found := rows(p, "Losses", nil); len(found) != 7 || found[0]["step"] != 1. || found[1]["step"] != 50. || found[6]["step"] != 300. ||
		found[6]["fp32"] != "6.000000" || found[6]["fp32 seed 2"] != "6.200000" || found[6]["bf16 no graphs"] != "6.150000" {
		t.Errorf("losses: %v", found)
	}
	const against = "Smoothed curves against fp32, where they use most of what is allowed"
	if found := rows(p, against, Row{"run": "tf32"}); len(found) != 1 || math.Abs(found[0]["difference"].(float64)-0.05) > 1e-9 || math.Abs(found[0]["allowed"].(float64)-0.2) > 1e-9 {
		t.Errorf("tf32: %v", found)
	}
	contains(t, markdown, "all 300 lines of metrics.jsonl are the same but for the speed", "["+r.FileName()+"-curves.png]")
	drawn, err := os.ReadFile(filepath.Join(c.out, r.FileName()+"-curves.png"))
	if want := "fp32, fp32 seed 2, tf32, bf16, bf16 no graphs\n"; err != nil || string(drawn) != want {
		t.Errorf("%v: drawn are %q, want %q", err, drawn, want)
	}
}

func TestQuickCurves(t *testing.T) {
	c, _ := newCheck(t, "", "curves")
	c.quick = true
	r, _, err := outcome(t.Context(), t, c)
	if found := rows(r.Find("curves"), "Losses", nil); err != nil || len(found) != 3 || found[2]["step"] != 100. {
		t.Errorf("%v: %v", err, found)
	}
}

// lossLines returns a line a step.
func lossLines(losses ...float64) (lines []metrics.Metric) {
	for i, l := range losses {
		lines = append(lines, metrics.Metric{Kind: metrics.Train, Step: int64(i + 1), Loss: l, ImagesPerSecond: float64(i)})
	}
	return lines
}

func TestSmoothed(t *testing.T) {
	var ramp []float64
	for i := range smooth + 2 {
		ramp = append(ramp, float64(i))
	}
	if got := smoothed(lossLines(ramp...)); len(got) != 3 || got[0] != (smooth-1)/2. || got[2] != got[0]+2 {
		t.Error(got)
	}
	if got := smoothed(nil); got != nil {
		t.Error(got)
	}
}

// TestAllowed: a curve may differ as two seeds do around a point, or by 3% where that is
// more.
func TestAllowed(t *testing.T) {
	fp32, other := make([]float64, 100), make([]float64, 100)
	for i := range fp32 {
		fp32[i], other[i] = 4, 4
	}
	other[50] = 3
	for i, may := range allowed(fp32, other) {
		want := 0.12
		if i >= 50-smooth && i <= 50+smooth {
			want = 1
		}
		if math.Abs(may-want) > 1e-9 {
			t.Errorf("at %d it may differ by %g, want %g", i, may, want)
		}
	}
}

func TestStrays(t *testing.T) {
	fp32, may := []float64{4, 4, 2}, []float64{0.1, 1, 0.2}
	for _, k := range []struct {
		x     []float64
		at    int
		share float64
	}{
		{[]float64{4, 4.9, 2}, 1, 0.9},
		{[]float64{4, 2.9, 2}, 1, 1.1},
		{[]float64{4.05, 4.1, 2}, 0, 0.5},
		{[]float64{4, 4.9, 2.4}, 2, 2},
	} {
		if at, share := strays(k.x, fp32, may); at != k.at || math.Abs(share-k.share) > 1e-9 {
			t.Errorf("%v uses %g at %d, want %g at %d", k.x, share, at, k.share, k.at)
		}
	}
	if _, share := strays([]float64{4, math.NaN(), 2}, fp32, may); !math.IsNaN(share) {
		t.Error(share)
	}
}

func TestAgainstGraphs(t *testing.T) {
	for _, k := range []struct {
		plain      []float64
		note, fail string
	}{
		{[]float64{6, 5}, "all 2 lines", ""},
		{[]float64{6, 5.001}, "1 of 2 lines of metrics.jsonl differ, losses by at most 0.0002 of them, at step 2", ""},
		{[]float64{6, 5.01}, "", "losses by up to 0.002 of them, at step 2"},
		{[]float64{6, math.NaN()}, "", "1 of 2 lines"},
	} {
		var p Part
		plain := lossLines(k.plain...)
		plain[0].ImagesPerSecond = 77 // which does not count
		err := againstGraphs(&p, lossLines(6, 5), plain)
		if (err == nil) != (k.fail == "") || err != nil && !strings.Contains(err.Error(), k.fail) {
			t.Errorf("%v: %v, want %q", k.plain, err, k.fail)
		}
		if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes, k.note) || k.note == "" && notes != "" {
			t.Errorf("%v: notes %q, want %q", k.plain, notes, k.note)
		}
	}
	// An error in something else than the loss is not passed over.
	var p Part
	other := lossLines(6, 5)
	other[1].Top1Error = 0.5
	if err := againstGraphs(&p, lossLines(6, 5), other); err != nil || !strings.Contains(p.Notes[0], "1 of 2 lines") {
		t.Error(err, p.Notes)
	}
}
