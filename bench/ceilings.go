package bench

import (
	"context"
	"errors"
	"time"

	"alexnet/dnn"
	"alexnet/internal/measure"
)

// Ceilings are what a device does at most, in the two things that every layer is
// made of.
type Ceilings struct {
	GFLOPs float64 `json:"gflops"` // of a large matrix product, 10^9 multiplications and additions a second
	GBs    float64 `json:"gbs"`    // of a large copy, 10^9 bytes a second, read and written
}

// What the two take at least, so that it is the work that is timed.
const longEnough = 20 * time.Millisecond

// The largest matrix that is multiplied, and the largest copy. Tests do with less.
var (
	mostSide  = 8192
	mostBytes = int64(512 << 20)
)

// measureCeilings takes the best of a few rounds of each: nothing does more.
func measureCeilings(ctx context.Context, d dnn.Device) (c Ceilings, err error) {
	const rounds = 5
	for n := 512; n <= mostSide; n *= 2 {
		full := dnn.Full{Batch: n, Groups: 1, In: n, Out: n}
		if dnn.InBFloat16([]dnn.Device{d}) {
			full.Format = dnn.BFloat16
		}
		side := full.Format.Bytes() * int64(n)
		best, err := bestOf(ctx, d, rounds, dnn.FullForward{Full: full, X: 1, W: 2, B: 3, Y: 4}, []int64{side * int64(n), side * int64(n), side, side * int64(n)})
		if err != nil {
			return c, err
		}
		c.GFLOPs = max(c.GFLOPs, 2*float64(n)*float64(n)*float64(n)/best.Seconds()/1e9)
		if best >= longEnough {
			break
		}
	}
	// The largest copy counts, and one within a cache does not.
	cache, err := measure.LastCache()
	if err != nil {
		cache = 32 << 20
	}
	for bytes := min(64<<20, mostBytes); bytes <= mostBytes; bytes *= 2 {
		n := int(bytes / 4)
		best, err := bestOf(ctx, d, rounds, dnn.Sum{Rows: 1, Width: n, X: []dnn.Slab{{T: 1}}, Y: dnn.Slab{T: 2}}, []int64{bytes, bytes})
		if err != nil && c.GBs > 0 && ctx.Err() == nil {
			break // so much memory cannot be had
		}
		if err != nil {
			return c, err
		}
		c.GBs = 2 * float64(bytes) / best.Seconds() / 1e9
		if best >= longEnough && bytes > cache {
			break
		}
	}
	return c, nil
}

// bestOf times an operation whose tensors 1, 2, ... have the given sizes and hold
// zeros.
func bestOf(ctx context.Context, d dnn.Device, rounds int, op dnn.Op, sizes []int64) (best time.Duration, err error) {
	var closers []interface{ Close() error }
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i].Close())
		}
	}()
	stream, err := d.NewStream()
	if err != nil {
		return 0, err
	}
	var buffers []dnn.Buffer
	for _, bytes := range sizes {
		b, err := d.NewBuffer(bytes)
		if err != nil {
			return 0, errors.Join(err, stream.Close())
		}
		closers = append(closers, b)
		buffers = append(buffers, b)
		if err := zero(ctx, stream, b); err != nil {
			return 0, errors.Join(err, stream.Close())
		}
	}
	closers = append(closers, stream) // ends before its buffers
	task, err := d.Prepare(op, func(t dnn.Tensor) dnn.Buffer { return buffers[t-1] })
	if err != nil {
		return 0, err
	}
	closers = append(closers, task)
	for round := range rounds + 1 { // the first does not count
		started := time.Now()
		if err := errors.Join(stream.Launch(task), stream.Synchronize(ctx)); err != nil {
			return 0, err
		}
		if took := time.Since(started); round > 0 && (best == 0 || took < best) {
			best = took
		}
	}
	return best, nil
}

// zero fills a buffer, piece by piece.
func zero(ctx context.Context, stream dnn.Stream, b dnn.Buffer) error {
	piece := make([]byte, min(b.Bytes(), 4<<20))
	for at := int64(0); at < b.Bytes(); at += int64(len(piece)) {
		n := min(int64(len(piece)), b.Bytes()-at)
		if err := errors.Join(stream.Upload(b.Slice(at, n), piece[:n]), stream.Synchronize(ctx)); err != nil {
			return err
		}
	}
	return nil
}
