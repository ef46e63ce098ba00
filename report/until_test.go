package report

import (
	"image/color"
	"math"
	"testing"

	"alexnet/internal/metrics"
)

// halving is a run whose training error halves every time passes, 16 lines a pass.
func halving(passes float64, lines int) (ms []metrics.Metric) {
	for i := 1; i <= lines; i++ {
		epoch := float64(i) / 16
		ms = append(ms, metrics.Metric{Kind: metrics.Train, Step: int64(10 * i), Epoch: epoch, Loss: 1, Top1Error: math.Pow(0.5, epoch/passes)})
	}
	return ms
}

func TestFirstBelow(t *testing.T) {
	// The mean of 2^(-e/T) over the pass before e is 2^(-e/T) (2^(1/T) - 1) T/ln 2.
	at := func(T float64) float64 { return 2*T + T*math.Log2((math.Pow(2, 1/T)-1)*T/math.Ln2) }
	for _, passes := range []float64{1, 3, 6} {
		got, ok := FirstBelow(halving(passes, 16*20), 0.25)
		if want := at(passes); !ok || math.Abs(got.Epoch-want) > 0.07 || got.Step != int64(160*got.Epoch) {
			t.Errorf("halving in %g passes: %+v, %v; want %.2f passes", passes, got, ok, want)
		}
	}
	if got, ok := FirstBelow(halving(6, 16*5), 0.25); ok {
		t.Errorf("an error that stays above was below at %+v", got)
	}
}

func TestFirstBelowIsSmoothed(t *testing.T) {
	ms := halving(3, 16*20)
	want, _ := FirstBelow(ms, 0.25)
	ms[20].Top1Error = 0 // a lucky line
	if got, ok := FirstBelow(ms, 0.25); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	early := []metrics.Metric{{Kind: metrics.Train, Step: 1, Epoch: 0.5}, {Kind: metrics.Test, Step: 2, Epoch: 1}}
	if got, ok := FirstBelow(early, 0.25); ok {
		t.Errorf("half a pass is enough: %+v", got)
	}
	unequal := []metrics.Metric{ // mean (0.9*0.3 + 0.1*0.1) = 0.28; of the lines 0.2
		{Kind: metrics.Train, Step: 9, Epoch: 0.9, Top1Error: 0.3}, {Kind: metrics.Train, Step: 10, Epoch: 1, Top1Error: 0.1},
		{Kind: metrics.Train, Step: 20, Epoch: 2, Top1Error: 0.24},
	}
	if got, ok := FirstBelow(unequal, 0.25); !ok || got.Step != 20 {
		t.Errorf("%+v, %v, want step 20", got, ok)
	}
	unequal[1].Top1Error = math.NaN()
	if got, ok := FirstBelow(unequal[:2], 0.25); ok {
		t.Errorf("a pass without a number was below at %+v", got)
	}
}

// The level is a dashed line across the panel of errors alone.
func TestLevel(t *testing.T) {
	run := Run{"x", halving(3, 100)}
	without, with := mustCurves(t, run), mustCurvesUntil(t, 0.25, run)
	inkOf := func(c color.RGBA) (int, int) {
		l0, r0 := count(without, c)
		l1, r1 := count(with, c)
		return l1 - l0, r1 - r0
	}
	if left, right := inkOf(levelColor); left != 0 || right < 300 {
		t.Errorf("%d pixels of a level among losses, %d among errors", left, right)
	}
}
