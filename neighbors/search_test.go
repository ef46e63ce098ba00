package neighbors

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// list is vectors in memory, given out step at a time.
type list struct {
	x         []float32
	dim, step int
}

func (l *list) Dim() int { return l.dim }

func (l *list) Next(_ context.Context, dst []float32) (int, error) {
	n := min(l.step, len(dst)/l.dim, len(l.x)/l.dim)
	if n == 0 {
		return 0, io.EOF
	}
	copy(dst, l.x[:n*l.dim])
	l.x = l.x[n*l.dim:]
	return n, nil
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// slow is Search in the plainest form.
func slow(queries, x []float32, dim, k int) [][]Neighbor {
	var result [][]Neighbor
	for q := range slices.Chunk(queries, dim) {
		var all []Neighbor
		i := 0
		for v := range slices.Chunk(x, dim) {
			sum := 0.0
			for j := range q {
				sum += (float64(q[j]) - float64(v[j])) * (float64(q[j]) - float64(v[j]))
			}
			all = append(all, Neighbor{i, math.Sqrt(sum)})
			i++
		}
		slices.SortStableFunc(all, func(a, b Neighbor) int {
			switch {
			case a.Distance < b.Distance:
				return -1
			case a.Distance > b.Distance:
				return 1
			}
			return 0
		})
		result = append(result, all[:min(k, len(all))])
	}
	return result
}

// TestSearch: whatever the blocks, the result is that of the plain search, with
// vectors that are twice there, and far from the origin, where float32 products
// cannot tell them apart.
func TestSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, dim := range []int{1, 7, 33} {
		for _, offset := range []float32{0, 1000} {
			x := random(r, 300*dim)
			copy(x[150*dim:], x[:100*dim])
			queries := append(random(r, 257*dim), x[:3*dim]...)
			for i := range x {
				x[i] += offset
			}
			for i := range queries {
				queries[i] += offset
			}
			for _, k := range []int{1, 6, 1000} {
				got, err := Search(t.Context(), queries, &list{x, dim, 37}, k)
				if err != nil {
					t.Fatal(err)
				}
				if want := slow(queries, x, dim, k); !reflect.DeepEqual(got, want) {
					t.Errorf("%d numbers, offset %g, %d neighbours: they differ from those of the plain search", dim, offset, k)
				}
			}
		}
	}
}

func TestSearchPassesOverWhatIsNoNumber(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	got, err := Search(t.Context(), []float32{0, 0}, &list{[]float32{nan, 0, inf, 0, 3e38, 3e38, 3, 4}, 2, 9}, 4)
	if err != nil || len(got[0]) != 2 || got[0][0] != (Neighbor{3, 5}) || got[0][1].Index != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

type failing struct{ list }

var errDisk = errors.New("disk")

func (f *failing) Next(ctx context.Context, dst []float32) (int, error) {
	if n, err := f.list.Next(ctx, dst); err == nil {
		return n, nil
	}
	return 0, errDisk
}

func TestSearchErrors(t *testing.T) {
	x := []float32{1, 2, 3, 4}
	if _, err := Search(t.Context(), x, &failing{list{x, 2, 1}}, 1); err != errDisk {
		t.Errorf("%v, want that of reading", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Search(stopped, x, &list{x, 2, 1}, 1); err != context.Canceled {
		t.Errorf("%v, want that of the context", err)
	}
	for _, wrong := range []struct{ queries, dim, k int }{{0, 2, 1}, {3, 2, 1}, {4, 0, 1}, {4, 2, 0}, {4, 2, maxK + 1}} {
		if _, err := Search(t.Context(), x[:wrong.queries], &list{x, wrong.dim, 1}, wrong.k); err == nil {
			t.Errorf("%+v is accepted", wrong)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.safetensors")
	s := Source{Net: "n", Model: "m", Layer: "l", Dataset: "d", Split: "train"}
	w, err := NewFileWriter(path, s, 5, []int{2, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, image := range []int64{1, 3} { // the others are damaged
		if err := w.Add(image, int32(7+i), []float32{1, 2, 3, float32(image)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Source != s || f.Dim() != 4 || !slices.Equal(f.Labels, []int32{-1, 7, -1, 8, -1}) {
		t.Errorf("%+v", f)
	}
	one := make([]float32, 4)
	if err := f.At(3, one); err != nil || !slices.Equal(one, []float32{1, 2, 3, 3}) {
		t.Errorf("image 3 is %v, %v", one, err)
	}
	if err := f.At(5, one); err == nil {
		t.Error("there is a sixth image")
	}
	v := f.Vectors()
	var all []float32
	for dst := make([]float32, 9); ; {
		n, err := v.Next(t.Context(), dst)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, dst[:4*n]...)
	}
	if !slices.Equal(all, []float32{0, 0, 0, 0, 1, 2, 3, 1, 0, 0, 0, 0, 1, 2, 3, 3, 0, 0, 0, 0}) {
		t.Errorf("read %v", all)
	}
}
