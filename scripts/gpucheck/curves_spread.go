package main

import (
	"errors"
	"fmt"
	"math"

	"alexnet/internal/metrics"
)

const (
	smooth     = 20   // steps that a point of a smoothed curve is the mean of
	curveLeast = 0.03 // relative difference that is always allowed between smoothed curves
)

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
