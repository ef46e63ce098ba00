package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"alexnet/internal/metrics"
	"alexnet/internal/process"
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
