package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"alexnet/dnn/cpu"
	"alexnet/internal/devices"
	"alexnet/internal/philox"
	"alexnet/loader"
	"alexnet/neighbors"

	"github.com/urfave/cli/v2"
)

// lookupFlags are those of commands that look training images up by what a layer
// makes of test images.
func lookupFlags(queries int) []cli.Flag {
	return append(runFlags(), modelFlag(), layerFlag(), dataFlag(),
		&cli.IntFlag{Name: "queries", Value: queries, Usage: "test images to look up: `N`, at random"},
		&cli.IntFlag{Name: "k", Value: 6, Usage: "training images for each of them: `K`"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "of what is random: `N`"},
		&cli.StringFlag{Name: "cache", Usage: "keep features in `FOLDER` (default: in the user's cache)"},
		&cli.IntFlag{Name: "batch", Usage: "images worked on at once, instead of the network's `N`"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"})
}

// lookup is a data set and the features of its images.
type lookup struct {
	c       *cli.Context
	layer   string
	k       int
	devices *devices.Set
	set     *loader.Set
	train   *neighbors.File
	test    *neighbors.File
	queries []int64   // test images
	x       []float32 // their features
}

// openLookup opens what the flags say, and computes features that are not in the
// cache.
func openLookup(c *cli.Context) (_ *lookup, err error) {
	l := &lookup{c: c, k: c.Int("k")}
	if l.k < 1 {
		return nil, usagef("-k %d: want at least 1", l.k)
	}
	if c.Int("queries") < 1 {
		return nil, usagef("-queries %d: want at least 1", c.Int("queries"))
	}
	if _, l.layer, err = openLayer(c); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.devices, err = openDevices(c); err != nil {
		return nil, err
	}
	cpu.BLAS() // the search's matrix products are done there, on whatever device the network is
	if l.set, err = openData(c.Context, c); err != nil {
		return nil, err
	}
	if l.train, err = l.features("train"); err != nil {
		return nil, err
	}
	if l.test, err = l.features("test"); err != nil {
		return nil, err
	}
	l.queries = pick(c.Int("queries"), len(l.test.Labels), c.Uint64("seed"))
	l.x = make([]float32, len(l.queries)*l.test.Dim())
	for i, image := range l.queries {
		if err := l.test.At(image, l.x[i*l.test.Dim():]); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// pick returns n of a number of images, in random order, or all if there are fewer.
func pick(n, images int, seed uint64) []int64 {
	all := make([]int64, images)
	for i := range all {
		all[i] = int64(i)
	}
	s := philox.NewStream(seed, philox.Pick, 0, 0)
	philox.Shuffle(&s, all)
	return slices.Clip(all[:min(n, images)])
}

// Close closes what was opened.
func (l *lookup) Close() error {
	var errs []error
	for _, f := range []*neighbors.File{l.train, l.test} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if l.set != nil {
		errs = append(errs, l.set.Close())
	}
	if l.devices != nil {
		errs = append(errs, l.devices.Close())
	}
	return errors.Join(errs...)
}

// features returns a split's features: from the cache, if they are there, whose
// name follows from all that they depend on.
func (l *lookup) features(split string) (*neighbors.File, error) {
	content, err := contentOf(l.c.String("model"))
	if err != nil {
		return nil, err
	}
	dir := l.c.String("cache")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("a place for features: %w; give one with -cache", err)
		}
		dir = filepath.Join(user, "alexnet", "features")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	key := fmt.Appendf(nil, "%s %q %s %s %s", content, l.layer, l.set.Info().Fingerprint, split, l.c.String("precision"))
	path := filepath.Join(dir, fmt.Sprintf("%x.safetensors", sha256.Sum256(key)))
	if f, err := neighbors.OpenFile(path); err == nil {
		return f, nil
	}
	e := extraction{model: l.c.String("model"), layer: l.layer, split: split, batch: l.c.Int("batch"), devices: l.devices.Devices,
		progress: newProgress(l.c.App.ErrWriter, fmt.Sprintf("reading %s of %s images", l.layer, split), "images")}
	err = e.set(l.c.Context, l.set, path)
	e.progress.end()
	if err != nil {
		return nil, err
	}
	return neighbors.OpenFile(path)
}

// class returns the name of a label.
func (l *lookup) class(label int32) string {
	if classes := l.set.Info().Classes; int(label) < len(classes) {
		return classes[label].Name
	}
	return fmt.Sprint("class ", label)
}

// search looks the queries up among x, all training images.
func (l *lookup) search(ctx context.Context, what string, queries []float32, x neighbors.Vectors) ([][]neighbors.Neighbor, error) {
	p := newProgress(l.c.App.ErrWriter, "searching by "+what, "images")
	defer p.end()
	return neighbors.Search(ctx, queries, &counted{Vectors: x, progress: p, total: int64(len(l.train.Labels))}, l.k)
}

// right returns the share of neighbours that are of the query's class.
func (l *lookup) right(found [][]neighbors.Neighbor) float64 {
	right, all := 0, 0
	for i, list := range found {
		for _, n := range list {
			all++
			if l.train.Labels[n.Index] == l.test.Labels[l.queries[i]] {
				right++
			}
		}
	}
	return float64(right) / float64(max(all, 1))
}

// counted shows how far the reading of vectors has come.
type counted struct {
	neighbors.Vectors
	progress    *progress
	done, total int64
}

func (v *counted) Next(ctx context.Context, dst []float32) (int, error) {
	n, err := v.Vectors.Next(ctx, dst)
	v.done += int64(n)
	v.progress.update(v.done, v.total)
	return n, err
}
