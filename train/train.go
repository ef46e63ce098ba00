// Package train teaches a network (section 5 of the paper) and tests it.
//
// A run is a folder:
//
//	config.net                    the network it was started with
//	metrics.jsonl                 what it did, line by line (package metrics)
//	events.out.tfevents.*         the same for TensorBoard (package tensorboard)
//	orders/, lock                 how other programs reach it while it goes on
//	checkpoints/newest.safetensors, previous.safetensors, best.safetensors, pass-0010.safetensors
//
// Everything that a step does depends on the seed, the step and the checkpoint
// it started from alone. So a run that is stopped, however rudely, and resumed
// gives what it would have given. A run saves before each test. When it fails, it
// saves the weights of its last step, unless they are not finite.
package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"alexnet/checkpoint"
	"alexnet/dnn"
	"alexnet/internal/lock"
	"alexnet/internal/metrics"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"
)

// Config is what a run is made of.
type Config struct {
	Net  *model.Net
	Text string // the network's text
	Set  *loader.Set
	plan.Placement
	Dir    string // of the run
	Resume bool   // go on from the newest checkpoint in Dir, with what Net changes of the train and data blocks; else Dir must hold no run
	From   string // with Resume: go on from this checkpoint of the run instead of the newest, if not ""
	Init   string // the checkpoint whose layers to start from, if not ""; a Message says what is taken of each
	Watch  Watch  // looks on, if not nil
	Desk   *Desk  // takes orders, if not nil; those that come by [Send] are always taken

	Steps     int64 // stop after so many, if not 0, instead of the network's passes
	SaveEvery int64 // steps between checkpoints, if not 0, besides one after each pass
	KeepEvery int   // keep the checkpoint of every so many passes, if not 0

	Again string // the command that goes on with the run, for messages; "" is -resume -run Dir

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
	Previous    = "checkpoints/previous.safetensors" // the newest but one
	Best        = "checkpoints/best.safetensors"

	extension = ".safetensors"
	linking   = ".new" // after the name of a link that is being made
)

// run is a training in progress.
type run struct {
	Config
	images  int64   // in the training split
	steps   int64   // to do in all
	step    int64   // done
	seen    int64   // images in these steps, those of each pass anew
	saved   int64   // step of the newest checkpoint; -1 before the first
	before  float64 // the rate in the network's file before it changed on resuming, if it did
	partial bool    // an update of the weights was begun and may have been done in part
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
	r.Again = cmp.Or(r.Again, "-resume -run "+r.Dir)
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
	return r.guarded(ctx)
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
	if batch := int64(r.Net.Train.Batch); batch > r.images {
		r.Message("a batch of %d images holds the %d training images of %s more than once: a smaller one (-set train.batch=%d) learns more often", batch, r.images, r.Set.Info().Name, r.images)
	}
	if n := len(r.Set.Info().Classes); n < r.Net.Classes() {
		r.Message("the data set %s has %d classes: the other outputs of %s, which has %d, will learn to stay silent", r.Set.Info().Name, n, r.Net.Name, r.Net.Classes())
	}
	if d := r.Net.Train.Divide; images(r.Set, "test") == 0 && d.By != 0 && len(d.At) == 0 {
		r.Message("the data set %s has no test images: the rate, which is divided when the test error stops falling, stays as it is", r.Set.Info().Name)
	}
	return nil
}

// count computes how many steps there are to do in all.
func (r *run) count() error {
	batch := int64(r.Net.Train.Batch)
	left := max(0, int64(r.Net.Train.Passes)*r.images-r.seen)
	r.steps = r.step + (left+batch-1)/batch
	if r.Steps > 0 {
		r.steps = r.Steps
	}
	if r.steps > math.MaxUint32 {
		return fmt.Errorf("%d steps are to be done, of %d images each, and %d can be", r.steps, batch, uint32(math.MaxUint32))
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

func (r *run) path(name string) string { return filepath.Join(r.Dir, filepath.FromSlash(name)) }

// loop is the training. A step takes the next images of the endless sequence of
// passes, so a batch may reach from one pass into the next.
func (r *run) loop(ctx context.Context) (err error) {
	batch := int64(r.Net.Train.Batch)
	batches, err := r.Set.Train(ctx, loader.Options{
		Split: "train", Rows: int(batch), Height: r.Net.Input.H, Width: r.Net.Input.W,
		Mirror: r.Net.Data.Mirror, Color: r.Net.Data.Color, ColorPasses: r.Net.Data.Until, Seed: r.Net.Train.Seed, Memory: r.memory.take,
	}, r.seen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batches.Close()) }()

	r.line.started = time.Now()
	every := max(1, r.images/batch/100) // about a hundred lines a pass
	for {
		if r.passEnded() {
			if err := r.endPass(ctx); err != nil {
				return err
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
			return ctx.Err()
		}
		b, err := batches.Next(ctx)
		if err != nil {
			return err
		}
		if err := r.learn(b); err != nil {
			return err
		}
		batches.Release(b) // the loss is known, so its upload is over
		r.Progress(r.step, r.steps)
		if err := r.show(); err != nil {
			return err
		}
		save := r.SaveEvery > 0 && r.step%r.SaveEvery == 0 && !r.passEnded() // which saves
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
	return r.saveNew()
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
		return r.diverged(ctx, loss)
	}
	r.partial = true
	if err := r.runner.Launch(ctx, p, p.Update, len(p.Steps), &h.slots); err != nil {
		return err
	}
	r.partial = false
	r.step++
	r.seen += int64(p.Batch)
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
	m := metrics.Metric{Kind: metrics.Train, Step: r.step, Epoch: r.epoch(),
		Loss: l.loss / l.images, Top1Error: l.top1 / l.images, Top5Error: l.top5 / l.images,
		Rate: r.rates.base, ImagesPerSecond: l.images / now.Sub(l.started).Seconds()}
	if err := r.record.Write(m); err != nil {
		return err // the line is still to be written
	}
	*l = interval{started: now}
	r.Log(m)
	return nil
}

// epoch returns the passes over the training images so far.
func (r *run) epoch() float64 { return float64(r.seen) / float64(r.images) }

// passEnded reports whether a pass has ended since the last test.
func (r *run) passEnded() bool { return r.seen/r.images > int64(r.sched.Tested) }

// endPass tests the network and saves a checkpoint. It saves one before the test,
// too: a test can fail, and must not take the pass with it.
func (r *run) endPass(ctx context.Context) error {
	if err := r.writeLine(); err != nil {
		return err
	}
	passes := int(r.seen / r.images)
	result, sched, best, why := r.tested, r.sched.clone(), false, "as the network's file says"
	if images(r.Set, "test") > 0 {
		err := r.saveNew()
		if err != nil {
			return err
		}
		if result, err = r.evaluate(ctx); err != nil {
			return err
		}
		if best = sched.tested(r.Net.Train, result.Top1Error, passes); sched.Divided > r.sched.Divided {
			why = "on a plateau of the test error"
		}
		r.Log(result)
		if err := errors.Join(r.record.Write(result), r.drawKernels()); err != nil {
			return err
		}
	}
	to := sched.rates(r.Net, int64(passes))
	changes := sched.changed(r.Net, r.rates, to, r.step, why)
	var names []string
	if best {
		names = append(names, Best)
	}
	if r.KeepEvery > 0 && passes/r.KeepEvery > r.sched.Tested/r.KeepEvery { // a step may end several passes
		names = append(names, fmt.Sprintf("checkpoints/pass-%04d.safetensors", passes))
	}
	sched.Tested = passes
	r.tested, r.sched, r.rates = result, sched, to // all at once: a save after an error above has what was before the test
	if err := r.announce(changes); err != nil {
		return err
	}
	r.line.started = time.Now()
	return r.save(names...)
}

// evaluate tests with the centre patch of each image.
func (r *run) evaluate(ctx context.Context) (metrics.Metric, error) {
	const views = 1
	var t tally
	started, total := time.Now(), images(r.Set, "test")
	err := predict(ctx, r.Devices[0], r.runner, r.test, r.probs, r.Set, views, func(image int64, label int32, logits []float64) {
		t.add(label, logits)
		if r.Watch != nil {
			r.Watch.Tested(image, label, logits)
		}
		r.Testing(t.images, total)
	})
	result := t.result(views)
	return metrics.Metric{Kind: metrics.Test, Step: r.step, Epoch: r.epoch(),
		Loss: result.Loss, Top1Error: result.Top1Error, Top5Error: result.Top5Error,
		Rate: r.rates.base, ImagesPerSecond: float64(result.Images) / time.Since(started).Seconds()}, err
}
