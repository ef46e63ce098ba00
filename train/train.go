// Package train teaches a network (section 5 of the paper) and tests it.
//
// A run is a folder:
//
//	config.net                    the network it was started with
//	metrics.jsonl                 what it did, line by line (package metrics)
//	events.out.tfevents.*         the same for TensorBoard (package tensorboard)
//	orders/, lock                 how other programs reach it while it goes on
//	checkpoints/newest.safetensors, best.safetensors, pass-0010.safetensors
//
// Everything that a step does depends on the seed, the step and the checkpoint
// it started from alone. So a run that is stopped, however rudely, and resumed
// gives what it would have given.
package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"alexnet/checkpoint"
	"alexnet/dnn"
	"alexnet/internal/lock"
	"alexnet/internal/metrics"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"

	"github.com/google/renameio/v2"
)

// Config is what a run is made of.
type Config struct {
	Net  *model.Net
	Text string // the network's text
	Set  *loader.Set
	plan.Placement
	Dir    string // of the run
	Resume bool   // go on from the newest checkpoint in Dir; else Dir must hold no run
	Init   string // the checkpoint whose layers to start from, if not ""; a Message says what is taken of each
	Watch  Watch  // looks on, if not nil
	Desk   *Desk  // takes orders, if not nil; those that come by [Send] are always taken

	Steps     int64 // stop after so many, if not 0, instead of the network's passes
	SaveEvery int64 // steps between checkpoints, if not 0, besides one after each pass
	KeepEvery int   // keep the checkpoint of every so many passes, if not 0

	Log      func(metrics.Metric)             // every line of metrics.jsonl
	Progress func(done, total int64)          // steps, after each
	Testing  func(done, total int64)          // images, during a test
	Message  func(format string, args ...any) // what else a person should know
}

// ConfigFile and the others are the names of things in a run's folder.
const (
	ConfigFile  = "config.net"
	MetricsFile = "metrics.jsonl"
	Newest      = "checkpoints/newest.safetensors"
	Best        = "checkpoints/best.safetensors"

	extension = ".safetensors"
	linking   = ".new" // after the name of a link that is being made
)

// run is a training in progress.
type run struct {
	Config
	images  int64 // in the training split
	steps   int64 // to do in all
	step    int64 // done
	saved   int64 // step of the newest checkpoint; -1 before the first
	tensors []checkpoint.Tensor
	tested  metrics.Metric // the last test
	sched   schedule
	rates   rates

	runner *plan.Runner
	train  *plan.Program
	test   *plan.Program
	memory memory // of the first device; given back after the runner
	host   *host
	probs  *host // for tests
	record *record
	line   interval
}

// interval gathers what goes into the next line of metrics.
type interval struct {
	images, loss, top1, top5 float64
	started                  time.Time
}

// Run trains until the passes are done, the context is cancelled (it saves a
// checkpoint first and returns the context's error), it is ordered to stop (the
// same with [ErrStopped]), or something fails.
func Run(ctx context.Context, c Config) (err error) {
	r := &run{Config: c, sched: newSchedule(), saved: -1}
	if r.Desk == nil {
		r.Desk = NewDesk()
	}
	defer r.Desk.end()
	r.tested.Loss, r.tested.Top1Error = math.NaN(), math.NaN()
	if err := r.check(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.memory.Close()) }()
	if err := r.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.runner.Close()) }()
	held, err := r.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	defer func() { err = errors.Join(err, r.record.Close()) }()
	var box sync.WaitGroup
	defer box.Wait()
	open, closeBox := context.WithCancel(context.WithoutCancel(ctx)) // until the loop has ended, whatever ends it
	defer closeBox()
	defer r.Desk.end()
	if r.Watch != nil {
		r.Watch.Started(r.step, r.steps, r.train, r.test)
	}
	box.Go(func() { mailbox(open, r.path(ordersDir), r.Desk, r.Message) })
	return r.loop(ctx)
}

// check finds what can be known to be wrong before anything is made.
func (r *run) check() error {
	if err := Fits(r.Net, r.Set); err != nil {
		return err
	}
	r.images = images(r.Set, "train")
	if r.images == 0 {
		return fmt.Errorf("the data set %s has no training images", r.Set.Info().Name)
	}
	batch := int64(r.Net.Train.Batch)
	r.steps = (int64(r.Net.Train.Passes)*r.images + batch - 1) / batch
	if r.Steps > 0 {
		r.steps = r.Steps
	}
	if r.steps > math.MaxUint32 {
		return fmt.Errorf("%d steps are to be done, of %d images each, and %d can be", r.steps, batch, uint32(math.MaxUint32))
	}
	if n := len(r.Set.Info().Classes); n < r.Net.Classes() {
		r.Message("the data set %s has %d classes: the other outputs of %s, which has %d, will learn to stay silent", r.Set.Info().Name, n, r.Net.Name, r.Net.Classes())
	}
	if d := r.Net.Train.Divide; images(r.Set, "test") == 0 && d.By != 0 && len(d.At) == 0 {
		r.Message("the data set %s has no test images: the rate, which is divided when the test error stops falling, stays as it is", r.Set.Info().Name)
	}
	return nil
}

func (r *run) prepare() (err error) {
	info := r.Set.Info()
	o := plan.Options{Batch: r.Net.Train.Batch, MeanH: info.Height, MeanW: info.Width}
	if r.train, err = r.Placement.Compile(r.Net, o); err != nil {
		return err
	}
	o.Mode = plan.Test
	if r.test, err = r.Placement.Compile(r.Net, o); err != nil {
		return err
	}
	r.memory.device = r.Devices[0]
	if r.host, err = newHost(&r.memory, r.train); err != nil {
		return err
	}
	if r.probs, err = newHost(&r.memory, r.test); err != nil {
		return err
	}
	r.runner, err = plan.NewRunner(r.Devices, r.train, r.test)
	return err
}

// start makes the run's folder and the first weights, or takes both from where
// an earlier run stopped. It returns the lock of the folder.
func (r *run) start(ctx context.Context) (held *os.File, err error) {
	if !r.Resume {
		if _, err := os.Stat(r.path(ConfigFile)); err == nil {
			return nil, fmt.Errorf("%s holds a run already: go on with it (-resume), or choose another folder (-run)", r.Dir)
		}
		if err := os.MkdirAll(r.path(filepath.Dir(Newest)), 0o777); err != nil {
			return nil, err
		}
	}
	if held, err = r.lock(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(r.open(ctx), openMailbox(r.path(ordersDir))); err != nil {
		if r.record != nil {
			err = errors.Join(err, r.record.Close())
		}
		return nil, errors.Join(err, held.Close())
	}
	return held, nil
}

// lock keeps other programs from training in the folder. One that looks whether a
// training goes on there has the lock for a moment.
func (r *run) lock(ctx context.Context) (*os.File, error) {
	for tries := 10; ; tries-- {
		held, err := lock.Take(r.path(lockFile))
		if !errors.Is(err, lock.ErrHeld) {
			return held, err
		}
		if tries == 0 {
			return nil, fmt.Errorf("another training goes on in %s: wait for it, or choose another folder (-run)", r.Dir)
		}
		select {
		case <-time.After(lookEvery / 10):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// open makes or reads what is in the folder.
func (r *run) open(ctx context.Context) (err error) {
	if r.Resume {
		err = r.restore()
	} else {
		err = r.begin()
	}
	if err != nil {
		return err
	}
	r.rates = r.sched.rates(r.Net, int64(r.sched.Tested))
	if err := load(ctx, r.runner, r.train, r.tensors); err != nil {
		return fmt.Errorf("%s: %w", r.path(Newest), err)
	}
	path := r.path(MetricsFile)
	if r.Resume {
		r.record, err = resumeRecord(r.Dir, path, r.step)
	}
	if !r.Resume || errors.Is(err, fs.ErrNotExist) && r.step == 0 {
		r.record, err = newRecord(r.Dir, path, r.Text)
	}
	if err != nil {
		return err
	}
	if r.Resume {
		return r.announce(slices.DeleteFunc(slices.Clone(r.sched.Changes), func(c change) bool { return c.Step < r.step }))
	}
	if r.Init != "" { // a run that is resumed does not look there again
		if err := r.save(); err != nil {
			return err
		}
	}
	return renameio.WriteFile(r.path(ConfigFile), []byte(r.Text), 0o666) // now there is a run
}

func (r *run) path(name string) string { return filepath.Join(r.Dir, filepath.FromSlash(name)) }

// begin makes the first tensors.
func (r *run) begin() error {
	info := r.Set.Info()
	r.tensors = initial(r.train, meanOf(r.Net.Data.Mean, r.Set.Mean(), r.Set.RGB(), info.Height, info.Width))
	if r.Init == "" {
		return nil
	}
	c, err := checkpoint.Read(r.Init)
	if err != nil {
		return err
	}
	taken, err := transfer(r.Net, classNames(r.Set), r.tensors, c)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Init, err)
	}
	for _, t := range taken {
		r.Message("%s", t)
	}
	return nil
}

// restore takes tensors and state from the newest checkpoint. A run that was
// stopped before its first starts anew.
func (r *run) restore() error {
	path := r.path(Newest)
	others, err := sweep(filepath.Dir(path))
	if err != nil {
		return err
	}
	c, err := checkpoint.Read(path)
	if errors.Is(err, fs.ErrNotExist) && len(others) == 0 {
		return r.begin()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing: to go on from another checkpoint, copy it there; there are %v", path, others)
	}
	if err != nil {
		return err
	}
	if c.State.Net != r.Text {
		return fmt.Errorf("%s: it belongs to another network than %s: resume with the run's own", path, r.path(ConfigFile))
	}
	if want := r.Set.Info().Fingerprint; c.Dataset != want {
		return fmt.Errorf("%s: the run was trained on another data set (fingerprint %s) than %s (%s): give the one it began with", path, c.Dataset, r.Set.Info().Name, want)
	}
	if r.sched, err = parseSchedule(c.Schedule); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.step, r.tensors = c.Step, c.Tensors
	r.tested.Loss, r.tested.Top1Error = c.Loss, c.State.Top1Error
	return nil
}

// sweep removes what a killed run left of a checkpoint that it was writing, and
// returns the names of whole ones.
func sweep(dir string) (whole []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil { // a kill may have come before it was made
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasPrefix(name, ".") && strings.Contains(name, extension) || strings.HasSuffix(name, extension+linking):
			err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
		case strings.HasSuffix(name, extension):
			whole = append(whole, name)
		}
	}
	return whole, err
}

// loop is the training. A step's images start at step*batch of the endless
// sequence of passes, so a batch may reach from one pass into the next.
func (r *run) loop(ctx context.Context) (err error) {
	batch := int64(r.Net.Train.Batch)
	batches, err := r.Set.Train(ctx, loader.Options{
		Split: "train", Rows: int(batch), Height: r.Net.Input.H, Width: r.Net.Input.W,
		Mirror: r.Net.Data.Mirror, Color: r.Net.Data.Color, ColorPasses: r.Net.Data.Until, Seed: r.Net.Train.Seed, Memory: r.memory.take,
	}, r.step*batch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batches.Close()) }()

	r.line.started = time.Now()
	every := max(1, r.images/batch/100) // about a hundred lines a pass
	for {
		passes := r.step * batch / r.images
		if passes > int64(r.sched.Tested) {
			if err := r.endPass(ctx, int(passes)); err != nil {
				return r.interrupted(ctx, err)
			}
		}
		if q := r.Desk.next(); q != nil {
			if err := r.carryOut(q); err != nil {
				return err
			}
		}
		if r.step >= r.steps {
			break
		}
		if ctx.Err() != nil {
			return r.interrupted(ctx, ctx.Err())
		}
		b, err := batches.Next(ctx)
		if err != nil {
			return r.interrupted(ctx, err)
		}
		if err := r.learn(b); err != nil {
			return err
		}
		batches.Release(b) // the loss is known, so its upload is over
		r.Progress(r.step, r.steps)
		if err := r.show(); err != nil {
			return err
		}
		passEnds := r.step*batch/r.images > int64(r.sched.Tested) // which saves, after its test
		save := r.SaveEvery > 0 && r.step%r.SaveEvery == 0 && !passEnds
		if r.step%every == 0 || save || r.step == r.steps {
			if err := r.writeLine(); err != nil {
				return err
			}
		}
		if save {
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	if r.saved == r.step {
		return nil
	}
	return r.save()
}

// learn does one step. The loss is looked at before the weights are changed, so
// that a loss that is no number leaves them as they were. The devices go backward
// meanwhile, and learn returns before they have updated the weights, so that they
// find the next step waiting and never stand still. Once the loss is known, so are
// the step's uploads over, and the host can be set for the next.
func (r *run) learn(b *loader.Batch) error {
	ctx := context.Background() // a step that was begun is finished
	p, h := r.train, r.host
	h.set(b, r.step, r.rates.layer)
	if err := r.runner.Launch(ctx, p, 0, p.Update, &h.slots); err != nil {
		return err
	}
	if err := r.runner.WaitLoss(ctx, p); err != nil {
		return err
	}
	n := float64(p.Batch)
	loss := h.total(dnn.StatLoss) / n
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return r.diverged(ctx, loss, r.rates.base)
	}
	if err := r.runner.Launch(ctx, p, p.Update, len(p.Steps), &h.slots); err != nil {
		return err
	}
	r.step++
	r.line.images += n
	r.line.loss += loss * n
	r.line.top1 += h.total(dnn.StatTop1)
	r.line.top5 += h.total(dnn.StatTop5)
	return nil
}

// writeLine records the means since the last line.
func (r *run) writeLine() error {
	l := &r.line
	if l.images == 0 {
		return nil
	}
	now := time.Now()
	m := metrics.Metric{Kind: metrics.Train, Step: r.step, Epoch: r.epochAt(r.step),
		Loss: l.loss / l.images, Top1Error: l.top1 / l.images, Top5Error: l.top5 / l.images,
		Rate: r.rates.base, ImagesPerSecond: l.images / now.Sub(l.started).Seconds()}
	*l = interval{started: now}
	r.Log(m)
	return r.record.Write(m)
}

func (r *run) epochAt(step int64) float64 {
	return float64(step) * float64(r.Net.Train.Batch) / float64(r.images)
}

// endPass tests the network and saves a checkpoint.
func (r *run) endPass(ctx context.Context, passes int) error {
	if err := r.writeLine(); err != nil {
		return err
	}
	best, why := false, "as the network's file says"
	divided := r.sched.Divided
	if images(r.Set, "test") > 0 {
		started := time.Now()
		result, err := r.evaluate(ctx)
		if err != nil {
			return err
		}
		r.tested = metrics.Metric{Kind: metrics.Test, Step: r.step, Epoch: r.epochAt(r.step),
			Loss: result.Loss, Top1Error: result.Top1Error, Top5Error: result.Top5Error,
			Rate: r.rates.base, ImagesPerSecond: float64(result.Images) / time.Since(started).Seconds()}
		best = r.sched.tested(r.Net.Train, result.Top1Error)
		r.Log(r.tested)
		if err := errors.Join(r.record.Write(r.tested), r.drawKernels()); err != nil {
			return err
		}
	}
	if r.sched.Divided > divided {
		why = "on a plateau of the test error"
	}
	tested, to := r.sched.Tested, r.sched.rates(r.Net, int64(passes))
	changes := r.sched.changed(r.Net, r.rates, to, r.step, why)
	r.rates, r.sched.Tested = to, passes
	var names []string
	if best {
		names = append(names, Best)
	}
	if r.KeepEvery > 0 && passes/r.KeepEvery > tested/r.KeepEvery { // a step may end several passes
		names = append(names, fmt.Sprintf("checkpoints/pass-%04d.safetensors", passes))
	}
	if err := r.announce(changes); err != nil {
		return err
	}
	r.line.started = time.Now()
	return r.save(names...)
}

// evaluate tests with the centre patch of each image.
func (r *run) evaluate(ctx context.Context) (Result, error) {
	const views = 1
	var t tally
	total := images(r.Set, "test")
	err := predict(ctx, r.Devices[0], r.runner, r.test, r.probs, r.Set, views, func(image int64, label int32, p []float64) {
		t.add(label, p)
		if r.Watch != nil {
			r.Watch.Tested(image, label, p)
		}
		r.Testing(t.images, total)
	})
	return t.result(views), err
}

// save writes a checkpoint under the given names and then as the newest, so that
// a run which is killed in between does the same again when it is resumed.
func (r *run) save(names ...string) error {
	ctx := context.Background()
	if err := r.runner.Synchronize(ctx); err != nil {
		return err
	}
	if err := save(ctx, r.runner, r.train, r.tensors); err != nil {
		return err
	}
	if err := r.record.Sync(); err != nil {
		return err
	}
	c := &checkpoint.Checkpoint{
		Tensors: r.tensors,
		State: checkpoint.State{
			Net: r.Text, Step: r.step, Seed: r.Net.Train.Seed, Batch: r.Net.Train.Batch,
			Schedule: r.sched.marshal(), Dataset: r.Set.Info().Fingerprint, Classes: classNames(r.Set),
			Loss: r.tested.Loss, Top1Error: r.tested.Top1Error,
		}}
	written := ""
	for _, name := range append(names, Newest) {
		if written != "" && link(r.path(written), r.path(name)) == nil {
			continue
		}
		// The first name, or a file system that gives a file one name only.
		if err := checkpoint.Write(r.path(name), c); err != nil {
			return err
		}
		written = name
	}
	r.saved = r.step
	return nil
}

// link gives a file another name as well, in the place of what had that name.
// Under it the file stays when the first name is given to a newer one.
func link(path, name string) error {
	temporary := name + linking
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(path, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, name)
}

// interrupted saves the run if err is that of a cancelled context. It returns the
// context's error only if that went well.
func (r *run) interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if err := errors.Join(r.writeLine(), r.save()); err != nil {
		return fmt.Errorf("stopped, but the run could not be saved: %w", err)
	}
	return ctx.Err()
}
