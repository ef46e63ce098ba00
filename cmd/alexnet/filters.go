package main

import (
	"fmt"
	"image"

	"alexnet/checkpoint"
	"alexnet/model"
	"alexnet/report"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var filtersCommand = &cli.Command{
	Name:  "dump-filters",
	Usage: "draw a layer's kernels, columns one above the other (figure 3)",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "model", Usage: "the `CHECKPOINT`"},
		&cli.StringFlag{Name: "layer", Usage: "the layer's `NAME` (default: the first convolution)"},
		&cli.IntFlag{Name: "scale", Usage: "`PIXELS` a weight (default: what suits)"},
		&cli.BoolFlag{Name: "each", Usage: "give each kernel the full scale for itself, so that weak ones show too"},
		&cli.StringFlag{Name: "out", Value: "filters.png", Usage: "the picture's `FILE`"},
	},
	Action: func(c *cli.Context) error {
		path := c.String("model")
		if path == "" {
			return usagef("whose kernels? Give -model CHECKPOINT")
		}
		if scale := c.Int("scale"); c.IsSet("scale") && scale < 1 {
			return usagef("-scale %d: want at least 1", scale)
		}
		ck, err := checkpoint.Read(path)
		if err != nil {
			return err
		}
		if err := drawFilters(c.String("out"), ck, c.String("layer"), report.FilterOptions{Scale: c.Int("scale"), EachKernel: c.Bool("each")}); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Fprintln(c.App.Writer, c.String("out"))
		return nil
	},
}

// drawFilters draws the kernels of a convolution of a checkpoint, by default the
// first, into a file.
func drawFilters(path string, ck *checkpoint.Checkpoint, layer string, o report.FilterOptions) error {
	net, err := train.NetOf("the checkpoint", ck.State)
	if err != nil {
		return err
	}
	picture, err := filters(net, ck, layer, o)
	if err != nil {
		return err
	}
	return report.WritePNG(path, picture)
}

// filters is drawFilters without the file.
func filters(net *model.Net, ck *checkpoint.Checkpoint, layer string, o report.FilterOptions) (*image.RGBA, error) {
	var known []string
	for _, l := range net.Layers {
		if _, ok := l.Spec.(model.Conv); !ok {
			continue
		}
		known = append(known, l.Name)
		if layer != "" && l.Name != layer {
			continue
		}
		for _, t := range ck.Tensors {
			if t.Name == l.Name+".weight" && len(t.Shape) == 4 {
				o.Columns = net.Columns
				return report.Filters(t.Data, [4]int(t.Shape), o)
			}
		}
		return nil, fmt.Errorf("there is no tensor %s.weight of 4 dimensions", l.Name)
	}
	if layer == "" {
		return nil, fmt.Errorf("the network %s has no convolution whose kernels could be drawn", net.Name)
	}
	return nil, usagef("there is no convolution %q; there are %v", layer, known)
}
