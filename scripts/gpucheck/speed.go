package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/measure"
	"alexnet/internal/process"
	"alexnet/scripts/gpucheck/result"
)

// setup is how alexnet runs a training step.
type setup struct {
	devices, precision string
	batch              int
	autotune           bool
}

var precisions = []string{"fp32", "tf32", "bf16"}

// batches are the sizes that are timed.
func (c *check) batches() []int {
	if c.quick {
		return []int{128}
	}
	return []int{128, 1024}
}

// rounds is how often a case is measured. Between two measurements of one case
// come those of all others.
func (c *check) rounds() int {
	if c.quick {
		return 1
	}
	return 3
}

// measured is what the rounds of one case gave.
type measured struct {
	speeds []float64          // images/s, of each round
	last   map[string]float64 // what else the last round gave
	err    error
}

// speed times the training step of alexnet.net.
func speed(ctx context.Context, c *check, p *Part) error {
	var setups []setup
	for _, batch := range c.batches() {
		for _, precision := range precisions {
			setups = append(setups, setup{gpu, precision, batch, false}, setup{gpu, precision, batch, true},
				setup{gpu + "," + gpu, precision, batch, true})
			if len(c.result.Machine.Devices.GPUs) > 1 {
				setups = append(setups, setup{gpu + ",cuda:1", precision, batch, true})
			}
		}
	}
	results := make([]measured, len(setups))
	deadline, _ := ctx.Deadline()
	left := 0
	for range c.rounds() {
		for i, s := range setups {
			const longest = 20 * time.Second
			if !deadline.IsZero() && time.Until(deadline) < longest {
				left++
				continue
			}
			if results[i].err != nil {
				continue // again
			}
			results[i].add(c.step(ctx, s))
		}
	}
	p.Note("Images per second of whole steps, uploads of pixels included: the median, the slowest and the fastest of %d runs of the benchmark. "+
		"Forward, backward and update were timed apart, with a wait after each. Memory is all that is in use on the first GPU.", c.rounds())
	if left > 0 {
		p.Note("There was no time for %d of %d measurements.", left, c.rounds()*len(setups))
	}
	t := p.NewTable(result.StepTitle, "devices", "precision", "batch", "autotune", "images_per_second", "slowest", "fastest",
		"forward_ms", "backward_ms", "update_ms", "memory_mib", "error")
	var errs []error
	for i, s := range setups {
		r := &results[i]
		other := func(name string) any {
			if v, ok := r.last[name]; ok {
				return v
			}
			return nil
		}
		middle, low, high := spread(r.speeds)
		t.Add(s.devices, s.precision, s.batch, s.autotune, middle, low, high,
			other("forward-ms"), other("backward-ms"), other("update-ms"), other("MiB"), r.why())
		if r.err != nil {
			errs = append(errs, r.err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d cases failed, the first with: %w", len(errs), len(setups), errs[0])
	}
	return nil
}

// step runs the benchmark of the training step once and returns its figures.
func (c *check) step(ctx context.Context, s setup) (map[string]float64, error) {
	seconds := "1s"
	if c.quick {
		seconds = "0.2s"
	}
	dir := filepath.Join(c.folder, "plan")
	autotune := ""
	if s.autotune {
		autotune = "1"
	}
	out, err := process.Run(ctx, dir, []string{
		"ALEXNET_BENCH_DEVICES=" + s.devices, "ALEXNET_BENCH_PRECISION=" + s.precision, "ALEXNET_BENCH_AUTOTUNE=" + autotune,
	}, filepath.Join(dir, "plan.test"), "-test.run=^$", fmt.Sprintf("-test.bench=^BenchmarkAlexNet$/^batch%d$", s.batch), "-test.benchtime="+seconds)
	if err != nil {
		return nil, err
	}
	return benchmark(out)
}

// benchmark reads the figures of the one benchmark in what a test binary prints.
func benchmark(out string) (map[string]float64, error) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		figures := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("the benchmark printed %q: %w", line, err)
			}
			figures[fields[i+1]] = v
		}
		if figures["images/s"] <= 0 {
			return nil, fmt.Errorf("the benchmark printed no images/s: %q", line)
		}
		return figures, nil
	}
	return nil, fmt.Errorf("the benchmark printed no figures: %q", out)
}

func (m *measured) add(figures map[string]float64, err error) {
	if err != nil {
		m.err = err
		return
	}
	m.speeds, m.last = append(m.speeds, figures["images/s"]), figures
}

// why says what went wrong, in a line.
func (m *measured) why() string {
	if m.err == nil {
		return ""
	}
	return process.Short(measure.OneLine(m.err.Error()))
}

// spread returns the median, the least and the largest, or nils.
func spread(x []float64) (middle, least, largest any) {
	if len(x) == 0 {
		return nil, nil, nil
	}
	m := measure.Median(x)
	return m, slices.Min(x), slices.Max(x)
}
