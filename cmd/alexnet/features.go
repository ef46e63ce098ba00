package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"alexnet/loader"
	"alexnet/neighbors"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var featuresCommand = &cli.Command{
	Name:      "features",
	Usage:     "write what a layer makes of images, as safetensors",
	ArgsUsage: "[IMAGE...]",
	Description: "Writes the tensors features [images, ...shape of the layer's output], of the centre patch, and\n" +
		"labels [images], for a split of the data set of -data or for image files. They go to the disk as\n" +
		"they come: memory does not grow with the images. alexnet plan lists the layers.",
	Flags: append(runFlags(),
		modelFlag(), layerFlag(),
		&cli.StringFlag{Name: "data", Usage: "the data set's `FOLDER`, made by alexnet pack"},
		&cli.StringFlag{Name: "split", Value: "test", Usage: "of the data set: train or test (`NAME`)"},
		batchFlag(),
		&cli.StringFlag{Name: "out", Usage: "the new `FILE`"}),
	Action: featuresAction,
}

func modelFlag() cli.Flag { return &cli.StringFlag{Name: "model", Usage: "the `CHECKPOINT`"} }

func layerFlag() cli.Flag {
	return &cli.StringFlag{Name: "layer", Usage: "the layer's `NAME` (default: the last hidden one, which the last full layer reads)"}
}

func batchFlag() cli.Flag {
	return &cli.IntFlag{Name: "batch", Usage: "patches worked on at once, instead of the network's `N`"}
}

// checkModel checks the flags that say which model is looked at and how.
func checkModel(c *cli.Context) error {
	if c.String("model") == "" {
		return usagef("which checkpoint? Give -model CHECKPOINT")
	}
	if c.IsSet("batch") && c.Int("batch") < 1 {
		return usagef("-batch %d: want at least 1", c.Int("batch"))
	}
	return nil
}

func featuresAction(c *cli.Context) (err error) {
	if err := checkModel(c); err != nil {
		return err
	}
	out := c.String("out")
	switch {
	case out == "":
		return usagef("where to? Give -out FILE")
	case c.Args().Present() == c.IsSet("data"):
		return usagef("of which images? Give image files, or a data set with -data, not both")
	case c.Args().Present() && c.IsSet("split"):
		return usagef("-split %s is of a data set, and image files are given", c.String("split"))
	}
	on, err := openDevices(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	f, err := train.OpenFeatures(c.Context, c.String("model"), on.Placement, c.Int("batch"), c.String("layer"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	about, err := aboutFeatures(c, f)
	if err != nil {
		return err
	}
	if !c.IsSet("data") {
		return writeFileFeatures(c, f, about)
	}
	set, err := loader.Open(c.String("data"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	return writeFeatures(c, f, set, out, ofSplit(about, set, c.String("split")))
}

// aboutFeatures says what a model's features are of, but for the images.
func aboutFeatures(c *cli.Context, f *train.Features) (neighbors.About, error) {
	sum, err := fileSum(c.String("model"))
	return neighbors.About{Network: f.Net.Name, Model: sum, Layer: f.Layer, Precision: c.String("precision")}, err
}

// ofSplit adds that they are of a split.
func ofSplit(a neighbors.About, set *loader.Set, split string) neighbors.About {
	a.Dataset, a.Split = set.Info().Fingerprint, split
	for _, class := range set.Info().Classes {
		a.Classes = append(a.Classes, class.Name)
	}
	return a
}

// fileSum returns the SHA-256 of a file, in hex.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // was only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// writeFeatures writes the features of a split.
func writeFeatures(c *cli.Context, f *train.Features, set *loader.Set, path string, about neighbors.About) (err error) {
	images := int64(set.Info().Splits[about.Split].Images)
	w, err := neighbors.Create(path, about, images, featureShape(f)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	looking := newProgress(c.App.ErrWriter, "looking", "images")
	defer looking.end()
	err = f.Of(c.Context, set, about.Split, func(image int64, label int32, x []float32) error {
		looking.update(image+1, images)
		return w.Add(label, x)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// writeFileFeatures writes the features of the image files that are named.
func writeFileFeatures(c *cli.Context, f *train.Features, about neighbors.About) (err error) {
	for _, path := range c.Args().Slice() {
		about.Files = append(about.Files, filepath.ToSlash(path))
	}
	about.Classes = f.Checkpoint.Classes
	stills, err := openFiles(f.Model, c.Args().Slice())
	if err != nil {
		return err
	}
	w, err := neighbors.Create(c.String("out"), about, int64(stills.Count), featureShape(f)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	err = f.OfStills(c.Context, stills, func(_ int64, label int32, x []float32) error { return w.Add(label, x) })
	if err != nil {
		return err
	}
	return w.Close()
}

// openFiles returns image files in the size of those that a network was trained on.
func openFiles(m *train.Model, paths []string) (*loader.Stills, error) {
	height, width, err := m.Stored()
	if err != nil {
		return nil, err
	}
	return loader.Files(paths, height, width)
}

// featureShape returns the shape of an image's features: a full layer's has one
// dimension.
func featureShape(f *train.Features) []int {
	if f.Shape.H == 1 && f.Shape.W == 1 {
		return []int{f.Shape.C}
	}
	return []int{f.Shape.C, f.Shape.H, f.Shape.W}
}
