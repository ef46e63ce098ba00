package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"text/tabwriter"

	"alexnet/internal/metrics"
	"alexnet/report"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var plotCommand = &cli.Command{
	Name:      "plot",
	Usage:     "draw the loss and error curves of one or more runs",
	ArgsUsage: "RUN...",
	Flags: []cli.Flag{
		&cli.Float64Flag{Name: "until", Usage: "draw the training error `E`, 0 to 1, and say when each run first falls to it"},
		&cli.BoolFlag{Name: "json", Usage: "-until: as JSON"},
		&cli.StringFlag{Name: "out", Value: "curves.png", Usage: "the picture's `FILE`"},
	},
	Action: func(c *cli.Context) error {
		if !c.Args().Present() {
			return usagef("which runs? Give their folders")
		}
		until := c.Float64("until")
		if c.IsSet("until") && !(until > 0 && until < 1) {
			return usagef("-until %g: want a training error between 0 and 1, as 0.25", until)
		}
		if c.Bool("json") && !c.IsSet("until") {
			return usagef("-json is for -until")
		}
		var runs []report.Run
		for _, dir := range c.Args().Slice() {
			path := dir
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				path = filepath.Join(dir, train.MetricsFile)
			}
			m, err := metrics.Read(path)
			if err != nil {
				return err
			}
			runs = append(runs, report.Run{Name: filepath.Base(filepath.Clean(dir)), Metrics: m})
		}
		var levels []float64
		if c.IsSet("until") {
			levels = []float64{until}
		}
		if err := report.Curves(c.String("out"), runs, levels...); err != nil {
			return err
		}
		if c.Bool("json") {
			return json.NewEncoder(c.App.Writer).Encode(reachedBy(runs, until))
		}
		if c.IsSet("until") {
			if err := reachedBy(runs, until).write(c.App.Writer); err != nil {
				return err
			}
		}
		fmt.Fprintln(c.App.Writer, c.String("out"))
		return nil
	},
}

// reached says when runs first fall to a training error: what alexnet plot -json
// prints.
type reached struct {
	Until float64      `json:"until"`
	Runs  []reachedRun `json:"runs"`
}

// reachedRun has no numbers where the run does not get there.
type reachedRun struct {
	Name   string   `json:"run"`
	Passes *float64 `json:"passes"`
	Step   *int64   `json:"step"`
	Ratio  *float64 `json:"ratio"` // passes over those of the fastest run
}

func reachedBy(runs []report.Run, until float64) reached {
	r := reached{Until: until}
	fastest := math.Inf(1)
	for _, run := range runs {
		at := reachedRun{Name: run.Name}
		if m, ok := metrics.Until(run.Metrics, until); ok {
			at.Passes, at.Step = &m.Epoch, &m.Step
			fastest = min(fastest, m.Epoch)
		}
		r.Runs = append(r.Runs, at)
	}
	for i, run := range r.Runs {
		if run.Passes != nil {
			ratio := *run.Passes / fastest
			r.Runs[i].Ratio = &ratio
		}
	}
	return r
}

func (r reached) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "training error, mean over the pass before, down to %.4g%%:\n", 100*r.Until)
	fmt.Fprint(t, "run\tpasses\tsteps\ttimes the fastest\n")
	for _, run := range r.Runs {
		if run.Passes == nil {
			fmt.Fprintf(t, "%s\tnever\n", run.Name)
			continue
		}
		fmt.Fprintf(t, "%s\t%.2f\t%d\t%.2f\n", run.Name, *run.Passes, *run.Step, *run.Ratio)
	}
	return t.Flush()
}
