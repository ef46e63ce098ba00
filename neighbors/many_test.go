package neighbors

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
)

// held is rows in memory.
type held struct {
	x     []float32
	width int
}

func (h *held) Len() int   { return len(h.x) / h.width }
func (h *held) Width() int { return h.width }
func (h *held) Read(first int, dst []float32) error {
	copy(dst, h.x[first*h.width:])
	return nil
}

func newHeld(seed uint64, rows, width int) *held {
	r := rand.New(rand.NewPCG(seed, 0))
	h := &held{make([]float32, rows*width), width}
	for i := range h.x {
		h.x[i] = float32(r.NormFloat64())
	}
	return h
}

// TestManyQueries: what is found does not depend on the queries that are looked up
// with it, though they fill several matrix products.
func TestManyQueries(t *testing.T) {
	rows, queries := newHeld(1, 700, 5), newHeld(2, 2*productQueries+3, 5).x
	progress := func(int64, int64) {}
	together, err := Nearest(t.Context(), rows, queries, 4, progress)
	if err != nil {
		t.Fatal(err)
	}
	for q := range together {
		alone, err := Nearest(t.Context(), rows, queries[q*5:][:5], 4, progress)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(together[q], alone[0]) {
			t.Errorf("query %d: %v, and alone %v", q, together[q], alone[0])
		}
	}
}

// TestMemoryOfTheSearch: narrow rows, of which many fill a block, and many queries
// do not take memory by their product, 80 MB here.
func TestMemoryOfTheSearch(t *testing.T) {
	rows, queries := newHeld(3, 20_000, 2), newHeld(4, 1000, 2).x
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Nearest(t.Context(), rows, queries, 1, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 32 {
		t.Errorf("the search took %d MiB", took)
	}
}
