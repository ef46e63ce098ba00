package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"alexnet/internal/process"

	"github.com/urfave/cli/v2"
)

// suite is a network that is timed beside the same in PyTorch.
type suite struct {
	name, title, config string
	torch               string // what pytorch_step.py calls it
	batches             []int
}

var suites = []suite{
	{"alexnet", "AlexNet on the CPU", "alexnet.net", "alexnet", []int{32, 128}},
	{"cifar", "CIFAR-10 quick network on the CPU", "nets/cifar10-quick.net", "cifar10-quick", []int{128}},
}

func (s suite) command() *cli.Command {
	return &cli.Command{
		Name:  s.name,
		Usage: fmt.Sprintf("training steps and forward passes of %s, beside PyTorch's with as many threads", s.config),
		Description: "Each case is measured once a round, ours and PyTorch's in turn, where there is a python3 for it.\n" +
			"Images lie in memory before the clock starts.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "rounds", Value: 5, Usage: "measure each case `N` times"},
			&cli.StringFlag{Name: "batches", DefaultText: strings.Trim(fmt.Sprint(s.batches), "[]"), Usage: "`N,N` images a step"},
			&cli.IntFlag{Name: "steps", Value: 3, Usage: "that count in one measurement, of which it is the median (`N`)"},
			&cli.StringFlag{Name: "python", DefaultText: strings.Join(pythons, ", then "), Usage: "the `PROGRAM` that has torch; none leaves PyTorch out"},
			&cli.StringFlag{Name: "out", DefaultText: "bench/results of the source", Usage: "`FOLDER` that the two files go into"},
		},
		Action: func(c *cli.Context) (err error) {
			b, err := newStepsBench(c, s)
			if err != nil {
				return err
			}
			var end func() error
			if b.work, end, err = workFolder(""); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, end()) }()
			if err := b.run(c.Context); err != nil {
				return err
			}
			return publish(c, b.out, b.result.fileName(), b.result, b.result.markdown())
		},
	}
}

// stepsBench is a run of the benchmark.
type stepsBench struct {
	suite
	root, python, out, work string
	rounds, steps           int
	log                     io.Writer

	program string // alexnet
	result  *StepsResult
}

// StepsResult is the content of the JSON file.
type StepsResult struct {
	Result
	Title  string     `json:"title"`
	Config string     `json:"config"`
	BLAS   string     `json:"matrix_products"`
	Torch  string     `json:"torch"` // "": left out
	Rounds int        `json:"rounds"`
	Cases  []StepCase `json:"cases"`

	// Cores that other work kept busy before the first round; nil: not known.
	OtherWork *float64 `json:"cores_busy_with_other_work"`
}

// StepCase is one batch size, trained or forward alone.
type StepCase struct {
	Batch      int     `json:"batch"`
	Forward    bool    `json:"forward_only"`
	Ours       Series  `json:"images_per_second"`
	Theirs     *Series `json:"pytorch_images_per_second"`
	Ratio      *Series `json:"ratio"`          // of the two, round by round
	Memory     int64   `json:"peak_rss_bytes"` // of the process, the most of all rounds
	TheirsPeak int64   `json:"pytorch_peak_rss_bytes"`
}

func (c *StepCase) name() string {
	if c.Forward {
		return fmt.Sprintf("forward, batch %d", c.Batch)
	}
	return fmt.Sprintf("training step, batch %d", c.Batch)
}

func newStepsBench(c *cli.Context, s suite) (*stepsBench, error) {
	b := &stepsBench{
		suite: s, root: c.String("root"), python: c.String("python"), out: c.String("out"),
		rounds: c.Int("rounds"), steps: c.Int("steps"), log: c.App.ErrWriter,
		result: &StepsResult{Result: Result{Benchmark: s.name, Date: time.Now().Format(time.DateOnly), Machine: look()},
			Title: s.title, Config: s.config, Rounds: c.Int("rounds")},
	}
	switch {
	case c.NArg() > 0:
		return nil, usagef("what is %q? bench %s takes flags alone", c.Args().First(), s.name)
	case b.rounds < 1:
		return nil, usagef("-rounds %d: want at least 1", b.rounds)
	case b.steps < 1:
		return nil, usagef("-steps %d: want at least 1", b.steps)
	}
	if list := c.String("batches"); list != "" {
		b.batches = nil
		for _, text := range strings.Split(list, ",") {
			var n int
			if _, err := fmt.Sscan(text, &n); err != nil || n < 1 {
				return nil, usagef("-batches %s: want numbers with commas, as in 32,128", list)
			}
			b.batches = append(b.batches, n)
		}
	}
	if b.out == "" {
		b.out = filepath.Join(b.root, "bench", "results")
	}
	return b, nil
}

// run does all of it, but to write the result.
func (b *stepsBench) run(ctx context.Context) error {
	python, err := choosePython(ctx, b.python, "torch")
	switch {
	case errors.Is(err, errNoPython):
		fmt.Fprintf(b.log, "%v\nPyTorch is left out\n", err)
	case err != nil:
		return err
	}
	b.result.Commit = commit(ctx, b.root)
	fmt.Fprintln(b.log, "building alexnet")
	if b.program, err = build(ctx, b.root, b.work); err != nil {
		return err
	}
	if others, err := otherWork(ctx); err == nil { // elsewhere it is not known
		b.result.OtherWork = &others
	}
	var cases []measurement
	for _, batch := range b.batches {
		for _, forward := range []bool{false, true} {
			b.result.Cases = append(b.result.Cases, StepCase{Batch: batch, Forward: forward})
		}
	}
	for i := range b.result.Cases {
		c := &b.result.Cases[i]
		cases = append(cases, measurement{"alexnet, " + c.name(), func(ctx context.Context) (float64, error) { return b.ours(ctx, c) }})
		if python != "" {
			cases = append(cases, measurement{"PyTorch, " + c.name(), func(ctx context.Context) (float64, error) { return b.theirs(ctx, python, c) }})
		}
	}
	all, err := alternate(ctx, b.rounds, cases, b.log)
	if err != nil {
		return err
	}
	for i := range b.result.Cases {
		c := &b.result.Cases[i]
		c.Ours, all = all[0], all[1:]
		if python != "" {
			r := ratio("alexnet / PyTorch, "+c.name(), c.Ours, all[0])
			c.Theirs, c.Ratio, all = &all[0], &r, all[1:]
		}
	}
	return nil
}

// timed is what both programs print, and more.
type timed struct {
	ImagesPerSecond float64 `json:"images_per_second"`
	Peak            int64   `json:"peak_rss_bytes"`
	BLAS            string  `json:"matrix_products"`
	Torch           string  `json:"torch"`
}

func (b *stepsBench) measure(ctx context.Context, peak *int64, program string, args ...string) (timed, error) {
	var t timed
	out, err := process.Output(ctx, "", nil, append([]string{program}, args...)...)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return t, fmt.Errorf("%s printed %.200q: %w", filepath.Base(program), out, err)
	}
	*peak = max(*peak, t.Peak)
	return t, nil
}

func (b *stepsBench) ours(ctx context.Context, c *StepCase) (float64, error) {
	t, err := b.measure(ctx, &c.Memory, b.program, "bench", "-config", filepath.Join(b.root, filepath.FromSlash(b.config)), "-whole", "-json",
		"-batch", fmt.Sprint(c.Batch), "-rounds", fmt.Sprint(b.steps), fmt.Sprintf("-forward=%v", c.Forward))
	b.result.BLAS = t.BLAS
	return t.ImagesPerSecond, err
}

func (b *stepsBench) theirs(ctx context.Context, python string, c *StepCase) (float64, error) {
	args := []string{filepath.Join(b.root, "scripts", "bench", "pytorch_step.py"), b.torch, fmt.Sprint(c.Batch), "--steps", fmt.Sprint(b.steps)}
	if c.Forward {
		args = append(args, "--forward")
	}
	t, err := b.measure(ctx, &c.TheirsPeak, python, args...)
	b.result.Torch = t.Torch
	return t.ImagesPerSecond, err
}

// markdown returns the result for people.
func (r *StepsResult) markdown() []byte {
	var b bytes.Buffer
	r.header(&b, r.Title)
	fmt.Fprintf(&b, "- matrix products: %s\n", r.BLAS)
	if r.Torch != "" {
		fmt.Fprintf(&b, "- PyTorch %s, as many threads as cores\n", r.Torch)
	} else {
		b.WriteString("- PyTorch was left out: there was no python3 with torch\n")
	}
	if w := r.OtherWork; w != nil {
		fmt.Fprintf(&b, "- other work kept %.1f cores busy before the first round\n", *w)
	}
	fmt.Fprintf(&b, "\n%s, images per second: medians of %d rounds in turn, with the least and the most. Ratios are taken round by round.\n", r.Config, r.Rounds)
	var rows [][]any
	text := func(s *Series, format string) string {
		if s == nil {
			return ""
		}
		return fmt.Sprintf(format+" ("+format+" to "+format+")", s.Median, s.Least, s.Most)
	}
	memory := func(bytes int64) string {
		if bytes == 0 {
			return ""
		}
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		rows = append(rows, []any{c.name(), text(&c.Ours, "%.1f"), text(c.Theirs, "%.1f"), text(c.Ratio, "%.2f"), memory(c.Memory), memory(c.TheirsPeak)})
	}
	table(&b, []string{"", "alexnet", "PyTorch", "ratio", "peak memory", "PyTorch's"}, rows...)
	r.published(&b)
	return b.Bytes()
}

// published prints figures of others, for the scale of things.
func (r *StepsResult) published(b *bytes.Buffer) {
	if r.Benchmark != "alexnet" {
		return
	}
	b.WriteString("\nPublished by others, not measured here:\n")
	table(b, []string{"what", "on", "figure"},
		[]any{"the paper: 90 passes over 1.2 million images", "2 GTX 580", "5 to 6 days, about 230 images/s"},
		[]any{"convnet-benchmarks, one-column AlexNet, batch 128, forward and backward: Caffe's own kernels", "Titan X", "324 ms, 395 images/s"},
		[]any{"the same, cuda-convnet2", "Titan X", "177 ms, 723 images/s"},
		[]any{"the same, cuDNN R4 in Torch, fp32", "Titan X", "81 ms, 1,580 images/s"})
}
