package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"alexnet/bench"
	"alexnet/internal/metrics"
	"alexnet/internal/process"
	"alexnet/loader"
	"alexnet/scripts/gpucheck/result"
)

const (
	fedSteps = 350  // of a training
	fedFirst = 50   // of them, which do not count
	fedAim   = 0.95 // of the bare step's speed
)

// fed is what the rounds of one batch gave, in images per second.
type fed struct {
	batch          int
	data           string // long enough a pass that there is no checkpoint but the last
	training, step []float64
	ratios         []float64
	err            error
}

// feeding times trainings from records to weights beside the step alone, and the loader
// alone: they tell whether the GPU waits for images.
func feeding(ctx context.Context, c *check, p *Part) (err error) {
	batches := []*fed{{batch: 128}, {batch: 1024}}
	if c.quick {
		batches = batches[:1]
	}
	for _, f := range batches {
		f.data, err = portion(c.data, filepath.Join(c.scratch, fmt.Sprintf("feeding-%d.set", f.batch)), (fedSteps+fedFirst)*f.batch)
		if err != nil {
			return err
		}
	}
	var loading measured
	cores := 0
	for range c.rounds() {
		for _, f := range batches {
			if f.err == nil { // or it would be the same again
				f.err = f.round(ctx, c)
			}
		}
		if loading.err == nil {
			b, err := c.loading(ctx)
			loading.add(&bench.Report{ImagesPerSecond: b.ImagesPerSecond}, err)
			cores = max(cores, b.Cores)
		}
	}
	p.Note("Images per second on %s in bf16 with -autotune: the median, the slowest and the fastest of %d rounds, in turns. Training is alexnet train on images of -data, "+
		"steps %d to %d by metrics.jsonl; the step is alexnet bench -whole. The ratio, the median over the rounds, is aimed at %g or more. "+
		"90 passes are those of the paper over 1.2 million images, at the speed of the training.", gpu, c.rounds(), fedFirst, fedSteps, fedAim)
	t := p.NewTable(result.FeedingTitle, "batch", "training", "training_slowest", "training_fastest", "step", "step_slowest", "step_fastest", "ratio", "as_aimed", "90_passes", "error")
	errs := []error{loading.err}
	for _, f := range batches {
		f.tell(t)
		errs = append(errs, f.err)
	}
	middle, least, most := spread(loading.speeds)
	p.NewTable("The loader alone", "cores", "images_per_second", "slowest", "fastest", "error").Add(cores, middle, least, most, loading.why())
	return errors.Join(errs...)
}

// round measures a training and the bare step, one after the other.
func (f *fed) round(ctx context.Context, c *check) error {
	training, err := c.fedTraining(ctx, f.data, f.batch)
	if err != nil {
		return err
	}
	r, err := c.step(ctx, setup{devices: gpu, precision: "bf16", batch: f.batch, autotune: true})
	if err != nil {
		return err
	}
	f.training, f.step, f.ratios = append(f.training, training), append(f.step, r.ImagesPerSecond), append(f.ratios, training/r.ImagesPerSecond)
	return nil
}

// tell adds the row of a batch.
func (f *fed) tell(t *Table) {
	training, trainingLeast, trainingMost := spread(f.training)
	step, stepLeast, stepMost := spread(f.step)
	ratio, _, _ := spread(f.ratios)
	var aimed, passes any
	if ratio != nil {
		aimed, passes = ratio.(float64) >= fedAim, bench.Span(result.PaperImages/training.(float64))
	}
	t.Add(f.batch, training, trainingLeast, trainingMost, step, stepLeast, stepMost, ratio, aimed, passes, (&measured{err: f.err}).why())
}

// fedTraining trains alexnet.net and returns its images per second.
func (c *check) fedTraining(ctx context.Context, data string, batch int) (float64, error) {
	lines, err := c.train(ctx, "alexnet.net", data, "-devices", gpu, "-precision", "bf16", "-autotune",
		"-steps", strconv.Itoa(fedSteps), "-set", fmt.Sprintf("train.batch=%d", batch))
	if err != nil {
		return 0, err
	}
	return speedAfter(lines, fedFirst, batch)
}

// speedAfter returns the images per second of a training after its first steps.
func speedAfter(lines []metrics.Metric, first int64, batch int) (float64, error) {
	images, seconds, step := 0.0, 0.0, int64(0)
	for _, m := range lines {
		if m.Kind != metrics.Train {
			continue
		}
		if step >= first {
			n := float64(m.Step-step) * float64(batch)
			images, seconds = images+n, seconds+n/m.ImagesPerSecond
		}
		step = m.Step
	}
	if !(images/seconds > 0) {
		return 0, fmt.Errorf("metrics.jsonl tells no speed after step %d", first)
	}
	return images / seconds, nil
}

// loading times the loader alone.
func (c *check) loading(ctx context.Context) (b loader.Benchmark, err error) {
	seconds := "10"
	if c.quick {
		seconds = "3"
	}
	out, err := process.Output(ctx, c.scratch, nil, c.program(), "bench", "loader", "-data", c.data, "-json", "-seconds", seconds)
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(out, &b); err != nil {
		return b, fmt.Errorf("alexnet bench loader printed %.200q: %w", out, err)
	}
	if !(b.ImagesPerSecond > 0) {
		return b, fmt.Errorf("alexnet bench loader measured %g images/s", b.ImagesPerSecond)
	}
	return b, nil
}
