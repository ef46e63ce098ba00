package neighbors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Bits is the length of a code.
const Bits = 128

// Code is what stands for a vector in a quick search: 16 bytes for 16 KB.
type Code [Bits / 64]uint64

// Distance returns in how many bits two codes differ.
func (c Code) Distance(o Code) int {
	n := 0
	for i := range c {
		n += bits.OnesCount64(c[i] ^ o[i])
	}
	return n
}

// Encoder makes codes of vectors. It is for one goroutine.
type Encoder interface {
	// Encode makes the codes of x, [len(codes), dim].
	Encode(x []float32, codes []Code)
}

// Codes returns the codes of all vectors, which stay in memory: 16 MB a million.
func Codes(ctx context.Context, e Encoder, x Vectors) ([]Code, error) {
	dim := x.Dim()
	block := make([]float32, min(max(1, blockBytes/(4*dim)), maxBlock)*dim)
	var all []Code
	for {
		n, err := x.Next(ctx, block)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		first := len(all)
		all = slices.Grow(all, n)[:first+n]
		e.Encode(block[:n*dim], all[first:])
	}
}

// SearchCodes returns for each query the indices of the n codes that are nearest,
// the nearest first, and of equally near ones the lower index. All processors take
// part.
func SearchCodes(ctx context.Context, queries, codes []Code, n int) ([][]int, error) {
	if n < 1 {
		return nil, fmt.Errorf("search by codes: %d are asked for, want 1 or more", n)
	}
	result := make([][]int, len(queries))
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			distances := make([]uint8, len(codes)) // up to Bits
			for q := w; q < len(queries); q += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				result[q] = nearestCodes(queries[q], codes, distances, min(n, len(codes)))
			}
			return nil
		})
	}
	return result, g.Wait()
}

// nearestCodes sorts by counting: distances are few.
func nearestCodes(query Code, codes []Code, distances []uint8, n int) []int {
	var count [Bits + 1]int
	for i, c := range codes {
		d := query.Distance(c)
		distances[i] = uint8(d)
		count[d]++
	}
	var place [Bits + 1]int // in the result, of the next code at each distance
	most, sum := 0, 0
	for d, c := range count {
		place[d] = sum
		if sum < n {
			most = d
		}
		sum += c
	}
	result := make([]int, n)
	for i, d := range distances {
		if int(d) <= most {
			if place[d] < n {
				result[place[d]] = i
			}
			place[d]++
		}
	}
	return result
}

// Rerank returns of each shortlist the k that are nearest to the query by their
// vectors, the nearest first. queries is [n, dim]; at reads a vector and is called
// by several goroutines at once.
func Rerank(ctx context.Context, queries []float32, dim int, shortlists [][]int, at func(index int64, dst []float32) error, k int) ([][]Neighbor, error) {
	result := make([][]Neighbor, len(shortlists))
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			x := make([]float32, dim)
			for q := w; q < len(shortlists); q += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				var list nearest
				for _, index := range shortlists[q] {
					if err := at(int64(index), x); err != nil {
						return err
					}
					list.add(Neighbor{index, distance(queries[q*dim:][:dim], x)}, k)
				}
				result[q] = list
			}
			return nil
		})
	}
	return result, g.Wait()
}

// Recall returns the share of the nearest that are found in the lists of the same
// queries.
func Recall(near [][]Neighbor, found [][]int) float64 {
	hits, all := 0, 0
	for q, list := range near {
		for _, n := range list {
			all++
			if slices.Contains(found[q], n.Index) {
				hits++
			}
		}
	}
	return float64(hits) / float64(max(all, 1))
}
