package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/metrics"
	"alexnet/internal/process"
	"alexnet/loader/shapes"
)

// losses trains alexnet.net for ten steps from the same seed on the same images
// on the CPU and on the GPU, and compares the losses.
//
// The rate is a tenth of the file's: the loss falls steadily then, and rounding
// grows little from step to step. On the CPU, with the factors of all products
// rounded as a GPU rounds them, the largest difference was 2e-5 for tf32 and 5e-4
// for bf16, and 2e-7 for two orders of summation in fp32. The tolerances are at
// least ten times that, as algorithms differ too.
func losses(ctx context.Context, c *check, p *Part) error {
	const steps = 10
	batch := 32 // what a CPU gets done
	if c.quick {
		batch = 8
	}
	data, err := c.pictures(ctx, steps*batch)
	if err != nil {
		return err
	}
	cases := []struct {
		devices, precision string
		against            int // another case
		tolerance          float64
	}{
		{"cpu", "", 0, 0},
		{gpu, "fp32", 0, 1e-4},
		{gpu, "tf32", 1, 5e-4},
		{gpu, "bf16", 1, 5e-3},
		{gpu + "," + gpu, "fp32", 0, 1e-4},
		{gpu + "+" + gpu, "fp32", 0, 1e-4},
		{gpu + "+" + gpu, "bf16", 1, 5e-3},
		{gpu + ",cuda:1", "fp32", 0, 1e-4}, // these take two GPUs
		{gpu + "+cuda:1", "fp32", 0, 1e-4},
	}
	if len(c.result.Machine.Devices.GPUs) < 2 {
		cases = cases[:len(cases)-2]
	}
	p.Note("Batch %d of drawn pictures, rate 0.001, seed of the file. The tolerance is on the largest relative difference.", batch)
	byCase := p.NewTable("Runs", "devices", "precision", "against", "largest_difference", "tolerance", "seconds", "images_per_second", "error")
	var all [][]float64
	var errs []error
	label := func(i int) string { return strings.TrimSpace(cases[i].devices + " " + cases[i].precision) }
	for i, k := range cases {
		args := []string{"-devices", k.devices}
		if k.precision != "" {
			args = append(args, "-precision", k.precision)
		}
		started := time.Now()
		lines, err := c.train(ctx, "alexnet.net", data, append(args, "-steps", strconv.Itoa(steps),
			"-set", "train.batch="+strconv.Itoa(batch), "-set", "train.rate=0.001")...)
		seconds := time.Since(started).Seconds()
		var found []float64
		for _, m := range lines {
			if m.Kind == metrics.Train {
				found = append(found, m.Loss)
			}
		}
		if err == nil && len(found) != steps {
			err = fmt.Errorf("%d losses instead of %d", len(found), steps)
		}
		if err != nil {
			all = append(all, nil)
			byCase.Add(k.devices, k.precision, "", nil, k.tolerance, seconds, nil, err.Error())
			errs = append(errs, err)
			continue
		}
		all = append(all, found)
		speed := lines[len(lines)-1].ImagesPerSecond
		if i == k.against {
			byCase.Add(k.devices, k.precision, "", nil, nil, seconds, speed, "")
			continue
		}
		if all[k.against] == nil {
			byCase.Add(k.devices, k.precision, label(k.against), nil, k.tolerance, seconds, speed, "there is nothing to hold it against")
			continue
		}
		d, why := difference(found, all[k.against]), ""
		if !(d <= k.tolerance) { // nor if it is no number
			why = "they differ by more than rounding"
		} else if d == 0 && k.precision != cases[k.against].precision && k.precision != "fp32" {
			why = "they do not differ at all: the precision has no effect"
		}
		if why != "" {
			errs = append(errs, fmt.Errorf("%s against %s: %s: the largest difference is %.2g, the tolerance %g", label(i), label(k.against), why, d, k.tolerance))
		}
		byCase.Add(k.devices, k.precision, label(k.against), d, k.tolerance, seconds, speed, why)
	}
	columns := []string{"step"}
	for i := range cases {
		columns = append(columns, label(i))
	}
	byStep := p.NewTable("Losses", columns...)
	for s := range steps {
		row := []any{s}
		for i := range cases {
			if all[i] == nil {
				row = append(row, nil)
				continue
			}
			row = append(row, strconv.FormatFloat(all[i][s], 'f', 6, 64))
		}
		byStep.Add(row...)
	}
	return errors.Join(errs...)
}

// difference returns the largest relative difference.
func difference(x, want []float64) float64 {
	var most float64
	for i := range want {
		d := math.Abs(x[i]-want[i]) / math.Abs(want[i])
		if math.IsNaN(d) {
			return d
		}
		most = max(most, d)
	}
	return most
}

// pictures makes a data set of n drawn pictures, large enough for alexnet.net,
// and returns its folder.
func (c *check) pictures(ctx context.Context, n int) (string, error) {
	images, data := filepath.Join(c.scratch, "pictures"), filepath.Join(c.scratch, "pictures.set")
	pixels := make([]byte, shapes.Size*shapes.Size*3)
	for k := range n {
		if err := ctx.Err(); err != nil {
			return "", context.Cause(ctx)
		}
		class := shapes.Draw(pixels, 1, 0, uint32(k))
		if err := writePNG(filepath.Join(images, "train", shapes.Names[class], fmt.Sprintf("%05d.png", k)), pixels); err != nil {
			return "", err
		}
	}
	_, err := process.Run(ctx, c.scratch, nil, c.program(), "pack", "folder", images, "-size", "256", "-out", data)
	return data, err
}

// writePNG writes a drawn picture, of 3 bytes a pixel.
func writePNG(path string, pixels []byte) error {
	m := image.NewNRGBA(image.Rect(0, 0, shapes.Size, shapes.Size))
	for i := range shapes.Size * shapes.Size {
		copy(m.Pix[4*i:], append(slices.Clone(pixels[3*i:3*i+3]), 255))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, m), f.Close())
}

// train trains a network of the folder in a run of its own, which is removed, and
// returns what it wrote into its metrics.
func (c *check) train(ctx context.Context, net, data string, args ...string) ([]metrics.Metric, error) {
	run := filepath.Join(c.scratch, "run")
	defer os.RemoveAll(run) // what is left is removed at the end
	if _, err := process.Run(ctx, c.scratch, nil, append(c.training(net, data, run), args...)...); err != nil {
		return nil, err
	}
	return metrics.Read(filepath.Join(run, "metrics.jsonl"))
}

// training is the command that trains a network of the folder.
func (c *check) training(net, data, run string) []string {
	return []string{c.program(), "train", "-config", filepath.Join(c.folder, filepath.FromSlash(net)), "-data", data, "-run", run}
}
