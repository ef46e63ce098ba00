package bench

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/internal/measure"
	"alexnet/model"
	"alexnet/plan"
)

// Options say what is measured.
type Options struct {
	Net       *model.Net
	Devices   []dnn.Device
	Batch     int
	Forward   bool   // the forward pass of a test alone, without dropout
	Whole     bool   // the whole and its passes, but not operation by operation, and no ceilings
	Precision string // of the devices, for the report
	Rounds    int    // that count; a first one does not

	Progress func(done, total int64) // rounds
}

// Time is a duration over several rounds, in milliseconds.
type Time struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func timeOf(ms []float64) Time {
	return Time{measure.Median(ms), slices.Min(ms), slices.Max(ms)}
}

// Operation is one operation of one layer, over all devices. Each is timed with
// nothing beside it, so they add up to more than a step where work overlaps.
type Operation struct {
	Layer string `json:"layer"`
	Pass  string `json:"pass"` // feed, forward, backward, update or result
	What  string `json:"what"`
	Time
	GFLOP  float64 `json:"gflop"`    // of its matrix products
	GB     float64 `json:"gb"`       // of memory, each operand read or written once
	GFLOPs float64 `json:"gflops"`   // a second, by the median
	GBs    float64 `json:"gbs"`      // a second, by the median
	Share  float64 `json:"roofline"` // of what the ceilings would allow, 0 to 1
}

// Memory is what a device's plan takes.
type Memory struct {
	Device string `json:"device"`
	Kept   int64  `json:"kept_bytes"` // weights, momentum, mean
	Shared int64  `json:"work_bytes"` // activations and gradients, where lifetimes that do not meet share
}

// Report is what was measured.
type Report struct {
	Net       string    `json:"net"`
	Device    string    `json:"device"`
	Batch     int       `json:"batch"`
	Precision string    `json:"precision"`
	Forward   bool      `json:"forward_only"`
	Rounds    int       `json:"rounds"`
	CPU       string    `json:"cpu,omitempty"`
	Cores     int       `json:"cores"`
	BLAS      string    `json:"matrix_products"`
	Go        string    `json:"go"`
	Date      time.Time `json:"date"`

	ForwardMS       float64 `json:"forward_ms"` // medians
	BackwardMS      float64 `json:"backward_ms"`
	UpdateMS        float64 `json:"update_ms"`
	StepMS          float64 `json:"step_ms"` // of the whole, with nothing waited for in between
	ImagesPerSecond float64 `json:"images_per_second"`

	Step       Time        `json:"step"`
	Passes     []Time      `json:"passes"` // forward, backward, update
	Ceilings   Ceilings    `json:"ceilings"`
	Memory     []Memory    `json:"memory"`
	PeakRSS    int64       `json:"peak_rss_bytes,omitempty"` // of this process, where Linux tells
	Operations []Operation `json:"operations"`
}

// Run measures.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	mode := plan.Train
	if o.Forward {
		mode = plan.Test
	}
	s, err := NewStep(ctx, o.Net, o.Devices, plan.Options{Batch: o.Batch, Mode: mode})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := &Report{
		Net: o.Net.Name, Batch: o.Batch, Precision: o.Precision, Forward: o.Forward, Rounds: o.Rounds,
		CPU: measure.CPU(), Cores: runtime.GOMAXPROCS(0), BLAS: cpu.BLAS(), Go: runtime.Version(), Date: time.Now().UTC().Truncate(time.Second),
	}
	for i, d := range s.Program.Devices {
		if i > 0 {
			r.Device += ","
		}
		r.Device += d.Name
		r.Memory = append(r.Memory, Memory{d.Name, d.State, d.Work})
	}
	steps, err := r.rounds(ctx, s, o)
	if err != nil {
		return nil, err
	}
	r.PeakRSS, _ = measure.Memory("VmHWM") // 0 where it is not known; before the ceilings, which take memory of their own
	if o.Whole {
		return r, nil
	}
	if r.Ceilings, err = measureCeilings(ctx, o.Devices[0]); err != nil {
		return nil, err
	}
	r.operations(s.Program, steps)
	return r, nil
}

// rounds times in turn the whole, its passes and its operations, so that a slow
// moment of the machine is in each. It returns the milliseconds of each operation.
func (r *Report) rounds(ctx context.Context, s *Step, o Options) ([][]float64, error) {
	p := s.Program
	ends := []int{p.Forward, p.Update, len(p.Steps)}
	var whole []float64
	passes, steps := make([][]float64, len(ends)), make([][]float64, len(p.Steps))
	for round := range o.Rounds + 1 {
		spent := func(first, end int) (ms float64, err error) {
			started := time.Now()
			if err := s.Launch(ctx, first, end); err != nil {
				return 0, errors.Join(err, s.Wait(ctx))
			}
			err = s.Wait(ctx)
			return time.Since(started).Seconds() * 1e3, err
		}
		add := func(to *[]float64, first, end int) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			ms, err := spent(first, end)
			if round > 0 {
				*to = append(*to, ms)
			}
			return err
		}
		if err := add(&whole, 0, len(p.Steps)); err != nil {
			return nil, err
		}
		first := 0
		for i, end := range ends {
			if err := add(&passes[i], first, end); err != nil {
				return nil, err
			}
			first = end
		}
		for i := range steps {
			if o.Whole {
				break
			}
			if err := add(&steps[i], i, i+1); err != nil {
				return nil, err
			}
		}
		o.Progress(int64(round+1), int64(o.Rounds+1))
	}
	r.Step = timeOf(whole)
	for _, p := range passes {
		r.Passes = append(r.Passes, timeOf(p))
	}
	r.StepMS, r.ImagesPerSecond = r.Step.Median, float64(o.Batch)/r.Step.Median*1e3
	r.ForwardMS, r.BackwardMS, r.UpdateMS = r.Passes[0].Median, r.Passes[1].Median, r.Passes[2].Median
	return steps, nil
}

// operations adds the steps up that do the same for a layer.
func (r *Report) operations(p *plan.Program, ms [][]float64) {
	type key struct {
		layer      int
		pass, what string
	}
	index := map[key]int{}
	var sums [][]float64
	for i := range p.Steps {
		s := &p.Steps[i]
		k := key{s.Layer, s.Pass.String(), plan.ActionName(s.Action)}
		at, ok := index[k]
		if !ok {
			at = len(sums)
			index[k] = at
			sums = append(sums, make([]float64, len(ms[i])))
			r.Operations = append(r.Operations, Operation{Layer: p.LayerName(s.Layer), Pass: k.pass, What: k.what})
		}
		for round, v := range ms[i] {
			sums[at][round] += v
		}
		flop, bytes := work(p, i)
		r.Operations[at].GFLOP += flop / 1e9
		r.Operations[at].GB += bytes / 1e9
	}
	for i := range r.Operations {
		o := &r.Operations[i]
		o.Time = timeOf(sums[i])
		seconds := o.Median / 1e3
		o.GFLOPs, o.GBs = o.GFLOP/seconds, o.GB/seconds
		o.Share = max(o.GFLOP/r.Ceilings.GFLOPs, o.GB/r.Ceilings.GBs) / seconds
	}
}
