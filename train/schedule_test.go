package train

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/dsl"
	"alexnet/internal/metrics"
	"alexnet/model"
)

func TestRateAtListedPasses(t *testing.T) {
	s, net := newSchedule(), &model.Net{Train: model.Train{Rate: 0.01, Divide: model.Divide{By: 10, At: []int{8, 10}}}}
	for pass, want := range map[int64]float64{0: 0.01, 7: 0.01, 8: 0.001, 9: 0.001, 10: 0.0001, 99: 0.0001} {
		if got := s.rates(net, pass).base; math.Abs(got-want) > 1e-12 {
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
		if best := s.tested(settings, step.err, i+1); best != step.best {
			t.Errorf("test %d: best is %v", i, best)
		}
		s.Tested = i + 1
		if got := s.rates(&model.Net{Train: settings}, int64(i)).base; got != step.rate {
			t.Errorf("test %d: rate %g, want %g", i, got, step.rate)
		}
		text, err := s.marshal()
		check(t, err)
		again, err := parseSchedule(text) // a resumed run goes on as if nothing had been
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("test %d: %+v read back as %+v, error %v", i, s, again, err)
		}
	}
}

// TestPlateauCountsPasses: where a batch holds three passes, each test counts as three.
func TestPlateauCountsPasses(t *testing.T) {
	s, settings := newSchedule(), model.Train{Rate: 1, Divide: model.Divide{By: 10, Plateau: 7, Times: 1}}
	for passes := 3; passes <= 15; passes += 3 {
		s.tested(settings, 0.5, passes)
		s.Tested = passes
		// Pass 3 has the lowest error, and pass 12 comes 9 passes after it.
		if want := passes >= 12; (s.Divided == 1) != want {
			t.Errorf("after %d passes the rate was divided %d times", passes, s.Divided)
		}
	}
}

// TestBatchOfSeveralPasses: it is told, its passes are numbered as they end, and the
// plateau counts them.
func TestBatchOfSeveralPasses(t *testing.T) {
	net, set, devices := open(t, "cpu")
	var told, changes []string
	var epochs []float64
	c := config(t, net, set, devices, func(m metrics.Metric) {
		switch m.Kind {
		case metrics.Test:
			epochs = append(epochs, m.Epoch)
		case metrics.Change:
			changes = append(changes, m.Why)
		}
	})
	c.Message = func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	setText(t, &c, strings.Replace(tiny, "batch 8\npasses 2\nrate 0.001", "batch 225\npasses 10\nrate 1e-30\ndivide 10 plateau 5 times 1", 1))
	check(t, Run(t.Context(), c))
	if len(told) != 1 || !strings.Contains(told[0], "a batch of 225 images holds the 90 training images of ") {
		t.Errorf("told: %v", told)
	}
	if !slices.Equal(epochs, []float64{2.5, 5, 7.5, 10}) || !slices.Equal(changes, []string{"on a plateau of the test error"}) {
		t.Errorf("tests after %v passes, changes %q", epochs, changes)
	}
}

func TestRateWithoutDivision(t *testing.T) {
	s, settings := newSchedule(), model.Train{Rate: 0.5}
	for pass := range 20 {
		s.tested(settings, 0.9, pass+1)
	}
	if got := s.rates(&model.Net{Train: settings}, 20).base; got != 0.5 {
		t.Errorf("rate %g, want 0.5", got)
	}
}

// TestRatesOf2012: the record of the run that is in Table 2, pass by pass.
func TestRatesOf2012(t *testing.T) {
	src, err := os.ReadFile("../nets/alexnet-2012.net")
	check(t, err)
	net, err := dsl.Parse("alexnet-2012.net", src)
	check(t, err)
	s := newSchedule()
	layer := map[string]int{}
	for i, l := range net.Layers {
		layer[l.Name] = i
	}
	for _, want := range []struct {
		pass        int64
		rest, conv1 float64
	}{
		{0, 1e-2, 1e-2}, {24, 1e-2, 1e-2}, {25, 1e-3, 1e-3}, {50, 1e-3, 1e-3}, {51, 1e-4, 1e-4}, {66, 1e-4, 1e-4},
		{67, 1e-4, 1e-5}, {71, 1e-4, 1e-5}, {72, 1e-4, 0}, {78, 1e-4, 0}, {79, 1e-5, 0}, {91, 1e-5, 0},
	} {
		got := s.rates(net, want.pass)
		for name, rate := range map[string]float64{"conv1": want.conv1, "conv2": want.rest, "fc8": want.rest} {
			if r := got.layer[layer[name]]; math.Abs(r-rate) > 1e-9*rate {
				t.Errorf("after %d passes %s learns at %g, want %g", want.pass, name, r, rate)
			}
		}
	}
	if net.Data.Until != 67 || net.Train.Passes != 91 {
		t.Errorf("colour noise until pass %d, %d passes; want 67, 91", net.Data.Until, net.Train.Passes)
	}
}

// TestDividedByHand: a person's divisions come on top of the file's, for all
// layers or one, and each changed rate is recorded once.
func TestDividedByHand(t *testing.T) {
	net, err := dsl.Parse("tiny.net", []byte(strings.Replace(tiny, "rate 0.001", "rate 8\nat 1 rate 4 layer fc2\ndivide 2 at 2", 1)))
	check(t, err)
	const conv1, fc2 = 0, 2
	s := newSchedule()
	now := s.rates(net, 0)
	for _, step := range []struct {
		layer      string
		by         float64
		pass       int64
		base       float64
		conv1, fc2 float64
		changes    int
	}{
		{"", 1, 0, 8, 8, 8, 0},
		{"", 1, 1, 8, 8, 4, 1}, // the file's
		{"", 2, 1, 4, 4, 2, 2}, // all, and the one that has its own
		{"conv1", 4, 1, 4, 1, 2, 1},
		{"conv1", 0.5, 1, 4, 2, 2, 1}, // up again
		{"", 1, 2, 2, 1, 1, 3},        // the file's division
	} {
		s.divideByHand(step.layer, step.by)
		to := s.rates(net, step.pass)
		if to.base != step.base || to.layer[conv1] != step.conv1 || to.layer[fc2] != step.fc2 {
			t.Errorf("%+v: got %+v", step, to)
		}
		if c := s.changed(net, now, to, 7, "test"); len(c) != step.changes {
			t.Errorf("%+v: changes %+v", step, c)
		}
		now = to
	}
	if len(s.Changes) != 8 {
		t.Errorf("%d changes are recorded, want 8", len(s.Changes))
	}
}

// TestScheduleIsWrittenOrTold: a number that JSON does not have is an error, and not
// an empty text.
func TestScheduleIsWrittenOrTold(t *testing.T) {
	s := newSchedule()
	s.divideByHand("", 1e300)
	s.divideByHand("", 1e300)
	if text, err := s.marshal(); err == nil {
		t.Errorf("written as %q", text)
	}
}

func TestScheduleCheck(t *testing.T) {
	net, err := dsl.Parse("tiny.net", []byte(tiny))
	check(t, err)
	const step, passes = 23, 2
	for text, want := range map[string]string{
		`{"tested":2,"best":0.5,"since":1,"by_hand":{"":2,"fc2":0.5},"changes":[{"step":3,"rate":0.1},{"step":23,"layer":"fc2","rate":0}]}`: "",
		`{}`:                                 "",
		`{"tested":-1}`:                      "after -1 passes",
		`{"tested":3}`:                       "after 3 passes, and 2 are done",
		`{"divided":-1}`:                     "divided -1 times",
		`{"since":-1}`:                       "-1 passes went by",
		`{"best":-0.5}`:                      "error is -0.5",
		`{"best":1.5}`:                       "error is 1.5",
		`{"by_hand":{"":-1}}`:                "by hand by -1",
		`{"by_hand":{"":0}}`:                 "by hand by 0",
		`{"by_hand":{"fc9":2}}`:              "fc9 was divided by hand",
		`{"by_hand":{"fc2":1e-300}}`:         "the rate is 1e+297",
		`{"divided":1}`:                      "the rate is +Inf", // by 0: the network divides never
		`{"changes":[{"step":24,"rate":1}]}`: "after step 24",
		`{"changes":[{"step":9,"rate":1},{"step":3,"rate":1}]}`: "after step 3",
		`{"changes":[{"step":-9,"rate":1}]}`:                    "after step -9",
		`{"changes":[{"step":9,"rate":-1}]}`:                    "became -1",
	} {
		s, err := parseSchedule(text)
		check(t, err)
		if err := s.check(net, step, passes); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
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
