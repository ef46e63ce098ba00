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
	Usage: "find the errors of a network file, whether a data set fits it, and whether a checkpoint is whole",
	Flags: []cli.Flag{
		configFlag(), setFlag(), devicesFlag(), precisionFlag(),
		&cli.StringFlag{Name: "data", Usage: "the data set's `FOLDER`, if it is to be checked too"},
		&cli.StringFlag{Name: "model", Usage: "read all of a `CHECKPOINT`, instead of a network file, and hold it against its checksums and its network"},
	},
	Action: func(c *cli.Context) (err error) {
		if path := c.String("model"); path != "" {
			return checkCheckpoint(c, path)
		}
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

// checkCheckpoint reads a checkpoint and says whether it is whole.
func checkCheckpoint(c *cli.Context, path string) error {
	for _, name := range []string{"config", "set", "data"} {
		if c.IsSet(name) {
			return usagef("-model %s: a checkpoint has its own network, so -%s says nothing here", path, name)
		}
	}
	ck, err := train.Check(path)
	if err != nil {
		return err
	}
	of, sums := "of no network", "as they were written"
	if ck.Net != nil {
		of = fmt.Sprintf("of %s after step %d", ck.Net.Name, ck.Step)
	}
	if !ck.Summed {
		sums = "without checksums, so that damage to a number would not be seen"
	}
	fmt.Fprintf(c.App.Writer, "%s is whole: %d tensors %s, all finite, %s\n", path, len(ck.Tensors), of, sums)
	return nil
}
