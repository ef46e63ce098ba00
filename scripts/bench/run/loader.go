package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"alexnet/internal/process"
	"alexnet/loader/record"

	"github.com/urfave/cli/v2"
)

var loaderCommand = &cli.Command{
	Name:  "loader",
	Usage: "packing images, and training batches of 128 crops of 224x224, beside PyTorch's DataLoader",
	Description: "The images are packed to 256x256 with both codecs, repeated until they do not fit into the last-level\n" +
		"cache. Then each case is measured once a round, and PyTorch's DataLoader, with one worker process, is one of\n" +
		"them where there is a python3 for it.",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "images", Usage: "original images, some hundred or more: `FOLDER|TAR`"},
		&cli.IntFlag{Name: "rounds", Value: 5, Usage: "measure each case `N` times"},
		&cli.Float64Flag{Name: "seconds", Value: 5, Usage: "how long a measurement takes, after a second that does not count (`S`)"},
		&cli.Int64Flag{Name: "larger-than", DefaultText: "the last-level cache", Usage: "repeat the images until, packed raw, they take more than `MIB`"},
		&cli.StringFlag{Name: "python", DefaultText: strings.Join(pythons, ", then "), Usage: "the `PROGRAM` that has torch, PIL and numpy; none leaves PyTorch out"},
		othersFlag(),
		&cli.StringFlag{Name: "work", DefaultText: "a temporary one, removed at the end", Usage: "keep what is made in a new `FOLDER`"},
		&cli.StringFlag{Name: "out", DefaultText: "bench/results of the source", Usage: "`FOLDER` that the two files go into"},
	},
	Action: func(c *cli.Context) (err error) {
		b, err := newLoaderBench(c)
		if err != nil {
			return err
		}
		var end func() error
		if b.work, end, err = workFolder(c.String("work")); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		if err := b.run(c.Context); err != nil {
			return err
		}
		return publish(c, b.out, b.result.fileName(), b.result, b.result.markdown())
	},
}

// loaderBench is a run of the benchmark.
type loaderBench struct {
	root, images, python, out, work string
	rounds                          int
	seconds                         float64
	largerThan                      int64 // bytes
	log                             io.Writer
	quiet                           *quiet

	program string // alexnet
	result  *LoaderResult
}

// newLoaderBench reads the command line.
func newLoaderBench(c *cli.Context) (*loaderBench, error) {
	b := &loaderBench{
		root: c.String("root"), images: c.String("images"), python: c.String("python"), out: c.String("out"),
		rounds: c.Int("rounds"), seconds: c.Float64("seconds"), largerThan: c.Int64("larger-than") << 20, log: c.App.ErrWriter,
		result: &LoaderResult{
			Result: newResult("loader"),
			Notes:  []string{}, // in JSON a list, too, if there are none
		},
	}
	switch {
	case c.NArg() > 0:
		return nil, usagef("what is %q? bench loader takes flags alone", c.Args().First())
	case b.images == "":
		return nil, usagef("which images? Give -images FOLDER|TAR")
	case b.rounds < 1:
		return nil, usagef("-rounds %d: want at least 1", b.rounds)
	case !(b.seconds > 0 && b.seconds <= 3600):
		return nil, usagef("-seconds %g: want more than 0 and at most an hour", b.seconds)
	case c.IsSet("larger-than") && (c.Int64("larger-than") < 1 || c.Int64("larger-than") > 1<<20):
		return nil, usagef("-larger-than %d: want from 1 to %d MiB", c.Int64("larger-than"), 1<<20)
	}
	b.largerThan = cmp.Or(b.largerThan, b.result.Machine.Cache)
	if b.largerThan == 0 {
		const large = 512 // more than the caches of the processors that this was tried on
		b.largerThan = large << 20
		b.result.note("The system does not say how large its caches are: %d MiB are taken for more than they hold.", large)
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
func (b *loaderBench) run(ctx context.Context) (err error) {
	python, err := choosePython(ctx, b.python, "torch, PIL, numpy")
	switch {
	case errors.Is(err, errNoPython):
		fmt.Fprintf(b.log, "PyTorch is left out: %v\n", err)
		b.result.note("PyTorch was left out: there was no python3 with torch, PIL and numpy.")
	case err != nil:
		return err
	}
	b.result.Commit = commit(ctx, b.root)
	b.say("building alexnet")
	if b.program, err = build(ctx, b.root, b.work); err != nil {
		return err
	}
	originals, err := gather(ctx, b.images, filepath.Join(b.work, "originals", "train"))
	if err != nil {
		return err
	}
	b.result.Images.Originals = len(originals.names)
	cases, err := b.prepare(ctx, originals)
	if err != nil {
		return err
	}
	if python != "" {
		theirs, err := b.pytorch(ctx, python, originals)
		if err != nil {
			return err
		}
		cases = append(cases, theirs)
	}
	b.result.Rounds, b.result.Seconds, b.result.Unit = b.rounds, b.seconds, "images/s"
	if b.result.Cases, err = alternate(ctx, b.rounds, cases, b.quiet); err != nil {
		return err
	}
	b.result.compare()
	return nil
}

func (b *loaderBench) say(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// The names of the cases.
const (
	raw1  = "alexnet, raw, 1 core"
	delta = "alexnet, delta, 1 core"
	raw2  = "alexnet, raw, 2 cores"
	torch = "PyTorch, 1 worker process"
)

// prepare times the packing of the originals, packs what is read later, and
// returns how that is measured.
func (b *loaderBench) prepare(ctx context.Context, originals *tree) ([]measurement, error) {
	bytes, err := b.timePacking(ctx, filepath.Dir(originals.dir))
	if err != nil {
		return nil, err
	}
	images := &b.result.Images
	if images.Repeated, err = repeats(len(originals.names), bytes, b.largerThan); err != nil {
		return nil, err
	}
	repeated := filepath.Join(b.work, "repeated")
	if err := originals.repeat(ctx, filepath.Join(repeated, "train"), images.Repeated); err != nil {
		return nil, err
	}
	folder := func(codec record.Codec) string { return filepath.Join(b.work, codec.String()) }
	for _, codec := range []record.Codec{record.Raw, record.Delta} {
		b.say("packing the images %d times, codec %v", images.Repeated, codec)
		if _, err := process.Run(ctx, "", nil, b.program, "pack", "folder", repeated, "-size", "256", "-codec", codec.String(), "-out", folder(codec)); err != nil {
			return nil, err
		}
		p, err := packed(folder(codec))
		if err != nil {
			return nil, err
		}
		images.Packed = p.images
		if codec == record.Raw {
			images.RawBytes = p.bytes
		} else {
			images.DeltaBytes = p.bytes
		}
	}
	measured := func(name string, codec record.Codec, cores int) measurement {
		return measurement{name, func(ctx context.Context) (float64, error) { return b.ours(ctx, folder(codec), cores) }}
	}
	cases := []measurement{measured(raw1, record.Raw, 1), measured(delta, record.Delta, 1)}
	if runtime.NumCPU() < 2 {
		b.result.note("There is one core alone: two were not measured.")
		return cases, nil
	}
	return append(cases, measured(raw2, record.Raw, 2)), nil
}

// ours measures alexnet's loader.
func (b *loaderBench) ours(ctx context.Context, data string, cores int) (float64, error) {
	return speed(process.Output(ctx, "", nil, b.program, "bench", "loader", "-data", data, "-json",
		"-cores", fmt.Sprint(cores), "-batch", "128", "-crop", "224", "-seconds", fmt.Sprint(b.seconds)))
}

// pytorch prepares PyTorch's images and returns how its loader is measured.
func (b *loaderBench) pytorch(ctx context.Context, python string, originals *tree) (m measurement, err error) {
	script, err := filepath.Abs(filepath.Join(b.root, "scripts", "bench", "pytorch_loader.py"))
	if err != nil {
		return m, err
	}
	jpegs := filepath.Join(b.work, "jpegs")
	b.say("preparing JPEG files for PyTorch")
	if _, err := process.Output(ctx, b.work, nil, python, script, "prepare", originals.dir, jpegs); err != nil {
		return m, err
	}
	return measurement{torch, func(ctx context.Context) (float64, error) {
		out, err := process.Output(ctx, b.work, torchVariables, python, script, "measure", jpegs, "--workers", "1", "--seconds", fmt.Sprint(b.seconds))
		if err == nil {
			b.result.PyTorch = &PyTorch{Variables: torchVariables}
			err = json.Unmarshal(out, b.result.PyTorch)
		}
		if err != nil {
			return 0, err
		}
		return speed(out, nil)
	}}, nil
}

// speed reads the figure in what a benchmark prints.
func speed(out []byte, err error) (float64, error) {
	if err != nil {
		return 0, err
	}
	var line struct {
		Speed float64 `json:"images_per_second"`
	}
	if err := json.Unmarshal(out, &line); err != nil {
		return 0, fmt.Errorf("the benchmark printed %.200q: %w", out, err)
	}
	return line.Speed, nil
}
