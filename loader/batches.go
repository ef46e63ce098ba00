package loader

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"alexnet/loader/record"
)

// Options say which batches are made.
type Options struct {
	Split         string  // "": "train" for Train, "test" for Test
	Rows          int     // of a batch
	Height, Width int     // of the crop; 0: of the stored image
	Mirror        bool    // Train: mirror every other image
	Color         float64 // Train: deviation of α, 0.1 in the paper; 0: no colour noise
	ColorPasses   int     // Train: passes with colour noise; 0: all
	Seed          uint64  // Train
	Views         int     // Test: 1 (or 0), the centre; or 10

	// Window is how many bytes of stored pixels are shuffled together, or held
	// ready in a test; 0: 64 MiB, or in a test enough to keep all processors busy.
	// Batches for the views of twice as many images are held, and three more.
	Window int64

	// Rank of Ranks gets its share of the images of each pass: the shares have no
	// image in common, miss none, and differ by at most one image in size. 0 of 0
	// is 0 of 1: all images.
	Rank, Ranks int

	// Memory, if not nil, gives the memory of the batches' Pixels, Views and
	// Labels, such as a device copies from fastest, at a multiple of 4 bytes. Only
	// Train and Test call it. Whoever gave it gives it back: after Close, or when
	// they return an error.
	Memory func(bytes int64) ([]byte, error)
}

const (
	defaultWindow = 64 << 20
	held          = 2 // batches that the caller may have at once
)

var (
	errClosed    = errors.New("the batches were closed")
	errNoneWhole = errors.New("every image of a batch is damaged; pack the data set again")
)

// Batches makes batches ahead of their use, in goroutines of its own:
//
//	plan    lists the images of a group in order, takes the batches that they
//	        fill, has the system read the group's chunks ahead, and gives each
//	        to a worker
//	workers read a chunk, decode it, and cut each of its images straight into the
//	        row that it has in the sequence
//
// So pixels are in a processor's cache from their decoding to the crop. Two
// groups can be under way at once, and batches for both. After the start nothing
// is allocated.
type Batches struct {
	cutter
	set   *Set
	order *order
	skip  int // images of the first group that are not wanted
	first int64

	jobs  chan job
	empty chan *group
	free  chan *Batch
	ready chan *Batch // in order; some are still being made
	next  *Batch      // the first of ready, if Next took it and it was not made then
	stop  context.CancelCauseFunc
	err   error         // why there are no more; set before ready is closed
	done  chan struct{} // closed when all goroutines are gone

	mu    sync.Mutex // of what follows
	times Times
}

// group is images that are shuffled together.
type group struct {
	pass   uint32
	pieces []piece
	images []int32 // in the order of the sequence; numbers count in pieces, laid end to end
	places []int32 // the reverse: of each image its place in images
	base   int64   // row of the sequence, from the start of the run, of the first of images
	batch  []*Batch
	row    int64        // of the sequence, from the start of the run, of the first row of batch
	left   atomic.Int32 // pieces to be done
}

// job is a chunk of a group to be done.
type job struct {
	group *group
	piece int
}

// Train starts the endless sequence of training batches at its image number
// first, a multiple of o.Rows where it is to continue a run. It costs no
// reading of what comes before. The batches end when ctx is done or Close is
// called.
func (s *Set) Train(ctx context.Context, o Options, first int64) (*Batches, error) {
	if o.Split == "" {
		o.Split = "train"
	}
	if o.Views > 1 {
		return nil, fmt.Errorf("%d views of a training image; there is one, at random", o.Views)
	}
	b, err := s.prepare(o, true)
	if err != nil {
		return nil, err
	}
	if b.skip, err = b.order.seek(first); err != nil {
		return nil, err
	}
	b.first = first
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// Test starts one pass over the split in file order, then [ErrEnd]. Row r of the
// sequence is view r%Views of image r/Views. With one view that is the
// centre. Ten are the four corners, top left, top right, bottom left, bottom
// right, and the centre, then the mirror images of the five in this order
// (section 4.1). An image's rows may lie in two batches, and the last batch is
// filled up with rows of label -1.
func (s *Set) Test(ctx context.Context, o Options) (*Batches, error) {
	if o.Split == "" {
		o.Split = "test"
	}
	switch {
	case o.Mirror || o.Color != 0 || o.Seed != 0:
		return nil, errors.New("mirror, colour noise and seed are for training; tests have no random numbers")
	case o.Views != 0 && o.Views != 1 && o.Views != 10:
		return nil, fmt.Errorf("%d views of an image; there are 1 or 10", o.Views)
	}
	b, err := s.prepare(o, false)
	if err != nil {
		return nil, err
	}
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// workers returns how many goroutines read and decode. With more of them than
// processors, each read would give a processor away and wait for one again; the
// disk is kept busy by the system, which is told ahead what will be read.
func workers() int { return runtime.GOMAXPROCS(0) }

// ahead returns how many chunks the system is told of before they are read.
func ahead() int { return max(8, 2*workers()) }

// prepare checks o and fills in its defaults.
func (s *Set) prepare(o Options, train bool) (*Batches, error) {
	shards, err := s.split(o.Split)
	if err != nil {
		return nil, err
	}
	shape := shards[0].Shape()
	if o.Height == 0 {
		o.Height = shape.Height
	}
	if o.Width == 0 {
		o.Width = shape.Width
	}
	o.Views = max(o.Views, 1)
	o.Ranks = max(o.Ranks, 1)
	switch {
	case o.Rows < 1 || o.Rows > 1<<20:
		return nil, fmt.Errorf("a batch of %d images; there must be from 1 to %d", o.Rows, 1<<20)
	case o.Height < 1 || o.Width < 1 || o.Height > shape.Height || o.Width > shape.Width:
		return nil, fmt.Errorf("a crop of %dx%d from stored images of %dx%d; it must be from 1x1 to their size: change the crop, or pack larger images",
			o.Height, o.Width, shape.Height, shape.Width)
	case !(o.Color >= 0):
		return nil, fmt.Errorf("colour noise of deviation %g; it may not be negative", o.Color)
	case o.Window < 0:
		return nil, fmt.Errorf("a shuffle window of %d bytes; it may not be negative", o.Window)
	}
	group := int(o.Window / int64(shape.ImageBytes()))
	switch {
	case o.Window == 0 && train:
		group = defaultWindow / shape.ImageBytes()
	case o.Window == 0: // two groups fill a batch, and give every worker a chunk where that is not too much
		group = max(o.Rows/o.Views, min(shape.ChunkImages*workers(), defaultWindow/(shape.ImageBytes()*o.Views)))
	}
	b := &Batches{cutter: cutter{options: o, train: train, views: o.Views, color: s.color, shape: shape}, set: s}
	b.order, err = newOrder(shards, group, train, o.Seed, o.Rank, o.Ranks)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// start takes memory and starts all goroutines. They end when ctx is done, when a
// worker fails, or after the last batch of a test.
func (b *Batches) start(ctx context.Context) error {
	most := b.order.most()
	rows := b.options.Rows
	count := held + (2*most*b.views+rows-1)/rows + 1
	list, err := b.options.newBatches(count)
	if err != nil {
		return err
	}
	b.free, b.ready = make(chan *Batch, count), make(chan *Batch, count)
	for _, t := range list {
		b.free <- t
	}
	ctx, b.stop = context.WithCancelCause(ctx)
	b.jobs = make(chan job, ahead())
	b.empty = make(chan *group, 2)
	for range cap(b.empty) {
		b.empty <- &group{images: make([]int32, most), places: make([]int32, most), batch: make([]*Batch, 0, count)}
	}
	b.done = make(chan struct{})
	var work sync.WaitGroup
	for range workers() {
		work.Go(func() { b.guard(func() { b.work(ctx) }) })
	}
	go func() {
		b.guard(func() { b.plan(ctx) })
		close(b.jobs)
		work.Wait()
		if b.err = context.Cause(ctx); b.err == nil {
			b.err = ErrEnd
		}
		b.stop(nil)
		close(b.ready)
		close(b.done)
	}()
	return nil
}

// guard makes a panic the error of the batches: whoever reads them can save first what
// it has.
func (b *Batches) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			b.stop(fmt.Errorf("panic in the loader: %v\n%s", v, debug.Stack()))
		}
	}()
	f()
}

// plan gives the groups to the workers, in order.
func (b *Batches) plan(ctx context.Context) {
	rows := int64(b.options.Rows)
	base := int64(-b.skip * b.views)
	var open *Batch // the last of the group before, if that did not fill it
	end := int64(0) // row after open
	for b.train || b.order.more() {
		var g *group
		select {
		case g = <-b.empty:
		case <-ctx.Done():
			return
		}
		b.order.next(g)
		g.base = base
		base += int64(len(g.images) * b.views)
		g.batch, g.row = g.batch[:0], end
		if open != nil {
			g.batch, g.row = append(g.batch, open), end-rows
		}
		for ; end < base; end += rows {
			if open = b.take(ctx, end); open == nil {
				return
			}
			g.batch = append(g.batch, open)
		}
		if end == base {
			open = nil
		}
		g.left.Store(int32(len(g.pieces)))
		for i, p := range g.pieces {
			p.ref.shard.Prefetch(p.ref.chunk)
			select {
			case b.jobs <- job{g, i}:
			case <-ctx.Done():
				return
			}
		}
	}
	if open != nil { // by a worker, if the rows before are not made yet
		for row := rows - (end - base); row < rows; row++ {
			open.blank(int(row))
		}
		b.finish(open, int(end-base))
	}
}

// take waits for a free batch, to start at a row from the start of the run, and
// puts it among those that are ready or will be. It returns nil when ctx is done.
func (b *Batches) take(ctx context.Context, row int64) *Batch {
	select {
	case t := <-b.free:
		t.First = b.first*int64(b.views) + row
		t.left.Store(int32(b.options.Rows))
		b.ready <- t // never full: it has room for all batches
		return t
	case <-ctx.Done():
		return nil
	}
}

// finish notes that n rows of t have been made.
func (b *Batches) finish(t *Batch, n int) {
	if t.left.Add(int32(-n)) > 0 {
		return
	}
	if b.train && b.set.damaged != nil && !t.mend() {
		b.stop(errNoneWhole)
		return
	}
	t.made <- struct{}{}
}

// work does jobs until there are no more. When the run is over it only counts
// them off.
func (b *Batches) work(ctx context.Context) {
	var d record.Decoder
	for j := range b.jobs {
		if ctx.Err() != nil {
			continue
		}
		if err := b.do(j, &d); err != nil {
			b.stop(err)
			continue
		}
		if j.group.left.Add(-1) == 0 {
			b.empty <- j.group // never full
		}
	}
}

// do reads a chunk of a group and makes the rows of its images.
func (b *Batches) do(j job, d *record.Decoder) error {
	g, p := j.group, j.group.pieces[j.piece]
	d.Times = record.Times{}
	err := d.Read(p.ref.shard, p.ref.chunk)
	if err != nil && (b.set.damaged == nil || !isDamage(err)) {
		return err
	}
	start := time.Now()
	for k := range p.images {
		place := int64(g.places[p.offset+k])
		var im record.Image
		var pixels []byte
		if err == nil {
			im, pixels = d.Image(p.from + k)
		}
		for v := range b.views {
			at := g.base + place*int64(b.views) + int64(v) - g.row
			if at < 0 { // before the start of the run
				continue
			}
			t, row := g.batch[at/int64(b.options.Rows)], int(at%int64(b.options.Rows))
			if err == nil {
				b.cut(t, row, im, pixels, g.pass, p.ref.first+p.from+k, v)
			} else {
				t.blank(row)
			}
			b.finish(t, 1)
		}
	}
	if err != nil {
		b.set.skip(b.options.Split, p.ref.first+p.from, p.images, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times.Times.Add(d.Times)
	b.times.Crop += time.Since(start) - d.Times.Restore
	b.times.Images += int64(p.images)
	return nil
}

// isDamage says whether err is about one shard: what it holds, reading it, or that it
// is missing.
func isDamage(err error) bool {
	var e *record.Error
	return errors.As(err, &e)
}

// Next waits for the next batch, which is the caller's until Release. The caller
// may have two at once. Next returns [ErrEnd] after the last one of Test, the error
// that ended the making of batches, or ctx's own. It is for one goroutine.
func (b *Batches) Next(ctx context.Context) (*Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.next == nil {
		select {
		case t, ok := <-b.ready:
			if !ok {
				return nil, b.err
			}
			b.next = t
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case <-b.next.made:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.done:
		select {
		case <-b.next.made:
		default:
			return nil, b.err
		}
	}
	t := b.next
	b.next = nil
	return t, nil
}

// Release gives back a batch that Next returned, once.
func (b *Batches) Release(t *Batch) { b.free <- t }

// Times is how long the workers were busy with what, in all.
type Times struct {
	record.Times
	Crop   time.Duration // cutting crops, mirroring
	Images int64
}

// Times returns how long the workers have been busy until now.
func (b *Batches) Times() Times {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.times
}

// Close stops the making of batches and waits until all goroutines are gone.
func (b *Batches) Close() error {
	b.stop(errClosed)
	<-b.done
	return nil
}
