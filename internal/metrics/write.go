package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"alexnet/internal/regular"
)

// Writer appends lines to a metrics.jsonl. It is for one goroutine.
type Writer struct {
	f    *os.File
	size int64  // of the whole lines in f
	line []byte // reused
}

// Create starts the record of a new run. A file that is there already is left
// alone, with an error: it is another run's.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s: there is a record of a run already; resume that run, or choose another folder", path)
	}
	if err != nil {
		return nil, err
	}
	return &Writer{f: f}, nil
}

// Resume goes on with the record of a run that is taken up again after step: it
// cuts off what was recorded for later steps, and a torn last line. It cuts off
// the changes at the step itself, too, which stand after its other lines: the
// checkpoint may be from before one of them, and the run knows which it has. With
// test it cuts off the test after the step as well, which the run does again. It
// returns the lines of the step that stay.
func Resume(path string, step int64, test bool) (w *Writer, last []Metric, err error) {
	f, err := regular.Open(path, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, nil, err
	}
	w = &Writer{f: f}
	if last, err = w.cut(step, test); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return w, last, nil
}

// cut truncates w's file behind its last whole line that stays. Steps do not fall
// along a file, since every resumed Writer began with a cut.
func (w *Writer) cut(step int64, test bool) (last []Metric, err error) {
	for l, err := range lines(w.f.Name(), w.f) {
		if err != nil {
			return nil, fmt.Errorf("%w; mend or remove that line to resume", err)
		}
		if l.Step > step || l.Step == step && (l.Kind == Change || l.Kind == Test && test) {
			break
		}
		w.size = l.end
		if l.Step == step {
			last = append(last, l.Metric)
		}
	}
	return last, w.f.Truncate(w.size)
}

// Write appends m as one line, in one call to the system. After an error the
// file holds the lines before it, whole.
func (w *Writer) Write(m Metric) error {
	b, err := m.appendJSON(w.line[:0])
	if err != nil {
		return fmt.Errorf("%s: %w", w.f.Name(), err)
	}
	w.line = append(b, '\n')
	if _, err := w.f.Write(w.line); err != nil {
		// A full disk takes half a line. The next one must not be glued to it.
		return errors.Join(err, w.f.Truncate(w.size))
	}
	w.size += int64(len(w.line))
	return nil
}

// Sync makes the lines so far last through a loss of power. Call it before a
// checkpoint is written, so that no step of the record is missing on resuming.
func (w *Writer) Sync() error { return w.f.Sync() }

// Close syncs and closes the file.
func (w *Writer) Close() error { return errors.Join(w.f.Sync(), w.f.Close()) }
