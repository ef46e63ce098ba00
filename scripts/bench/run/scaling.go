package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"alexnet/bench"
	"alexnet/internal/process"

	"github.com/urfave/cli/v2"
)

// sweep is a series of measurements in which one thing grows.
type sweep struct {
	name, axis string
	points     []point
}

// point is one measurement: alexnet bench with these settings.
type point struct {
	x       float64
	label   string
	batch   int
	devices string
	set     []string
}

// scalingBatch is the batch of the sweeps over other things: small enough that a
// step takes a CPU about a second.
const scalingBatch = 32

// sweeps are over everything that a user may make larger.
func sweeps() []sweep {
	batch := sweep{name: "Batch size", axis: "images a step"}
	for _, n := range []int{4, 8, 16, 32, 64, 128} {
		batch.points = append(batch.points, point{x: float64(n), label: fmt.Sprint(n), batch: n, devices: "cpu"})
	}
	size := sweep{name: "Image size", axis: "height and width of the input, pixels"}
	for _, n := range []int{112, 160, 224, 288} {
		size.points = append(size.points, point{x: float64(n), label: fmt.Sprint(n), batch: scalingBatch, devices: "cpu",
			set: []string{fmt.Sprintf("input=3x%dx%d", n, n), fmt.Sprintf("data.crop=%d", n)}})
	}
	width := sweep{name: "Width", axis: "kernels and neurons, in parts of the paper's"}
	for _, eighths := range []int{2, 4, 6, 8} {
		p := point{x: float64(eighths) / 8, label: fmt.Sprintf("%d/8", eighths), batch: scalingBatch, devices: "cpu"}
		for _, l := range []struct {
			word  string
			count int
		}{{"conv1.kernels", 96}, {"conv2.kernels", 256}, {"conv3.kernels", 384}, {"conv4.kernels", 384}, {"conv5.kernels", 256}, {"fc6.outputs", 4096}, {"fc7.outputs", 4096}} {
			p.set = append(p.set, fmt.Sprintf("%s=%d", l.word, l.count*eighths/8))
		}
		width.points = append(width.points, p)
	}
	columns := sweep{name: "Columns", axis: "columns that the kernels are divided over"}
	for _, n := range []int{1, 2, 4, 8} {
		columns.points = append(columns.points, point{x: float64(n), label: fmt.Sprint(n), batch: scalingBatch, devices: "cpu", set: []string{fmt.Sprintf("columns=%d", n)}})
	}
	devices := sweep{name: "Devices", axis: "devices that two columns are placed on, all of them this CPU"}
	for n, list := range []string{"cpu", "cpu,cpu"} {
		devices.points = append(devices.points, point{x: float64(n + 1), label: list, batch: scalingBatch, devices: list})
	}
	return []sweep{batch, size, width, columns, devices}
}

// ScalingResult is the content of the JSON file.
type ScalingResult struct {
	Result
	BLAS   string  `json:"matrix_products"`
	Rounds int     `json:"rounds"`
	Sweeps []Sweep `json:"sweeps"`
}

// Sweep is what was measured while one thing grew.
type Sweep struct {
	Name   string         `json:"name"`
	Axis   string         `json:"axis"`
	Points []ScalingPoint `json:"points"`
}

// ScalingPoint is a training step of alexnet.net with something changed.
type ScalingPoint struct {
	X      float64 `json:"x"`
	Label  string  `json:"label"`
	MS     Series  `json:"ms_per_image"`
	Memory int64   `json:"plan_bytes"` // of weights, momentum, activations and gradients, on all devices
	Peak   int64   `json:"peak_rss_bytes"`
}

var scalingCommand = &cli.Command{
	Name:  "scaling",
	Usage: "time and memory of a training step of alexnet.net as batch, images, width, columns and devices grow",
	Description: "Each point is measured once a round. Beside the two files with the table it draws a picture of the\n" +
		"same name.",
	Flags: []cli.Flag{
		&cli.IntFlag{Name: "rounds", Value: 3, Usage: "measure each point `N` times"},
		othersFlag(),
		&cli.StringFlag{Name: "config", DefaultText: "alexnet.net of the source", Usage: "`FILE` of a network with alexnet.net's layers"},
		&cli.StringFlag{Name: "out", DefaultText: "bench/results of the source", Usage: "`FOLDER` that the files go into"},
	},
	Action: func(c *cli.Context) (err error) {
		s := &scaling{root: c.String("root"), config: c.String("config"), out: c.String("out"), rounds: c.Int("rounds"), log: c.App.ErrWriter,
			result: &ScalingResult{Result: newResult("scaling"), Rounds: c.Int("rounds")}}
		switch {
		case c.NArg() > 0:
			return usagef("what is %q? bench scaling takes flags alone", c.Args().First())
		case s.rounds < 1:
			return usagef("-rounds %d: want at least 1", s.rounds)
		}
		if s.config == "" {
			s.config = filepath.Join(s.root, "alexnet.net")
		}
		if s.out == "" {
			s.out = filepath.Join(s.root, "bench", "results")
		}
		if s.quiet, err = newQuiet(c); err != nil {
			return err
		}
		s.result.Load = s.quiet.load
		work, end, err := workFolder("")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		if err := s.run(c.Context, work, sweeps()); err != nil {
			return err
		}
		if err := publish(c, s.out, s.result.fileName(), s.result, s.result.markdown()); err != nil {
			return err
		}
		picture := filepath.Join(s.out, s.result.fileName()+".png")
		if err := s.result.draw(picture); err != nil {
			return err
		}
		fmt.Fprintf(s.log, "and %s\n", picture)
		return nil
	},
}

// scaling is a run of the benchmark.
type scaling struct {
	root, config, out string
	rounds            int
	log               io.Writer
	quiet             *quiet
	result            *ScalingResult
}

func (s *scaling) run(ctx context.Context, work string, sweeps []sweep) error {
	s.result.Commit = commit(ctx, s.root)
	program, err := build(ctx, s.root, work)
	if err != nil {
		return err
	}
	var cases []measurement
	var points []*ScalingPoint
	for _, sw := range sweeps {
		s.result.Sweeps = append(s.result.Sweeps, Sweep{Name: sw.name, Axis: sw.axis, Points: make([]ScalingPoint, len(sw.points))})
		for i, p := range sw.points {
			to := &s.result.Sweeps[len(s.result.Sweeps)-1].Points[i]
			to.X, to.Label = p.x, p.label
			points = append(points, to)
			cases = append(cases, measurement{sw.name + " " + p.label, func(ctx context.Context) (float64, error) { return s.measure(ctx, program, p, to) }})
		}
	}
	all, err := alternate(ctx, s.rounds, cases, s.quiet)
	if err != nil {
		return err
	}
	for i, p := range points {
		p.MS = all[i]
	}
	return nil
}

// measure returns milliseconds an image.
func (s *scaling) measure(ctx context.Context, program string, p point, to *ScalingPoint) (float64, error) {
	args := []string{program, "bench", "-config", s.config, "-whole", "-json", "-rounds", "3", "-batch", fmt.Sprint(p.batch), "-devices", p.devices}
	for _, set := range p.set {
		args = append(args, "-set", set)
	}
	out, err := process.Output(ctx, "", nil, args...)
	if err != nil {
		return 0, err
	}
	var r bench.Report
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, fmt.Errorf("the benchmark printed %.200q: %w", out, err)
	}
	to.Memory = 0
	for _, m := range r.Memory {
		to.Memory += m.Kept + m.Shared
	}
	to.Peak = max(to.Peak, r.PeakRSS)
	s.result.BLAS = r.BLAS
	return 1e3 / r.ImagesPerSecond, nil
}

// markdown returns the result for people.
func (r *ScalingResult) markdown() []byte {
	var b bytes.Buffer
	r.header(&b, "Scaling")
	fmt.Fprintf(&b, "- matrix products: %s\n", r.BLAS)
	fmt.Fprintf(&b, "\nA training step of alexnet.net, batch %d where it does not say otherwise: medians of %d rounds, with the least and the most.\n", scalingBatch, r.Rounds)
	for _, s := range r.Sweeps {
		fmt.Fprintf(&b, "\n## %s\n", s.Name)
		var rows [][]any
		for _, p := range s.Points {
			rows = append(rows, []any{p.Label, fmt.Sprintf("%.1f (%.1f to %.1f)", p.MS.Median, p.MS.Least, p.MS.Most), fmt.Sprintf("%.1f", 1e3/p.MS.Median),
				fmt.Sprintf("%d MiB", p.Memory>>20), fmt.Sprintf("%d MiB", p.Peak>>20)})
		}
		table(&b, []string{s.Axis, "ms an image", "images/s", "memory of the plan", "of the process"}, rows...)
	}
	return b.Bytes()
}
