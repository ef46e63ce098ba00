package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"alexnet/internal/metrics"
	"alexnet/live"
	"alexnet/plan"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

func httpFlag() cli.Flag {
	return &cli.StringFlag{Name: "http", Usage: "show the training on a web page, and take orders there, at this `ADDRESS`: " +
		"a port of this machine, as 6006 or 0 for any, or host and port, as 0.0.0.0:6006"}
}

// openPage serves the page of -http and has the training tell it what happens.
func openPage(c *cli.Context, config *train.Config) (*live.Server, error) {
	address, err := live.Address(c.String("http"))
	if err != nil {
		return nil, usageError{fmt.Errorf("-http: %w", err)}
	}
	var record []metrics.Metric
	if config.Resume {
		record, err = metrics.Read(filepath.Join(config.Dir, train.MetricsFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	page := live.NewPage(describe(c, config), record)
	config.Watch, config.Desk = page, train.NewDesk()
	server, err := live.Listen(c.Context, address, page, config.Desk, config.Set)
	if err != nil {
		return nil, err
	}
	log, progress, testing := config.Log, config.Progress, config.Testing
	config.Log = func(m metrics.Metric) { log(m); page.Log(m) }
	config.Progress = func(done, total int64) { progress(done, total); page.Progress(done, total) }
	config.Testing = func(done, total int64) { testing(done, total); page.Testing(done, total) }
	fmt.Fprintf(c.App.ErrWriter, "look on and steer at %s\n", server.URL())
	return server, nil
}

// describe returns what a run is made of.
func describe(c *cli.Context, config *train.Config) live.Run {
	net, info := config.Net, config.Set.Info()
	parameters, _, _ := net.Totals()
	run := live.Run{Name: net.Name, Text: config.Text, Columns: net.Columns, Passes: net.Train.Passes, Facts: []live.Fact{
		{Name: "folder", Value: config.Dir},
		{Name: "data set", Value: fmt.Sprintf("%s: %s training and %s test images, %d classes", info.Name,
			plan.Grouped(int64(info.Splits["train"].Images)), plan.Grouped(int64(info.Splits["test"].Images)), len(info.Classes))},
		{Name: "network", Value: fmt.Sprintf("%d layers, %s parameters", len(net.Layers), plan.Grouped(parameters))},
		{Name: "devices", Value: config.Placement.String()},
		{Name: "precision", Value: c.String("precision")},
		{Name: "batch", Value: fmt.Sprintf("%d images", net.Train.Batch)},
		{Name: "seed", Value: fmt.Sprint(net.Train.Seed)},
	}}
	if config.Steps > 0 {
		run.Passes = 0
	}
	for _, l := range net.Layers {
		if l.Learns() {
			run.Layers = append(run.Layers, l.Name)
		}
	}
	for _, class := range info.Classes {
		run.Classes = append(run.Classes, class.Name)
	}
	return run
}
