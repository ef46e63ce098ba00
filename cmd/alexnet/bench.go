package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"alexnet/bench"
	"alexnet/loader"
	"alexnet/model"

	"github.com/urfave/cli/v2"
)

var benchCommand = &cli.Command{
	Name:  "bench",
	Usage: "time a network: each operation of each layer, and the whole step",
	Description: "Prints medians over the rounds, arithmetic and memory traffic a second, and which share of\n" +
		"what the device can do at most that is: of a large matrix product and a large copy, measured\n" +
		"in the same run. What is short is repeated between two waits. -compare OLD.json tells apart only what differs by more than the rounds do.",
	Flags: append(runFlags(),
		configFlag(), setFlag(),
		&cli.IntFlag{Name: "batch", Usage: "images a step, instead of the network's `N`"},
		&cli.IntFlag{Name: "rounds", Value: 7, Usage: "measure `N` times, after once that does not count"},
		&cli.BoolFlag{Name: "forward", Usage: "the forward pass of a test alone"},
		&cli.BoolFlag{Name: "whole", Usage: "the whole step and its passes, but not operation by operation"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"},
		&cli.StringFlag{Name: "compare", Usage: "say what became faster or slower since `OLD.json`, written with -json"}),
	Subcommands: []*cli.Command{benchLoaderCommand},
	Action:      benchAction,
}

func benchAction(c *cli.Context) (err error) {
	if c.Args().Present() {
		return usagef("%q: there is bench loader, and bench -config FILE", c.Args().First())
	}
	for _, name := range []string{"batch", "rounds"} {
		if c.IsSet(name) && (c.Int(name) < 1 || c.Int(name) > model.MaxBatch) {
			return usagef("-%s %d: want from 1 to %d", name, c.Int(name), model.MaxBatch)
		}
	}
	net, _, err := readNet(c)
	if err != nil {
		return err
	}
	batch := cmp.Or(c.Int("batch"), net.Train.Batch)
	var old *bench.Report
	if path := c.String("compare"); path != "" {
		if c.Bool("json") {
			return usagef("-compare prints a table, and -json a report: leave one out")
		}
		if old, err = bench.ReadReport(path); err == nil {
			err = old.Of(net.Name, batch, c.Bool("forward"))
		}
		if err != nil {
			return usageError{err}
		}
	}
	on, err := openDevices(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	measuring := newProgress(c.App.ErrWriter, "measuring", "rounds")
	r, err := bench.Run(c.Context, bench.Options{
		Net: net, Placement: on.Placement, Batch: batch, Forward: c.Bool("forward"), Whole: c.Bool("whole"),
		Precision: c.String("precision"), Rounds: c.Int("rounds"), Progress: measuring.update,
	})
	measuring.end()
	switch {
	case err != nil:
		return err
	case c.Bool("json"):
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case old != nil:
		return r.Compare(c.App.Writer, old)
	}
	return r.Write(c.App.Writer)
}

var benchLoaderCommand = &cli.Command{
	Name:  "loader",
	Usage: "make training batches of a data set, and nothing else",
	Flags: []cli.Flag{
		dataFlag(), skipFlag(),
		&cli.IntFlag{Name: "batch", Value: 128, Usage: "`N` images a batch"},
		&cli.IntFlag{Name: "crop", Usage: "height and width of the crops (default: 7/8 of the images', which is 224 of 256; `N`)"},
		&cli.IntFlag{Name: "cores", Usage: "use `N` cores (default: all)"},
		&cli.Float64Flag{Name: "seconds", Value: 10, Usage: "how long, after a second that does not count (`S`)"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"},
	},
	Action: func(c *cli.Context) (err error) {
		cores, seconds := c.Int("cores"), c.Float64("seconds")
		switch {
		case c.IsSet("cores") && (cores < 1 || cores > runtime.NumCPU()):
			return usagef("-cores %d: want from 1 to %d", cores, runtime.NumCPU())
		case !(seconds > 0 && seconds <= 86400):
			return usagef("-seconds %g: want more than 0 and at most a day", seconds)
		case c.Int("batch") < 1 || c.Int("batch") > 1<<20:
			return usagef("-batch %d: want from 1 to %d", c.Int("batch"), 1<<20)
		case c.IsSet("crop") && c.Int("crop") < 1:
			return usagef("-crop %d: want at least 1", c.Int("crop"))
		}
		set, err := openData(c.Context, c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, set.Close()) }()
		if most := min(set.Info().Height, set.Info().Width); c.Int("crop") > most {
			return usagef("-crop %d: want at most %d, the images' height and width", c.Int("crop"), most)
		}
		if cores > 0 {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		}
		measuring := newProgress(c.App.ErrWriter, "measuring", "ms")
		damage := skipDamage(c, set, measuring)
		o := loader.Options{Rows: c.Int("batch"), Height: c.Int("crop"), Width: c.Int("crop"), Mirror: true, Color: 0.1, Seed: 1}
		if o.Height == 0 {
			o.Height, o.Width = max(1, set.Info().Height*7/8), max(1, set.Info().Width*7/8)
		}
		m, err := set.Measure(c.Context, o, time.Duration(seconds*float64(time.Second)), measuring.update)
		measuring.end()
		damage.report()
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return json.NewEncoder(c.App.Writer).Encode(m)
		}
		printLoader(c.App.Writer, m)
		return nil
	},
}

func printLoader(w io.Writer, m loader.Benchmark) {
	fmt.Fprintf(w, "%.0f images/s on %d cores, %.0f a core; batches of %d crops of %dx%d, mirrored at random\n",
		m.ImagesPerSecond, m.Cores, m.PerCore, m.Batch, m.Crop[0], m.Crop[1])
	fmt.Fprintf(w, "%.0f MB/s of records in, %.0f MB/s of pixels out\n", m.ReadMBPerSecond, m.CropMBPerSecond)
	for _, s := range m.Stages {
		fmt.Fprintf(w, "  %-10s %8.1f µs an image  %5.1f%%\n", s.Name, s.Microseconds, 100*s.Share)
	}
	if n := len(m.Minutes); n > 1 {
		fmt.Fprintf(w, "first minute %.0f images/s, last %.0f\n", m.Minutes[0], m.Minutes[n-1])
	}
}
