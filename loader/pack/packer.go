package pack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/loader/picture"
	"alexnet/loader/record"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"
)

// packer writes the splits of one data set. For each there are
//
//	feed    hands out images in order
//	workers decode images, and compress chunks
//	gather  puts decoded images into chunks, in order
//	save    writes compressed chunks into shards, in order
type packer struct {
	Options
	shape       record.Shape
	out         *output
	shardImages int
	done, total int
	rejected    map[string][]rejected // by split
}

// rejected is an image that was passed over.
type rejected struct {
	image int32
	why   *rejection
}

// slot carries one image from its decoding to its chunk.
type slot struct {
	image  int32
	pixels picture.Image
	label  int
	err    error
	ready  chan struct{} // capacity 1: the worker says that it is decoded
}

// parcel carries a chunk from its filling to its shard.
type parcel struct {
	*record.Chunk
	last  bool          // of its shard
	ready chan struct{} // capacity 1: the worker says that it is compressed
}

// task is work for a worker: one or the other.
type task struct {
	slot   *slot
	parcel *parcel
}

// line is the channels of a split. None of them can be full, so that nobody waits
// for anything but work to be done.
type line struct {
	freeSlots   chan *slot
	slots       chan *slot // in order
	tasks       chan task
	freeParcels chan *parcel
	parcels     chan *parcel // in order
}

func (p *packer) newLine() *line {
	slots, parcels := 4*p.Workers, 2*p.Workers+2 // which bounds the memory
	l := &line{
		make(chan *slot, slots), make(chan *slot, slots), make(chan task, slots+parcels),
		make(chan *parcel, parcels), make(chan *parcel, parcels),
	}
	for range slots {
		l.freeSlots <- &slot{ready: make(chan struct{}, 1)}
	}
	for range parcels {
		l.freeParcels <- &parcel{Chunk: record.NewChunk(p.shape), ready: make(chan struct{}, 1)}
	}
	return l
}

// split packs the images of s in the given order, after those of shards that are
// there already.
func (p *packer) split(ctx context.Context, s split, order []int32) ([]record.Shard, *sums, error) {
	shards, all, order, err := p.finished(ctx, s, order)
	if err != nil {
		return nil, nil, err
	}
	encoders := make([]*record.Encoder, p.Workers)
	for i := range encoders {
		if encoders[i], err = record.NewEncoder(p.Codec); err != nil {
			return nil, nil, err
		}
	}
	l := p.newLine()
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	g.Go(func() error { return l.feed(ctx, order) })
	g.Go(func() (err error) {
		// Feed and gather both give tasks: there are no more when both are gone.
		defer func() {
			if err != nil {
				stop(err)
			}
			for range l.slots {
			}
			close(l.tasks)
		}()
		return p.gather(ctx, l, s)
	})
	partial := make([]*sums, p.Workers)
	for i := range partial {
		partial[i] = newSums(p.shape)
		g.Go(func() error {
			p.work(ctx, l, s, encoders[i], partial[i])
			return nil
		})
	}
	g.Go(func() error {
		more, err := p.save(ctx, l, s, len(shards))
		shards = append(shards, more...)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	for _, one := range partial {
		all.merge(one)
	}
	if len(shards) == 0 {
		return nil, nil, fmt.Errorf("none of the %d %s images can be read; the first: %w", s.images, s.name, p.rejected[s.name][0].why)
	}
	return shards, all, nil
}

func (l *line) feed(ctx context.Context, order []int32) error {
	defer close(l.slots)
	for _, i := range order {
		select {
		case t := <-l.freeSlots:
			t.image = i
			l.slots <- t
			l.tasks <- task{slot: t}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (p *packer) work(ctx context.Context, l *line, s split, e *record.Encoder, sums *sums) {
	var w worker
	defer w.close()
	for t := range l.tasks {
		if t.parcel != nil {
			if ctx.Err() == nil {
				e.Encode(t.parcel.Chunk)
				sums.add(t.parcel.Chunk)
			}
			t.parcel.ready <- struct{}{}
			continue
		}
		if ctx.Err() == nil {
			t.slot.pixels, t.slot.label, t.slot.err = s.decode(ctx, int(t.slot.image), &w, t.slot.pixels.Pixels)
		}
		t.slot.ready <- struct{}{}
	}
}

// gather puts images into chunks. It meets errors in the order of the images, so
// that the first is the same each time.
func (p *packer) gather(ctx context.Context, l *line, s split) error {
	defer close(l.parcels)
	var c *parcel
	inShard := 0
	send := func() {
		c.last = inShard == p.shardImages
		if c.last {
			inShard = 0
		}
		l.parcels <- c
		l.tasks <- task{parcel: c}
		c = nil
	}
	for t := range l.slots {
		<-t.ready
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var why *rejection
		switch {
		case t.err == nil:
			if c == nil {
				select {
				case c = <-l.freeParcels:
					c.Reset()
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			im := record.Image{Label: int32(t.label), Source: int64(t.image), Height: t.pixels.Height, Width: t.pixels.Width}
			if err := c.Add(im, t.pixels.Pixels); err != nil {
				return err
			}
			if inShard++; c.Full() || inShard == p.shardImages {
				send()
			}
		case errors.As(t.err, &why) && !p.Strict:
			p.rejected[s.name] = append(p.rejected[s.name], rejected{t.image, why})
		default:
			return t.err
		}
		p.count(1)
		l.freeSlots <- t
	}
	if c != nil {
		send()
	}
	return context.Cause(ctx)
}

// count notes that n more images are done.
func (p *packer) count(n int) {
	p.done += n
	if p.Progress != nil {
		p.Progress(p.done, p.total)
	}
}

// save writes shards from number n on.
func (p *packer) save(ctx context.Context, l *line, s split, n int) (shards []record.Shard, err error) {
	var w *record.Writer // nil before the first chunk and after a full shard
	defer func() {
		if w != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	finish := func() error {
		shard, err := w.Close()
		w = nil
		shards = append(shards, shard)
		return err
	}
	for c := range l.parcels {
		<-c.ready
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if w == nil {
			if w, err = record.Create(p.out.shard(s.name, n+len(shards)), p.shape, p.Codec); err != nil {
				return nil, err
			}
		}
		if err := w.Write(c.Chunk); err != nil {
			return nil, err
		}
		if c.last {
			if err := finish(); err != nil {
				return nil, err
			}
		}
		l.freeParcels <- c
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if w != nil {
		err = finish()
	}
	return shards, err
}

// writeRejected lists what was passed over, if anything was.
func (p *packer) writeRejected() error {
	var b strings.Builder
	for _, name := range []string{"train", "test"} {
		list := p.rejected[name]
		slices.SortFunc(list, func(a, b rejected) int { return int(a.image) - int(b.image) })
		for _, r := range list {
			fmt.Fprintf(&b, "%s\t%s\t%s\n", name, field(r.why.file), field(r.why.err.Error()))
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return renameio.WriteFile(filepath.Join(p.out.data, RejectedFile), []byte("split\tfile\treason\n"+b.String()), 0o666,
		renameio.WithTempDir(p.out.data))
}

// RejectedFile is the file of a data set that lists what was passed over.
const RejectedFile = "rejected.tsv"

// field makes s one field of a line.
func field(s string) string { return strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(s) }
