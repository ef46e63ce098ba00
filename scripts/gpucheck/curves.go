package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"alexnet/internal/metrics"
	"alexnet/internal/process"
)

// curve is a training whose losses are held against those of others.
type curve struct {
	name  string
	args  []string
	lines []metrics.Metric // one a step; nil if the training failed
}

// The runs of the part curves, in its order.
const (
	curveFP32 = iota
	curveOther
	curveTF32
	curveBF16
	curvePlain
)

// curves trains alexnet.net on real images in every precision and holds the losses
// against those of fp32, and, in bf16, those with graphs against those without.
// Rounding makes the losses of two precisions part with time, as the seed does:
// it must not do so by more. This is for the first steps, whose losses are high: those
// of a network that has learned its images are noise, of which 3% is little.
func curves(ctx context.Context, c *check, p *Part) error {
	const batch = 128
	steps := 300
	if c.quick {
		steps = 100
	}
	// Short enough for a line every step, whatever the shards.
	data, err := portion(c.data, filepath.Join(c.scratch, "curves.set"), 100*batch)
	if err != nil {
		return err
	}
	runs := []curve{
		curveFP32:  {name: "fp32", args: []string{"-precision", "fp32", "-seed", "1"}},
		curveOther: {name: "fp32 seed 2", args: []string{"-precision", "fp32", "-seed", "2"}},
		curveTF32:  {name: "tf32", args: []string{"-precision", "tf32", "-seed", "1"}},
		curveBF16:  {name: "bf16", args: []string{"-precision", "bf16", "-seed", "1"}},
		curvePlain: {name: "bf16 no graphs", args: []string{"-precision", "bf16", "-seed", "1", "-no-graphs"}},
	}
	p.Note("%d steps of batch %d on images of -data, the rate of the file, seed 1 but where another is named.", steps, batch)
	dir := filepath.Join(c.scratch, "curves")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	var errs []error
	for i := range runs {
		r := &runs[i]
		r.args = append(r.args, "-devices", gpu, "-steps", strconv.Itoa(steps), "-set", fmt.Sprintf("train.batch=%d", batch))
		if r.lines, err = c.recorded(ctx, filepath.Join(dir, r.name), data, r.args, steps); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
		}
	}
	errs = append(errs, c.drawCurves(ctx, p, dir, runs))
	lossesAt(p, runs, steps)
	return errors.Join(append(errs, againstFP32(p, runs), againstGraphs(p, runs[curveBF16].lines, runs[curvePlain].lines))...)
}

// recorded trains alexnet.net, keeps the metrics at path, and returns those of each
// step.
func (c *check) recorded(ctx context.Context, path, data string, args []string, steps int) ([]metrics.Metric, error) {
	run := filepath.Join(c.scratch, "run")
	defer os.RemoveAll(run) // a checkpoint takes half a gigabyte
	if _, err := process.Run(ctx, c.scratch, nil, append(c.training("alexnet.net", data, run), args...)...); err != nil {
		return nil, err
	}
	if err := os.Rename(filepath.Join(run, "metrics.jsonl"), path); err != nil {
		return nil, err
	}
	all, err := metrics.Read(path)
	var lines []metrics.Metric
	for _, m := range all {
		if m.Kind == metrics.Train {
			lines = append(lines, m)
		}
	}
	if err == nil && len(lines) != steps {
		return nil, fmt.Errorf("%d losses instead of %d", len(lines), steps)
	}
	return lines, err
}

// drawCurves draws the runs that did not fail.
func (c *check) drawCurves(ctx context.Context, p *Part, dir string, runs []curve) error {
	drawn := filepath.Join(c.scratch, "curves.png")
	args := []string{c.program(), "plot", "-out", drawn}
	for _, r := range runs {
		if r.lines != nil {
			args = append(args, filepath.Join(dir, r.name))
		}
	}
	if len(args) == 4 {
		return nil
	}
	if _, err := process.Run(ctx, c.scratch, nil, args...); err != nil {
		return err
	}
	name, err := c.picture(drawn, "curves")
	if err == nil {
		p.Note("The curves are in [%s](%s).", name, name)
	}
	return err
}

// lossesAt tells some losses of every run.
func lossesAt(p *Part, runs []curve, steps int) {
	columns := []string{"step"}
	for _, r := range runs {
		columns = append(columns, r.name)
	}
	t := p.NewTable("Losses", columns...)
	for step := 1; step <= steps; step = step/50*50 + 50 {
		row := []any{step}
		for _, r := range runs {
			if r.lines == nil {
				row = append(row, nil)
				continue
			}
			row = append(row, strconv.FormatFloat(r.lines[step-1].Loss, 'f', 6, 64))
		}
		t.Add(row...)
	}
}
