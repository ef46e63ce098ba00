package train

import (
	"errors"
	"strings"

	"alexnet/internal/metrics"
	"alexnet/internal/tensorboard"
)

// record is what a run writes down as it goes on: metrics.jsonl, and the same in
// event files for TensorBoard, with the network's text and the pictures of its
// first layer.
type record struct {
	lines  *metrics.Writer
	events *tensorboard.Writer
}

// newRecord begins the record of a run. Its first line is of step first or later.
func newRecord(dir, lines, text string, first int64) (*record, error) {
	events, err := tensorboard.Create(dir, first)
	if err != nil {
		return nil, err
	}
	// Indented by four, Markdown leaves a text as it is.
	verbatim := "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
	if err := events.Text(first, "network", verbatim); err != nil {
		return nil, errors.Join(err, events.Close())
	}
	w, err := metrics.Create(lines)
	if err != nil {
		return nil, errors.Join(err, events.Close())
	}
	return &record{w, events}, nil
}

// resumeRecord goes on with the record of a run that is taken up after step. If the
// test after that step is still to come, a test that was recorded then is void.
func resumeRecord(dir, lines string, step int64, test bool) (*record, error) {
	w, last, err := metrics.Resume(lines, step, test)
	if err != nil {
		return nil, err
	}
	if !test {
		step, last = step+1, nil
	}
	events, err := tensorboard.Create(dir, step) // which voids the events of this step and later ones
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	r := &record{w, events}
	for _, m := range last {
		err = errors.Join(err, r.scalars(m))
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Write adds a line, and its numbers to the curves. After an error the line is not
// written, and may be tried again.
func (r *record) Write(m metrics.Metric) error {
	if err := r.scalars(m); err != nil {
		return err
	}
	return r.lines.Write(m)
}

// scalars adds a line's numbers to the curves.
func (r *record) scalars(m metrics.Metric) error {
	var points []tensorboard.Scalar
	if m.Kind == metrics.Change {
		tag := "rate"
		if m.Layer != "" {
			tag += "/" + m.Layer
		}
		points = append(points, tensorboard.Scalar{Tag: tag, Value: m.Rate})
	} else {
		points = append(points,
			tensorboard.Scalar{Tag: m.Kind + "/loss", Value: m.Loss},
			tensorboard.Scalar{Tag: m.Kind + "/top1_error", Value: m.Top1Error},
			tensorboard.Scalar{Tag: m.Kind + "/top5_error", Value: m.Top5Error},
			tensorboard.Scalar{Tag: m.Kind + "/images_per_second", Value: m.ImagesPerSecond})
	}
	if m.Kind == metrics.Train {
		points = append(points, tensorboard.Scalar{Tag: "rate", Value: m.Rate})
	}
	return r.events.Scalars(m.Step, points...)
}

// Sync makes all that was written last through a loss of power.
func (r *record) Sync() error { return errors.Join(r.lines.Sync(), r.events.Sync()) }

// Close syncs and closes the files.
func (r *record) Close() error { return errors.Join(r.lines.Close(), r.events.Close()) }
