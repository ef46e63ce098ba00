package neighbors

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Rows are vectors of Width numbers. Read fills dst with those of whole rows from
// number first on, and may be called by several goroutines.
type Rows interface {
	Len() int
	Width() int
	Read(first int, dst []float32) error
}

// blockBytes is how many bytes of rows a worker reads at a time.
const blockBytes = 16 << 20

// blockOf returns how many rows make a block.
func blockOf(rows Rows) int { return min(max(1, blockBytes/4/rows.Width()), rows.Len()) }

// inBlocks reads all rows, block after block, with a worker for each core. start is
// called once for each, one after the other, and returns what the worker does with
// rows x from number first on. progress is called with the count of rows that are
// done.
func inBlocks(ctx context.Context, rows Rows, block int, progress func(done, total int64), start func() func(first int, x []float32) error) error {
	var next, done atomic.Int64 // first row that no worker has taken; rows done
	g, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), (rows.Len()+block-1)/block) {
		work := start()
		g.Go(func() error {
			memory := make([]float32, block*rows.Width())
			for {
				first := int(next.Add(int64(block))) - block
				if first >= rows.Len() {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				n := min(block, rows.Len()-first)
				x := memory[:n*rows.Width()]
				if err := rows.Read(first, x); err != nil {
					return err
				}
				if err := work(first, x); err != nil {
					return err
				}
				progress(done.Add(int64(n)), int64(rows.Len()))
			}
		})
	}
	return g.Wait()
}
