package train

import (
	"math"
	"testing"

	"alexnet/model"
)

func TestRateAtListedPasses(t *testing.T) {
	s, settings := newSchedule(), model.Train{Rate: 0.01, Divide: model.Divide{By: 10, At: []int{8, 10}}}
	for pass, want := range map[int64]float64{0: 0.01, 7: 0.01, 8: 0.001, 9: 0.001, 10: 0.0001, 99: 0.0001} {
		if got := s.rate(settings, pass); math.Abs(got-want) > 1e-12 {
			t.Errorf("rate after %d passes is %g, want %g", pass, got, want)
		}
	}
}

func TestRateOnAPlateau(t *testing.T) {
	s, settings := newSchedule(), model.Train{Rate: 1, Divide: model.Divide{By: 2, Plateau: 2, Times: 2}}
	for i, step := range []struct {
		err  float64
		best bool
		rate float64
	}{
		{0.9, true, 1}, {0.8, true, 1},
		{0.8, false, 1}, {0.85, false, 0.5}, // twice no better
		{0.81, false, 0.5}, {0.7, true, 0.5}, // a better one starts the count again
		{0.7, false, 0.5}, {0.7, false, 0.25},
		{0.7, false, 0.25}, {0.7, false, 0.25}, {0.7, false, 0.25}, // not a third time
	} {
		if best := s.tested(settings, step.err); best != step.best {
			t.Errorf("test %d: best is %v", i, best)
		}
		if got := s.rate(settings, int64(i)); got != step.rate {
			t.Errorf("test %d: rate %g, want %g", i, got, step.rate)
		}
		again, err := parseSchedule(s.marshal()) // a resumed run goes on as if nothing had been
		if err != nil || again != s {
			t.Fatalf("test %d: %+v read back as %+v, error %v", i, s, again, err)
		}
	}
}

func TestRateWithoutDivision(t *testing.T) {
	s, settings := newSchedule(), model.Train{Rate: 0.5}
	for range 20 {
		s.tested(settings, 0.9)
	}
	if got := s.rate(settings, 20); got != 0.5 {
		t.Errorf("rate %g, want 0.5", got)
	}
}

func TestParseScheduleError(t *testing.T) {
	if _, err := parseSchedule("{"); err == nil {
		t.Error("half a schedule was read")
	}
}

func TestTally(t *testing.T) {
	var c tally
	c.add(2, []float64{0.1, 0.1, 0.6, 0.1, 0.05, 0.05, 0})        // right
	c.add(6, []float64{0.1, 0.1, 0.6, 0.1, 0.05, 0.05, 0})        // the seventh of seven
	c.add(4, []float64{0.3, 0.2, 0.2, 0.1, 0.15, 0.05, 0})        // the fourth
	c.add(1, []float64{0.5, 0.5, 0, 0, 0, 0, 0})                  // a tie goes to the lower class
	c.add(0, []float64{math.NaN(), 0.5, 0.1, 0.1, 0.1, 0.1, 0.1}) // no number
	got := c.result(10)
	if got.Images != 5 || got.Views != 10 || got.Top1Error != 0.8 || got.Top5Error != 0.4 {
		t.Errorf("%+v", got)
	}
}
