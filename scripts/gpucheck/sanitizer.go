package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/process"
)

//go:embed small.net
var smallNet []byte

var errorSummary = regexp.MustCompile(`ERROR SUMMARY: (\d+) errors?`)

// sanitizer trains a network with every kind of layer for three steps, and tests
// it, while compute-sanitizer watches every access to the GPU's memory.
func sanitizer(ctx context.Context, c *check, p *Part) error {
	tool, err := findSanitizer()
	if err != nil {
		return err
	}
	const steps, batch = 3, 16
	config, data := filepath.Join(c.scratch, "small.net"), filepath.Join(c.scratch, "small.set")
	if err := os.WriteFile(config, smallNet, 0o666); err != nil {
		return err
	}
	if _, err := process.Run(ctx, c.scratch, nil, c.program(), "pack", "shapes",
		"-train", strconv.Itoa(steps*batch), "-test", strconv.Itoa(batch), "-out", data); err != nil {
		return err
	}
	p.Note("With %s.", tool)
	table := p.NewTable("Runs", "devices", "precision", "errors", "seconds")
	var errs []error
	for _, k := range []struct{ devices, precision string }{{gpu, "fp32"}, {gpu, "bf16"}, {gpu + "," + gpu, "fp32"}, {gpu + "+" + gpu, "bf16"}} {
		run := filepath.Join(c.scratch, "small")
		started := time.Now()
		// Errors that libraries of NVIDIA get from the driver, and live with, are not
		// looked at; alexnet looks at its own.
		out, err := process.Run(ctx, c.scratch, nil, tool, "--tool", "memcheck", "--report-api-errors", "no", "--error-exitcode", "86",
			c.program(), "train", "-config", config, "-data", data, "-run", run, "-devices", k.devices, "-precision", k.precision)
		if strings.Contains(out, "Device not supported") {
			return skipError(tool + " does not work with this GPU and driver: Device not supported")
		}
		errs = append(errs, err, os.RemoveAll(run))
		var found any
		if m := errorSummary.FindStringSubmatch(out); m != nil {
			found, _ = strconv.Atoi(m[1])
		} else if err == nil {
			errs = append(errs, fmt.Errorf("%s on %s printed no summary", filepath.Base(tool), k.devices))
			p.Output = out
		}
		table.Add(k.devices, k.precision, found, time.Since(started).Seconds())
	}
	return errors.Join(errs...)
}

// findSanitizer returns the path of compute-sanitizer.
func findSanitizer() (string, error) {
	const name = "compute-sanitizer"
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", skipError(name + " is neither in PATH nor in /usr/local/cuda; it comes with the CUDA toolkit")
}
