package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"alexnet/checkpoint"
	"alexnet/dnn"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/neighbors"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var featuresCommand = &cli.Command{
	Name:      "features",
	Usage:     "write what a layer makes of images, as safetensors",
	ArgsUsage: "[IMAGE...]",
	Description: "Puts the centre patch of every image of a data set's split, or of image files, through the\n" +
		"network as it is tested, and writes features [images, channels, height, width], or\n" +
		"[images, outputs] of a full layer, and labels [images], -1 where there is none.\n" +
		"The file grows on the disk as the images go through; memory does not.",
	Flags: append(runFlags(), modelFlag(), layerFlag(), dataFlag(), skipFlag(), splitFlag("train"),
		&cli.IntFlag{Name: "batch", Usage: "images worked on at once, instead of the network's `N`"},
		&cli.StringFlag{Name: "out", Usage: "the `FILE`"}),
	Action: featuresAction,
}

func modelFlag() cli.Flag {
	return &cli.StringFlag{Name: "model", Usage: "the `CHECKPOINT`"}
}

func layerFlag() cli.Flag {
	return &cli.StringFlag{Name: "layer", Usage: "the layer's `NAME`, as alexnet plan lists them (default: what the last full layer reads)"}
}

func splitFlag(value string) cli.Flag {
	return &cli.StringFlag{Name: "split", Value: value, Usage: "`train` or test images of the data set"}
}

// openNet reads the network of -model.
func openNet(c *cli.Context) (*model.Net, error) {
	path := c.String("model")
	if path == "" {
		return nil, usagef("which checkpoint? Give -model CHECKPOINT")
	}
	state, err := checkpoint.ReadState(path)
	if err != nil {
		return nil, err
	}
	return train.NetOf(path, state)
}

// openLayer reads the network of -model, and the layer of -layer or its default.
func openLayer(c *cli.Context) (net *model.Net, layer string, err error) {
	if c.IsSet("batch") && c.Int("batch") < 1 {
		return nil, "", usagef("-batch %d: want at least 1", c.Int("batch"))
	}
	if net, err = openNet(c); err != nil {
		return nil, "", err
	}
	if layer = c.String("layer"); layer == "" {
		if layer, err = train.LastHidden(net); err != nil {
			return nil, "", usageError{err}
		}
	}
	return net, layer, nil
}

// checkSplit refuses a split that is neither train nor test.
func checkSplit(c *cli.Context) error {
	if s := c.String("split"); s != "train" && s != "test" {
		return usagef("-split %s: want train or test", s)
	}
	return nil
}

func featuresAction(c *cli.Context) (err error) {
	if c.String("out") == "" {
		return usagef("where are they to be written? Give -out FILE")
	}
	if err := checkSplit(c); err != nil {
		return err
	}
	files := c.Args().Slice()
	for _, name := range []string{"data", "split", "skip-corrupt"} {
		if len(files) > 0 && c.IsSet(name) {
			return usagef("-%s is for a data set: leave it out, or the image files", name)
		}
	}
	net, layer, err := openLayer(c)
	if err != nil {
		return err
	}
	on, err := openDevices(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	e := extraction{model: c.String("model"), layer: layer, split: c.String("split"), batch: c.Int("batch"), devices: on.Devices,
		progress: newProgress(c.App.ErrWriter, "reading "+layer, "images")}
	defer e.progress.end()
	if len(files) > 0 {
		if e.batch == 0 {
			e.batch = min(net.Train.Batch, len(files))
		}
		err = e.files(c.Context, files, c.String("out"))
	} else {
		err = e.data(c, c.String("out"))
	}
	if err != nil {
		return err
	}
	e.progress.end()
	fmt.Fprintln(c.App.Writer, c.String("out"))
	return nil
}

// extraction is the reading of a layer.
type extraction struct {
	model, layer, split string
	batch               int
	devices             []dnn.Device
	progress            *progress
}

// data reads the layer for the data set of -data.
func (e *extraction) data(c *cli.Context, out string) (err error) {
	set, err := openData(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	damage := skipDamage(c, set, e.progress)
	err = e.set(c.Context, set, out)
	e.progress.end()
	damage.report()
	return err
}

func (e *extraction) set(ctx context.Context, set *loader.Set, out string) error {
	split, ok := set.Info().Splits[e.split]
	if !ok {
		return fmt.Errorf("the data set %s has no %s images", set.Info().Name, e.split)
	}
	source := neighbors.Source{Dataset: set.Info().Fingerprint, Split: e.split}
	return e.write(ctx, out, source, int64(split.Images), func(f *train.Features, each func(int64, int32, []float32) error) error {
		return f.Set(ctx, set, e.split, each)
	})
}

// files reads the layer for image files.
func (e *extraction) files(ctx context.Context, paths []string, out string) error {
	return e.write(ctx, out, neighbors.Source{}, int64(len(paths)), func(f *train.Features, each func(int64, int32, []float32) error) error {
		return f.Some(ctx, int64(len(paths)), imageFiles(paths, f.Model), func(image int64, _ int32, x []float32) error {
			return each(image, -1, x)
		})
	})
}

// write writes what read gives to out.
func (e *extraction) write(ctx context.Context, out string, source neighbors.Source, images int64,
	read func(f *train.Features, each func(image int64, label int32, x []float32) error) error) (err error) {
	f, err := train.OpenFeatures(ctx, e.model, e.devices, e.batch, e.layer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	source.Net, source.Layer = f.Net.Name, e.layer
	if source.Model, err = contentOf(e.model); err != nil {
		return err
	}
	s := f.Shape()
	shape := []int{s.C, s.H, s.W}
	if s.H == 1 && s.W == 1 {
		shape = shape[:1]
	}
	w, err := neighbors.NewFileWriter(out, source, images, shape)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	err = read(f, func(image int64, label int32, x []float32) error {
		e.progress.update(image+1, images)
		return w.Add(image, label, x)
	})
	if err != nil {
		return err
	}
	return w.Commit()
}

// contentOf returns the SHA-256 of a file.
func contentOf(path string) (string, error) {
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
