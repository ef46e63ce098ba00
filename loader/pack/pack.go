// Package pack turns images into data sets in the format of loader/record.
//
// An image source says what there is (a content); write decodes it in parallel
// and writes it in an order that is the same every time, so that the same
// source gives the same bytes for any number of workers. Images are shuffled:
// neighbours on disk are then of mixed classes, and a reader that shuffles
// within a window gets close to a full shuffle.
package pack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"alexnet/internal/philox"
	"alexnet/loader/record"

	"golang.org/x/sync/errgroup"
)

// Options say what is packed and how. Source and Out are needed.
type Options struct {
	Source string // folder or archive; none for Shapes
	Out    string // folder of the new data set; must not exist, or be empty
	Name   string // of the data set; "": the last part of Out

	// Size is the height and width of the images in the data set: the shorter
	// side is scaled to it and the centre cut out (section 2 of the paper). 0
	// keeps the images as they are; they must then all be of one size. Folder only.
	Size int

	// TestFraction is the part of each class that becomes the test split where
	// the source has no splits, between 0 and 1. 0 means 0.1. Folder only.
	TestFraction float64

	Workers  int                   // images decoded at once; 0: as many as there are processors
	Progress func(done, total int) // told after each image, by one goroutine at a time; may be nil
}

// content is what a source holds.
type content struct {
	source        string // for people
	height, width int
	classes       []record.Class // in the order of labels
	splits        []split
}

// split is a part of a content.
type split struct {
	name   string
	images int
	// decode writes the pixels of image i, RGB HWC, into dst and returns the
	// label. It is called by several goroutines at once, each with a scratch of
	// its own. Errors name the image.
	decode func(i int, dst []byte, s *scratch) (label int, err error)
}

// shardBytes is how much decoded pixels go into one shard.
const shardBytes = 1 << 30

// write writes c as the data set o.Out, through the temporary folder out.
func write(ctx context.Context, o Options, out *output, c content) (*record.Dataset, error) {
	shape, err := record.NewShape(c.height, c.width)
	if err != nil {
		return nil, fmt.Errorf("%w; give a smaller size", err)
	}
	d := &record.Dataset{
		Name: o.Name, Source: c.source,
		Height: c.height, Width: c.width, ChunkImages: shape.ChunkImages,
		Classes: c.classes, Splits: make(map[string]record.Split),
	}
	if d.Name == "" {
		d.Name = filepath.Base(out.final)
	}
	p := &packer{shape: shape, dir: out.data, workers: o.Workers, progress: o.Progress}
	if p.workers <= 0 {
		p.workers = runtime.GOMAXPROCS(0)
	}
	for _, s := range c.splits {
		p.total += s.images
	}
	for n, s := range c.splits {
		order := make([]int, s.images)
		for i := range order {
			order[i] = i
		}
		numbers := philox.NewStream(0, philox.Pack, uint32(n), 0)
		philox.Shuffle(&numbers, order)
		var sums *sums
		if s.name == "train" {
			sums = newSums(c.height, c.width)
		}
		shards, err := p.split(ctx, s, order, sums)
		if err != nil {
			return nil, err
		}
		d.Splits[s.name] = record.Split{Images: s.images, Shards: shards}
		if sums != nil {
			if d.Statistics, err = record.WriteStatistics(out.data, sums.statistics()); err != nil {
				return nil, err
			}
		}
	}
	if err := record.WriteDataset(out.data, d); err != nil {
		return nil, err
	}
	if err := out.commit(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// packer writes the splits of one data set.
type packer struct {
	shape       record.Shape
	dir         string
	workers     int
	progress    func(done, total int)
	done, total int
}

// slot carries one image from its decoding to the shard.
type slot struct {
	image  int
	pixels []byte
	label  int
	err    error
	ready  chan struct{} // capacity 1: the worker says that it is decoded
}

// split decodes the images of s in parallel and writes them in order. The
// first bad image in that order is the error, however many there are.
func (p *packer) split(ctx context.Context, s split, order []int, sums *sums) (shards []record.Shard, err error) {
	g, ctx := errgroup.WithContext(ctx)
	depth := 4 * p.workers // slots in all, which bounds the memory; no channel below can be full
	free, work, queue := make(chan *slot, depth), make(chan *slot, depth), make(chan *slot, depth)
	for range depth {
		free <- &slot{pixels: make([]byte, p.shape.ImageBytes()), ready: make(chan struct{}, 1)}
	}
	g.Go(func() error {
		defer close(work)
		defer close(queue)
		for _, i := range order {
			select {
			case t := <-free:
				t.image = i
				queue <- t
				work <- t
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range p.workers {
		g.Go(func() error {
			var own scratch
			for t := range work {
				if ctx.Err() == nil {
					t.label, t.err = s.decode(t.image, t.pixels, &own)
				}
				t.ready <- struct{}{}
			}
			return nil
		})
	}
	g.Go(func() error {
		w := shardWriter{packer: p, split: s.name}
		for t := range queue {
			<-t.ready
			err := ctx.Err()
			if err == nil {
				err = t.err
			}
			if err == nil {
				err = w.append(t)
			}
			if err != nil {
				return errors.Join(err, w.abort())
			}
			if sums != nil {
				sums.add(t.pixels)
			}
			p.done++
			if p.progress != nil {
				p.progress(p.done, p.total)
			}
			free <- t
		}
		if err := ctx.Err(); err != nil {
			return errors.Join(err, w.abort())
		}
		shards, err = w.close()
		return err
	})
	return shards, g.Wait()
}

// shardWriter spreads the images of a split over shards.
type shardWriter struct {
	*packer
	split  string
	open   *record.Writer // nil before the first image and after a full shard
	shards []record.Shard
}

func (w *shardWriter) append(t *slot) error {
	if w.open == nil {
		path := filepath.Join(w.dir, fmt.Sprintf("%s-%05d.rec", w.split, len(w.shards)))
		var err error
		if w.open, err = record.Create(path, w.shape); err != nil {
			return err
		}
	}
	if err := w.open.Append(t.pixels, int32(t.label), int64(t.image)); err != nil {
		return err
	}
	if w.open.Images() == min(record.MaxImages, max(1, shardBytes/w.shape.ImageBytes())) {
		return w.finish()
	}
	return nil
}

func (w *shardWriter) finish() error {
	s, err := w.open.Close()
	w.open = nil
	w.shards = append(w.shards, s)
	return err
}

func (w *shardWriter) close() ([]record.Shard, error) {
	if w.open != nil {
		if err := w.finish(); err != nil {
			return nil, err
		}
	}
	return w.shards, nil
}

func (w *shardWriter) abort() error {
	if w.open == nil {
		return nil
	}
	return w.open.Abort()
}

// output is the folder of a data set in the making: a temporary one beside the
// final one, so that the data set appears whole or not at all.
type output struct {
	final string // absolute path of the data set
	temp  string // holds data, and what else is needed meanwhile
	data  string // becomes final
}

// begin makes the temporary folder. discard must follow.
func begin(final string) (*output, error) {
	if final == "" {
		return nil, errors.New("no folder is given for the new data set")
	}
	final, err := filepath.Abs(final)
	if err != nil {
		return nil, err
	}
	switch entries, err := os.ReadDir(final); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("%w; choose another folder for the data set", err)
	case len(entries) > 0:
		return nil, fmt.Errorf("%s: there is something in this folder already; remove it, or choose another for the data set", final)
	}
	temp, err := os.MkdirTemp(filepath.Dir(final), "."+filepath.Base(final)+"-")
	if err != nil {
		return nil, fmt.Errorf("%w; the folder around the data set must exist and be writable", err)
	}
	out := &output{final: final, temp: temp, data: filepath.Join(temp, "data")}
	if err := os.Mkdir(out.data, 0o777); err != nil {
		return nil, errors.Join(err, out.discard())
	}
	return out, nil
}

// commit gives the finished folder its name. An empty folder of that name is
// replaced; one that has been filled meanwhile is an error.
func (out *output) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Remove(out.final); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; it was empty at the start", err)
	}
	if err := os.Rename(out.data, out.final); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(out.final))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close()) // the name lasts through a loss of power
}

// discard removes what is left of the temporary folder.
func (out *output) discard() error { return os.RemoveAll(out.temp) }
