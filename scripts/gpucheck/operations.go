package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"alexnet/bench"
	"alexnet/internal/process"
)

// bench runs alexnet bench on alexnet.net and returns its report.
func (c *check) bench(ctx context.Context, s setup, args ...string) (*bench.Report, error) {
	args = append([]string{c.program(), "bench", "-config", filepath.Join(c.folder, "alexnet.net"), "-json", "-devices", s.devices,
		"-precision", s.precision, "-batch", strconv.Itoa(s.batch), fmt.Sprintf("-autotune=%v", s.autotune), fmt.Sprintf("-no-graphs=%v", s.noGraphs)}, args...)
	out, err := process.Output(ctx, c.scratch, nil, args...)
	if err != nil {
		return nil, err
	}
	r := &bench.Report{}
	if err := json.Unmarshal(out, r); err != nil {
		return nil, fmt.Errorf("alexnet bench printed %.200q: %w", out, err)
	}
	return r, nil
}

// operations lists every operation of a step, what takes longest first: that is the
// order in which to look for speed.
func operations(ctx context.Context, c *check, p *Part) error {
	rounds := "10"
	if c.quick {
		rounds = "3"
	}
	s := setup{devices: gpu, precision: "bf16", batch: 128, autotune: true}
	r, err := c.bench(ctx, s, "-rounds", rounds)
	if err != nil {
		return err
	}
	if len(r.Operations) == 0 {
		return errors.New("alexnet bench named no operations")
	}
	slices.SortStableFunc(r.Operations, func(a, b bench.Operation) int { return cmp.Compare(b.Median, a.Median) })
	var sum float64
	for _, o := range r.Operations {
		sum += o.Median
	}
	p.Note("Batch %d in %s on %s with -autotune: a step takes %.3f ms, and its operations %.3f ms one after the other: copies overlap in a step. "+
		"Each was timed by itself, the short ones many times between two waits; small operands may lie in the GPU's cache then.",
		s.batch, s.precision, s.devices, r.StepMS, sum)
	p.Note("In a whole step %d of %d runs of operations are launched as a CUDA graph each.", r.Graphs[0], r.Graphs[1])
	p.Note("The roofline is by ceilings that alexnet measured itself: %.0f GFLOP/s in a large product, %.0f GB/s in a large copy.", r.Ceilings.GFLOPs, r.Ceilings.GBs)
	t := p.NewTable("Operations", "layer", "pass", "what", "ms", "fastest_ms", "slowest_ms", "share_of_sum", "gflop", "gb", "roofline", "repeats", "how")
	for _, o := range r.Operations {
		t.Add(o.Layer, o.Pass, o.What, o.Median, o.Min, o.Max, o.Median/sum, o.GFLOP, o.GB, o.Share, o.Repeats, o.How)
	}
	return nil
}
