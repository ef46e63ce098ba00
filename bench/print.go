package bench

import (
	"fmt"
	"io"
	"text/tabwriter"

	"alexnet/plan"
)

// Write prints the report: the whole first, then operation by operation.
func (r *Report) Write(w io.Writer) error {
	what := "training step"
	if r.Forward {
		what = "forward pass"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s of %s, batch %d, on %s (%s); %d cores, %s\n", what, r.Net, r.Batch, r.Device, r.Precision, r.Cores, r.BLAS)
	fmt.Fprintf(t, "%.1f images/s; medians of %d rounds, with the fastest and the slowest\n\n", r.ImagesPerSecond, r.Rounds)
	for i, name := range passNames {
		if !r.Forward || i == 0 {
			fmt.Fprintf(t, "%s\t%s ms\t\n", name, r.Passes[i])
		}
	}
	fmt.Fprintf(t, "whole\t%s ms\t\n\n", r.Step)
	if r.Ceilings != (Ceilings{}) {
		fmt.Fprintf(t, "ceilings: %.0f GFLOP/s in a large matrix product, %.1f GB/s in a large copy\n", r.Ceilings.GFLOPs, r.Ceilings.GBs)
	}
	for _, m := range r.Memory {
		fmt.Fprintf(t, "memory of %s: %s kept, %s of work\n", m.Device, plan.Bytes(m.Kept), plan.Bytes(m.Shared))
	}
	if r.PeakRSS > 0 {
		fmt.Fprintf(t, "memory of this process: at most %s\n", plan.Bytes(r.PeakRSS))
	}
	if len(r.Operations) == 0 {
		return t.Flush()
	}
	layer, repeated := 0, false
	for _, o := range r.Operations {
		layer, repeated = max(layer, len(o.Layer)), repeated || o.Repeats > 1
	}
	if repeated {
		fmt.Fprintf(t, "operations of less than %v were issued several times in a row, so that waits and launches do not count; small operands may lie in a cache then\n", leastOperation)
	}
	name := func(l, pass, what string) string { return fmt.Sprintf("%-*s  %-8s  %-20s", layer, l, pass, what) }
	fmt.Fprint(t, "\n"+name("layer", "pass", "")+"\tms\tfastest\tslowest\tGFLOP/s\tGB/s\troofline\t\n")
	for _, o := range r.Operations {
		flops := ""
		if o.GFLOP > 0 {
			flops = fmt.Sprintf("%.1f", o.GFLOPs)
		}
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%s\t%.1f\t%.0f%%\t\n", name(o.Layer, o.Pass, o.What), o.Median, o.Min, o.Max, flops, o.GBs, 100*o.Share)
	}
	return t.Flush()
}

func (t Time) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", t.Median, t.Min, t.Max) }
