package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var testCommand = &cli.Command{
	Name:  "test",
	Usage: "test a checkpoint, or the mean of several, on a data set's test images",
	Flags: append(runFlags(),
		&cli.StringFlag{Name: "model", Usage: "the `CHECKPOINT`, or several with commas, whose outputs are averaged"},
		dataFlag(), skipFlag(),
		&cli.IntFlag{Name: "views", Usage: "`PATCHES` of each image: 1 (centre) or 10 (default: what the network's file says)"},
		&cli.IntFlag{Name: "batch", Usage: "patches worked on at once, instead of the network's `N`"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"}),
	Action: func(c *cli.Context) (err error) {
		if c.String("model") == "" {
			return usagef("which checkpoint? Give -model CHECKPOINT")
		}
		views := c.Int("views")
		if c.IsSet("views") && views != 1 && views != 10 {
			return usagef("-views %d: want 1 or 10", views)
		}
		if c.IsSet("batch") && c.Int("batch") < 1 {
			return usagef("-batch %d: want at least 1", c.Int("batch"))
		}
		on, err := openDevices(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, on.Close()) }()
		set, err := openData(c.Context, c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, set.Close()) }()
		testing := newProgress(c.App.ErrWriter, "testing", "images")
		damage := skipDamage(c, set, testing)
		result, err := train.Test(c.Context, strings.Split(c.String("model"), ","), on.Devices, set, c.Int("batch"), views, testing.update)
		testing.end()
		damage.report()
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return json.NewEncoder(c.App.Writer).Encode(result)
		}
		fmt.Fprintf(c.App.Writer, "%d images, %d views: top-1 error %.2f%%, top-5 error %.2f%%, loss %.4f\n",
			result.Images, result.Views, 100*result.Top1Error, 100*result.Top5Error, result.Loss)
		return nil
	},
}
