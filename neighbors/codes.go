package neighbors

import (
	"context"
	"math/bits"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// wordBits is how many bits a word of a code has.
const wordBits = 64

// Encoder makes binary codes of vectors. Activations sets dst, [n, Bits()], for the
// rows x, [n, width]: a bit of the code is whether its number is above 0. It may be
// called by several goroutines.
type Encoder interface {
	Bits() int
	Activations(x, dst []float32)
}

// Codes are binary codes of rows.
type Codes struct {
	words int      // of a code
	list  []uint64 // [rows, words]
}

// Encode makes the codes of all rows, which are read in blocks, with all cores.
// progress is called with the count of rows that are done, by several goroutines.
func Encode(ctx context.Context, rows Rows, e Encoder, progress func(done, total int64)) (*Codes, error) {
	c := newCodes(rows.Len(), e)
	block := blockOf(rows)
	err := inBlocks(ctx, rows, block, progress, func() func(int, []float32) error {
		activations := make([]float32, block*e.Bits())
		return func(first int, x []float32) error {
			n := len(x) / rows.Width()
			c.set(first, e, x, activations[:n*e.Bits()])
			return nil
		}
	})
	return c, err
}

// EncodeVectors makes the codes of vectors in memory, [n, width].
func EncodeVectors(x []float32, width int, e Encoder) *Codes {
	n := len(x) / width
	c := newCodes(n, e)
	c.set(0, e, x, make([]float32, n*e.Bits()))
	return c
}

func newCodes(rows int, e Encoder) *Codes {
	words := (e.Bits() + wordBits - 1) / wordBits
	return &Codes{words: words, list: make([]uint64, rows*words)}
}

// set makes the codes of rows x from number first on, with memory for their
// activations.
func (c *Codes) set(first int, e Encoder, x, activations []float32) {
	e.Activations(x, activations)
	for i := range len(activations) / e.Bits() {
		code := c.at(first + i)
		for b, v := range activations[i*e.Bits():][:e.Bits()] {
			if v > 0 {
				code[b/wordBits] |= 1 << (b % wordBits)
			}
		}
	}
}

// Len returns the count of rows.
func (c *Codes) Len() int { return len(c.list) / c.words }

func (c *Codes) at(row int) []uint64 { return c.list[row*c.words:][:c.words] }

// Nearest returns for each query the k rows, or all if there are fewer, whose codes
// differ from its own in the fewest bits, which is their Distance; of equal ones
// that of the lower number first. It compares with all of them, with all cores.
func (c *Codes) Nearest(ctx context.Context, queries *Codes, k int) ([][]Neighbor, error) {
	found := make([][]Neighbor, queries.Len())
	err := forEach(ctx, len(found), func() func(int) error {
		return func(q int) error {
			found[q] = c.nearest(queries.at(q), k)
			return nil
		}
	})
	return found, err
}

// forEach does work for each of n queries, with a worker for each core. start is
// called once for each worker and returns what it does with a query.
func forEach(ctx context.Context, n int, start func() func(q int) error) error {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), n) {
		work := start()
		g.Go(func() error {
			for {
				q := int(next.Add(1)) - 1
				if q >= n {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := work(q); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func (c *Codes) nearest(query []uint64, k int) (best []Neighbor) {
	k = min(k, c.Len())
	worst := c.words*wordBits + 1 // of the k best so far
	row := 0
	for list := c.list; len(list) >= len(query); list = list[len(query):] {
		different := 0
		for i, w := range query {
			different += bits.OnesCount64(w ^ list[i])
		}
		if different < worst {
			best = insert(best, Neighbor{row, float64(different)}, k)
			if len(best) == k {
				worst = int(best[k-1].Distance)
			}
		}
		row++
	}
	return best
}

// Rerank orders each query's shortlist by the Euclidean distance of the rows, of
// which it reads those on the list alone, and returns the k nearest. All cores take
// part.
func Rerank(ctx context.Context, rows Rows, queries []float32, shortlists [][]Neighbor, k int) ([][]Neighbor, error) {
	width := rows.Width()
	found := make([][]Neighbor, len(shortlists))
	err := forEach(ctx, len(shortlists), func() func(int) error {
		row := make([]float32, width)
		return func(q int) error {
			for _, n := range shortlists[q] {
				if err := rows.Read(n.Row, row); err != nil {
					return err
				}
				found[q] = insert(found[q], Neighbor{n.Row, distance(queries[q*width:][:width], row)}, k)
			}
			roots(found[q])
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
