package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"alexnet/bench"
	"alexnet/internal/measure"
	"alexnet/internal/process"
	"alexnet/scripts/gpucheck/result"
)

// setup is how alexnet runs a training step.
type setup struct {
	devices, precision string
	batch              int
	autotune           bool
	noGraphs           bool
}

var precisions = []string{"fp32", "tf32", "bf16"}

// batches are the sizes that are timed.
func (c *check) batches() []int {
	if c.quick {
		return []int{128}
	}
	return []int{128, 256, 1024}
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
	speeds []float64     // images/s, of each round
	last   *bench.Report // what else the last round of ours gave
	err    error
}

// speed times the training step of alexnet.net.
func speed(ctx context.Context, c *check, p *Part) error {
	var setups []setup
	for _, batch := range c.batches() {
		for _, precision := range precisions {
			tuned := setup{devices: gpu, precision: precision, batch: batch, autotune: true}
			asked, apart, columns, replicas := tuned, tuned, tuned, tuned
			asked.autotune, apart.devices, columns.devices, replicas.devices = false, gpu+","+gpu, gpu+",cuda:1", gpu+"+cuda:1"
			setups = append(setups, asked, tuned, apart)
			if len(c.result.Machine.Devices.GPUs) > 1 {
				setups = append(setups, columns, replicas)
			}
		}
		setups = append(setups, setup{devices: gpu, precision: "bf16", batch: batch, autotune: true, noGraphs: true})
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
	p.Note("Images per second of whole steps, uploads of pixels included: the median, the slowest and the fastest of %d runs of alexnet bench. "+
		"Forward, backward and update were timed apart, with a wait after each. Memory is all that is in use on the first GPU.", c.rounds())
	p.Note(floorNote)
	if left > 0 {
		p.Note("There was no time for %d of %d measurements.", left, c.rounds()*len(setups))
	}
	columns := []string{"devices", "precision", "batch", "autotune", "images_per_second", "slowest", "fastest",
		"floor_ms", "share_of_floor", "forward_ms", "backward_ms", "update_ms", "memory_mib", "error"}
	graphs, noGraphs := p.NewTable(result.StepTitle, columns...), p.NewTable(result.StepTitle+", without CUDA graphs", columns...)
	var errs []error
	for i, s := range setups {
		r := &results[i]
		middle, low, high := spread(r.speeds)
		shares := []any{nil, nil}
		if !strings.Contains(s.devices, "cuda:1") { // the floor is one GPU's
			var err error
			if shares, err = c.shares(s.precision, s.batch, middle); err != nil {
				return err
			}
		}
		var forward, backward, update, memory any
		if l := r.last; l != nil {
			forward, backward, update, memory = l.ForwardMS, l.BackwardMS, l.UpdateMS, l.InUse>>20
		}
		t := graphs
		if s.noGraphs {
			t = noGraphs
		}
		t.Add(s.devices, s.precision, s.batch, s.autotune, middle, low, high, shares[0], shares[1], forward, backward, update, memory, r.why())
		if r.err != nil {
			errs = append(errs, r.err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d cases failed, the first with: %w", len(errs), len(setups), errs[0])
	}
	return nil
}

// step runs the benchmark of the training step once.
func (c *check) step(ctx context.Context, s setup) (*bench.Report, error) {
	rounds := "20" // each takes some steps, so that all take a second or two
	if c.quick {
		rounds = "4"
	}
	r, err := c.bench(ctx, s, "-whole", "-rounds", rounds)
	if err == nil && !(r.ImagesPerSecond > 0) {
		err = fmt.Errorf("alexnet bench measured %g images/s", r.ImagesPerSecond)
	}
	return r, err
}

// add adds what a round gave.
func (m *measured) add(r *bench.Report, err error) {
	if err != nil {
		m.err = err
		return
	}
	m.speeds, m.last = append(m.speeds, r.ImagesPerSecond), r
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
