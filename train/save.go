package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"alexnet/checkpoint"
	"alexnet/internal/raw"
)

// saveError is the error of a checkpoint that could not be saved.
type saveError struct{ error }

func (e saveError) Unwrap() error { return e.error }

// divergence is the error of a run whose loss or weights are not finite.
type divergence struct{ error }

func (e divergence) Unwrap() error { return e.error }

// guarded runs the loop. Whatever ends it, even a panic, the weights of the last
// step are saved. Weights that are not finite are not: the newest checkpoint stays.
func (r *run) guarded(ctx context.Context) (err error) {
	ended := false
	defer func() {
		if !ended { // a panic, which goes on after this
			if e := r.rescue(); e != nil {
				r.Message("the weights of step %d could not be saved: %v", r.step, e)
			}
		}
	}()
	err = r.loop(ctx)
	ended = true
	if err == nil || errors.Is(err, ErrStopped) || errors.As(err, new(saveError)) || errors.As(err, new(divergence)) {
		return err
	}
	stopped := ctx.Err() != nil
	switch e := r.rescue(); {
	case e != nil && stopped:
		return fmt.Errorf("stopped, but the run could not be saved: %w", e)
	case e != nil:
		return errors.Join(err, fmt.Errorf("the weights of step %d could not be saved: %w", r.step, e))
	case stopped:
		return ctx.Err()
	}
	return fmt.Errorf("%w; the run is saved after step %d", err, r.step)
}

// rescue saves the weights of the last step and the metrics so far.
func (r *run) rescue() error {
	if r.saved == r.step {
		return nil
	}
	if r.partial {
		return errors.New("the step after it had begun to change them")
	}
	return errors.Join(r.writeLine(), r.save())
}

// save writes a checkpoint under the given names and then as the newest, so that
// a run which is killed in between does the same again when it is resumed. The one
// that was the newest stays as the previous one. Weights that are not finite are a
// [divergence], and nothing is written.
func (r *run) save(names ...string) error {
	err := r.write(names)
	if err != nil && !errors.As(err, new(divergence)) {
		return saveError{err}
	}
	return err
}

// saveNew saves unless the newest checkpoint is of this step.
func (r *run) saveNew() error {
	if r.saved == r.step {
		return nil
	}
	return r.save()
}

func (r *run) write(names []string) error {
	ctx := context.Background()
	if err := r.runner.Synchronize(ctx); err != nil {
		return err
	}
	if err := save(ctx, r.runner, r.train, r.tensors); err != nil {
		return err
	}
	for _, t := range r.tensors {
		if i := raw.FirstNotFinite(t.Data); i >= 0 {
			return divergence{fmt.Errorf("step %d: number %d of %s is %g: %s", r.step, i, t.Name, t.Data[i], r.advice())}
		}
	}
	if err := r.record.Sync(); err != nil {
		return err
	}
	schedule, err := r.sched.marshal()
	if err != nil {
		return err
	}
	c := &checkpoint.Checkpoint{
		Tensors: r.tensors,
		State: checkpoint.State{
			Net: r.Text, Step: r.step, Images: r.seen, Seed: r.Net.Train.Seed, Batch: r.Net.Train.Batch,
			Schedule: schedule, Dataset: r.Set.Info().Fingerprint, Classes: classNames(r.Set),
			Loss: r.tested.Loss, Top1Error: r.tested.Top1Error,
		}}
	if err := r.keepPrevious(); err != nil {
		return err
	}
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

// keepPrevious gives the newest checkpoint a second name, under which it stays when
// the next one is written. A file system that gives a file one name only keeps none.
func (r *run) keepPrevious() error {
	err := link(r.path(Newest), r.path(Previous))
	for _, none := range []error{fs.ErrNotExist, errors.ErrUnsupported, fs.ErrPermission} {
		if errors.Is(err, none) {
			return nil
		}
	}
	return err
}

// link gives a file a second name. It replaces what had that name. The file keeps the
// second name when the first one is given to a newer file.
func link(path, name string) error {
	temporary := name + linking
	if err := removeIfThere(temporary); err != nil {
		return err
	}
	if err := os.Link(path, temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, name); err != nil {
		return err
	}
	return removeIfThere(temporary) // which stays where both names were of one file
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
