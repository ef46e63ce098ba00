package main

import (
	"encoding/json"
	"errors"
	"os"

	"alexnet/bench"
	"alexnet/internal/devices"
	"alexnet/loader"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

// estimateRounds are few, since a step of a large network takes long on a CPU.
const estimateRounds = 3

// estimate measures what a training takes.
func estimate(c *cli.Context) (err error) {
	for _, name := range []string{"dot", "test"} {
		if c.Bool(name) {
			return usagef("-%s and -estimate are different things", name)
		}
	}
	o := bench.EstimateOptions{Images: c.Int64("images"), TestImages: c.Int64("test-images"), Beside: !devices.OnCPU(c.String("devices")), Rounds: estimateRounds}
	if o.Images < 1 || o.TestImages < 0 {
		return usagef("-images %d -test-images %d: want at least one image to learn from", o.Images, o.TestImages)
	}
	if o.Net, _, err = readNet(c); err != nil {
		return err
	}
	if c.IsSet("batch") {
		if c.Int("batch") < 1 {
			return usagef("-batch %d: want at least 1", c.Int("batch"))
		}
		o.Net.Train.Batch = c.Int("batch")
	}
	if c.IsSet("data") {
		if c.IsSet("images") || c.IsSet("test-images") {
			return usagef("-data says how many images there are: leave -images and -test-images out")
		}
		if o.Set, err = loader.Open(c.String("data")); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, o.Set.Close()) }()
		if err := train.Fits(o.Net, o.Set); err != nil {
			return err
		}
		splits := o.Set.Info().Splits
		o.Images, o.TestImages = int64(splits["train"].Images), int64(splits["test"].Images)
	}
	on, err := openDevices(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	o.Placement = on.Placement
	if o.Dir, err = os.MkdirTemp(".", ".estimate"); err != nil { // where a run's folder would be
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	measuring := newProgress(c.App.ErrWriter, "measuring", "rounds")
	o.Progress = measuring.update
	p, err := bench.Estimate(c.Context, o)
	measuring.end()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(p)
	}
	return p.Write(c.App.Writer)
}
