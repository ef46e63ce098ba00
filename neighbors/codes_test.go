package neighbors

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// signs is an encoder whose bits are the signs of the first numbers.
type signs struct{ width, bits int }

func (s signs) Bits() int { return s.bits }
func (s signs) Activations(x, dst []float32) {
	for i := range len(x) / s.width {
		copy(dst[i*s.bits:(i+1)*s.bits], x[i*s.width:])
	}
}

// Hamming distances are those of a plain loop, for codes that fill no whole word.
func TestNearestCodes(t *testing.T) {
	const width, bits, count, k = 100, 70, 500, 9
	rows := &matrixRows{x: normals(width*count, 1, 0), width: width}
	queries := normals(width*4, 1, 1)
	e := signs{width, bits}
	codes, err := Encode(t.Context(), rows, e, quiet)
	if err != nil {
		t.Fatal(err)
	}
	got, err := codes.Nearest(t.Context(), EncodeVectors(queries, width, e), k)
	if err != nil {
		t.Fatal(err)
	}
	for q := range got {
		var want []Neighbor
		for r := range count {
			n := Neighbor{Row: r}
			for b := range bits {
				if (rows.x[r*width+b] > 0) != (queries[q*width+b] > 0) {
					n.Distance++
				}
			}
			want = append(want, n)
		}
		slices.SortStableFunc(want, nearer)
		if !slices.Equal(got[q], want[:k]) {
			t.Errorf("query %d: %v, want %v", q, got[q], want[:k])
		}
	}
	all, err := codes.Nearest(t.Context(), EncodeVectors(queries, width, e), count+1)
	if err != nil || len(all[0]) != count {
		t.Fatalf("%d of %d rows, %v", len(all[0]), count, err)
	}
	exact, err := Rerank(t.Context(), rows, queries, all, k)
	if err != nil {
		t.Fatal(err)
	}
	for q, want := range plainly(rows, queries, k) {
		if !slices.Equal(exact[q], want) {
			t.Errorf("query %d: with all of them on the shortlist %v, want %v", q, exact[q], want)
		}
	}
}

// The share of planes between two vectors is the angle between them, over π.
func TestPlanesMeasureAngles(t *testing.T) {
	const bits = 20_000
	p := NewPlanes([]float32{3, 4, 1, 2}, 2, bits, 1) // mean 2, 3
	for _, angle := range []float64{0.3, 1, 2.5} {
		x := []float32{2 + 5, 3, 2 + float32(math.Cos(angle)), 3 + float32(math.Sin(angle))}
		codes := EncodeVectors(x, 2, p)
		found := codes.nearest(codes.at(0), 2)
		if got := found[1].Distance / bits * math.Pi; math.Abs(got-angle) > 0.05 {
			t.Errorf("angle %g, by planes %g", angle, got)
		}
	}
}

// clouds returns n vectors around a few points that lie in a few of the dimensions.
func clouds(n, width int, step uint64) []float32 {
	const dimensions = 8
	basis := normals(dimensions*width, 1, 100)
	low := normals(n*dimensions, 1, step)
	x := normals(n*width, 0.3, step+1)
	for i := range n {
		for d, v := range low[i*dimensions:][:dimensions] {
			for j := range width {
				x[i*width+j] += v / float32(1+d) * basis[d*width+j]
			}
		}
	}
	return x
}

// With tanh in the place of the sign, the slopes are those of the loss.
func TestAutoencoderGradients(t *testing.T) {
	const width, batch = 5, 6
	sample := clouds(batch, width, 1)
	a, err := newAutoencoder(slices.Clone(sample), width, AutoencoderOptions{Bits: 4, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := newDescent(a, batch)
	d.sign = func(h float32) float32 { return float32(math.Tanh(float64(h))) }
	a.normalise(sample, d.x)
	copy(a.b, normals(4, 0.3, 50))
	copy(a.c, normals(width, 0.3, 51))
	d.gradients()
	for name, p := range map[string]struct{ w, slope []float32 }{
		"W": {a.w, slices.Clone(d.dw)}, "b": {a.b, slices.Clone(d.db)}, "c": {a.c, slices.Clone(d.dc)},
	} {
		for i, w := range p.w {
			const step = 1e-2
			p.w[i] = w + step
			up := d.gradients()
			p.w[i] = w - step
			down := d.gradients()
			p.w[i] = w
			if want := (up - down) / (2 * step); math.Abs(want-float64(p.slope[i])) > 2e-3*max(1, math.Abs(want)) {
				t.Errorf("%s[%d]: slope %g, want %g", name, i, p.slope[i], want)
			}
		}
	}
}

func train(t *testing.T, width int, seed uint64) *Autoencoder {
	t.Helper()
	a, err := TrainAutoencoder(t.Context(), clouds(1000, width, 1), width, AutoencoderOptions{Bits: 64, Passes: 10, Seed: seed, Progress: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What an auto-encoder learns, random planes do not know: which directions matter.
func TestAutoencoderIsBetterThanPlanes(t *testing.T) {
	const width, k = 100, 6
	rows := &matrixRows{x: clouds(2000, width, 3), width: width}
	queries := clouds(50, width, 5)
	want, err := Nearest(t.Context(), rows, queries, k, quiet)
	if err != nil {
		t.Fatal(err)
	}
	recall := func(e Encoder) float64 {
		codes, err := Encode(t.Context(), rows, e, quiet)
		if err != nil {
			t.Fatal(err)
		}
		found, err := codes.Nearest(t.Context(), EncodeVectors(queries, width, e), 50)
		if err != nil {
			t.Fatal(err)
		}
		return Recall(found, want)
	}
	learned, planes := recall(train(t, width, 1)), recall(NewPlanes(clouds(1000, width, 1), width, 64, 1))
	t.Logf("recall in 50 candidates: %.3f, random planes %.3f", learned, planes)
	if learned < planes+0.05 {
		t.Errorf("recall %.3f, of random planes %.3f", learned, planes)
	}
}

func TestAutoencoderDependsOnItsSeedAlone(t *testing.T) {
	a, same, other := train(t, 20, 1), train(t, 20, 1), train(t, 20, 2)
	if !slices.Equal(a.w, same.w) || slices.Equal(a.w, other.w) {
		t.Error("equal seeds differ, or others do not")
	}
}

func TestAutoencoderErrors(t *testing.T) {
	o := AutoencoderOptions{Bits: 8, Passes: 1, Progress: quiet}
	for want, sample := range map[string][]float32{
		"all vectors are the same": {1, 2, 1, 2}, "not finite": {1, 2, float32(math.Inf(1)), 2}, "0 vectors": nil,
	} {
		if _, err := TrainAutoencoder(t.Context(), sample, 2, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := TrainAutoencoder(ctx, clouds(9, 4, 1), 4, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
