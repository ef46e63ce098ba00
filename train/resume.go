package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"alexnet/checkpoint"
	"alexnet/model"

	"github.com/google/renameio/v2"
)

// open makes or reads what is in the folder.
func (r *run) open(ctx context.Context) (err error) {
	var changes []change
	if r.Resume {
		changes, err = r.restore()
	} else {
		err = r.begin()
	}
	if err != nil {
		return err
	}
	if err := r.count(); err != nil {
		return err
	}
	r.rates = r.sched.rates(r.Net, int64(r.sched.Tested))
	if err := load(ctx, r.runner, r.train, r.tensors); err != nil {
		return fmt.Errorf("%s: %w", r.path(Newest), err)
	}
	if r.record, err = r.openRecord(); err != nil {
		return err
	}
	if !r.Resume {
		if r.Init != "" { // a run that is resumed does not look there again
			if err := r.save(); err != nil {
				return err
			}
		}
		return r.writeConfig() // now there is a run
	}
	if err := r.repeat(changes); err != nil {
		return err
	}
	switch {
	case r.step < r.steps:
	case r.Steps > 0:
		r.Message("nothing is left to do: %d steps are done, and %d were asked for", r.step, r.Steps)
	default:
		r.Message("nothing is left to do after step %d, at the end of %.4g passes: more passes make more (%s -set train.passes=%d)",
			r.step, r.epoch(), r.Again, int(r.epoch())+1)
	}
	// A kill after the text is written and before the checkpoint is leaves the
	// difference between them, which the next to resume finds again.
	if err := r.writeConfig(); err != nil {
		return err
	}
	return r.saveNew()
}

// repeat records the changes at the run's step again, which resuming cut off, and
// announces those that are new.
func (r *run) repeat(changes []change) error {
	for _, c := range r.sched.Changes[:len(r.sched.Changes)-len(changes)] {
		if c.Step < r.step {
			continue
		}
		if err := r.record.Write(r.metric(c)); err != nil {
			return err
		}
	}
	return r.announce(changes)
}

// openRecord goes on with the run's record, or begins one.
func (r *run) openRecord() (*record, error) {
	path := r.path(MetricsFile)
	if !r.Resume {
		return newRecord(r.Dir, path, r.Text, 0)
	}
	record, err := resumeRecord(r.Dir, path, r.step, r.passEnded())
	if !errors.Is(err, fs.ErrNotExist) {
		return record, err
	}
	if r.step > 0 {
		r.Message("%s is missing: a new record begins after step %d", path, r.step)
	}
	return newRecord(r.Dir, path, r.Text, r.step+1)
}

// writeConfig writes the network's text into the run's folder.
func (r *run) writeConfig() error {
	return renameio.WriteFile(r.path(ConfigFile), []byte(r.Text), 0o666)
}

// begin makes the first tensors.
func (r *run) begin() error {
	r.tensors = initial(r.train, r.mean())
	if r.Init == "" {
		return nil
	}
	c, err := read(r.Init)
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

// mean returns what the run subtracts from images.
func (r *run) mean() checkpoint.Tensor {
	info := r.Set.Info()
	return meanOf(r.Net.Data.Mean, r.Set.Mean(), r.Set.RGB(), info.Height, info.Width)
}

// restore takes tensors and state from a checkpoint of the run, and returns the changes
// of its rates that Net makes. A run that was stopped before its first checkpoint
// starts anew.
func (r *run) restore() (changes []change, err error) {
	dir := r.path(filepath.Dir(Newest))
	if err := errors.Join(os.MkdirAll(dir, 0o777), sweep(r.Dir), sweep(dir)); err != nil { // a kill may have come before dir was made
		return nil, err
	}
	path := cmp.Or(r.From, r.path(Newest))
	c, err := read(path)
	if errors.Is(err, fs.ErrNotExist) && r.From == "" && len(checkpointsIn(dir)) == 0 {
		return nil, r.begin()
	}
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, r.otherCheckpoint(path))
	}
	old, err := NetOf(path, c.State)
	if err != nil {
		return nil, err
	}
	if err := r.take(c, old); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.From != "" {
		r.Message("going on after step %d, from %s", r.step, r.From)
	}
	changed, err := changedSettings(old, r.Net)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(changed) > 0 {
		return r.adopt(old, changed), r.leaveBest()
	}
	if r.From != "" {
		return nil, r.leaveBest()
	}
	r.saved = r.step
	return nil, nil
}

// leaveBest gives the best checkpoint another name if the run goes on from an earlier
// step: what the run finds on its new way must not replace it.
func (r *run) leaveBest() error {
	best, err := checkpoint.ReadState(r.path(Best))
	if err != nil || best.Step <= r.step { // there is none, or it is damaged, or it is on the way
		return nil
	}
	name := r.path(fmt.Sprintf("checkpoints/best-of-step-%d%s", best.Step, extension))
	r.Message("the best checkpoint so far, of step %d, is %s from now on", best.Step, name)
	return os.Rename(r.path(Best), name)
}

// take takes over the content of a checkpoint, which is of the network old.
func (r *run) take(c *checkpoint.Checkpoint, old *model.Net) (err error) {
	if want := r.Set.Info().Fingerprint; c.Dataset != want {
		return fmt.Errorf("the run was trained on another data set (fingerprint %s) than %s (%s): give the one it began with", c.Dataset, r.Set.Info().Name, want)
	}
	if c.Seed != old.Train.Seed || c.Batch != old.Train.Batch {
		return fmt.Errorf("its metadata says seed %d and batch %d, and its network says %d and %d: the file was changed; take another checkpoint",
			c.Seed, c.Batch, old.Train.Seed, old.Train.Batch)
	}
	if c.Step < 0 || c.Step > math.MaxUint32 || c.Images < c.Step || c.Images > c.Step*math.MaxInt32 {
		return fmt.Errorf("its metadata says step %d and %d images: the file was changed; take another checkpoint", c.Step, c.Images)
	}
	if c.Loss < 0 || math.IsInf(c.Loss, 0) || c.State.Top1Error < 0 || c.State.Top1Error > 1 { // NaN: no test yet
		return fmt.Errorf("its metadata says loss %g and error %g: the file was changed; take another checkpoint", c.Loss, c.State.Top1Error)
	}
	r.step, r.seen, r.tensors = c.Step, c.Images, c.Tensors
	r.tested.Loss, r.tested.Top1Error = c.Loss, c.State.Top1Error
	if r.sched, err = parseSchedule(c.Schedule); err != nil {
		return err
	}
	if err := r.sched.check(old, c.Step, r.seen/r.images); err != nil {
		return fmt.Errorf("the state of the schedule: %w: the file was changed; take another checkpoint", err)
	}
	return nil
}

// adopt records the settings that are others than they were in old.
func (r *run) adopt(old *model.Net, changed []string) []change {
	if old.Data.Mean != r.Net.Data.Mean {
		*byName(r.tensors)[meanName] = r.mean()
	}
	r.before = old.Train.Rate
	why := "resumed with " + strings.Join(changed, ", ")
	first, passes := len(r.sched.Changes), int64(r.sched.Tested)
	from, to := r.sched.rates(old, passes), r.sched.rates(r.Net, passes)
	if from.base == to.base { // a line all the same: it says what changed
		r.sched.Changes = append(r.sched.Changes, change{Step: r.step, Rate: to.base, Why: why})
	}
	r.sched.changed(r.Net, from, to, r.step, why)
	return r.sched.Changes[first:]
}

// checkpointsIn returns the names of the checkpoints in a folder.
func checkpointsIn(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), extension) {
			names = append(names, e.Name())
		}
	}
	return names
}

// otherCheckpoint says how a run can go on whose checkpoint at path cannot be read.
func (r *run) otherCheckpoint(path string) string {
	dir := r.path(filepath.Dir(Newest))
	best, step := "", int64(-1)
	for _, name := range checkpointsIn(dir) {
		other := filepath.Join(dir, name)
		c, err := read(other)
		if err != nil || other == path || c.Net == "" {
			continue
		}
		if c.Step > step || c.Step == step && best != r.path(Newest) {
			best, step = other, c.Step
		}
	}
	switch best {
	case "":
		return "there is no other whole checkpoint of the run: copy one there, or start a new run"
	case r.path(Newest):
		return fmt.Sprintf("the run's newest checkpoint is whole, of step %d: leave -from out", step)
	}
	return fmt.Sprintf("the newest whole checkpoint of the run is of step %d: go on from it with %s -from %s", step, r.Again, best)
}

// leftover is the name of a file that was being written when its program was
// killed. renameio puts a point before the name and a number behind it.
var leftover = regexp.MustCompile(`^\..+\.(net|png|safetensors)\d+$`)

// sweep removes what killed programs left in a folder of a run.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if name := e.Name(); leftover.MatchString(name) || strings.HasSuffix(name, extension+linking) {
			err = errors.Join(err, removeIfThere(filepath.Join(dir, name)))
		}
	}
	return err
}
