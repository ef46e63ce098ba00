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
	Net *model.Net
	plan.Placement
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
	How   string `json:"how,omitempty"` // on a GPU: in which numbers, with which algorithm
	Time
	Repeats int     `json:"repeats"`  // launches between two waits, the time shared by them
	GFLOP   float64 `json:"gflop"`    // of its matrix products
	GB      float64 `json:"gb"`       // of memory, each operand read or written once
	GFLOPs  float64 `json:"gflops"`   // a second, by the median
	GBs     float64 `json:"gbs"`      // a second, by the median
	Share   float64 `json:"roofline"` // of what the ceilings would allow; more than 1 where a cache holds what is repeated
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

	// Losses of the first step, at the network's rate for all layers, and after it.
	// Whoever starts from [Weights] and [Pixels], with label i modulo the classes for
	// image i, has the same on one device but for rounding and dropout. -forward has the
	// first alone.
	Losses []float64 `json:"losses"`

	Repeats int `json:"repeats"` // steps that were issued between two waits

	Graphs [2]int `json:"graphs"` // how many runs of operations were launched as a CUDA graph, and of how many

	Step       Time        `json:"step"`
	Passes     []Time      `json:"passes"` // forward, backward, update
	Ceilings   Ceilings    `json:"ceilings"`
	Memory     []Memory    `json:"memory"`
	PeakRSS    int64       `json:"peak_rss_bytes,omitempty"` // of this process, where Linux tells
	InUse      int64       `json:"in_use_bytes,omitempty"`   // of the first GPU's memory, by whomever
	Operations []Operation `json:"operations"`
}

// Run measures.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	mode := plan.Train
	if o.Forward {
		mode = plan.Test
	}
	s, err := NewStep(ctx, o.Net, o.Placement, plan.Options{Batch: o.Batch, Mode: mode})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := &Report{
		Net: o.Net.Name, Device: o.Placement.String(), Batch: o.Batch, Precision: o.Precision, Forward: o.Forward, Rounds: o.Rounds,
		CPU: measure.CPU(), Cores: runtime.GOMAXPROCS(0), BLAS: cpu.BLAS(), Go: runtime.Version(), Date: time.Now().UTC().Truncate(time.Second),
	}
	for _, d := range s.Program.Devices {
		r.Memory = append(r.Memory, Memory{d.Name, d.State, d.Work})
	}
	if r.Losses, err = s.Losses(ctx, o.Net.Train.Rate); err != nil {
		return nil, err
	}
	steps, err := r.rounds(ctx, s, o)
	if err != nil {
		return nil, err
	}
	r.Graphs[0], r.Graphs[1] = s.runner.Graphs(s.Program)
	r.PeakRSS, _ = measure.Memory("VmHWM") // 0 where it is not known; before the ceilings, which take memory of their own
	if r.InUse, err = inUse(o.Devices[0]); err != nil {
		return nil, err
	}
	if o.Whole {
		return r, nil
	}
	if r.Ceilings, err = measureCeilings(ctx, o.Devices[0]); err != nil {
		return nil, err
	}
	r.operations(s, steps)
	return r, nil
}

// inUse returns how much of a GPU's memory is in use, and 0 for the CPU.
func inUse(d dnn.Device) (int64, error) {
	gpu, ok := d.(interface {
		Memory() (free, total int64, err error)
	})
	if !ok {
		return 0, nil
	}
	free, total, err := gpu.Memory()
	return total - free, err
}

// A wait, and a launch that nothing hides, take some ten microseconds on a GPU. So
// what is shorter than these is issued several times between two waits.
const (
	leastStep      = 20 * time.Millisecond // a whole step
	leastOperation = time.Millisecond
	mostRepeats    = 100
)

// part is a range of the program's steps that is timed by itself.
//
// A whole step may be repeated, and so may a single operation: its operands all live
// while it works, so none of them lies in the memory of another, and it overwrites its
// results. What works in place does add up (an update, a sum) or shrink (a scale), but
// weights stay small at the rate of these steps, and the next round makes all else
// anew. A pass must not be repeated: backward reads what forward left, and writes over it.
type part struct {
	first, end int
	least      time.Duration // that a measurement takes, by repeating; 0: it is run once
	repeats    int
	ms         []float64 // of each round, for one repetition
}

// launcher is a [Step] but in tests.
type launcher interface {
	Launch(ctx context.Context, first, end int) error
	Repeat(ctx context.Context, step, times int) error
	Wait(ctx context.Context) error
}

// single reports whether the part is one step.
func (t *part) single() bool { return t.end == t.first+1 }

// measure adds a measurement.
func (t *part) measure(ctx context.Context, s launcher) error {
	took, err := t.spent(ctx, s)
	t.ms = append(t.ms, took.Seconds()*1e3/float64(t.repeats))
	return err
}

// settle chooses the repeats. Its first runs may load, and make ready, what the later
// ones find, so the fastest counts; one that takes very long does so by its work.
func (t *part) settle(ctx context.Context, s launcher) error {
	const veryLong = 50 // of what a measurement takes at least
	t.repeats = 1
	var all []time.Duration
	for len(all) < 3 {
		once, err := t.spent(ctx, s)
		if err != nil || once >= veryLong*t.least {
			return err
		}
		all = append(all, once)
	}
	t.repeats = repeatsFor(slices.Min(all), t.least)
	if t.single() && t.repeats > 1 {
		for range 2 { // the second of which makes a graph of them, where there are graphs
			if _, err := t.spent(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeatsFor returns how many runs of once take at least so long.
func repeatsFor(once, least time.Duration) int {
	if once <= 0 {
		return mostRepeats
	}
	return int(min((least+once-1)/once, mostRepeats))
}

// spent returns what the repeats take together.
func (t *part) spent(ctx context.Context, s launcher) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	started := time.Now()
	if err := t.launch(ctx, s); err != nil {
		return 0, errors.Join(err, s.Wait(ctx))
	}
	err := s.Wait(ctx)
	return time.Since(started), err
}

// launch issues the repeats.
func (t *part) launch(ctx context.Context, s launcher) error {
	if t.single() {
		return s.Repeat(ctx, t.first, t.repeats)
	}
	for range t.repeats {
		if err := s.Launch(ctx, t.first, t.end); err != nil {
			return err
		}
	}
	return nil
}

// rounds times in turn the whole, its passes and its operations, so that a slow
// moment of the machine is in each. It returns the parts of the operations, one a step.
func (r *Report) rounds(ctx context.Context, s *Step, o Options) ([]*part, error) {
	p := s.Program
	whole := &part{end: len(p.Steps), least: leastStep}
	all := []*part{whole}
	first := 0
	for _, end := range []int{p.Forward, p.Update, len(p.Steps)} {
		all = append(all, &part{first: first, end: end})
		first = end
	}
	passes := all[1:]
	var steps []*part
	if !o.Whole {
		for i := range p.Steps {
			steps = append(steps, &part{first: i, end: i + 1, least: leastOperation})
		}
	}
	all = append(all, steps...)
	for round := range o.Rounds + 1 {
		for _, t := range all {
			do := t.measure
			if round == 0 {
				do = t.settle
			}
			if err := do(ctx, s); err != nil {
				return nil, err
			}
		}
		o.Progress(int64(round+1), int64(o.Rounds+1))
	}
	r.Step, r.Repeats = timeOf(whole.ms), whole.repeats
	for _, t := range passes {
		r.Passes = append(r.Passes, timeOf(t.ms))
	}
	r.StepMS, r.ImagesPerSecond = r.Step.Median, float64(o.Batch)/r.Step.Median*1e3
	r.ForwardMS, r.BackwardMS, r.UpdateMS = r.Passes[0].Median, r.Passes[1].Median, r.Passes[2].Median
	return steps, nil
}

// operations adds the steps up that do the same for a layer.
func (r *Report) operations(s *Step, steps []*part) {
	p := s.Program
	type key struct {
		layer      int
		pass, what string
	}
	index := map[key]int{}
	var sums [][]float64
	for i := range p.Steps {
		step := &p.Steps[i]
		k := key{step.Layer, step.Pass.String(), plan.ActionName(step.Action)}
		at, ok := index[k]
		if !ok {
			at = len(sums)
			index[k] = at
			sums = append(sums, make([]float64, len(steps[i].ms)))
			r.Operations = append(r.Operations, Operation{Layer: p.LayerName(step.Layer), Pass: k.pass, What: k.what, How: s.runner.How(p, i)})
		}
		for round, v := range steps[i].ms {
			sums[at][round] += v
		}
		r.Operations[at].Repeats = max(r.Operations[at].Repeats, steps[i].repeats)
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
