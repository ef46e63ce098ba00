package main

import (
	"fmt"
	"strings"

	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var rateCommand = &cli.Command{
	Name:  "rate",
	Usage: "divide the learning rate of a training while it goes on; save or stop it",
	Description: "As the authors did (section 5): when the validation error stops improving, divide the rate\n" +
		"by 10. The training does so before its next step, or after a test that is going on, saves a\n" +
		"checkpoint, and writes a line of kind \"change\" into metrics.jsonl.",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "run", Usage: "the `FOLDER` of the run"},
		&cli.Float64Flag{Name: "divide", Usage: "divide the rate by `X`; less than 1 raises it"},
		&cli.StringFlag{Name: "layer", Usage: "divide that of layer `NAME` alone"},
		&cli.BoolFlag{Name: "checkpoint", Usage: "save a checkpoint now"},
		&cli.BoolFlag{Name: "stop", Usage: "save a checkpoint and stop the training"},
	},
	Action: func(c *cli.Context) error {
		run := c.String("run")
		o := train.Order{Divide: c.Float64("divide"), Layer: c.String("layer"), Checkpoint: c.Bool("checkpoint"), Stop: c.Bool("stop"), By: "the command line"}
		switch {
		case run == "":
			return usagef("which run? Give -run FOLDER")
		case c.IsSet("divide") && !(o.Divide > 0):
			return usagef("-divide %g: want more than 0", o.Divide)
		case o.Layer != "" && o.Divide == 0:
			return usagef("-layer %s: give -divide as well", o.Layer)
		case o.Divide == 0 && !o.Checkpoint && !o.Stop:
			return usagef("what is the training to do? Give -divide, -checkpoint or -stop")
		}
		step, err := train.Send(c.Context, run, o)
		if err != nil {
			return err
		}
		var did []string
		if o.Divide != 0 {
			of := "the rate is"
			if o.Layer != "" {
				of = "the rate of " + o.Layer + " is"
			}
			did = append(did, fmt.Sprintf("%s divided by %g", of, o.Divide))
		}
		did = append(did, "a checkpoint is saved")
		if o.Stop {
			did = append(did, "the training has stopped")
		}
		fmt.Fprintf(c.App.Writer, "after step %d: %s\n", step, strings.Join(did, ", "))
		return nil
	},
}
