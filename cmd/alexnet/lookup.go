package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"alexnet/dnn/cpu"
	"alexnet/internal/devices"
	"alexnet/loader"
	"alexnet/loader/picture"
	"alexnet/neighbors"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

// lookupFlags are those of commands that look up test images among training images.
func lookupFlags() []cli.Flag {
	return append(runFlags(),
		modelFlag(), layerFlag(), dataFlag(), batchFlag(),
		&cli.IntFlag{Name: "queries", Value: 100, Usage: "`N` test images, drawn by lot, are looked up"},
		&cli.IntFlag{Name: "k", Value: 6, Usage: "find the `N` nearest"},
		seedFlag(),
		&cli.StringFlag{Name: "cache", Usage: "`FOLDER` that keeps the features of the training images (default: features in the user's cache)"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"})
}

// lookup is test images and the training images that they are looked up among.
type lookup struct {
	on      *devices.Set
	set     *loader.Set
	about   neighbors.About
	rows    *neighbors.Features // of the training images
	numbers []int64             // of the queries in the test split
	labels  []int32             // of the queries
	queries []float32           // [queries, rows.Width()]
}

// openLookup opens what lookupFlags describe, and makes the features that are not
// in the cache.
func openLookup(c *cli.Context) (l *lookup, err error) {
	if err := checkModel(c); err != nil {
		return nil, err
	}
	for _, name := range []string{"queries", "k"} {
		if c.Int(name) < 1 {
			return nil, usagef("-%s %d: want at least 1", name, c.Int(name))
		}
	}
	l = &lookup{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.on, err = openDevices(c); err != nil {
		return l, err
	}
	cpu.BLAS() // chooses the matrix product of the search, which is the CPU's wherever the network is
	if l.set, err = openData(c.Context, c); err != nil {
		return l, err
	}
	f, err := train.OpenFeatures(c.Context, c.String("model"), l.on.Placement, c.Int("batch"), c.String("layer"))
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if l.about, err = aboutFeatures(c, f); err != nil {
		return l, err
	}
	l.about = ofSplit(l.about, l.set, "train")
	if err := f.Suits(l.set); err != nil {
		return l, err
	}
	if l.rows, err = cachedFeatures(c, f, l.set, l.about); err != nil {
		return l, err
	}
	test, err := l.set.Images("test")
	if err != nil {
		return l, err
	}
	l.numbers = drawLots(test.Len(), c.Int("queries"), c.Uint64("seed"))
	return l, f.OfStills(c.Context, test.Choose(l.numbers), func(_ int64, label int32, x []float32) error {
		l.labels = append(l.labels, label)
		l.queries = append(l.queries, x...)
		return nil
	})
}

// Close closes what was opened.
func (l *lookup) Close() (err error) {
	if l.rows != nil {
		err = l.rows.Close()
	}
	if l.set != nil {
		err = errors.Join(err, l.set.Close())
	}
	if l.on != nil {
		err = errors.Join(err, l.on.Close())
	}
	return err
}

// cachedFeatures returns features from the cache, where they are made once, and again if
// the file is damaged.
func cachedFeatures(c *cli.Context, f *train.Features, set *loader.Set, about neighbors.About) (*neighbors.Features, error) {
	dir := c.String("cache")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, elsewhere(fmt.Errorf("a place for the features: %w", err))
		}
		dir = filepath.Join(cache, "alexnet", "features")
	}
	dir = filepath.Clean(dir) // as errors name it
	key := sha256.Sum256(fmt.Appendf(nil, "%q", []string{about.Model, about.Layer, about.Precision, about.Dataset, about.Split}))
	layer := strings.ReplaceAll(about.Layer, "/", "-") // no path
	path := filepath.Join(dir, fmt.Sprintf("%s-%s-%x.safetensors", about.Network, layer, key[:8]))
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, elsewhere(err)
	case !info.Mode().IsRegular():
		return nil, elsewhere(fmt.Errorf("features %s: this is no plain file; remove it", path))
	default:
		rows, err := neighbors.Open(c.Context, path, about)
		if err == nil || c.Context.Err() != nil {
			return rows, err
		}
		if system := (*fs.PathError)(nil); errors.As(err, &system) {
			return nil, elsewhere(err) // the file may be whole
		}
		fmt.Fprintf(c.App.ErrWriter, "making them again: %v\n", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, elsewhere(err)
	}
	fmt.Fprintf(c.App.ErrWriter, "writing what %s makes of the training images to %s, once\n", about.Layer, path)
	err := writeFeatures(c, f, set, path, about)
	if system := (*fs.PathError)(nil); errors.As(err, &system) && strings.HasPrefix(system.Path, dir) {
		return nil, elsewhere(err)
	}
	if err != nil {
		return nil, err
	}
	return neighbors.Open(c.Context, path, about)
}

// elsewhere adds to an error about the cache how to have it in another place.
func elsewhere(err error) error { return fmt.Errorf("%w; name another folder with -cache", err) }

// className returns the name of a label.
func (l *lookup) className(label int32) string { return l.set.Info().Classes[label].Name }

// image returns an image of a split and the name of its class.
func (l *lookup) image(from *loader.Images, number int64) (picture.Image, string, error) {
	info := l.set.Info()
	m := picture.Image{Pixels: make([]byte, info.Height*info.Width*3), Height: info.Height, Width: info.Width}
	label, err := from.Read(number, m.Pixels)
	if err != nil {
		return m, "", err
	}
	return m, l.className(label), nil
}
