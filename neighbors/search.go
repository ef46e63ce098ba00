package neighbors

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Neighbor is a row that was found.
type Neighbor struct {
	Row      int
	Distance float64 // Euclidean
}

// Nearest returns for each query, a row of [queries, rows.Width()], the k nearest
// rows by Euclidean distance, the nearest first; of equal ones that of the lower
// number first. It looks at all rows, once for all queries, with all cores.
//
// Distances are |q|² - 2 q·r + |r|², by a matrix product in float32, which rounds.
// A row that is among the nearest even if the rounding was as bad as it can be is
// compared once more, number by number in float64. So the result is that of a plain
// loop over everything, whatever multiplies the matrices.
//
// A worker for each core takes a block of rows, 16 MiB or one row, and its products
// with up to 128 queries, of which there are at most 2 MiB. progress is called with
// the count of rows that have been looked at, by several goroutines.
func Nearest(ctx context.Context, rows Rows, queries []float32, k int, progress func(done, total int64)) ([][]Neighbor, error) {
	width := rows.Width()
	if k < 1 || k > rows.Len() {
		return nil, fmt.Errorf("the %d nearest of %d images: there must be from 1 to all of them", k, rows.Len())
	}
	if len(queries) == 0 || len(queries)%width != 0 {
		return nil, fmt.Errorf("%d numbers are no queries of %d each", len(queries), width)
	}
	s := search{rows: rows, queries: queries, k: k, width: width, count: len(queries) / width}
	s.lengths = make([]float64, s.count)
	for q := range s.count {
		s.lengths[q] = dot(s.query(q), s.query(q))
		if !finite(s.lengths[q]) {
			return nil, fmt.Errorf("query %d has a number that is not finite", q)
		}
	}
	s.block = min(blockOf(rows), maxProducts/productQueries)
	var workers []*worker
	err := inBlocks(ctx, rows, s.block, progress, func() func(int, []float32) error {
		w := &worker{search: &s, products: make([]float32, min(s.count, productQueries)*s.block), norms: make([]float64, s.block), best: make([][]Neighbor, s.count)}
		workers = append(workers, w)
		return w.look
	})
	if err != nil {
		return nil, err
	}
	found := make([][]Neighbor, s.count)
	for q := range found {
		for _, w := range workers {
			found[q] = append(found[q], w.best[q]...)
		}
		slices.SortFunc(found[q], nearer)
		found[q] = found[q][:k]
		roots(found[q])
	}
	return found, nil
}

// nearer orders by distance, then by number.
func nearer(a, b Neighbor) int {
	return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Row, b.Row))
}

type search struct {
	rows                   Rows
	queries                []float32 // [count, width]
	lengths                []float64 // [count] squared
	k, width, count, block int
}

func (s *search) query(q int) []float32 { return s.queries[q*s.width:][:s.width] }

// Queries of a matrix product, and the most numbers that it makes.
const (
	productQueries = 128
	maxProducts    = 1 << 19
)

// worker is what belongs to one goroutine. Distances in it are squares.
type worker struct {
	*search
	products []float32    // [productQueries, block]
	norms    []float64    // [block], of the rows, squared
	best     [][]Neighbor // [count], up to k each, in order
}

// look compares all queries with rows x from number first on.
func (w *worker) look(first int, x []float32) error {
	norms := w.norms[:len(x)/w.width]
	for i := range norms {
		row := x[i*w.width:][:w.width]
		if norms[i] = dot(row, row); !finite(norms[i]) {
			return fmt.Errorf("image %d has a number that is not finite: the network has diverged, or the file is damaged", first+i)
		}
	}
	for q := 0; q < w.count; q += productQueries {
		w.compare(q, min(productQueries, w.count-q), first, x, norms)
	}
	return nil
}

// compare compares count queries from number start on with rows x.
func (w *worker) compare(start, count, first int, x []float32, norms []float64) {
	n := len(norms)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1,
		blas32.General{Rows: count, Cols: w.width, Stride: w.width, Data: w.queries[start*w.width:]},
		blas32.General{Rows: n, Cols: w.width, Stride: w.width, Data: x},
		0, blas32.General{Rows: count, Cols: n, Stride: n, Data: w.products[:count*n]})
	// A sum of n products in float32, in any order, is wrong by at most n u/(1 - n u)
	// times the sum of their sizes (Higham 2002, section 3.1; u = 2^-24), which is at
	// most |q||r|.
	rounding := float64(w.width) / (1 << 24)
	if rounding /= 1 - rounding; rounding < 0 || rounding > 1 { // of millions of numbers, the product says nothing
		rounding = math.Inf(1)
	}
	for i := range count {
		q := start + i
		for j, product := range w.products[i*n:][:n] {
			least := w.lengths[q] + norms[j] - 2*float64(product) - 2*rounding*math.Sqrt(w.lengths[q]*norms[j])
			if best := w.best[q]; len(best) < w.k || !(least > best[w.k-1].Distance) {
				w.best[q] = insert(best, Neighbor{first + j, distance(w.query(q), x[j*w.width:][:w.width])}, w.k)
			}
		}
	}
}

// roots makes distances of their squares.
func roots(list []Neighbor) {
	for i := range list {
		list[i].Distance = math.Sqrt(list[i].Distance)
	}
}

// insert enters n among the k best, in order.
func insert(best []Neighbor, n Neighbor, k int) []Neighbor {
	at, _ := slices.BinarySearchFunc(best, n, nearer)
	if at == k {
		return best
	}
	return slices.Insert(best[:min(len(best), k-1)], at, n)
}

// distance returns the square of it.
func distance(a, b []float32) (sum float64) {
	for i, v := range a {
		d := float64(v) - float64(b[i])
		sum += d * d
	}
	return sum
}

func dot(a, b []float32) (sum float64) {
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}

func finite(v float64) bool { return v-v == 0 }

// Agreement returns the share of neighbours that have the label of their query.
func Agreement(found [][]Neighbor, queries, rows []int32) float64 {
	same, all := 0, 0
	for q, list := range found {
		for _, n := range list {
			if all++; rows[n.Row] == queries[q] {
				same++
			}
		}
	}
	return float64(same) / float64(all)
}

// Recall returns the share of the wanted neighbours that are among those found.
func Recall(found, want [][]Neighbor) float64 {
	hits, all := 0, 0
	for q, list := range want {
		for _, n := range list {
			if all++; slices.ContainsFunc(found[q], func(f Neighbor) bool { return f.Row == n.Row }) {
				hits++
			}
		}
	}
	return float64(hits) / float64(all)
}
