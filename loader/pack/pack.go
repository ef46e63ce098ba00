// Package pack turns images into data sets in the format of loader/record.
//
// An image source says what there is (a content); write decodes it in parallel
// and writes it in an order that is the same every time, so that the same
// source gives the same bytes for any number of workers. Images are shuffled:
// neighbours on disk are then of mixed classes, and a reader that shuffles
// within a window gets close to a full shuffle.
//
// A data set is made in a folder of another name, and appears under its own when
// it is whole. What is stopped goes on from its last whole shard.
package pack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"unicode/utf8"

	"alexnet/internal/philox"
	"alexnet/loader/picture"
	"alexnet/loader/record"
)

// Options say what is packed and how. Source and Out are needed.
type Options struct {
	Source string // folder or archive; none for Shapes
	Out    string // folder of the new data set; must not exist, or be empty
	Name   string // of the data set; "": the last part of Out

	// Size is the height and width of the images in the data set: the shorter
	// side is scaled to it and the centre cut out (section 2 of the paper). 0
	// keeps the images as they are; they must then all be of one size. With Full
	// the whole image is kept, up to twice as long as its shorter side. Folder and
	// ILSVRC only, as are Filter and Orient.
	Size   int
	Full   bool
	Filter picture.Filter // how images are scaled
	Orient bool           // turn images as a camera noted, which the paper's authors did not

	Codec record.Codec // 0: record.Raw

	// TestFraction is the part of each class that becomes the test split where
	// the source has no splits, between 0 and 1. 0 means 0.1. Folder and ILSVRC only.
	TestFraction float64

	Classes []string // the classes to pack; none: all. Folder only.
	Names   string   // file that gives synsets words; "": one beside the images, if there is any. Folder and ILSVRC only.

	Unpacked int64 // bytes that a tar.gz may unpack to; 0: 20 times its size, and always 1 GiB

	Strict     bool  // a file that is no image is an error; else it is listed in rejected.tsv
	ShardBytes int64 // decoded pixels that go into one shard; 0: 1 GiB

	Workers  int                              // images decoded at once; 0: as many as there are processors
	Progress func(done, total int)            // told after each image, by one goroutine at a time; may be nil
	Message  func(format string, args ...any) // told what was found; may be nil
}

// content is what a source holds.
type content struct {
	source        string // for people
	prepared      string // how files become pixels, for people
	height, width int
	longest       int            // of whole images, or 0
	classes       []record.Class // in the order of labels
	splits        []split
	identity      string // of all that decides the content: a packing goes on only with the same
}

// split is a part of a content.
type split struct {
	name   string
	images int
	// decode returns image i, in dst's memory where that is enough, and its label.
	// It is called by several goroutines at once, each with a worker of its own.
	// An error that is a rejection is about the image alone.
	// It may end with ctx.
	decode func(ctx context.Context, i int, w *worker, dst []byte) (im picture.Image, label int, err error)
}

// worker is what one goroutine decodes with, kept for the next image.
type worker struct {
	file    []byte
	decoder *picture.Decoder
}

// close gives back what the decoder holds.
func (w *worker) close() {
	if w.decoder != nil {
		w.decoder.Close() // which gives back memory, and cannot fail by that
	}
}

// rejection says that a file is no image that can be read.
type rejection struct {
	file string // for people
	err  error
}

func (r *rejection) Error() string {
	return fmt.Sprintf("%s: %v; mend or remove that file, and pack again", r.file, r.err)
}

func (r *rejection) Unwrap() error { return r.err }

const defaultShardBytes = 1 << 30

// write writes c as the data set o.Out, through the folder out.
func write(ctx context.Context, o Options, out *output, c content) (*record.Dataset, error) {
	for _, class := range c.classes {
		if !utf8.ValidString(class.Name) {
			return nil, fmt.Errorf("%s: the name of class %q is not UTF-8; write it so", o.Source, class.Name)
		}
	}
	shape, err := record.NewShape(c.height, c.width, c.longest)
	if err != nil {
		return nil, fmt.Errorf("%w; give a smaller size", err)
	}
	p := &packer{
		Options: o, shape: shape, out: out,
		shardImages: int(min(record.MaxImages, max(1, o.ShardBytes/int64(shape.ImageBytes())))),
		rejected:    make(map[string][]rejected),
	}
	for _, s := range c.splits {
		p.total += s.images
	}
	d := &record.Dataset{
		Name: o.Name, Source: c.source, Prepared: c.prepared,
		Height: c.height, Width: c.width, Longest: c.longest, ChunkImages: shape.ChunkImages, Codec: o.Codec,
		Classes: c.classes, Splits: make(map[string]record.Split),
	}
	if err := out.resume(fmt.Sprintf("%q %v %d", c.identity, o.Codec, p.shardImages)); err != nil {
		return nil, err
	}
	for n, s := range c.splits {
		order := make([]int32, s.images)
		for i := range order {
			order[i] = int32(i)
		}
		numbers := philox.NewStream(0, philox.Pack, uint32(n), 0)
		philox.Shuffle(&numbers, order)
		shards, sums, err := p.split(ctx, s, order)
		if err != nil {
			return nil, err
		}
		images := 0
		for _, shard := range shards {
			images += shard.Images
		}
		d.Splits[s.name] = record.Split{Images: images, Shards: shards}
		d.Rejected += len(p.rejected[s.name])
		if s.name == "train" {
			if d.Statistics, err = record.WriteStatistics(out.data, sums.statistics()); err != nil {
				return nil, err
			}
		}
	}
	if err := p.writeRejected(); err != nil {
		return nil, err
	}
	if err := record.WriteDataset(out.data, d); err != nil {
		return nil, err
	}
	return d, out.commit(ctx)
}

// begin fills in o's defaults and makes, or finds, the folder of the packing.
// out.end must follow.
func begin(o *Options) (*output, error) {
	if o.Codec == 0 {
		o.Codec = record.Raw
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.ShardBytes == 0 {
		o.ShardBytes = defaultShardBytes
	}
	if o.ShardBytes < 0 {
		return nil, fmt.Errorf("shards of %d bytes; they cannot be negative", o.ShardBytes)
	}
	if o.Out == "" {
		return nil, errors.New("no folder is given for the new data set")
	}
	if o.Name == "" {
		o.Name = filepath.Base(o.Out)
	}
	return newOutput(o.Out)
}
