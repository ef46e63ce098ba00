package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"alexnet/loader/pack"
	"alexnet/loader/record"
	"alexnet/plan"

	"github.com/urfave/cli/v2"
)

var verifyCommand = &cli.Command{
	Name:      "verify",
	Usage:     "read a whole data set and hold it against its checksums and counts",
	ArgsUsage: "DIR",
	Action: func(c *cli.Context) (err error) {
		f, err := openFolder(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		verifying := newProgress(c.App.ErrWriter, "verifying", "images")
		err = f.Verify(c.Context, verifying.updateInt)
		verifying.end()
		if err != nil {
			return err
		}
		fmt.Fprintf(c.App.Writer, "%s: %s, all as they were packed\n", c.Args().First(), summary(f.Dataset))
		return nil
	},
}

var infoCommand = &cli.Command{
	Name:      "info",
	Usage:     "print what a data set is",
	ArgsUsage: "DIR",
	Flags: []cli.Flag{
		&cli.BoolFlag{Name: "classes", Usage: "list the classes and the images that each has, too"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"},
	},
	Action: func(c *cli.Context) (err error) {
		f, err := openFolder(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := f.Missing(); err != nil {
			return err
		}
		counts := make(map[string][]int)
		for name := range f.Dataset.Splits {
			if counts[name], err = f.Counts(name); err != nil {
				return err
			}
		}
		if c.Bool("json") {
			e := json.NewEncoder(c.App.Writer)
			e.SetIndent("", "  ")
			return e.Encode(struct {
				*record.Dataset
				PerClass map[string][]int `json:"images_per_class"` // of each split, in the order of classes
			}{f.Dataset, counts})
		}
		printInfo(c, f, counts)
		return nil
	},
}

// openFolder opens the data set that the command line names.
func openFolder(c *cli.Context) (*record.Folder, error) {
	if c.NArg() != 1 {
		return nil, usagef("which data set? Give its folder")
	}
	return record.OpenFolder(c.Args().First())
}

// printInfo prints what a data set is, with the images that each class has in each split.
func printInfo(c *cli.Context, f *record.Folder, counts map[string][]int) {
	d, s := f.Dataset, f.Statistics
	line := func(name, format string, args ...any) {
		fmt.Fprintf(c.App.Writer, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("name", "%s", d.Name)
	line("source", "%s", d.Source)
	line("images", "%s", summary(d))
	if d.Prepared != "" {
		line("prepared", "%s", d.Prepared)
	}
	if d.Rejected > 0 {
		line("rejected", "%d files of the source, listed in %s", d.Rejected, pack.RejectedFile)
	}
	splits := slices.Sorted(maps.Keys(d.Splits))
	for _, name := range splits {
		split := d.Splits[name]
		var bytes int64
		for _, s := range split.Shards {
			bytes += s.Bytes
		}
		decoded := float64(split.Images) * float64(d.Height*d.Width*3)
		size := fmt.Sprintf("%.3f of the pixels", float64(bytes)/decoded)
		if d.Longest > 0 {
			size = fmt.Sprintf("%s an image", plan.Bytes(bytes/int64(split.Images)))
		}
		line(name, "%d images in %d shards, %s (%s)", split.Images, len(split.Shards), plan.Bytes(bytes), size)
		line("", "%s", perClass(d, counts[name]))
	}
	line("codec", "%v, %d images a chunk", d.Codec, d.ChunkImages)
	line("mean", "R %.2f, G %.2f, B %.2f", s.RGB[0], s.RGB[1], s.RGB[2])
	line("fingerprint", "%s", d.Fingerprint)
	if !c.Bool("classes") {
		return
	}
	for i, class := range d.Classes {
		var of []string
		for _, name := range splits {
			of = append(of, fmt.Sprintf("%d %s", counts[name][i], name))
		}
		line(fmt.Sprint(i), "%s (%s)", classTitle(class), strings.Join(of, ", "))
	}
}
