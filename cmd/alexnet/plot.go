package main

import (
	"encoding/json"
	"fmt"
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
	Description: "With -until, says after how many passes and steps each run's training error, in the mean over the\n" +
		"last pass, fell below that error, and compares the runs (figure 1: 0.25).",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "out", Value: "curves.png", Usage: "the picture's `FILE`"},
		&cli.Float64Flag{Name: "until", Usage: "draw a line at this training `ERROR`, 0 to 1, and say when each run got there"},
		&cli.BoolFlag{Name: "json", Usage: "when each run got there, as JSON"},
	},
	Action: plotAction,
}

func plotAction(c *cli.Context) error {
	until := c.Float64("until")
	switch {
	case !c.Args().Present():
		return usagef("which runs? Give their folders")
	case c.IsSet("until") && !(until > 0 && until < 1):
		return usagef("-until %g: want an error above 0 and below 1", until)
	case c.Bool("json") && !c.IsSet("until"):
		return usagef("-json is for what -until finds: give -until ERROR")
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
	if err := report.CurvesUntil(c.String("out"), runs, until); err != nil {
		return err
	}
	if c.IsSet("until") {
		race := newRace(runs, until)
		if c.Bool("json") {
			return json.NewEncoder(c.App.Writer).Encode(race)
		}
		if err := race.print(c); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.App.Writer, c.String("out"))
	return nil
}

// race is when runs got to a training error.
type race struct {
	Until float64 `json:"until"`
	Runs  []racer `json:"runs"`
}

// racer is a run; what is nil is not known, as the run did not get there.
type racer struct {
	Run string `json:"run"`
	*report.Crossing
	Ratio *float64 `json:"ratio"` // its passes over those of the run that took the fewest
}

func newRace(runs []report.Run, until float64) race {
	r := race{Until: until}
	fewest := 0.0
	for _, run := range runs {
		racer := racer{Run: run.Name}
		if at, ok := report.FirstBelow(run.Metrics, until); ok {
			racer.Crossing = &at
			if fewest == 0 || at.Epoch < fewest {
				fewest = at.Epoch
			}
		}
		r.Runs = append(r.Runs, racer)
	}
	for i := range r.Runs {
		if at := r.Runs[i].Crossing; at != nil {
			ratio := at.Epoch / fewest
			r.Runs[i].Ratio = &ratio
		}
	}
	return r
}

func (r race) print(c *cli.Context) error {
	t := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "training error below %g%%\tpasses\tsteps\tratio\n", 100*r.Until)
	for _, run := range r.Runs {
		if run.Crossing == nil {
			fmt.Fprintf(t, "%s\tnot reached\t\t\n", run.Run)
			continue
		}
		fmt.Fprintf(t, "%s\t%.2f\t%d\t%.2f\n", run.Run, run.Epoch, run.Step, *run.Ratio)
	}
	return t.Flush()
}
