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

// newRecord begins the record of a run, of which nothing is written yet.
func newRecord(dir, lines, text string) (*record, error) {
	events, err := tensorboard.Create(dir, 0)
	if err != nil {
		return nil, err
	}
	// Indented by four, Markdown leaves a text as it is.
	verbatim := "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
	if err := events.Text(0, "network", verbatim); err != nil {
		return nil, errors.Join(err, events.Close())
	}
	w, err := metrics.Create(lines)
	if err != nil {
		return nil, errors.Join(err, events.Close())
	}
	return &record{w, events}, nil
}

// resumeRecord goes on with the record of a run that is taken up after step.
func resumeRecord(dir, lines string, step int64) (*record, error) {
	w, err := metrics.Resume(lines, step)
	if err != nil {
		return nil, err
	}
	events, err := tensorboard.Create(dir, step+1)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return &record{w, events}, nil
}

// Write adds a line, and its numbers to the curves.
func (r *record) Write(m metrics.Metric) error {
	if err := r.lines.Write(m); err != nil {
		return err
	}
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
