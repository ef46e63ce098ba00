package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"

	"alexnet/bench"
	"alexnet/dsl"
	"alexnet/internal/process"
	"alexnet/internal/raw"
)

// lossTolerance is how far a peer's loss may be from ours, of ours. Correct programs
// differ by rounding, 3e-6 at most where this was tried. With weights this small a
// network that computes nothing but zeros would be 7e-5 off.
const lossTolerance = 2e-5

// oddities are what the peers do not have while they are checked: dropout, which
// draws numbers, and rates and decays that differ between weights and biases.
var oddities = regexp.MustCompile(`(?m)^\s*dropout .*\n| bias-(rate|decay) \S+`)

// settings returns what the step that is checked is set to, for alexnet's -set.
func (s suite) settings() []string {
	return []string{fmt.Sprint("train.rate=", s.rate), "train.momentum=0.9", "train.decay=0.0005"}
}

// sameStart is what every peer starts from: alexnet's own weights and pixels, in files.
type sameStart struct {
	weights, pixels string
	losses          map[int][]float64 // ours, by batch: before and after a step
}

// start writes the files, and lets alexnet compute the losses that peers must have too.
func (b *stepsBench) start(ctx context.Context) error {
	path := filepath.Join(b.root, filepath.FromSlash(b.config))
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = oddities.ReplaceAll(text, nil)
	net, err := dsl.Parse(path, text)
	if err != nil {
		return err
	}
	config := filepath.Join(b.work, "checked.net")
	b.same = sameStart{filepath.Join(b.work, "weights"), filepath.Join(b.work, "pixels"), map[int][]float64{}}
	most := 0
	for _, batch := range b.batches {
		most = max(most, batch)
	}
	pixels := make([]byte, most*net.Input.Size())
	bench.Pixels(pixels)
	for to, content := range map[string][]byte{config: text, b.same.weights: raw.Bytes(bench.Weights()), b.same.pixels: pixels} {
		if err := os.WriteFile(to, content, 0o666); err != nil {
			return err
		}
	}
	for _, batch := range b.batches {
		args := []string{b.program, "bench", "-config", config, "-whole", "-json", "-rounds", "1", "-batch", fmt.Sprint(batch)}
		for _, set := range b.settings() {
			args = append(args, "-set", set)
		}
		out, err := process.Output(ctx, "", nil, args...)
		if err != nil {
			return err
		}
		var r bench.Report
		if err := json.Unmarshal(out, &r); err != nil {
			return fmt.Errorf("alexnet bench printed %.200q: %w", out, err)
		}
		b.same.losses[batch] = r.Losses
		fmt.Fprintf(b.log, "batch %d: alexnet's loss before a step, and after it, which all others must have: %.6g\n", batch, r.Losses)
	}
	return nil
}

// check compares a peer's losses with ours.
func (s *sameStart) check(peer string, c *StepCase, losses []float64) error {
	want := s.losses[c.Batch]
	if c.Forward {
		want = want[:1]
	}
	if len(losses) != len(want) {
		return fmt.Errorf("%s printed %d losses, want %d: before a step and, in training, after it", peer, len(losses), len(want))
	}
	for i, loss := range losses {
		if !(math.Abs(loss-want[i]) <= lossTolerance*want[i]) { // NaN is wrong, too
			when := "with the same weights and images"
			if i > 0 {
				when = "after one step from the same weights and images"
			}
			return fmt.Errorf("%s, %s, has a loss of %.7g %s, and alexnet %.7g: more than %g of it apart, so one of the two computes something wrong; a BLAS may have chosen a kernel that this processor cannot run right. No table was written",
				peer, c.name(), loss, when, want[i], lossTolerance)
		}
	}
	return nil
}
