package main

import (
	"fmt"

	"alexnet/plan"

	"github.com/urfave/cli/v2"
)

var checkCommand = &cli.Command{
	Name:  "check",
	Usage: "find the errors of a network file",
	Flags: []cli.Flag{configFlag(), setFlag(), devicesFlag()},
	Action: func(c *cli.Context) error {
		net, _, err := readNet(c)
		if err != nil {
			return err
		}
		names, err := deviceNames(c.String("devices"))
		if err != nil {
			return err
		}
		if _, err := plan.Compile(net, names, plan.Options{Batch: net.Train.Batch}); err != nil {
			return usageError{err}
		}
		parameters, neurons, _ := net.Totals()
		fmt.Fprintf(c.App.Writer, "%s is sound: %d layers, %s parameters, %s neurons, %d classes\n",
			net.Name, len(net.Layers), plan.Grouped(parameters), plan.Grouped(neurons), net.Classes())
		return nil
	},
}
