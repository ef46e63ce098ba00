package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"alexnet/loader/pack"
	"alexnet/loader/record"

	"github.com/urfave/cli/v2"
)

var packCommand = &cli.Command{
	Name:  "pack",
	Usage: "make a data set of images",
	Subcommands: []*cli.Command{
		{
			Name:      "folder",
			Usage:     "of train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE",
			ArgsUsage: "DIR|TAR|TAR.GZ",
			Flags: append(packFlags(),
				&cli.IntFlag{Name: "size", Usage: "scale the shorter side to `N` and cut out the centre (default: images stay as they are, all of one size)"},
				&cli.Float64Flag{Name: "test-fraction", Value: 0.1, Usage: "`SHARE` of the images put aside for testing, where they are not apart already"},
			),
			Action: func(c *cli.Context) error {
				if c.IsSet("size") && c.Int("size") < 1 {
					return usagef("-size %d: want at least 1", c.Int("size"))
				}
				if f := c.Float64("test-fraction"); !(f > 0 && f < 1) {
					return usagef("-test-fraction %g: want more than 0 and less than 1; images that are all for training belong into train/CLASS", f)
				}
				return packImages(c, pack.Folder, pack.Options{Size: c.Int("size"), TestFraction: c.Float64("test-fraction")})
			},
		},
		{
			Name:      "cifar10",
			Usage:     "of CIFAR-10's binary version",
			ArgsUsage: "DIR|TAR.GZ",
			Flags:     packFlags(),
			Action:    func(c *cli.Context) error { return packImages(c, pack.CIFAR10, pack.Options{}) },
		},
		{
			Name:  "shapes",
			Usage: "of pictures that the program draws",
			Flags: append(packFlags(),
				&cli.IntFlag{Name: "train", Value: drawnTrain, Usage: "`COUNT` of training images"},
				&cli.IntFlag{Name: "test", Value: drawnTest, Usage: "`COUNT` of test images"},
				&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "other seeds draw other pictures (`N`)"},
			),
			Action: func(c *cli.Context) error {
				shapes := func(ctx context.Context, o pack.Options) (*record.Dataset, error) {
					return pack.Shapes(ctx, o, c.Uint64("seed"), c.Int("train"), c.Int("test"))
				}
				return packInto(c, shapes, pack.Options{})
			},
		},
	},
	Action: func(c *cli.Context) error {
		return usagef("what is to be packed? pack folder, cifar10 or shapes")
	},
}

func packFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "the data set's new `FOLDER`"},
		&cli.IntFlag{Name: "workers", Usage: "images decoded at once (default: as many as there are cores; `N` does not change the result)"},
	}
}

type packer func(context.Context, pack.Options) (*record.Dataset, error)

// packImages packs the source that the command line names.
func packImages(c *cli.Context, run packer, o pack.Options) error {
	if c.NArg() != 1 {
		return usagef("which images? Give one %s", c.Command.ArgsUsage)
	}
	o.Source = c.Args().First()
	return packInto(c, run, o)
}

func packInto(c *cli.Context, run packer, o pack.Options) error {
	if o.Out = c.String("out"); o.Out == "" {
		return usagef("where to? Give -out FOLDER")
	}
	if o.Workers = c.Int("workers"); o.Workers < 0 {
		return usagef("-workers %d: want at least 1", o.Workers)
	}
	packing := newProgress(c.App.ErrWriter, "packing", "images")
	o.Progress = packing.updateInt
	d, err := run(c.Context, o)
	packing.end()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("stopped; nothing is left of %s", o.Out)
	}
	if err != nil {
		return err
	}
	var splits []string
	for _, name := range slices.Sorted(maps.Keys(d.Splits)) {
		splits = append(splits, fmt.Sprintf("%d %s images", d.Splits[name].Images, name))
	}
	fmt.Fprintf(c.App.Writer, "%s: %s of %d classes, %dx%d\n", o.Out, strings.Join(splits, ", "), len(d.Classes), d.Height, d.Width)
	return nil
}
