package neighbors

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"alexnet/internal/philox"
)

func randomCodes(r *rand.Rand, n int) []Code {
	codes := make([]Code, n)
	for i := range codes {
		codes[i] = Code{r.Uint64(), r.Uint64()}
	}
	return codes
}

// TestSearchCodes holds the search by counting against sorting.
func TestSearchCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	codes, queries := randomCodes(r, 500), randomCodes(r, 20)
	copy(queries, codes[100:103])                 // at distance 0
	queries[3] = Code{^codes[7][0], ^codes[7][1]} // at distance 128
	for _, n := range []int{1, 6, 499, 500, 1000} {
		got, err := SearchCodes(t.Context(), queries, codes, n)
		if err != nil {
			t.Fatal(err)
		}
		for q, list := range got {
			want := make([]int, len(codes))
			for i := range want {
				want[i] = i
			}
			slices.SortStableFunc(want, func(a, b int) int { return queries[q].Distance(codes[a]) - queries[q].Distance(codes[b]) })
			if !slices.Equal(list, want[:min(n, 500)]) {
				t.Errorf("query %d, %d nearest: they differ from the sorted ones", q, n)
			}
		}
	}
	if _, err := SearchCodes(t.Context(), queries, codes, 0); err == nil {
		t.Error("0 codes are searched for")
	}
	if d := queries[3].Distance(codes[7]); d != Bits {
		t.Errorf("opposite codes differ in %d bits", d)
	}
}

// TestRerank: a shortlist of all is the exact search, and recall counts.
func TestRerank(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const dim = 9
	x, queries := random(r, 50*dim), random(r, 4*dim)
	all := make([][]int, 4)
	for q := range all {
		all[q] = r.Perm(50)
	}
	at := func(i int64, dst []float32) error { copy(dst, x[i*dim:]); return nil }
	got, err := Rerank(t.Context(), queries, dim, all, at, 5)
	if err != nil {
		t.Fatal(err)
	}
	want := slow(queries, x, dim, 5)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	found := make([][]int, 4)
	found[1] = []int{want[1][0].Index, want[1][4].Index, -1}
	if r := Recall(want, found); r != 2./20 {
		t.Errorf("recall is %g of 2 in 20", r)
	}
}

// TestRandomProjection: bits say on which side of planes through the mean a vector
// lies, so that two vectors at an angle differ in that part of 180 degrees.
func TestRandomProjection(t *testing.T) {
	mean := []float32{5, -3, 100}
	p, err := RandomProjection(mean, 1)
	if err != nil {
		t.Fatal(err)
	}
	codes := make([]Code, 4)
	p.Encode([]float32{6, -3, 100, 5, -2, 100, 4, -3, 100, 9, -3, 100}, codes)
	if d := codes[0].Distance(codes[1]); d < Bits/2-20 || d > Bits/2+20 { // 90 degrees; 20 are 3.5 deviations
		t.Errorf("90 degrees: %d bits of %d", d, Bits)
	}
	if d := codes[0].Distance(codes[2]); d < Bits-1 { // 180 degrees
		t.Errorf("180 degrees: %d bits of %d", d, Bits)
	}
	if d := codes[0].Distance(codes[3]); d > 1 {
		t.Errorf("in one direction: %d bits of %d", d, Bits)
	}
}

func TestMoments(t *testing.T) {
	mean, deviation, err := Moments(t.Context(), &list{[]float32{1, 10, 3, 10, 5, 16}, 2, 2})
	if err != nil || !slices.Equal(mean, []float32{3, 12}) || math.Abs(deviation-math.Sqrt((8./3+8)/2)) > 1e-12 {
		t.Errorf("%v, %g, %v", mean, deviation, err)
	}
	if _, _, err := Moments(t.Context(), &list{nil, 2, 2}); err == nil {
		t.Error("no vectors have a mean")
	}
}

// TestGradients holds what the auto-encoder goes down by against differences of
// its loss.
func TestGradients(t *testing.T) {
	const dim, batch = 5, 3
	r := rand.New(rand.NewPCG(7, 8))
	a := newAutoEncoder(dim, Learning{Batch: batch, Seed: 1})
	x, noise := random(r, batch*dim), random(r, batch*Bits)
	for i := range a.b.x {
		a.b.x[i] = float32(r.NormFloat64())
	}
	for name, p := range map[string]*parameter{"W": a.w, "b": a.b, "V": a.v, "c": a.c} {
		a.gradients(x, noise)
		g := slices.Clone(p.g)
		for _, i := range []int{0, 1, len(p.x) / 2, len(p.x) - 1} {
			const step = 2e-2
			was := p.x[i]
			p.x[i] = was + step
			up := a.gradients(x, noise)
			p.x[i] = was - step
			down := a.gradients(x, noise)
			p.x[i] = was
			if want := (up - down) / (2 * step); math.Abs(want-float64(g[i])) > 2e-3*max(1, math.Abs(want)) {
				t.Errorf("%s[%d]: the gradient is %g, and differences of the loss say %g", name, i, g[i], want)
			}
		}
	}
}

// uneven are vectors with a few large numbers, which decide who is near, among many
// small ones, which random projections are as much about.
func uneven(n, dim int) []float32 {
	x := make([]float32, n*dim)
	philox.Normals(x, 1, 9, philox.Draw, 0)
	for i := range n {
		for j := range dim / 10 {
			x[i*dim+j] *= 6
		}
	}
	return x
}

// TestLearn: codes that were learned find more than random ones, the same seed
// gives the same codes, and another one others.
func TestLearn(t *testing.T) {
	const dim, n, queries = 200, 1500, 100
	x := uneven(n+queries, dim)
	train, test := x[:n*dim], x[n*dim:]
	open := func() Vectors { return &list{train, dim, 1000} }
	near, err := Search(t.Context(), test, open(), 10)
	if err != nil {
		t.Fatal(err)
	}
	mean, deviation, err := Moments(t.Context(), open())
	if err != nil {
		t.Fatal(err)
	}
	recall := func(e Encoder) (float64, []Code) {
		codes, err := Codes(t.Context(), e, open())
		if err != nil {
			t.Fatal(err)
		}
		q := make([]Code, queries)
		e.Encode(test, q)
		found, err := SearchCodes(t.Context(), q, codes, 50)
		if err != nil {
			t.Fatal(err)
		}
		return Recall(near, found), codes
	}
	learn := func(seed uint64) *Projection {
		o := DefaultLearning(seed)
		o.Steps, o.Batch = 150, 64
		var losses []float64
		o.Progress = func(_ int, loss float64) { losses = append(losses, loss) }
		p, err := Learn(t.Context(), open, mean, deviation, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(losses) != o.Steps || losses[o.Steps-1] > losses[0]/2 {
			t.Errorf("%d losses, from %g to %g", len(losses), losses[0], losses[len(losses)-1])
		}
		return p
	}
	random, err := RandomProjection(mean, 1)
	if err != nil {
		t.Fatal(err)
	}
	byChance, _ := recall(random)
	learned, codes := recall(learn(1))
	if learned < byChance+0.1 {
		t.Errorf("of the nearest, learned codes find %.3f and random ones %.3f", learned, byChance)
	}
	if _, same := recall(learn(1)); !slices.Equal(codes, same) {
		t.Error("one seed gives different codes")
	}
	if _, other := recall(learn(2)); slices.Equal(codes, other) {
		t.Error("two seeds give the same codes")
	}
}

func TestLearnErrors(t *testing.T) {
	open := func() Vectors { return &list{[]float32{1, 2}, 2, 1} }
	if _, err := Learn(t.Context(), open, []float32{1, 2}, 0, DefaultLearning(1)); err == nil {
		t.Error("learned from vectors that are all the same")
	}
	empty := func() Vectors { return &list{nil, 2, 1} }
	if _, err := Learn(t.Context(), empty, []float32{1, 2}, 1, DefaultLearning(1)); err == nil {
		t.Error("learned from nothing")
	}
	bad := func() Vectors { return &list{[]float32{1, float32(math.NaN())}, 2, 1} }
	if _, err := Learn(t.Context(), bad, []float32{1, 2}, 1, DefaultLearning(1)); err == nil {
		t.Error("learned from what is no number")
	}
}
