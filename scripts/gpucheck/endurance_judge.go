package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"alexnet/internal/measure"
	"alexnet/internal/metrics"
	"alexnet/scripts/gpucheck/result"
)

// minutes returns the speed in each minute of a training that is over: medians of its
// lines, which have no place for the time but for how long each took. The last one is
// the minute before the end. A checkpoint counts in one line alone.
func minutes(lines []metrics.Metric, minute time.Duration) (speeds []float64) {
	type line struct{ end, speed float64 }
	var all []line
	end, step := 0.0, int64(0)
	for _, m := range lines {
		if m.Kind != metrics.Train {
			continue
		}
		end += float64((m.Step-step)*enduranceBatch) / m.ImagesPerSecond
		step = m.Step
		all = append(all, line{end, m.ImagesPerSecond})
	}
	long := minute.Seconds()
	for n := int(end / long); len(speeds) < n; {
		from := float64(len(speeds)) * long
		if len(speeds) == n-1 {
			from = end - long
		}
		var in []float64
		for _, l := range all {
			if l.end > from && l.end <= from+long {
				in = append(in, l.speed)
			}
		}
		if in == nil {
			return nil // a line takes longer than a minute
		}
		speeds = append(speeds, measure.Median(in))
	}
	return speeds
}

// summarise tells the samples of each minute, and its speed.
func (s *sampler) summarise(p *Part, minute time.Duration, speeds []float64) {
	t := p.NewTable("Minutes", "to_second", "samples", "resident_least_mib", "resident_most_mib", "gpu_least_mib", "gpu_most_mib", "images_per_second")
	for n := range int(s.long / minute) {
		end := time.Duration(n+1) * minute
		var resident, gpu []float64
		for _, x := range s.samples {
			if x.at <= end && (x.at > end-minute || n == 0) || x.at > end && end == s.long { // the last is a little late
				resident, gpu = append(resident, x.resident), append(gpu, x.gpu)
			}
		}
		var speed any
		if n < len(speeds) {
			speed = speeds[n]
		}
		_, residentLeast, residentMost := spread(resident)
		_, gpuLeast, gpuMost := spread(gpu)
		if s.noGPU != nil {
			gpuLeast, gpuMost = nil, nil
		}
		t.Add(end.Seconds(), len(resident), residentLeast, residentMost, gpuLeast, gpuMost, speed)
	}
}

// judge holds the end against the first minute.
func (s *sampler) judge(p *Part, minute time.Duration, speeds []float64) error {
	// There is one: the last is not before the end.
	first := s.samples[slices.IndexFunc(s.samples, func(x sample) bool { return x.at >= minute })]
	last := s.samples[len(s.samples)-1]
	t := p.NewTable(result.EnduranceTitle, "what", "unit", "first", "last", "change", "allowed", "seconds", "as_wanted")
	var errs []error
	memory := func(what string, first, last float64) {
		allowed := mayGrow*first + mayGrowMiB
		t.Add(what, "MiB", first, last, last-first, allowed, s.long.Seconds(), last-first < allowed)
		if !(last-first < allowed) {
			errs = append(errs, fmt.Errorf("%s has grown from %.0f to %.0f MiB; %.0f MiB more are allowed", what, first, last, allowed))
		}
	}
	memory(result.HostMemory, first.resident, last.resident)
	if s.noGPU == nil {
		memory(result.GPUMemory, first.gpu, last.gpu)
	} else {
		p.Note("The GPU's memory was not looked at: %v", s.noGPU)
	}
	if len(speeds) < 3 {
		return errors.Join(append(errs, fmt.Errorf("metrics.jsonl has the speed of %d minutes, not of the second and of the last", len(speeds)))...)
	}
	second, end := speeds[1], speeds[len(speeds)-1]
	t.Add(result.Speed, "images/s", second, end, end-second, (keepsSpeed-1)*second, s.long.Seconds(), end >= keepsSpeed*second)
	if !(end >= keepsSpeed*second) {
		errs = append(errs, fmt.Errorf("the speed has fallen from %.0f images/s in the second minute to %.0f in the last: to %.3f, and %g is allowed", second, end, end/second, keepsSpeed))
	}
	return errors.Join(errs...)
}
