package main

import (
	"fmt"
	"os"
	"path/filepath"

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
		&cli.StringFlag{Name: "out", Value: "curves.png", Usage: "the picture's `FILE`"},
	},
	Action: func(c *cli.Context) error {
		if !c.Args().Present() {
			return usagef("which runs? Give their folders")
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
		if err := report.Curves(c.String("out"), runs); err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, c.String("out"))
		return nil
	},
}
