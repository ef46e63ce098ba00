package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"alexnet/loader/pack"
	"alexnet/loader/picture"
	"alexnet/loader/record"

	"github.com/urfave/cli/v2"
)

var packCommand = &cli.Command{
	Name:  "pack",
	Usage: "make a data set of images, and look after it",
	Description: "A packing that is stopped, or falls over, goes on with the same command from its last whole\n" +
		"shard. Files that are no images are listed in the data set's " + pack.RejectedFile + ", with the reason.",
	Subcommands: []*cli.Command{
		{
			Name:  "ilsvrc",
			Usage: "of ImageNet as it is handed out: ILSVRC-2010, ILSVRC-2012, Kaggle's form of it, or all of ImageNet",
			Description: "DIR holds the training images (a tar of a tar for each class, or class folders), the validation\n" +
				"images (a tar or a folder), and what these show: the development kit, Caffe's val.txt, Kaggle's\n" +
				"LOC_val_solution.csv, or class folders. Each is found by its name and content, or named by a flag.\n" +
				"Without validation images a part of each class is put aside for testing.",
			ArgsUsage: "DIR|TAR|ZIP",
			Flags: append(imageFlags(256),
				&cli.StringFlag{Name: "train", Usage: "training images: `TAR` or folder"},
				&cli.StringFlag{Name: "val", Usage: "validation images: `TAR` or folder"},
				&cli.StringFlag{Name: "truth", Usage: "what the validation images show: development `KIT`, ground truth, val.txt or LOC_val_solution.csv"},
			),
			Action: func(c *cli.Context) error {
				from := pack.ILSVRCSource{Train: c.String("train"), Val: c.String("val"), Truth: c.String("truth")}
				return packFiles(c, func(ctx context.Context, o pack.Options) (*record.Dataset, error) { return pack.ILSVRC(ctx, o, from) })
			},
		},
		{
			Name:      "folder",
			Aliases:   []string{"tar", "zip"},
			Usage:     "of train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE",
			ArgsUsage: "DIR|TAR|TAR.GZ|ZIP",
			Flags: append(imageFlags(0),
				&cli.StringFlag{Name: "classes", Usage: "pack only these, as `A,B,C`"}),
			Action: func(c *cli.Context) error { return packFiles(c, pack.Folder) },
		},
		{
			Name:      "cifar10",
			Usage:     "of CIFAR-10's binary version",
			ArgsUsage: "DIR|TAR.GZ|ZIP",
			Flags:     archiveFlags(),
			Action:    func(c *cli.Context) error { return packImages(c, pack.CIFAR10, pack.Options{}) },
		},
		{
			Name:      "cifar100",
			Usage:     "of CIFAR-100's binary version, by its 100 fine labels",
			ArgsUsage: "DIR|TAR.GZ|ZIP",
			Flags:     archiveFlags(),
			Action:    func(c *cli.Context) error { return packImages(c, pack.CIFAR100, pack.Options{}) },
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
		verifyCommand,
		infoCommand,
	},
	Action: func(c *cli.Context) error {
		return usagef("what is to be packed? pack ilsvrc, folder, cifar10, cifar100 or shapes; or pack verify, pack info")
	},
}

// packFlags are those of every source.
func packFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "the data set's new `FOLDER`"},
		&cli.StringFlag{Name: "codec", Value: record.Raw.String(), Usage: "how pixels are stored: raw, read at full speed, or delta, in about two thirds of the room (`NAME`)"},
		&cli.IntFlag{Name: "shard", Value: 1024, Usage: "decoded images that go into one file, in `MIB`"},
		&cli.BoolFlag{Name: "strict", Usage: "stop at the first file that is no image, instead of listing it"},
		&cli.IntFlag{Name: "workers", Usage: "images decoded at once (default: as many as there are cores; `N` does not change the result)"},
	}
}

// archiveFlags returns the flags of commands whose source may be an archive.
func archiveFlags() []cli.Flag {
	return append(packFlags(),
		&cli.IntFlag{Name: "unpacked", Usage: "what a tar.gz may unpack to, in `GIB`", DefaultText: "20 times its size, and always 1"})
}

// imageFlags are those of sources that are image files. size is -size where it
// is not given; 0: images stay as they are.
func imageFlags(size int) []cli.Flag {
	sizeFlag := &cli.IntFlag{Name: "size", Value: size, Usage: "scale the shorter side to `N` and cut out the centre"}
	if size == 0 {
		sizeFlag.Usage += " (default: images stay as they are, all of one size)"
		sizeFlag.DefaultText = " "
	}
	return append(archiveFlags(),
		sizeFlag,
		&cli.BoolFlag{Name: "full", Usage: fmt.Sprintf("keep the whole image, at most %d times as long as its shorter side, for crops anywhere in it", picture.MaxAspect)},
		&cli.StringFlag{Name: "filter", Value: picture.Bicubic.String(), Usage: "how images are scaled: bicubic, bilinear, box or lanczos (`NAME`)"},
		&cli.BoolFlag{Name: "exif", Usage: "turn images upright as the camera noted (the paper's are as stored)"},
		&cli.Float64Flag{Name: "test-fraction", Value: 0.1, Usage: "`SHARE` of the images put aside for testing, where they are not apart already"},
		&cli.StringFlag{Name: "names", Usage: "`FILE` that gives WordNet's synsets names: lines of n01440764 tench, Tinca tinca"},
	)
}

type packer func(context.Context, pack.Options) (*record.Dataset, error)

// packFiles packs image files.
func packFiles(c *cli.Context, run packer) error {
	o := pack.Options{
		Size: c.Int("size"), Full: c.Bool("full"), Orient: c.Bool("exif"),
		TestFraction: c.Float64("test-fraction"), Names: c.String("names"),
	}
	if c.IsSet("classes") {
		o.Classes = strings.Split(c.String("classes"), ",")
	}
	if c.IsSet("size") && o.Size < 1 {
		return usagef("-size %d: want at least 1", o.Size)
	}
	if o.Full && o.Size == 0 {
		return usagef("-full: to what is the shorter side scaled? Give -size N")
	}
	if f := o.TestFraction; !(f > 0 && f < 1) {
		return usagef("-test-fraction %g: want more than 0 and less than 1; images that are all for training belong into train/CLASS", f)
	}
	var err error
	if o.Filter, err = picture.ParseFilter(c.String("filter")); err != nil {
		return usageError{err}
	}
	return packImages(c, run, o)
}

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
	if c.Int("shard") < 1 || c.Int("shard") > 1<<20 {
		return usagef("-shard %d: want from 1 to %d MiB", c.Int("shard"), 1<<20)
	}
	if n := c.Int("unpacked"); c.IsSet("unpacked") && (n < 1 || n > 1<<20) {
		return usagef("-unpacked %d: want from 1 to %d GiB", n, 1<<20)
	}
	o.Unpacked = int64(c.Int("unpacked")) << 30
	var err error
	if o.Codec, err = record.ParseCodec(c.String("codec")); err != nil {
		return usageError{err}
	}
	o.ShardBytes, o.Strict = int64(c.Int("shard"))<<20, c.Bool("strict")
	packing := newProgress(c.App.ErrWriter, "packing", "images")
	o.Progress, o.Message = packing.updateInt, packing.printf
	d, err := run(c.Context, o)
	packing.end()
	var unfinished *pack.Unfinished
	switch {
	case errors.As(err, &unfinished) && errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped; the finished part is in %s: the same command goes on from there", unfinished.Dir)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped; nothing is left of %s", o.Out)
	case err != nil:
		return err
	}
	if d.Rejected > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%d files could not be read as images; they are listed in %s/%s\n", d.Rejected, o.Out, pack.RejectedFile)
	}
	fmt.Fprintf(c.App.Writer, "%s: %s\n", o.Out, summary(d))
	return warnOfClasses(c, o.Out)
}

// warnOfClasses says what is wrong with the classes of the data set in dir.
func warnOfClasses(c *cli.Context, dir string) error {
	f, err := record.OpenFolder(dir)
	if err != nil {
		return err
	}
	messages, err := classMessages(f.Dataset, f)
	for _, m := range messages {
		fmt.Fprintln(c.App.ErrWriter, m)
	}
	return errors.Join(err, f.Close())
}

// summary says in a line what d is.
func summary(d *record.Dataset) string {
	var splits []string
	for _, name := range slices.Sorted(maps.Keys(d.Splits)) {
		splits = append(splits, fmt.Sprintf("%d %s images", d.Splits[name].Images, name))
	}
	geometry := fmt.Sprintf("%dx%d", d.Height, d.Width)
	if d.Longest > 0 {
		geometry = fmt.Sprintf("%d to %d by %d", d.Height, d.Longest, d.Height)
	}
	return fmt.Sprintf("%s of %d classes, %s", strings.Join(splits, ", "), len(d.Classes), geometry)
}
