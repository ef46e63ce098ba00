package main

import (
	"errors"
	"fmt"

	"alexnet/loader"
	"alexnet/plan"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var checkCommand = &cli.Command{
	Name:  "check",
	Usage: "find the errors of a network file, and whether a data set fits it",
	Flags: []cli.Flag{
		configFlag(), setFlag(), devicesFlag(), precisionFlag(),
		&cli.StringFlag{Name: "data", Usage: "the data set's `FOLDER`, if it is to be checked too"},
	},
	Action: func(c *cli.Context) (err error) {
		net, _, err := readNet(c)
		if err != nil {
			return err
		}
		names, o, err := planned(c, net)
		if err != nil {
			return err
		}
		if dir := c.String("data"); dir != "" {
			set, err := loader.Open(dir)
			if err != nil {
				return err
			}
			info, err := set.Info(), errors.Join(train.Fits(net, set), set.Close())
			if err != nil {
				return err
			}
			o.MeanH, o.MeanW = info.Height, info.Width
		}
		p, err := plan.Compile(net, names, o)
		if err != nil {
			return err
		}
		parameters, neurons, _ := net.Totals()
		fmt.Fprintf(c.App.Writer, "%s is sound: %d layers, %s parameters, %s neurons, %d classes\n",
			net.Name, len(net.Layers), plan.Grouped(parameters), plan.Grouped(neurons), net.Classes())
		for _, d := range p.Devices {
			fmt.Fprintf(c.App.Writer, "training at batch %s takes %s on %s\n", p.BatchText(), plan.Bytes(d.State+d.Work), d.Name)
		}
		return nil
	},
}
