package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"alexnet/internal/process"
	"alexnet/model"

	"github.com/urfave/cli/v2"
)

// suite is a network that is timed beside the same by its peers.
type suite struct {
	name, title, config string
	torch               string // what pytorch_step.py calls it
	oneDNN              bool   // onednn_step.cpp has it
	batches             []int
	rate                float64 // of the step that is checked: it changes the loss, and does not explode
}

var suites = []suite{
	{"alexnet", "AlexNet on the CPU", "alexnet.net", "alexnet", true, []int{32, 128}, 0.3},
	{"cifar", "CIFAR-10 quick network on the CPU", "nets/cifar10-quick.net", "cifar10-quick", false, []int{128}, 5},
}

func (s suite) command() *cli.Command {
	return &cli.Command{
		Name:  s.name,
		Usage: fmt.Sprintf("training steps and forward passes of %s, beside PyTorch's and oneDNN's with as many threads", s.config),
		Description: "Each case is measured once a round, ours and the peers' in turn: PyTorch's where there is a python3 for it,\n" +
			"oneDNN's where there are a C++ compiler and the library. Images lie in memory before the clock starts. Every\n" +
			"measurement first computes a loss, which must be alexnet's.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "rounds", Value: 5, Usage: "measure each case `N` times"},
			&cli.StringFlag{Name: "batches", DefaultText: strings.Trim(fmt.Sprint(s.batches), "[]"), Usage: "`N,N` images a step"},
			&cli.IntFlag{Name: "steps", Value: 3, Usage: "that count in one measurement, of which it is the median (`N`)"},
			&cli.StringFlag{Name: "python", DefaultText: strings.Join(pythons, ", then "), Usage: "the `PROGRAM` that has torch; none leaves PyTorch out"},
			othersFlag(),
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
	quiet                   *quiet

	program string // alexnet
	same    sameStart
	result  *StepsResult
}

// StepsResult is the content of the JSON file.
type StepsResult struct {
	Result
	Title  string            `json:"title"`
	Config string            `json:"config"`
	BLAS   string            `json:"matrix_products"`
	Peers  []Peer            `json:"peers"`
	Losses map[int][]float64 `json:"losses"` // by batch, before and after a step: ours, which all peers had
	Rounds int               `json:"rounds"`
	Cases  []StepCase        `json:"cases"`
}

// StepCase is one batch size, trained or forward alone.
type StepCase struct {
	Batch   int         `json:"batch"`
	Forward bool        `json:"forward_only"`
	Ours    Series      `json:"images_per_second"`
	Memory  int64       `json:"peak_rss_bytes"` // of the process, the most of all rounds
	Peers   []PeerSpeed `json:"peers"`          // in the order of the result's
}

// PeerSpeed is what a peer did in a case.
type PeerSpeed struct {
	Name   string `json:"name"`
	Theirs Series `json:"images_per_second"`
	Ratio  Series `json:"ratio"` // of ours to it, round by round
	Memory int64  `json:"peak_rss_bytes"`
}

func (c *StepCase) name() string {
	if c.Forward {
		return fmt.Sprintf("forward, batch %d", c.Batch)
	}
	return fmt.Sprintf("training step, batch %d", c.Batch)
}

// strongest returns the fastest peer, or nil if there is none.
func (c *StepCase) strongest() *PeerSpeed {
	var best *PeerSpeed
	for i := range c.Peers {
		if best == nil || c.Peers[i].Theirs.Median > best.Theirs.Median {
			best = &c.Peers[i]
		}
	}
	return best
}

// peer returns the peer of that name, or nil.
func (c *StepCase) peer(name string) *PeerSpeed {
	for i := range c.Peers {
		if c.Peers[i].Name == name {
			return &c.Peers[i]
		}
	}
	return nil
}

func newStepsBench(c *cli.Context, s suite) (*stepsBench, error) {
	b := &stepsBench{
		suite: s, root: c.String("root"), python: c.String("python"), out: c.String("out"),
		rounds: c.Int("rounds"), steps: c.Int("steps"), log: c.App.ErrWriter,
		result: &StepsResult{Result: newResult(s.name), Title: s.title, Config: s.config, Rounds: c.Int("rounds"), Peers: []Peer{}},
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
			if _, err := fmt.Sscan(text, &n); err != nil || n < 1 || n > model.MaxBatch {
				return nil, usagef("-batches %s: want numbers up to %d with commas, as in 32,128", list, model.MaxBatch)
			}
			b.batches = append(b.batches, n)
		}
	}
	if b.out == "" {
		b.out = filepath.Join(b.root, "bench", "results")
	}
	var err error
	if b.quiet, err = newQuiet(c); err != nil {
		return nil, err
	}
	b.result.Load = b.quiet.load
	return b, nil
}

// run does all of it, but to write the result.
func (b *stepsBench) run(ctx context.Context) error {
	b.result.Commit = commit(ctx, b.root)
	peers, err := b.peers(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(b.log, "building alexnet")
	if b.program, err = build(ctx, b.root, b.work); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	b.result.Losses = b.same.losses
	for _, p := range peers {
		b.result.Peers = append(b.result.Peers, Peer{Name: p.name, Variables: p.env})
	}
	for _, batch := range b.batches {
		for _, forward := range []bool{false, true} {
			b.result.Cases = append(b.result.Cases, StepCase{Batch: batch, Forward: forward, Peers: make([]PeerSpeed, len(peers))})
		}
	}
	var cases []measurement
	for i := range b.result.Cases {
		c := &b.result.Cases[i]
		cases = append(cases, measurement{"alexnet, " + c.name(), func(ctx context.Context) (float64, error) { return b.ours(ctx, c) }})
		for n, p := range peers {
			cases = append(cases, measurement{p.name + ", " + c.name(), func(ctx context.Context) (float64, error) { return b.theirs(ctx, p, n, c) }})
		}
	}
	all, err := alternate(ctx, b.rounds, cases, b.quiet)
	if err != nil {
		return err
	}
	for i := range b.result.Cases {
		c := &b.result.Cases[i]
		c.Ours, all = all[0], all[1:]
		for n, p := range peers {
			s := &c.Peers[n]
			s.Name, s.Theirs, all = p.name, all[0], all[1:]
			s.Ratio = ratio("alexnet / "+s.Theirs.Name, c.Ours, s.Theirs)
		}
	}
	return nil
}

// timed is what the programs print, and more.
type timed struct {
	ImagesPerSecond float64   `json:"images_per_second"`
	Losses          []float64 `json:"losses"`
	Peak            int64     `json:"peak_rss_bytes"`
	BLAS            string    `json:"matrix_products"`
	Version         string    `json:"version"`
}

// runTimed starts a program that prints what it measured. peak is the most of all runs.
func runTimed(ctx context.Context, env []string, peak *int64, args ...string) (timed, error) {
	var t timed
	out, err := process.Output(ctx, "", env, args...)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return t, fmt.Errorf("%s printed %.200q: %w", filepath.Base(args[0]), out, err)
	}
	*peak = max(*peak, t.Peak)
	return t, nil
}

func (b *stepsBench) ours(ctx context.Context, c *StepCase) (float64, error) {
	t, err := runTimed(ctx, nil, &c.Memory, b.program, "bench", "-config", filepath.Join(b.root, filepath.FromSlash(b.config)), "-whole", "-json",
		"-batch", fmt.Sprint(c.Batch), "-rounds", fmt.Sprint(b.steps), fmt.Sprintf("-forward=%v", c.Forward))
	b.result.BLAS = t.BLAS
	return t.ImagesPerSecond, err
}

// theirs measures the peer at index n.
func (b *stepsBench) theirs(ctx context.Context, p peer, n int, c *StepCase) (float64, error) {
	t, err := runTimed(ctx, p.env, &c.Peers[n].Memory, p.command(c)...)
	if err != nil {
		return 0, err
	}
	if err := b.same.check(p.name, c, t.Losses); err != nil {
		return 0, err
	}
	b.result.Peers[n].Version, b.result.Peers[n].BLAS = t.Version, t.BLAS
	return t.ImagesPerSecond, nil
}
