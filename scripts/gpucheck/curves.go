package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

const (
	smooth        = 20   // steps that a point of a smoothed curve is the mean of
	curveLeast    = 0.03 // relative difference that is always allowed between smoothed curves
	graphsRounded = 1e-3 // relative difference of losses with graphs and without, if sums are in any order
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

// againstFP32 holds the smoothed curves of tf32 and bf16 against that of fp32.
func againstFP32(p *Part, runs []curve) error {
	p.Note("Curves are smoothed: a point is the mean of %d steps. At every point tf32 and bf16 may differ from fp32 as much as its two seeds do within %d steps of it, or by %g%%.", smooth, smooth, 100*curveLeast)
	t := p.NewTable("Smoothed curves against fp32, where they use most of what is allowed", "run", "step", "loss", "fp32", "fp32_seed_2", "difference", "allowed")
	fp32, other := smoothed(runs[curveFP32].lines), smoothed(runs[curveOther].lines)
	if fp32 == nil || other == nil {
		return nil // which has been told
	}
	may := allowed(fp32, other)
	var errs []error
	for _, r := range []curve{runs[curveTF32], runs[curveBF16]} {
		x := smoothed(r.lines)
		if x == nil {
			continue
		}
		i, share := strays(x, fp32, may)
		step, d := i+smooth, math.Abs(x[i]-fp32[i])
		t.Add(r.name, step, x[i], fp32[i], other[i], d, may[i])
		if !(share <= 1) { // nor if it is no number
			errs = append(errs, fmt.Errorf("at step %d the smoothed loss of %s is %.4g, and of fp32 %.4g: they differ by %.2g, and %.2g is allowed", step, r.name, x[i], fp32[i], d, may[i]))
		}
	}
	return errors.Join(errs...)
}

// allowed returns how much a curve may differ from that of fp32 at each point, by what
// another seed makes of it. Two seeds' curves cross, so that they are looked at around
// the point as well.
func allowed(fp32, other []float64) []float64 {
	may := make([]float64, len(fp32))
	for i := range fp32 {
		may[i] = curveLeast * math.Abs(fp32[i])
		for j := max(0, i-smooth); j < min(len(fp32), i+smooth+1); j++ {
			may[i] = max(may[i], math.Abs(fp32[j]-other[j]))
		}
	}
	return may
}

// strays returns the point at which a curve uses the largest share of what it may
// differ.
func strays(x, fp32, may []float64) (at int, share float64) {
	for i := range fp32 {
		s := math.Abs(x[i]-fp32[i]) / may[i]
		if math.IsNaN(s) {
			return i, s
		}
		if s > share {
			at, share = i, s
		}
	}
	return at, share
}

// smoothed returns the means of the losses of so many steps in a row.
func smoothed(lines []metrics.Metric) []float64 {
	var means []float64
	for i := smooth; i <= len(lines); i++ {
		sum := 0.0
		for _, m := range lines[i-smooth : i] {
			sum += m.Loss
		}
		means = append(means, sum/smooth)
	}
	return means
}

// againstGraphs holds the lines of a training with graphs against those without: a
// graph launches the very same kernels.
func againstGraphs(p *Part, graphs, plain []metrics.Metric) error {
	if graphs == nil || plain == nil {
		return nil // which has been told
	}
	differ, most, at := 0, 0.0, 0
	for i := range graphs {
		same, err := sameLine(graphs[i], plain[i])
		if err != nil {
			return err
		}
		if !same {
			differ++
		}
		if d := math.Abs(graphs[i].Loss-plain[i].Loss) / math.Abs(plain[i].Loss); d > most || math.IsNaN(d) {
			most, at = d, i+1
		}
	}
	switch {
	case differ == 0:
		p.Note("bf16 with graphs and without: all %d lines of metrics.jsonl are the same but for the speed.", len(graphs))
		return nil
	case most <= graphsRounded:
		p.Note("bf16 with graphs and without: %d of %d lines of metrics.jsonl differ, losses by at most %.2g of them, at step %d. "+
			"That is what algorithms do that add in any order, and allowed up to %g.", differ, len(graphs), most, at, graphsRounded)
		return nil
	}
	return fmt.Errorf("bf16 with graphs and without: %d of %d lines of metrics.jsonl differ, losses by up to %.2g of them, at step %d, and %g is allowed", differ, len(graphs), most, at, graphsRounded)
}

// sameLine reports whether two lines are the same, byte for byte, but for the speed.
func sameLine(a, b metrics.Metric) (bool, error) {
	a.ImagesPerSecond, b.ImagesPerSecond = 0, 0
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return string(x) == string(y), err
}
