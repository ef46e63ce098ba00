package main

import (
	"fmt"

	"alexnet/plan"
	"alexnet/report"

	"github.com/urfave/cli/v2"
)

var planCommand = &cli.Command{
	Name:  "plan",
	Usage: "show the layers, the schedule of a training step, and the memory",
	Flags: []cli.Flag{
		configFlag(), setFlag(), devicesFlag(),
		&cli.IntFlag{Name: "batch", Usage: "images a step, instead of the network's `N`"},
		&cli.BoolFlag{Name: "test", Usage: "the schedule of a test step: forward only"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"},
		&cli.BoolFlag{Name: "dot", Usage: "as a graph for Graphviz"},
		&cli.StringFlag{Name: "svg", Usage: "draw the network's layers and columns (figure 2), as SVG: `FILE`"},
		&cli.BoolFlag{Name: "estimate", Usage: "measure what a training takes on this machine, within a few steps"},
		&cli.StringFlag{Name: "data", Usage: "-estimate: on the data set in `FOLDER`, whose images are loaded"},
		&cli.Int64Flag{Name: "images", Value: 1_281_167, Usage: "-estimate without -data: training images (`N`; default: ILSVRC-2012's)"},
		&cli.Int64Flag{Name: "test-images", Value: 50_000, Usage: "-estimate without -data: test images (`N`)"},
		precisionFlag(),
	},
	Action: func(c *cli.Context) error {
		if c.Bool("estimate") {
			return estimate(c)
		}
		for _, name := range []string{"data", "images", "test-images"} {
			if c.IsSet(name) {
				return usagef("-%s is for -estimate", name)
			}
		}
		net, _, err := readNet(c)
		if err != nil {
			return err
		}
		if path := c.String("svg"); path != "" {
			if err := report.Network(path, net); err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, path)
			return nil
		}
		names, o, err := planned(c, net)
		if err != nil {
			return err
		}
		if c.IsSet("batch") {
			o.Batch = c.Int("batch")
		}
		if c.Bool("test") {
			o.Mode = plan.Test
		}
		p, err := plan.Compile(net, names, o)
		if err != nil {
			return err
		}
		switch {
		case c.Bool("json"):
			return p.WriteJSON(c.App.Writer)
		case c.Bool("dot"):
			return p.WriteDOT(c.App.Writer)
		}
		return p.WriteText(c.App.Writer)
	},
}
