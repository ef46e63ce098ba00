package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"alexnet/checkpoint"
	"alexnet/internal/lock"
	"alexnet/internal/metrics"
	"alexnet/internal/regular"
	"alexnet/loader"
	"alexnet/loader/pack"
	"alexnet/loader/record"
	"alexnet/model"
	"alexnet/report"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var trainCommand = &cli.Command{
	Name:  "train",
	Usage: "train a network",
	Description: "Trains the network of -config on the data set of -data, and writes into the folder of\n" +
		"-run: metrics.jsonl, event files for TensorBoard, checkpoints, and at the end filters.png and curves.png.\n" +
		"Without -data the program's own pictures are used: coloured textures of 10 classes, 32x32.\n" +
		"Ctrl-C saves a checkpoint and leaves, as do the end of the terminal and of the reader of the output;\n" +
		"a second Ctrl-C leaves at once. -resume goes on from the newest checkpoint. What -set, -config or an\n" +
		"edited config.net in the run's folder change of the train and data blocks holds from then on.",
	Flags: append(runFlags(),
		configFlag(), setFlag(), dataFlag(), skipFlag(), httpFlag(),
		&cli.StringFlag{Name: "run", Usage: "the run's `FOLDER` (default: runs/NAME of the network)"},
		&cli.StringFlag{Name: "init", Usage: "start from the layers of `CHECKPOINT` that have the same names and shapes"},
		&cli.BoolFlag{Name: "resume", Usage: "go on with the run of -run from its newest checkpoint"},
		&cli.StringFlag{Name: "from", Usage: "with -resume: go on from this `CHECKPOINT` of the run instead of its newest"},
		&cli.Uint64Flag{Name: "seed", Usage: "of all random numbers, instead of the network's `N`"},
		&cli.Int64Flag{Name: "steps", Usage: "stop after `N` steps, whatever the network's passes"},
		&cli.Int64Flag{Name: "save", Usage: "a checkpoint every `N` steps, besides one after each pass"},
		&cli.IntFlag{Name: "keep", Usage: "keep the checkpoint of every `N`th pass, besides the newest and the best"}),
	Action: trainAction,
}

func dataFlag() cli.Flag {
	return &cli.StringFlag{Name: "data", Usage: "the data set's `FOLDER`, made by alexnet pack (default: pictures that the program draws)"}
}

func trainAction(c *cli.Context) (err error) {
	ctx := c.Context
	for _, name := range []string{"steps", "save", "keep"} {
		if c.Int64(name) < 0 || c.IsSet(name) && c.Int64(name) == 0 {
			return usagef("-%s %d: want at least 1", name, c.Int64(name))
		}
	}
	net, text, dir, err := whatToTrain(c)
	if err != nil {
		return err
	}
	w := c.App.ErrWriter
	on, err := openDevices(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	set, err := openData(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()

	training, testing := newProgress(w, "training", "steps"), newProgress(w, "testing", "images")
	damage := skipDamage(c, set, training)
	config := train.Config{
		Net: net, Text: string(text), Set: set, Placement: on.Placement, Dir: dir, Init: c.String("init"),
		Again: fmt.Sprintf("alexnet train -resume -run %s%s", quoted(dir), again(c)), Resume: c.Bool("resume"), From: c.String("from"), Steps: c.Int64("steps"), SaveEvery: c.Int64("save"), KeepEvery: c.Int("keep"),
		Progress: func(done, total int64) { testing.end(); training.update(done, total) },
		Testing:  testing.update,
		Message:  training.printf,
		Log: func(m metrics.Metric) {
			if m.Kind == metrics.Change {
				of := ""
				if m.Layer != "" {
					of = " of " + m.Layer
				}
				training.printf("step %d: the rate%s is %g: %s", m.Step, of, m.Rate, m.Why)
				return
			}
			if m.Kind == metrics.Test {
				testing.end()
				training.printf("pass %.0f: test error %.2f%% (top-5 %.2f%%), loss %.4f, rate %g",
					m.Epoch, 100*m.Top1Error, 100*m.Top5Error, m.Loss, m.Rate)
				return
			}
			training.describe("loss %.4f, error %.1f%%", m.Loss, 100*m.Top1Error)
		},
	}
	if c.IsSet("http") {
		server, openErr := openPage(c, &config)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, server.Close()) }()
	}
	fmt.Fprintf(w, "training %s on the data set %s; the run is in %s\n", net.Name, set.Info().Name, dir)
	// Damage is told of when it is met: it may lie in what is not read before the test.
	if messages, err := classMessages(set.Info(), set); err == nil {
		for _, m := range messages {
			fmt.Fprintln(w, m)
		}
	}
	err = train.Run(ctx, config)
	training.end()
	testing.end()
	damage.report()
	if errors.Is(err, context.Canceled) || errors.Is(err, train.ErrStopped) {
		return fmt.Errorf("stopped; the run is saved. Go on with: %s", config.Again)
	}
	if err != nil {
		return err
	}
	return drawRun(c, dir, net)
}

// again returns what else a resumed run must be told.
func again(c *cli.Context) string {
	var s string
	for _, name := range []string{"autotune", "no-graphs", "skip-corrupt"} {
		if c.Bool(name) {
			s += " -" + name
		}
	}
	for _, name := range []string{"data", "devices", "precision", "workspace", "steps", "save", "keep", "http"} {
		if c.IsSet(name) {
			s += fmt.Sprintf(" -%s %s", name, quoted(fmt.Sprint(c.Value(name))))
		}
	}
	return s
}

// quoted returns s as a shell reads it.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./,:+", r)
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// whatToTrain returns the network, its text, and the run's folder.
func whatToTrain(c *cli.Context) (net *model.Net, text []byte, dir string, err error) {
	dir = c.String("run")
	var settings []string
	if c.IsSet("seed") {
		settings = append(settings, fmt.Sprintf("train.seed=%d", c.Uint64("seed")))
	}
	if !c.Bool("resume") {
		if c.IsSet("from") {
			return nil, nil, "", usagef("-from is for a run that goes on: give -resume, too, or start a new run with -init")
		}
		if net, text, err = readNet(c, settings...); err == nil && dir == "" {
			dir = freshDir(filepath.Join("runs", net.Name))
		}
		return net, text, dir, err
	}
	if dir == "" {
		return nil, nil, "", usagef("which run is to go on? Give -run FOLDER")
	}
	if c.IsSet("init") {
		return nil, nil, "", usagef("-init: a run that goes on starts from its own checkpoint")
	}
	if c.IsSet("config") {
		net, text, err = readNet(c, settings...)
		return net, text, dir, err
	}
	path := filepath.Join(dir, train.ConfigFile)
	f, err := regular.Follow(path)
	if err == nil {
		text, err = readAll(f)
	}
	if errors.Is(err, fs.ErrNotExist) { // a checkpoint has it, too
		if s, e := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(train.Newest))); e == nil && s.Net != "" {
			text, err = []byte(s.Net), nil
		}
	}
	if err != nil {
		return nil, nil, "", usageError{fmt.Errorf("%s holds no run: %w", dir, err)}
	}
	if net, text, err = withSettings(c, path, text, settings...); err != nil {
		err = fmt.Errorf("%w\n(the run's checkpoint has its network, too: if %s is damaged, remove it)", err, path)
	}
	return net, text, dir, err
}

// freshDir returns dir, or dir-2, dir-3 and so on: the first that does not
// exist.
func freshDir(dir string) string {
	name := dir
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", dir, n)
	}
}

// openData opens the data set of -data, or the one that the program draws.
func openData(ctx context.Context, c *cli.Context) (*loader.Set, error) {
	dir := c.String("data")
	if dir == "" {
		var err error
		if dir, err = drawnData(ctx, c); err != nil {
			return nil, err
		}
	}
	open := loader.Open
	if c.Bool("skip-corrupt") {
		open = loader.OpenIncomplete
	}
	set, err := open(dir)
	if err != nil && c.String("data") == "" {
		return nil, fmt.Errorf("%w; the program drew this data set: remove %s, and it draws it again", err, dir)
	}
	return set, err
}

// The size of the data set that the program draws for those who have none.
const (
	drawnTrain = 10_000
	drawnTest  = 2_000
)

// drawnData returns the folder of the data set that the program draws, in the
// user's cache, where it is made once.
func drawnData(ctx context.Context, c *cli.Context) (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("a place for the data set that the program draws: %w; give a data set with -data", err)
	}
	dir = filepath.Join(cache, "alexnet", fmt.Sprintf("shapes-%d-%d-v%d", drawnTrain, drawnTest, record.Version))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", fmt.Errorf("a place for the data set that the program draws: %w; give a data set with -data", err)
	}
	held, err := lock.Wait(ctx, dir+".lock", func() {
		fmt.Fprintf(c.App.ErrWriter, "another program is drawing the data set %s: waiting for it\n", dir)
	})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	if _, err := os.Stat(dir); err == nil { // by the one that had the lock
		return dir, nil
	}
	drawing := newProgress(c.App.ErrWriter, "drawing", "images")
	defer drawing.end()
	fmt.Fprintf(c.App.ErrWriter, "drawing a data set into %s, once\n", dir)
	_, err = pack.Shapes(ctx, pack.Options{Out: dir, Progress: drawing.updateInt}, 1, drawnTrain, drawnTest)
	return dir, err
}

// The pictures of a run that is over, in its folder.
const (
	curvesFile  = "curves.png"
	filtersFile = "filters.png"
)

// drawRun draws a run's curves and, if it has a convolution, its first layer, and
// says where they are.
func drawRun(c *cli.Context, dir string, net *model.Net) error {
	m, err := metrics.Read(filepath.Join(dir, train.MetricsFile))
	if err != nil {
		return err
	}
	curves := filepath.Join(dir, curvesFile)
	if err := report.Curves(curves, []report.Run{{Name: filepath.Base(dir), Metrics: m}}); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "curves:      %s\n", curves)
	if !hasConv(net) {
		return nil
	}
	ck, err := checkpoint.Read(filepath.Join(dir, filepath.FromSlash(train.Newest)))
	if err != nil {
		return err
	}
	filters := filepath.Join(dir, filtersFile)
	if err := drawFilters(filters, ck, "", report.FilterOptions{}); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "first layer: %s\n", filters)
	return nil
}
