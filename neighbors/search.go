// Package neighbors finds, for some vectors, the nearest of many: figure 4 of the
// paper, right, where the vectors are the 4096 numbers of the last hidden layer,
// and the search by short codes that section 6.1 proposes.
//
// Vectors are read from front to back, block by block, and never held all at
// once: a million of 4096 numbers are 16 GB in a file ([File]), and [Search] takes
// some 16 MiB of memory for each processor besides the queries.
package neighbors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Vectors are read from front to back.
type Vectors interface {
	// Dim returns the count of numbers of a vector.
	Dim() int
	// Next reads the next vectors, as many as dst has room for, and returns how
	// many; io.EOF when there are no more.
	Next(ctx context.Context, dst []float32) (n int, err error)
}

// Neighbor is one of the vectors that were searched.
type Neighbor struct {
	Index    int     // from 0, in the order of reading
	Distance float64 // Euclidean
}

// compare orders the nearest first, and of equally near ones that read first.
func (n Neighbor) compare(o Neighbor) int {
	return cmp.Or(cmp.Compare(n.Distance, o.Distance), cmp.Compare(n.Index, o.Index))
}

const (
	blockBytes = 8 << 20 // of the vectors that a worker works on, at least one
	maxBlock   = 4096    // vectors of a block
	queryBlock = 256     // queries of a matrix product
	maxK       = 10_000
	maxDim     = 1 << 22 // beyond, float32 products tell nothing of a distance
	maxQueries = 1 << 31 // numbers of all queries
)

// Search returns for each query the k nearest vectors, or all where there are
// fewer, the nearest first. queries is [n, x.Dim()].
//
// The search is exact: distances come from float32 matrix products,
// |q-x|² = |q|² - 2qx + |x|², and wherever their rounding could decide, the
// distance is summed up again in float64. Vectors with numbers that are not finite
// are nobody's neighbours.
func Search(ctx context.Context, queries []float32, x Vectors, k int) ([][]Neighbor, error) {
	dim := x.Dim()
	switch {
	case dim < 1 || dim > maxDim:
		return nil, fmt.Errorf("search: vectors of %d numbers, want 1 to %d", dim, maxDim)
	case len(queries) == 0 || len(queries)%dim != 0:
		return nil, fmt.Errorf("search: %d numbers make no queries of %d", len(queries), dim)
	case k < 1 || k > maxK:
		return nil, fmt.Errorf("search: %d neighbours are asked for, want 1 to %d", k, maxK)
	case len(queries) > maxQueries:
		return nil, fmt.Errorf("search: %d queries of %d numbers: want at most %d numbers in all; search for fewer at a time", len(queries)/dim, dim, maxQueries)
	}
	s := &search{dim: dim, k: k, queries: queries, norms: make([]float64, len(queries)/dim)}
	for i := range s.norms {
		s.norms[i] = norm(s.query(i))
	}
	workers := runtime.GOMAXPROCS(0)
	size := min(max(1, blockBytes/(4*dim)), maxBlock)
	empty, full := make(chan *block, workers+1), make(chan *block)
	for range cap(empty) {
		empty <- &block{x: make([]float32, size*dim)}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(full)
		return read(ctx, x, empty, full)
	})
	lists := make([][]nearest, workers)
	for w := range lists {
		lists[w] = make([]nearest, len(s.norms))
		g.Go(func() error {
			product := make([]float32, queryBlock*size)
			for b := range full {
				s.scan(b, product, lists[w])
				empty <- b // never full
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	result := make([][]Neighbor, len(s.norms))
	for i := range result {
		var all []Neighbor
		for _, list := range lists {
			all = append(all, list[i]...)
		}
		slices.SortFunc(all, Neighbor.compare)
		result[i] = all[:min(k, len(all))]
	}
	return result, nil
}

// block is vectors that are worked on together.
type block struct {
	first int // index of the first
	n     int
	x     []float32
}

// read fills empty blocks until there are no more vectors.
func read(ctx context.Context, x Vectors, empty <-chan *block, full chan<- *block) error {
	for first := 0; ; {
		var b *block
		select {
		case b = <-empty:
		case <-ctx.Done():
			return ctx.Err()
		}
		n, err := x.Next(ctx, b.x)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b.first, b.n = first, n
		first += n
		select {
		case full <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// search is what all workers read.
type search struct {
	dim, k  int
	queries []float32
	norms   []float64 // of the queries
}

func (s *search) query(i int) []float32 { return s.queries[i*s.dim:][:s.dim] }

// scan enters the vectors of b into the lists of the queries.
func (s *search) scan(b *block, product []float32, lists []nearest) {
	norms := make([]float64, b.n)
	for j := range norms {
		norms[j] = norm(b.vector(j, s.dim))
	}
	// What a float32 sum of dim products can be wrong by, over |q||x|.
	rounding := float64(s.dim) * 0x1p-24
	rounding /= 1 - rounding
	for first := 0; first < len(s.norms); first += queryBlock {
		n := min(queryBlock, len(s.norms)-first)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1,
			blas32.General{Rows: n, Cols: s.dim, Stride: s.dim, Data: s.queries[first*s.dim:]},
			blas32.General{Rows: b.n, Cols: s.dim, Stride: s.dim, Data: b.x},
			0, blas32.General{Rows: n, Cols: b.n, Stride: b.n, Data: product})
		for i := range n {
			q := first + i
			for j, dot := range product[i*b.n:][:b.n] {
				lengths := s.norms[q] * norms[j]
				least := s.norms[q]*s.norms[q] + norms[j]*norms[j] - 2*(float64(dot)+rounding*lengths)
				const slack = 1 + 1e-9 // for the rounding of the norms
				if lists[q].full(s.k) && least > lists[q].farthest()*lists[q].farthest()*slack {
					continue
				}
				if d := distance(s.query(q), b.vector(j, s.dim)); !math.IsNaN(d) && !math.IsInf(d, 0) {
					lists[q].add(Neighbor{b.first + j, d}, s.k)
				}
			}
		}
	}
}

func (b *block) vector(j, dim int) []float32 { return b.x[j*dim:][:dim] }

func norm(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

func distance(x, y []float32) float64 {
	var sum float64
	for i, v := range x {
		d := float64(v) - float64(y[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// nearest is the nearest so far, in order.
type nearest []Neighbor

func (l nearest) full(k int) bool   { return len(l) >= k }
func (l nearest) farthest() float64 { return l[len(l)-1].Distance }

// add enters n, if it is among the k nearest.
func (l *nearest) add(n Neighbor, k int) {
	at, _ := slices.BinarySearchFunc(*l, n, Neighbor.compare)
	if at >= k {
		return
	}
	if len(*l) == k {
		*l = (*l)[:k-1]
	}
	*l = slices.Insert(*l, at, n)
}
