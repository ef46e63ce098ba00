// Command gpucheck checks alexnet on the GPUs of the machine it runs on, times it
// beside PyTorch, and writes what it found into one JSON and one Markdown file.
// scripts/gpu-check builds it and what it needs into one folder, which can be
// copied to a machine without Go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"alexnet/internal/measure"
	"alexnet/internal/process"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// part is a part of the check. The limits bound its time.
type part struct {
	name, title  string
	limit, quick time.Duration // quick is the limit with -quick; 0 if it is left out then
	skip         func(*check) string
	run          func(context.Context, *check, *Part) error
}

var parts = []part{
	{"devices", "GPUs and NVIDIA's libraries", time.Minute, time.Minute, nil, devices},
	{"tests", "Tests of package dnn/cuda on the GPU", 6 * time.Minute, 5 * time.Minute, needGPU, tests},
	{"losses", "First ten losses of alexnet.net, held against the CPU's", 5 * time.Minute, 3 * time.Minute, needGPU, losses},
	{"sanitizer", "Three steps of a small network under compute-sanitizer's memcheck", 6 * time.Minute, 4 * time.Minute, needGPU, sanitizer},
	// Before all that is held against them.
	{"ceilings", "What the GPU can do: matrix products and copies, by PyTorch", 2 * time.Minute, time.Minute, needGPU, ceilings},
	{"speed", "Training step of alexnet.net", 12 * time.Minute, 2 * time.Minute, needGPU, speed},
	{"operations", "Every operation of a step of alexnet.net", 2 * time.Minute, time.Minute, needGPU, operations},
	{"peer-eager", "Training step beside PyTorch, eager", 8 * time.Minute, 2 * time.Minute, needGPU, peer("eager")},
	{"peer-compile", "Training step beside PyTorch, torch.compile", 13 * time.Minute, 4 * time.Minute, needGPU, peer("compile")},
	{"peer-max-autotune", "Training step beside PyTorch, torch.compile in mode max-autotune", 18 * time.Minute, 0, needGPU, peer("max-autotune")},
	{"learn", "alexnet.net learns the images of -data by heart", 6 * time.Minute, 3 * time.Minute, needData, learn},
	{"curves", "Losses of alexnet.net on the images of -data in every precision, with graphs and without", 6 * time.Minute, 3 * time.Minute, needData, curves},
	{"feeding", "Training of alexnet.net from the records of -data beside the bare step", 10 * time.Minute, 3 * time.Minute, needData, feeding},
	{"endurance", "Five minutes of training of alexnet.net on the images of -data: memory and speed", 7 * time.Minute, 2 * time.Minute, needData, endurance},
	{"cifar", "nets/cifar10-quick.net on the CIFAR-10 of -cifar, 12 passes", 5 * time.Minute, 5 * time.Minute, needCIFAR, cifar},
}

// partNames returns the names of all parts.
func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// limits returns what the limits of all parts add up to, and with -quick.
func limits() (total, quick time.Duration) {
	for _, p := range parts {
		total, quick = total+p.limit, quick+p.quick
	}
	return total, quick
}

func needGPU(c *check) string {
	if c.lookErr != nil {
		return "it is not known what this machine has: " + c.lookErr.Error()
	}
	if why := c.result.Machine.Missing(); why != "" {
		return "no GPU can be used: " + why
	}
	return ""
}

func needData(c *check) string {
	if c.data == "" {
		return "no -data"
	}
	return needGPU(c)
}

func needCIFAR(c *check) string {
	if c.cifar == "" {
		return "no -cifar"
	}
	return needGPU(c)
}

// revision names the source that this program was built from; scripts/gpu-check
// sets it.
var revision = "unknown"

// gpu is the device that is checked, as alexnet names it.
const gpu = "cuda:0"

// check is a check in progress.
type check struct {
	folder  string // with the programs, made by scripts/gpu-check build
	data    string
	cifar   string
	out     string
	python  string
	only    []string
	quick   bool
	limit   time.Duration
	log     io.Writer
	scratch string // for runs and data sets, removed at the end

	result  *Result
	lookErr error

	second time.Duration // which is less in tests

	// timeout is context.WithTimeoutCause but in tests.
	timeout func(context.Context, time.Duration, error) (context.Context, context.CancelFunc)
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	c := &check{log: stderr, second: time.Second, timeout: context.WithTimeoutCause}
	code, err := c.flags(args)
	if code >= 0 {
		return code
	}
	if err == nil {
		err = c.all(ctx)
	}
	if err != nil {
		fmt.Fprintf(stderr, "gpucheck: %v\n", err)
		return 1
	}
	return 0
}

// flags reads the command line. A code that is not negative ends the program.
func (c *check) flags(args []string) (code int, err error) {
	total, quick := limits()
	f := flag.NewFlagSet("gpucheck", flag.ContinueOnError)
	f.SetOutput(c.log)
	f.StringVar(&c.data, "data", "", "`FOLDER` of records, some hundred images of at least 224x224, for the parts learn, curves, feeding and endurance")
	f.StringVar(&c.cifar, "cifar", "", "`FOLDER` of records of CIFAR-10, for the part cifar")
	f.StringVar(&c.out, "out", filepath.FromSlash("bench/results"), "`FOLDER` that the two files go into")
	f.StringVar(&c.python, "python", "python3", "the `PROGRAM` that has PyTorch")
	only := f.String("only", "", "run some `PARTS` alone, with commas between: "+strings.Join(partNames(), ", ")+".\nWhat the files of the same day and GPU say of others stays")
	f.BoolVar(&c.quick, "quick", false, "one round of short measurements of batch 128, no max-autotune")
	f.DurationVar(&c.limit, "limit", 0, fmt.Sprintf("`TIME` for the whole check (default: the sum of the parts' limits: of all %v, with -quick %v)", total, quick))
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0, nil
	} else if err != nil {
		return 2, nil
	}
	usage := func(format string, args ...any) (int, error) {
		fmt.Fprintf(c.log, "gpucheck: "+format+"\n", args...)
		return 2, nil
	}
	if f.NArg() > 0 {
		return usage("what is %q? gpucheck takes flags alone", f.Arg(0))
	}
	if c.limit < 0 {
		return usage("-limit %v: want more than 0", c.limit)
	}
	if *only != "" {
		c.only = strings.Split(*only, ",")
		for _, name := range c.only {
			if !slices.Contains(partNames(), name) {
				return usage("-only: there is no part %q; there are %s", name, strings.Join(partNames(), ", "))
			}
		}
	}
	program, err := os.Executable()
	if err != nil {
		return -1, err
	}
	c.folder = filepath.Dir(program)
	for _, path := range []*string{&c.data, &c.cifar} { // programs run in folders of their own
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return -1, err
		}
	}
	return -1, nil
}

// all runs the parts. The error says that the check could not be done, or that
// something did not pass.
func (c *check) all(ctx context.Context) (err error) {
	if c.scratch, err = os.MkdirTemp("", "gpucheck"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.scratch)) }()

	var todo []part
	var sum time.Duration
	for _, p := range parts {
		if c.only != nil && !slices.Contains(c.only, p.name) && p.name != "devices" {
			continue
		}
		if c.quick {
			p.limit = p.quick
		}
		todo, sum = append(todo, p), sum+p.limit
	}
	if c.limit == 0 {
		c.limit = sum
	}
	end := time.Now().Add(c.limit)

	unset := process.CleanEnvironment()
	c.result = &Result{Date: time.Now().Format(time.DateOnly)}
	limited, cancel := c.timeout(ctx, time.Minute, errors.New("it took more than a minute"))
	c.result.Machine, c.lookErr = look(limited, c)
	cancel()
	c.result.Machine.Unset = unset
	if err := c.result.GoOn(c.out); err != nil {
		return err
	}
	fmt.Fprintf(c.log, "at most %v; the result goes into %s\n", c.limit, filepath.Join(c.out, c.result.FileName()+".md"))

	var names []string
	for _, p := range todo {
		names = append(names, p.name)
		record := c.result.Part(p.name, partNames())
		*record = Part{Name: p.name, Title: p.title, Status: Unfinished, Started: time.Now(), Revision: revision}
		limit := min(p.limit, time.Until(end))
		record.Limit = limit.Seconds()
		if err := c.result.Write(c.out); err != nil { // should this be the last that is heard of it
			return err
		}
		c.one(ctx, p, record, limit)
		record.Seconds = time.Since(record.Started).Seconds()
		fmt.Fprintf(c.log, "%-18s %-8s %4.0f s  %s\n", p.name, record.Status, record.Seconds, process.Short(measure.OneLine(record.Why)))
		if err := c.result.Write(c.out); err != nil {
			return err
		}
	}
	if c.result.Failed(names) {
		return errors.New("not everything passed")
	}
	return nil
}

// one runs a part and records how it ended.
func (c *check) one(ctx context.Context, p part, record *Part, limit time.Duration) {
	skip := ""
	switch {
	case ctx.Err() != nil:
		skip = "the check was interrupted before"
	case p.limit == 0:
		skip = "left out with -quick"
	case p.skip != nil:
		skip = p.skip(c)
	}
	if skip == "" && limit <= 0 {
		skip = fmt.Sprintf("nothing was left of the %v for the whole check", c.limit)
	}
	if skip != "" {
		record.Status, record.Why = Skipped, skip
		return
	}
	limited, cancel := c.timeout(ctx, limit, fmt.Errorf("stopped at the limit of %v", limit.Round(time.Second)))
	defer cancel()
	err := p.run(limited, c, record)
	_, skipped := err.(skipError) // and nothing else beside it
	switch {
	case ctx.Err() != nil:
		record.Status, record.Why = Failed, "interrupted"
	case err == nil:
		record.Status = Passed
	case skipped:
		record.Status, record.Why = Skipped, err.Error()
	default:
		record.Status, record.Why = Failed, err.Error()
	}
	if record.Output == "" {
		record.Output = process.OutputOf(err)
	}
}

// skipError says why a part cannot be done here.
type skipError string

func (e skipError) Error() string { return string(e) }

// program is alexnet.
func (c *check) program() string { return filepath.Join(c.folder, "alexnet") }
