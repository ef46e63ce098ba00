package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var testCommand = &cli.Command{
	Name:  "test",
	Usage: "test a checkpoint, or the mean of several, on a data set's test images",
	Description: "Outputs of several networks are averaged, as section 7 does. -save keeps them, and what it\n" +
		"wrote can stand in -model for the networks: on its own, without -data, or beside others.",
	Flags: append(runFlags(),
		&cli.StringFlag{Name: "model", Usage: "the `CHECKPOINT`, or several with commas, whose outputs are averaged; or predictions of -save"},
		dataFlag(), skipFlag(),
		&cli.IntFlag{Name: "views", Usage: "`PATCHES` of each image: 1 (centre) or 10 (default: what the network's file says)"},
		&cli.IntFlag{Name: "batch", Usage: "patches worked on at once, instead of the network's `N`"},
		&cli.BoolFlag{Name: "by-class", Usage: "the errors of each class, and which classes are taken for which"},
		&cli.StringFlag{Name: "save", Usage: "keep the predictions in `FILE`, as safetensors"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"}),
	Action: testAction,
}

// maxConfusions are shown.
const maxConfusions = 20

func testAction(c *cli.Context) error {
	if c.String("model") == "" {
		return usagef("which checkpoint? Give -model CHECKPOINT")
	}
	t := train.Testing{Models: strings.Split(c.String("model"), ","), Batch: c.Int("batch"), Views: c.Int("views")}
	if c.IsSet("views") && t.Views != 1 && t.Views != 10 {
		return usagef("-views %d: want 1 or 10", t.Views)
	}
	if c.IsSet("batch") && t.Batch < 1 {
		return usagef("-batch %d: want at least 1", t.Batch)
	}
	var table *train.ByClass
	if c.Bool("by-class") {
		table = train.NewByClass()
	}
	var kept train.Predictions
	t.Each = func(image int64, label int32, logits []float64) {
		if table != nil {
			table.Add(image, label, logits)
		}
		if c.IsSet("save") {
			kept.Add(image, label, logits)
		}
	}
	result, source, err := testModels(c, t)
	if err != nil {
		return err
	}
	if c.IsSet("save") {
		if err := kept.Write(c.String("save"), source); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return writeOutcome(c.App.Writer, result, table, source.Classes)
	}
	fmt.Fprintf(c.App.Writer, "%d images, %d views: top-1 error %.2f%%, top-5 error %.2f%%, loss %.4f\n",
		result.Images, result.Views, 100*result.Top1Error, 100*result.Top5Error, result.Loss)
	if table == nil {
		return nil
	}
	return printByClass(c.App.Writer, table, source.Classes)
}

// testModels opens what the test needs, and tests.
func testModels(c *cli.Context, t train.Testing) (result train.Result, source train.Source, err error) {
	needData, err := train.NeedData(t.Models)
	if err != nil {
		return result, source, err
	}
	testing := newProgress(c.App.ErrWriter, "testing", "images")
	defer testing.end()
	t.Progress = testing.update
	if !needData {
		for _, name := range []string{"data", "views", "batch"} {
			if c.IsSet(name) {
				return result, source, usagef("-%s has no effect on predictions that were saved", name)
			}
		}
		return train.Test(c.Context, t)
	}
	on, err := openDevices(c)
	if err != nil {
		return result, source, err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	set, err := openData(c.Context, c)
	if err != nil {
		return result, source, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	t.Placement, t.Set = on.Placement, set
	damage := skipDamage(c, set, testing)
	result, source, err = train.Test(c.Context, t)
	testing.end()
	damage.report()
	return result, source, err
}

// writeOutcome writes a test's result as JSON, and the classes if there is a table.
func writeOutcome(w io.Writer, result train.Result, table *train.ByClass, names []string) error {
	b, err := json.Marshal(result)
	if err != nil {
		return err
	}
	if table != nil {
		more, err := json.Marshal(struct {
			Classes    []train.Class     `json:"classes"`
			Confusions []train.Confusion `json:"confusions"`
		}{table.Classes(names), table.Confusions(names, maxConfusions)})
		if err != nil {
			return err
		}
		b = append(append(b[:len(b)-1], ','), more[1:]...)
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

func printByClass(w io.Writer, table *train.ByClass, names []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nclass\timages\ttop-1 error\ttop-5 error\n")
	for _, class := range table.Classes(names) {
		fmt.Fprintf(t, "%s\t%d\t%.1f%%\t%.1f%%\n", class.Name, class.Images, 100*class.Top1Error, 100*class.Top5Error)
	}
	fmt.Fprint(t, "\nis\ttaken for\timages\n")
	for _, confusion := range table.Confusions(names, maxConfusions) {
		fmt.Fprintf(t, "%s\t%s\t%d\n", confusion.True, confusion.Given, confusion.Images)
	}
	return t.Flush()
}
