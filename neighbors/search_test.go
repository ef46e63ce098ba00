package neighbors

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/philox"
)

// matrixRows are rows in memory.
type matrixRows struct {
	x     []float32
	width int
	err   error // of Read, after the first rows
}

func (m *matrixRows) Len() int   { return len(m.x) / m.width }
func (m *matrixRows) Width() int { return m.width }
func (m *matrixRows) Read(first int, dst []float32) error {
	copy(dst, m.x[first*m.width:])
	if first > 0 {
		return m.err
	}
	return nil
}

func quiet(int64, int64) {}

// plainly is Nearest as a plain loop.
func plainly(rows *matrixRows, queries []float32, k int) [][]Neighbor {
	var all [][]Neighbor
	for q := 0; q < len(queries); q += rows.width {
		var list []Neighbor
		for r := range rows.Len() {
			list = append(list, Neighbor{r, math.Sqrt(distance(queries[q:q+rows.width], rows.x[r*rows.width:][:rows.width]))})
		}
		slices.SortStableFunc(list, nearer)
		all = append(all, list[:k])
	}
	return all
}

func normals(n int, deviation float64, step uint64) []float32 {
	x := make([]float32, n)
	philox.Normals(x, deviation, 7, philox.Draw, step<<32)
	return x
}

func TestNearestIsThatOfAPlainLoop(t *testing.T) {
	const width, count = 300, 15_000 // more blocks than one
	rows := &matrixRows{x: normals(width*count, 1, 0), width: width}
	queries := normals(width*5, 1, 1)
	copy(queries, rows.x[17*width:18*width]) // one is there
	if blockOf(rows) >= count {
		t.Fatal("one block has all rows")
	}
	got, err := Nearest(t.Context(), rows, queries, 6, func(done, total int64) {
		if total != count {
			t.Errorf("%d of %d rows", done, total)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := plainly(rows, queries, 6)
	for q := range want {
		if !slices.Equal(got[q], want[q]) {
			t.Errorf("query %d: %v, want %v", q, got[q], want[q])
		}
	}
	if got[0][0] != (Neighbor{17, 0}) {
		t.Errorf("a row is not the nearest to itself, but %v", got[0][0])
	}
}

// Far from 0 and close together, products in float32 cannot tell the rows apart.
func TestNearestInSpiteOfRounding(t *testing.T) {
	const width, count = 64, 400
	rows := &matrixRows{x: normals(width*count, 0.01, 0), width: width}
	for i := range rows.x {
		rows.x[i] += 100
	}
	copy(rows.x[width*300:], rows.x[:width]) // equal ones: the lower number comes first
	queries := slices.Clone(rows.x[:3*width])
	got, err := Nearest(t.Context(), rows, queries, 4, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for q, want := range plainly(rows, queries, 4) {
		if !slices.Equal(got[q], want) {
			t.Errorf("query %d: %v, want %v", q, got[q], want)
		}
	}
	if got[0][0].Row != 0 || got[0][1].Row != 300 {
		t.Errorf("of equal rows %v are the nearest", got[0][:2])
	}
}

func TestNearestErrors(t *testing.T) {
	rows := &matrixRows{x: normals(40, 1, 0), width: 4}
	bad := &matrixRows{x: slices.Clone(rows.x), width: 4}
	bad.x[13] = float32(math.NaN())
	for _, c := range []struct {
		rows *matrixRows
		q    []float32
		k    int
		want string
	}{
		{rows, rows.x[:4], 11, "the 11 nearest of 10 images"},
		{rows, rows.x[:4], 0, "the 0 nearest"},
		{rows, rows.x[:5], 1, "5 numbers are no queries of 4"},
		{rows, nil, 1, "0 numbers are no queries"},
		{bad, rows.x[:4], 1, "image 3 has a number that is not finite"},
		{rows, bad.x[12:16], 1, "query 0 has a number"},
	} {
		if _, err := Nearest(t.Context(), c.rows, c.q, c.k, quiet); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	failing := &matrixRows{x: make([]float32, 300*15_000), width: 300, err: errors.New("the disk is gone")}
	if _, err := Nearest(t.Context(), failing, failing.x[:300], 1, quiet); !errors.Is(err, failing.err) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Nearest(ctx, rows, rows.x[:4], 1, quiet); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAgreementAndRecall(t *testing.T) {
	found := [][]Neighbor{{{Row: 0}, {Row: 1}}, {{Row: 2}, {Row: 3}}}
	if got := Agreement(found, []int32{5, 6}, []int32{5, 6, 6, 6}); got != 0.75 {
		t.Errorf("%g agree", got)
	}
	want := [][]Neighbor{{{Row: 1}, {Row: 9}}, {{Row: 3}, {Row: 2}}}
	if got := Recall(found, want); got != 0.75 {
		t.Errorf("recall %g", got)
	}
}
