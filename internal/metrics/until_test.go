package metrics

import (
	"math"
	"testing"
)

// line4 has a line every quarter of a pass, with the errors given.
func line4(errors ...float64) (ms []Metric) {
	for i, e := range errors {
		ms = append(ms, Metric{Kind: Train, Step: int64(10 * (i + 1)), Epoch: float64(i+1) / 4, Top1Error: e},
			Metric{Kind: Test, Step: int64(10 * (i + 1)), Epoch: float64(i+1) / 4, Top1Error: 0})
	}
	return ms
}

func TestUntil(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		ms   []Metric
		step int64 // 0: never
	}{
		{nil, 0},
		{line4(0.9, 0.8, 0.7, 0.6), 0},
		{line4(1, 1, 1, 1, 0, 0, 0, 0), 70},          // 3 of 4 quarters at 0: 0.25
		{line4(1, 1, 1, 1, 0, 1, 0, 1, 1), 0},        // a lucky line or two are no pass
		{line4(0.2, 0.9), 10},                        // less than a pass: all of it
		{line4(1, nan, 1, 1, nan, 0, 0, nan, 0), 90}, // 3 of the last 4 are 0, one is missing
		{line4(nan, nan, nan), 0},                    // nothing was measured
		{[]Metric{{Kind: Train, Epoch: 4, Step: 7, Top1Error: 0.25}}, 7}, // a line of four passes
		{append(line4(1, 1, 1, 1), Metric{Kind: Train, Epoch: 1.5, Step: 50, Top1Error: 0}, Metric{Kind: Train, Epoch: 1.75, Step: 60, Top1Error: 0}), 60},
	} {
		m, ok := Until(c.ms, 0.25)
		if ok != (c.step > 0) || m.Step != c.step {
			t.Errorf("%v: step %d, %v; want %d", c.ms, m.Step, ok, c.step)
		}
	}
}
