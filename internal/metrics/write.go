package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
// checkpoint may be from before one of them, and the run knows which it has.
func Resume(path string, step int64) (*Writer, error) {
	f, err := open(path, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f}
	if err := w.cut(step); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// cut truncates w's file behind its last whole line of step or before. Steps do
// not fall along a file, since every resumed Writer began with a cut.
func (w *Writer) cut(step int64) error {
	for l, err := range lines(w.f.Name(), w.f) {
		if err != nil {
			return fmt.Errorf("%w; mend or remove that line to resume", err)
		}
		if l.Step > step || l.Step == step && l.Kind == Change {
			break
		}
		w.size = l.end
	}
	return w.f.Truncate(w.size)
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
