package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"unsafe"

	"alexnet/internal/raw"
	"alexnet/loader/record"
)

// Options say which batches are made.
type Options struct {
	Split         string  // "": "train" for Train, "test" for Test
	Rows          int     // of a batch
	Height, Width int     // of the crop; 0: of the stored image
	Mirror        bool    // Train: mirror every other image
	Color         float64 // Train: deviation of α, 0.1 in the paper; 0: no colour noise
	Seed          uint64  // Train
	Views         int     // Test: 1 (or 0), the centre; or 10
	Window        int64   // bytes of decoded pixels that are shuffled together; 0: 64 MiB. Up to twice that is held.

	// Memory, if not nil, takes the memory of the batches' Pixels, Views and
	// Labels, each at a multiple of 4 bytes, such as a device copies from fastest.
	// Only Train and Test call it. Whoever gave it gives the memory back: after
	// Close, or when they return an error.
	Memory func(bytes int64) ([]byte, error)
}

// Batch is Rows images. Its memory is used again after Release.
type Batch struct {
	Pixels []byte    // [Rows][Height][Width][3] RGB, cropped and mirrored
	Views  []float32 // [Rows][6]: top and left of the crop in the stored image; 1 if mirrored, else 0; what is to be added to R, G and B
	Labels []int32   // [Rows]; -1 where there is no image
	Images []int64   // [Rows]: number of the image in its split; -1 where there is none
	First  int64     // place of the first row in the sequence of rows
}

const (
	defaultWindow = 64 << 20
	ring          = 3 // batches made ahead of, or in use by, the caller
	viewNumbers   = 6 // a row of Views
)

var errClosed = errors.New("the batches were closed")

// Batches makes batches ahead of their use, in goroutines of its own:
//
//	decode  takes the groups in order, and has the workers decode their chunks
//	fill    takes decoded groups, and has the workers cut crops from them into batches
//	workers do these jobs
//
// There are two groups, so that one is decoded while crops are cut from the
// other, and a ring of batches. After the start nothing is allocated.
type Batches struct {
	options Options
	train   bool
	views   int
	color   [3][3]float64
	shape   record.Shape
	images  int // in the split

	order *order
	skip  int // rows of the first group that are not wanted
	first int64

	jobs    chan job
	empty   chan *group // to be decoded
	decoded chan *group
	free    chan *Batch
	ready   chan *Batch
	stop    context.CancelCauseFunc
	err     error         // why there are no more; set before ready is closed
	done    chan struct{} // closed when all goroutines are gone
}

// group is images that are decoded together.
type group struct {
	pass   uint32
	chunks []groupChunk
	places []place // its images in the order of the sequence
	pixels []byte
	jobs   sync.WaitGroup // that decode it or cut crops from it
}

// groupChunk is a chunk and where its images come to lie, counted in images.
type groupChunk struct {
	ref    *chunkRef
	offset int
}

// job is work for a worker: to decode a chunk of a group or, where a batch is
// given, to cut rows of it from the group.
type job struct {
	group *group
	chunk int

	batch    *Batch
	row, end int // of the batch
	from     int // row of the group that row is made of
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
	if err := b.start(ctx, runtime.GOMAXPROCS(0)); err != nil {
		return nil, err
	}
	return b, nil
}

// Test starts one pass over the split in file order, then io.EOF. Row r of the
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
	if err := b.start(ctx, runtime.GOMAXPROCS(0)); err != nil {
		return nil, err
	}
	return b, nil
}

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
	if o.Window == 0 {
		o.Window = defaultWindow
	}
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
	b := &Batches{options: o, train: train, views: max(o.Views, 1), color: s.color, shape: shape}
	b.order, err = newOrder(shards, o.Window, train, o.Seed)
	if err != nil {
		return nil, err
	}
	b.images = b.order.images
	return b, nil
}

// start takes memory and starts all goroutines. They end when ctx is done, when a
// worker fails, or after the last batch of a test.
func (b *Batches) start(ctx context.Context, workers int) error {
	b.free = make(chan *Batch, ring)
	for range ring {
		t, err := b.options.batch()
		if err != nil {
			return fmt.Errorf("memory for batches of %d images: %w", b.options.Rows, err)
		}
		b.free <- t
	}
	ctx, b.stop = context.WithCancelCause(ctx)
	b.jobs = make(chan job, workers)
	b.empty = make(chan *group, 2)
	b.decoded = make(chan *group, 2)
	b.ready = make(chan *Batch, ring)
	b.done = make(chan struct{})
	most := b.order.most()
	for range 2 {
		b.empty <- &group{places: make([]place, 0, most), pixels: make([]byte, most*b.shape.ImageBytes())}
	}
	var feeders, work sync.WaitGroup
	feeders.Go(func() { b.decode(ctx) })
	feeders.Go(func() { b.fill(ctx, workers) })
	for range workers {
		work.Go(func() { b.work(ctx) })
	}
	go func() {
		feeders.Wait()
		close(b.jobs)
		work.Wait()
		if b.err = context.Cause(ctx); b.err == nil {
			b.err = io.EOF
		}
		b.stop(nil)
		close(b.ready)
		close(b.done)
	}()
	return nil
}

// batch takes the memory of a batch.
func (o *Options) batch() (t *Batch, err error) {
	t = &Batch{Images: make([]int64, o.Rows)}
	if t.Pixels, err = numbers[byte](o, o.Rows*o.Height*o.Width*3); err != nil {
		return nil, err
	}
	if t.Views, err = numbers[float32](o, o.Rows*viewNumbers); err != nil {
		return nil, err
	}
	t.Labels, err = numbers[int32](o, o.Rows)
	return t, err
}

// numbers takes the memory of n numbers.
func numbers[T byte | int32 | float32](o *Options, n int) ([]T, error) {
	if o.Memory == nil {
		return make([]T, n), nil
	}
	b, err := o.Memory(int64(n) * int64(unsafe.Sizeof(*new(T))))
	if err != nil {
		return nil, err
	}
	return raw.Numbers[T](b), nil
}

// decode has the groups decoded, in order.
func (b *Batches) decode(ctx context.Context) {
	defer close(b.decoded)
	for {
		var g *group
		select {
		case g = <-b.empty:
		case <-ctx.Done():
			return
		}
		if !b.train && !b.order.more() {
			return
		}
		b.order.next(g)
		for i := range g.chunks {
			g.jobs.Add(1)
			b.jobs <- job{group: g, chunk: i}
		}
		g.jobs.Wait()
		if ctx.Err() != nil {
			return // g may have holes
		}
		b.decoded <- g // never full: there are two groups
	}
}

// fill makes batches of decoded groups.
func (b *Batches) fill(ctx context.Context, workers int) {
	rows := b.options.Rows
	g := b.wait(ctx)
	from := b.skip // next row of g
	for first := b.first; g != nil; first += int64(rows) {
		var t *Batch
		select {
		case t = <-b.free:
		case <-ctx.Done():
			return
		}
		t.First = first
		row := 0
		for row < rows && g != nil {
			n := min(rows-row, len(g.places)*b.views-from)
			b.cutRows(g, t, row, row+n, from, workers)
			row, from = row+n, from+n
			if from == len(g.places)*b.views {
				b.empty <- g // never full
				g, from = b.wait(ctx), 0
			}
		}
		if ctx.Err() != nil {
			return // t may have holes
		}
		t.blank(row)
		b.ready <- t // never full: it holds all batches
	}
}

// wait returns the next decoded group; nil after the last, or when ctx is done.
func (b *Batches) wait(ctx context.Context) *group {
	select {
	case g := <-b.decoded:
		return g
	case <-ctx.Done():
		return nil
	}
}

// cutRows has the workers make rows [row, end) of t from those of g from from on.
func (b *Batches) cutRows(g *group, t *Batch, row, end, from, workers int) {
	size := (end - row + workers - 1) / workers
	for at := row; at < end; at += size {
		g.jobs.Add(1)
		b.jobs <- job{group: g, batch: t, row: at, end: min(at+size, end), from: from + at - row}
	}
	g.jobs.Wait()
}

// blank makes the rows from row on fillers.
func (t *Batch) blank(row int) {
	image := len(t.Pixels) / len(t.Labels)
	clear(t.Pixels[row*image:])
	clear(t.Views[row*viewNumbers:])
	for ; row < len(t.Labels); row++ {
		t.Labels[row], t.Images[row] = -1, -1
	}
}

// work does jobs until there are no more. When the run is over it only counts
// them off.
func (b *Batches) work(ctx context.Context) {
	var scratch record.Scratch
	for j := range b.jobs {
		switch {
		case ctx.Err() != nil:
		case j.batch != nil:
			b.cut(j)
		default:
			if err := b.decodeChunk(j, &scratch); err != nil {
				b.stop(err)
			}
		}
		j.group.jobs.Done()
	}
}

func (b *Batches) decodeChunk(j job, scratch *record.Scratch) error {
	c := j.group.chunks[j.chunk]
	at, n := c.offset*b.shape.ImageBytes(), c.ref.images*b.shape.ImageBytes()
	_, err := c.ref.shard.ReadChunk(c.ref.chunk, j.group.pixels[at:at:at+n], scratch)
	return err
}

// cut makes rows of a batch.
func (b *Batches) cut(j job) {
	size := b.options.Height * b.options.Width * 3
	for row := j.row; row < j.end; row++ {
		at := j.from + row - j.row
		p := j.group.places[at/b.views]
		var v view
		if b.train {
			v = b.random(j.group.pass, uint32(p.image))
		} else {
			v = b.fixed(at % b.views)
		}
		stored := j.group.pixels[int(p.offset)*b.shape.ImageBytes():][:b.shape.ImageBytes()]
		crop(j.batch.Pixels[row*size:][:size], stored, b.shape.Width, b.options.Height, b.options.Width, v)
		v.put(j.batch.Views[row*viewNumbers:])
		j.batch.Images[row] = int64(p.image)
		j.batch.Labels[row] = p.label
	}
}

// Next waits for the next batch, which is the caller's until Release. It
// returns io.EOF after the last one of Test, the error that ended the making
// of batches, or ctx's own.
func (b *Batches) Next(ctx context.Context) (*Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case t, ok := <-b.ready:
		if !ok {
			return nil, b.err
		}
		return t, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Release gives back a batch that Next returned, once.
func (b *Batches) Release(t *Batch) { b.free <- t }

// Close stops the making of batches and waits until all goroutines are gone.
func (b *Batches) Close() error {
	b.stop(errClosed)
	<-b.done
	return nil
}
