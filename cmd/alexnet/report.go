package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/model"
	"alexnet/plan"
	"alexnet/report"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var reportCommand = &cli.Command{
	Name:  "report",
	Usage: "write a run down as one HTML file",
	Description: "Writes a page that needs no other file: the run's network and curves, its tests, changes of\n" +
		"its rate, the first layer as in its best checkpoint, and all other pictures in its folder. With\n" +
		"-data it draws what the network says of some test images, and their nearest training images,\n" +
		"into the folder first.",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "run", Usage: "the run's `FOLDER`"},
		&cli.StringFlag{Name: "data", Usage: "the `FOLDER` of the data set that the run learned"},
		devicesFlag(),
		&cli.StringFlag{Name: "out", Usage: "the page's `FILE` (default: report.html in the folder)"},
	},
	Action: func(c *cli.Context) error {
		dir, out := c.String("run"), c.String("out")
		if dir == "" {
			return usagef("which run? Give -run FOLDER")
		}
		if out == "" {
			out = filepath.Join(dir, "report.html")
		}
		if c.IsSet("devices") && !c.IsSet("data") {
			return usagef("-devices is for -data")
		}
		path, ck, err := bestCheckpoint(dir)
		if err != nil {
			return err
		}
		if c.IsSet("data") {
			if err := drawExamples(c, dir, path); err != nil {
				return err
			}
		}
		d, err := document(dir, path, ck)
		if err != nil {
			return err
		}
		if err := report.WriteHTML(out, *d); err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, out)
		return nil
	},
}

// bestCheckpoint reads the best checkpoint of a run, or the newest of one that has
// not been tested.
func bestCheckpoint(dir string) (path string, ck *checkpoint.Checkpoint, err error) {
	if _, err := os.Stat(filepath.Join(dir, train.MetricsFile)); err != nil {
		return "", nil, fmt.Errorf("%s holds no run: %w", dir, err)
	}
	path = filepath.Join(dir, filepath.FromSlash(train.Best))
	ck, err = checkpoint.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, filepath.FromSlash(train.Newest))
		ck, err = checkpoint.Read(path)
	}
	return path, ck, err
}

// drawExamples draws both halves of figure 4 into a run's folder, by the commands
// that draw them.
func drawExamples(c *cli.Context, dir, model string) error {
	for _, args := range [][]string{
		{"predict", "-picture", filepath.Join(dir, "predictions.png")},
		{"neighbors", "-queries", "8", "-pixels=false", "-out", filepath.Join(dir, "neighbors.png")},
	} {
		app := *c.App
		app.Writer = io.Discard
		args = append([]string{app.Name, args[0], "-model", model, "-data", c.String("data"), "-devices", c.String("devices")}, args[1:]...)
		if err := app.RunContext(c.Context, args); err != nil {
			return err
		}
	}
	return nil
}

// document gathers what there is to tell of a run, whose checkpoint at path is ck.
func document(dir, path string, ck *checkpoint.Checkpoint) (*report.Document, error) {
	lines, err := metrics.Read(filepath.Join(dir, train.MetricsFile))
	if err != nil {
		return nil, err
	}
	net, err := train.NetOf(path, ck.State)
	if err != nil {
		return nil, err
	}
	d := &report.Document{Name: filepath.Base(filepath.Clean(dir)), Net: net, Text: ck.State.Net, Metrics: lines}
	d.Facts = append(d.Facts,
		report.Fact{Name: "network", Value: fmt.Sprintf("%s, %d layers", net.Name, len(net.Layers))},
		report.Fact{Name: "data set", Value: fmt.Sprintf("%d classes, fingerprint %s", len(ck.Classes), ck.Dataset)},
		report.Fact{Name: "batch", Value: fmt.Sprintf("%d images", ck.Batch)},
		report.Fact{Name: "seed", Value: fmt.Sprint(ck.Seed)},
		report.Fact{Name: "checkpoint", Value: fmt.Sprintf("%s, after step %s", filepath.Base(path), plan.Grouped(ck.Step))})
	if len(lines) > 0 {
		last := lines[len(lines)-1]
		d.Facts = append(d.Facts, report.Fact{Name: "so far", Value: fmt.Sprintf("%s steps, %.4g passes", plan.Grouped(last.Step), last.Epoch)})
	}
	if hasConv(net) {
		if d.Kernels, err = filters(net, ck, "", report.FilterOptions{}); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	d.Pictures, err = otherPictures(dir)
	return d, err
}

// hasConv reports whether a network has a first layer that can be drawn.
func hasConv(net *model.Net) bool {
	return slices.ContainsFunc(net.Layers, func(l *model.Layer) bool { return l.Spec.Kind() == "conv" })
}

// maxPicture is the size of a file that is put into a page, in bytes.
const maxPicture = 32 << 20

// otherPictures returns the PNG files in a run's folder but for those that a
// report draws anew.
func otherPictures(dir string) ([]report.Picture, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var pictures []report.Picture
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".png")
		if !ok || !e.Type().IsRegular() || e.Name() == curvesFile || e.Name() == filtersFile {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if info.Size() > maxPicture {
			return nil, fmt.Errorf("%s has %s, more than the %s that a page takes: move it elsewhere, or draw it smaller",
				path, plan.Bytes(info.Size()), plan.Bytes(maxPicture))
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if _, err := png.DecodeConfig(bytes.NewReader(b)); err != nil {
			return nil, fmt.Errorf("%s is no picture: %w", path, err)
		}
		pictures = append(pictures, report.Picture{Name: name, PNG: b})
	}
	return pictures, nil
}
