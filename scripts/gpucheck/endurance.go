package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"alexnet/internal/measure"
	"alexnet/internal/metrics"
	"alexnet/internal/process"
	"alexnet/scripts/gpucheck/result"
)

const (
	enduranceBatch = 128
	mayGrow        = 0.01 // of the memory in use after the first minute
	mayGrowMiB     = 16   // more
	keepsSpeed     = 0.97 // of the second minute's
)

// endurance trains alexnet.net for some minutes. Memory is what it is after the first
// of them, and the speed stays what it was in the second.
//
// A pass is some seconds on a fast GPU, so that the first minute has a checkpoint as
// the others do: with the first, memory grows once.
func endurance(ctx context.Context, c *check, p *Part) error {
	long, pass := 300*c.second, 2000 // in steps
	if c.quick {
		long, pass = 30*c.second, 500
	}
	minute := long / 5 // which is less with -quick
	data, err := portion(c.data, filepath.Join(c.scratch, "endurance.set"), pass*enduranceBatch)
	if err != nil {
		return err
	}
	run := filepath.Join(c.scratch, "endurance")
	defer os.RemoveAll(run) // what is left is removed at the end
	args := append(c.training("alexnet.net", data, run), "-devices", gpu, "-precision", "bf16", "-autotune",
		"-set", fmt.Sprintf("train.batch=%d", enduranceBatch), "-set", "train.passes=100000")
	p.Note("Batch %d in bf16 with -autotune for %v from the first line of metrics.jsonl on, a checkpoint every %d steps; memory was looked at every %v. "+
		"After the first %v it may grow by %g%% and %d MiB; the speed of the last %v, a median of lines of metrics.jsonl, is to be %g of that of the second.",
		enduranceBatch, long, pass, long/30, minute, 100*mayGrow, mayGrowMiB, minute, keepsSpeed)
	s := &sampler{every: long / 30, long: long, gpu: c.gpuMemory}
	if err := c.endure(ctx, s, args, filepath.Join(run, "metrics.jsonl")); err != nil {
		s.summarise(p, minute, nil) // it may have run out of memory
		return err
	}
	lines, err := metrics.Read(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		return err
	}
	speeds := minutes(lines, minute)
	s.summarise(p, minute, speeds)
	return s.judge(p, minute, speeds)
}

// sampler looks at the memory of a process again and again.
type sampler struct {
	every, long time.Duration
	gpu         func(context.Context) (mib float64, err error)

	samples []sample
	noGPU   error // why the GPU's memory was not looked at to the end
}

// sample is the memory in use at a time, in MiB.
type sample struct {
	at            time.Duration
	resident, gpu float64
}

// endure runs a training, looks at its memory from its first line of metrics on, and
// interrupts it when the time is over: it is to save the run and to say so.
func (c *check) endure(ctx context.Context, s *sampler, args []string, path string) error {
	var out process.Tail
	cmd := process.Command(ctx, c.scratch, nil, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	failed := func(err error) error { return process.Failure(ctx, args, err, &out) }
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	var began time.Time
	for s.unfinished() {
		select {
		case err := <-ended:
			if err == nil {
				err = errors.New("it ended before its time")
			}
			return failed(err)
		case <-tick.C:
		}
		if began.IsZero() {
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				continue // it loads libraries, and measures algorithms
			}
			began = time.Now()
		}
		if err := s.look(ctx, cmd.Process.Pid, time.Since(began)); err != nil {
			_ = cmd.Cancel() // it may have ended
			return errors.Join(failed(<-ended), err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := <-ended
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(out.String(), "the run is saved") {
		return nil
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("interrupted, it should have the exit status 1 and say that the run is saved: %w", failed(err))
}

// unfinished reports whether there is time left.
func (s *sampler) unfinished() bool {
	return len(s.samples) == 0 || s.samples[len(s.samples)-1].at < s.long
}

// look takes a sample. Only the process's own memory must be known.
func (s *sampler) look(ctx context.Context, pid int, at time.Duration) error {
	resident, err := residentMemory(pid)
	if err != nil {
		return err
	}
	x := sample{at: at, resident: resident}
	if s.noGPU == nil {
		x.gpu, s.noGPU = s.gpu(ctx)
	}
	s.samples = append(s.samples, x)
	return nil
}

// residentMemory returns what a process has in memory, in MiB.
func residentMemory(pid int) (float64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("%s has no VmRSS", path)
}

// gpuMemory returns what is in use on the GPU, by whomever, in MiB.
func (c *check) gpuMemory(ctx context.Context) (float64, error) {
	args := []string{"nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=" + c.result.Machine.Devices.GPUs[0].PCI}
	out, err := process.Output(ctx, c.scratch, nil, args...)
	if err != nil {
		return 0, err
	}
	var mib float64
	if _, err := fmt.Sscan(string(out), &mib); err != nil {
		return 0, fmt.Errorf("nvidia-smi printed %.100q: %w", out, err)
	}
	return mib, nil
}

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
