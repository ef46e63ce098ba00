package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/process"
	"alexnet/scripts/gpucheck/result"
)

// line is what pytorch_alexnet.py prints, one a line; see there.
type line struct {
	Kind      string   `json:"kind"`
	Why       string   `json:"why"`
	Precision string   `json:"precision"`
	Batch     int      `json:"batch"`
	Round     int      `json:"round"`
	Layout    string   `json:"layout"`
	Speed     float64  `json:"images_per_second"`
	Memory    *float64 `json:"peak_memory_bytes"`
	Prepare   float64  `json:"prepare_seconds"`
	TFLOPS    float64  `json:"tflops"`
	Size      int      `json:"size"`
	Bytes     int64    `json:"bytes"`
	GBps      float64  `json:"gb_per_second"`
	Version   string   `json:"version"`
	CUDA      string   `json:"cuda"`
	CuDNN     any      `json:"cudnn"`
	Python    string   `json:"python"`
	Device    string   `json:"device"`
}

// pytorch runs the script and hands over each line that it prints. After a line
// of the kind ready the script waits until handle has returned. Whether PyTorch
// can be used at all is the script's to say.
func (c *check) pytorch(ctx context.Context, p *Part, handle func(line), args ...string) (err error) {
	python, err := exec.LookPath(c.python)
	if err != nil {
		return skipError("there is no " + c.python + ": " + err.Error())
	}
	if python, err = filepath.Abs(python); err != nil { // the script runs in another folder
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A case that has begun cannot be stopped; compiling takes a minute or two.
		within := time.Until(deadline) * 3 / 4
		args = append(args, fmt.Sprintf("--within=%.0f", within.Seconds()))
	}
	if c.quick {
		args = append(args, "--quick")
	}
	args = append([]string{python, filepath.Join(c.folder, "pytorch_alexnet.py")}, args...)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var errs process.Tail
	cmd := process.Command(ctx, c.scratch, nil, args...)
	cmd.Stderr = &errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	read, stdout := io.Pipe()
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		stdout.Close() // so that reading ends
		ended <- err
	}()
	done, err := each(read, func(l line) {
		if l.Kind == "torch" {
			p.Note("PyTorch %s, CUDA %s, cuDNN %v, %s, %s", l.Version, l.CUDA, l.CuDNN, l.Device, l.Python)
			return
		}
		handle(l)
		if l.Kind == "ready" {
			_, _ = io.WriteString(stdin, "\n") // if the script is dead, its output ends
		}
	})
	if err != nil {
		cancel(err) // the script would wait for ever
	}
	_, _ = io.Copy(io.Discard, read) // this pipe has no errors
	failed := process.Failure(ctx, args, <-ended, &errs)
	switch {
	case err != nil && context.Cause(ctx) == err:
		return err
	case failed == nil && !done:
		return &process.Error{Args: args, Err: errors.New("it ended too early"), Output: errs.String()}
	}
	return failed
}

// each decodes the lines of r. done says that the last of them has come.
func each(r io.Reader, handle func(line)) (done bool, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return false, fmt.Errorf("pytorch_alexnet.py printed %q: %w", lines.Text(), err)
		}
		if l.Kind == "skipped" && l.Precision == "" && l.Bytes == 0 { // everything, not a case
			return false, skipError(l.Why)
		}
		if l.Kind == "done" {
			return true, nil
		}
		handle(l)
	}
	return false, lines.Err()
}

// ceilings are matrix products and a copy by PyTorch.
func ceilings(ctx context.Context, c *check, p *Part) error {
	t := p.NewTable(result.CeilingsTitle, "what", "precision", "figure", "unit", "error")
	var errs []error
	err := c.pytorch(ctx, p, func(l line) {
		what := "copy within the GPU's memory, bytes read and written"
		if l.Precision != "" {
			what = "matrix product, " + l.Precision
		}
		switch l.Kind {
		case "matmul":
			t.Add(fmt.Sprintf("%s, %dx%d", what, l.Size, l.Size), l.Precision, l.TFLOPS, result.ProductUnit, "")
		case "copy":
			t.Add(fmt.Sprintf("%s, %d MiB", what, l.Bytes>>20), "", l.GBps, result.CopyUnit, "")
		case "failed":
			errs = append(errs, fmt.Errorf("%s: %s", what, l.Why))
			t.Add(what, l.Precision, nil, "", l.Why)
		case "skipped":
			t.Add(what, l.Precision, nil, "", "skipped: "+l.Why)
		}
	}, "--ceilings")
	if _, skipped := err.(skipError); skipped {
		return err
	}
	if err := errors.Join(append(errs, err, c.floors(p))...); err != nil {
		return err
	}
	return nothing(t, "figure")
}

// nothing returns an error if no case of a table could be done, and why.
func nothing(t *Table, figure string) error {
	why := "there was nothing to do"
	for _, r := range t.Rows {
		if r[figure] != nil {
			return nil
		}
		why, _ = r["error"].(string)
	}
	return skipError(strings.TrimPrefix(why, "skipped: "))
}

// duel is a training step by alexnet and by PyTorch.
type duel struct {
	setup
	ours, theirs measured
	memory       any // PyTorch's
	prepare      any
	layout       any    // of PyTorch's images and weights
	why          string // there is no figure of PyTorch's
}

// peer times the training step beside PyTorch, in turns: one measurement of
// alexnet before each of PyTorch's.
func peer(mode string) func(context.Context, *check, *Part) error {
	return func(ctx context.Context, c *check, p *Part) error {
		var duels []*duel
		find := func(l line) *duel {
			s := setup{devices: gpu, precision: l.Precision, batch: l.Batch, autotune: true}
			i := slices.IndexFunc(duels, func(d *duel) bool { return d.setup == s })
			if i < 0 {
				i = len(duels)
				duels = append(duels, &duel{setup: s})
			}
			return duels[i]
		}
		var failed []string
		var batches []string
		for _, b := range c.batches() {
			batches = append([]string{strconv.Itoa(b)}, batches...) // should the time run out, the large ones are the more telling
		}
		err := c.pytorch(ctx, p, func(l line) {
			d := find(l)
			switch l.Kind {
			case "ready":
				if d.ours.err == nil {
					d.ours.add(c.step(ctx, d.setup))
				}
			case "step":
				d.theirs.speeds = append(d.theirs.speeds, l.Speed)
				d.prepare, d.layout = l.Prepare, l.Layout
				if l.Memory != nil {
					d.memory = *l.Memory / (1 << 20)
				}
			case "skipped":
				d.why = "skipped: " + l.Why
			case "failed":
				d.why = l.Why
				failed = append(failed, fmt.Sprintf("PyTorch, %s, batch %d: %s", l.Precision, l.Batch, l.Why))
			}
		}, "--paced", "--modes="+mode, "--batches="+strings.Join(batches, ","), "--precisions=bf16,tf32,fp32",
			"--rounds="+strconv.Itoa(c.rounds()))
		if _, skipped := err.(skipError); skipped {
			return err
		}
		p.Note("Images per second of whole training steps: the median, the slowest and the fastest of %d rounds, measured in turns. "+
			"Ours, on %s with -autotune, uploads its pixels in every step; theirs lie on the GPU as floats. "+
			"Theirs has cudnn.benchmark on, for bf16 autocast and channels_last, and for fp32 and tf32 the layout that was the faster in a short trial, "+
			"of this mode or, for max-autotune, of eager.", c.rounds(), gpu)
		p.Note(floorNote)
		t := p.NewTable(result.PeerTitle+mode, "precision", "batch", "ours", "theirs", "ours_to_theirs", "theirs_layout",
			"floor_ms", "share_of_floor", "theirs_share_of_floor", "ours_slowest", "ours_fastest", "theirs_slowest", "theirs_fastest", "theirs_memory_mib", "theirs_prepare_seconds", "error")
		errs := []error{err}
		for _, d := range duels {
			ours, oursLow, oursHigh := spread(d.ours.speeds)
			theirs, theirsLow, theirsHigh := spread(d.theirs.speeds)
			var ratio any
			if ours != nil && theirs != nil {
				ratio = ours.(float64) / theirs.(float64)
			}
			shares, err := c.shares(d.precision, d.batch, ours, theirs)
			if err != nil {
				return err
			}
			t.Add(d.precision, d.batch, ours, theirs, ratio, d.layout, shares[0], shares[1], shares[2], oursLow, oursHigh, theirsLow, theirsHigh, d.memory, d.prepare,
				strings.Join(slices.DeleteFunc([]string{d.ours.why(), d.why}, func(s string) bool { return s == "" }), "; "))
			errs = append(errs, d.ours.err)
		}
		for _, f := range failed {
			errs = append(errs, errors.New(f))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		return nothing(t, "theirs")
	}
}
