package train

import (
	"context"
	"errors"
	"fmt"

	"alexnet/loader"
	"alexnet/plan"
)

// Testing is a test of the mean of several networks' outputs, as section 7
// averages five and seven.
type Testing struct {
	Models []string // checkpoints, and predictions that were saved, which count as often as there were networks
	plan.Placement
	Set   *loader.Set // may be nil where no model is a checkpoint
	Batch int         // patches that are worked on at once; 0 is each network's own
	Views int         // 1 or 10; 0 is what the first network says

	Progress func(done, total int64) // images, summed over the checkpoints

	// Each, if not nil, is called with every image in order, once all networks have
	// seen it. The logits are its only until it returns.
	Each func(image int64, label int32, logits []float64)
}

// Test tests one network after the other on the same devices. The second result
// says what the outputs are of.
func Test(ctx context.Context, t Testing) (Result, Source, error) {
	e := evaluation{Testing: t}
	var saved []*Predictions
	for _, path := range t.Models {
		p, err := readIfPredictions(path)
		if err != nil {
			return Result{}, Source{}, err
		}
		if p == nil {
			e.checkpoints = append(e.checkpoints, path)
			continue
		}
		saved = append(saved, p)
	}
	if len(e.checkpoints) > 0 {
		e.total = images(t.Set, "test") * int64(len(e.checkpoints))
	}
	for _, p := range saved {
		if err := e.add(p); err != nil {
			return Result{}, Source{}, err
		}
	}
	for i, path := range e.checkpoints {
		if err := e.run(ctx, path, i == len(e.checkpoints)-1); err != nil {
			return Result{}, Source{}, err
		}
	}
	if len(e.checkpoints) == 0 {
		e.report()
	}
	return e.tally.result(e.source.Views), e.source, nil
}

// NeedData reports whether any of the models is a checkpoint, which is to be tested
// on a data set, and not predictions that were saved.
func NeedData(models []string) (bool, error) {
	for _, path := range models {
		p, err := readIfPredictions(path)
		if err != nil || p == nil {
			return true, err
		}
	}
	return false, nil
}

// Source says what logits are of.
type Source struct {
	Dataset  string   // fingerprint
	Name     string   // of the data set
	Images   int64    // of its test split
	Classes  []string // whose images it has; a network may have more outputs
	Outputs  int
	Networks int // that were averaged
	Views    int // of each image
}

// compatible says, as an error, why outputs of s and o cannot be averaged.
func (s Source) compatible(o Source) error {
	switch {
	case s.Dataset != o.Dataset:
		return fmt.Errorf("it is of the data set %s, and what comes before it of %s, another one", o.Name, s.Name)
	case s.Images != o.Images:
		return fmt.Errorf("it has %d images, and what comes before it %d", o.Images, s.Images)
	case s.Outputs != o.Outputs:
		return fmt.Errorf("it tells %d classes apart, and what comes before it %d: their outputs cannot be averaged", o.Outputs, s.Outputs)
	}
	return nil
}

// evaluation is a test that goes on.
type evaluation struct {
	Testing
	checkpoints []string
	done, total int64
	source      Source
	sums        mixture // [image, output] over networks; not of one model alone, whose logits stay as they are
	labels      []int32 // of the images that sums has
	seen        []int   // networks that each image was given to; nil for one model alone
	tally       tally
	mean        []float64 // logits
}

// begin joins what comes next to what has been added up.
func (e *evaluation) begin(path string, next Source) error {
	if e.source.Networks > 0 {
		if err := e.source.compatible(next); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		next.Networks += e.source.Networks
	}
	next.Views = max(next.Views, e.source.Views)
	e.source = next
	if e.seen == nil && len(e.Models) > 1 {
		e.sums = newMixture(int(next.Images) * next.Outputs)
		e.labels, e.seen = make([]int32, next.Images), make([]int, next.Images)
	}
	e.mean = make([]float64, next.Outputs)
	return nil
}

// add adds saved predictions.
func (e *evaluation) add(p *Predictions) error {
	if err := e.begin(p.Path, p.Source); err != nil {
		return err
	}
	logits := make([]float64, p.Outputs)
	for i, label := range p.Labels {
		if label < 0 {
			continue
		}
		p.read(logits, i)
		if e.seen == nil {
			e.image(int64(i), label, logits)
			continue
		}
		e.enter(int64(i), label, logits, p.Networks)
	}
	return nil
}

// run adds a checkpoint's outputs; after the last one each image is reported.
func (e *evaluation) run(ctx context.Context, path string, last bool) (err error) {
	m, err := OpenModel(ctx, path, e.Placement, e.Batch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if e.Views == 0 {
		e.Views = m.Net.Data.Views
	}
	info := e.Set.Info()
	s := Source{Dataset: info.Fingerprint, Name: info.Name, Images: images(e.Set, "test"), Classes: classNames(e.Set),
		Outputs: m.Net.Classes(), Networks: 1, Views: e.Views}
	if err := e.begin(path, s); err != nil {
		return err
	}
	return m.Predict(ctx, e.Set, e.Views, func(image int64, label int32, logits []float64) {
		if e.seen != nil {
			e.enter(image, label, logits, 1)
			logits = e.average(image)
		}
		if last {
			e.image(image, label, logits)
		}
		e.done++
		e.Progress(e.done, e.total)
	})
}

// enter adds an image's logits, which are of so many networks.
func (e *evaluation) enter(image int64, label int32, logits []float64, networks int) {
	e.sums.add(e.row(image), logits, networks)
	e.labels[image] = label
	e.seen[image] += networks
}

// row returns where an image's sums begin.
func (e *evaluation) row(image int64) int { return int(image) * e.source.Outputs }

// average returns the logits of the mean over the networks so far. They stay until
// the next call.
func (e *evaluation) average(image int64) []float64 {
	e.sums.mean(e.mean, e.row(image), e.source.Networks)
	return e.mean
}

// report reports every image of several saved predictions.
func (e *evaluation) report() {
	for image, label := range e.labels {
		e.image(int64(image), label, e.average(int64(image)))
	}
}

// image reports an image that all networks were given: one that is damaged may
// have been passed over.
func (e *evaluation) image(image int64, label int32, logits []float64) {
	if e.seen != nil && e.seen[image] < e.source.Networks {
		return
	}
	e.tally.add(label, logits)
	if e.Each != nil {
		e.Each(image, label, logits)
	}
}
