package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"alexnet/internal/metrics"
	"alexnet/internal/process"
)

// learn trains alexnet.net on few images until it knows them by heart: a network
// whose gradients are wrong does not get there.
func learn(ctx context.Context, c *check, p *Part) error {
	const (
		batch  = 128
		pass   = 200  // steps
		most   = 6000 // steps
		enough = 0.05 // top-1 error
	)
	data, images, err := repeated(c.data, filepath.Join(c.scratch, "repeated"), pass*batch)
	if err != nil {
		return err
	}
	p.Note("%d images, each several times in a pass, and once in the test; batch %d, at most %d steps, rate of the file, seed of the file. "+
		"Passed when the test on the training images, without dropout, has an error below %g%%.", images, batch, most, 100*enough)
	run := filepath.Join(c.scratch, "learn")
	defer os.RemoveAll(run) // what is left is removed at the end
	args := append(c.training("alexnet.net", data, run), "-devices", gpu, "-precision", "tf32", "-steps", fmt.Sprint(most),
		// The rate is not divided while the error stays at its start for some passes.
		"-set", "train.divide=default", "-set", fmt.Sprintf("train.batch=%d", batch))
	t := p.NewTable("Passes", "step", "seconds", "training_loss", "training_error", "training_images_per_second", "test_error")
	learned := false
	started := time.Now()
	var last metrics.Metric // of training
	out, err := c.watch(ctx, args, filepath.Join(run, "metrics.jsonl"), func(m metrics.Metric) (stop bool) {
		if m.Kind == metrics.Train {
			last = m
			return false
		}
		t.Add(m.Step, time.Since(started).Seconds(), last.Loss, last.Top1Error, last.ImagesPerSecond, m.Top1Error)
		learned = m.Top1Error < enough
		return learned
	})
	if err != nil {
		return err
	}
	filters := filepath.Join(c.scratch, "filters.png")
	if _, err := process.Run(ctx, c.scratch, nil, c.program(), "dump-filters", "-model", filepath.Join(run, "checkpoints", "newest.safetensors"),
		"-out", filters); err != nil {
		return err
	}
	picture, err := c.picture(filters, "filters")
	if err != nil {
		return err
	}
	p.Note("The first layer is in [%s](%s).", picture, picture)
	if !learned {
		p.Output = out
		return fmt.Errorf("after step %d the error on the training images is still not below %g%%", last.Step, 100*enough)
	}
	return nil
}

// watch runs a training, hands over each line of its metrics as it comes, and
// interrupts the training when look says so.
func (c *check) watch(ctx context.Context, args []string, path string, look func(metrics.Metric) (stop bool)) (string, error) {
	var out process.Tail
	cmd := process.Command(ctx, c.scratch, nil, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	seen, stopped := 0, false
	read := func() error {
		all, err := metrics.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for ; seen < len(all) && !stopped; seen++ {
			if stopped = look(all[seen]); stopped {
				if err := cmd.Process.Signal(syscall.SIGINT); !errors.Is(err, os.ErrProcessDone) {
					return err
				}
			}
		}
		return err
	}
	for {
		select {
		case err := <-ended:
			if stopped {
				err = nil // it says that it was interrupted
			}
			if err == nil {
				err = ctx.Err()
			}
			return out.String(), errors.Join(process.Failure(ctx, args, err, &out), read())
		case <-tick.C:
			if err := read(); err != nil {
				_ = cmd.Cancel() // it may have ended
				return out.String(), errors.Join(process.Failure(ctx, args, <-ended, &out), err)
			}
		}
	}
}

// cifar trains the small network for CIFAR-10 with everything as in its file.
func cifar(ctx context.Context, c *check, p *Part) error {
	const enough = 0.27 // 0.246 was had on the CPU
	started := time.Now()
	lines, err := c.train(ctx, "nets/cifar10-quick.net", c.cifar, "-devices", gpu)
	if err != nil {
		return err
	}
	seconds := time.Since(started).Seconds()
	t := p.NewTable("Passes", "pass", "step", "test_error", "test_loss")
	var last metrics.Metric
	var images, training float64
	for _, m := range lines {
		switch m.Kind {
		case metrics.Test:
			t.Add(m.Epoch, m.Step, m.Top1Error, m.Loss)
			last = m
		case metrics.Train:
			images, training = images+1, training+1/m.ImagesPerSecond
		}
	}
	p.NewTable("In all", "seconds", "images_per_second", "test_error").Add(seconds, images/training, last.Top1Error)
	p.Note("Seconds are of the whole command; images per second of training alone, without tests and checkpoints.")
	if !(last.Top1Error < enough) || last.Step == 0 {
		return fmt.Errorf("the test error is %.2f%%, and should be below %g%%", 100*last.Top1Error, 100*enough)
	}
	return nil
}
