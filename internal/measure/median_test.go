package measure

import (
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	x := []float64{5, 1, 4, 2}
	if m := Median(x); m != 3 || !slices.Equal(x, []float64{5, 1, 4, 2}) {
		t.Error(m, x)
	}
	if m := Median([]float64{9, 1, 2}); m != 2 {
		t.Error(m)
	}
}
