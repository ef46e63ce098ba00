package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"alexnet/internal/process"
)

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
