package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"alexnet/internal/durable"
	"alexnet/internal/raw"

	"github.com/google/renameio/v2"
)

// Writer writes a file of tensors alone whose numbers need not be in memory all
// at once. It is for one goroutine.
type Writer struct {
	path string
	file *renameio.PendingFile
	w    *bufio.Writer
	left int64 // numbers to come
}

// NewWriter starts the file at path. The tensors say names and shapes; their
// Data is not looked at. notes become the file's __metadata__. As with [Write],
// nothing is at path before [Writer.Commit]; [Writer.Close] must follow.
func NewWriter(path string, notes map[string]string, tensors []Tensor) (*Writer, error) {
	w := &Writer{path: path}
	if err := w.start(notes, tensors); err != nil {
		return nil, w.wrap(errors.Join(err, w.Close()))
	}
	return w, nil
}

func (w *Writer) start(notes map[string]string, tensors []Tensor) error {
	c := Checkpoint{State: State{Notes: notes}, Tensors: tensors}
	header, err := c.header()
	if err != nil {
		return err
	}
	for _, t := range tensors {
		n, _ := elements(t.Shape) // header has looked at it
		if w.left > math.MaxInt64/4-n {
			return errors.New("the tensors have more numbers than a file can hold")
		}
		w.left += n
	}
	w.file, err = renameio.NewPendingFile(w.path, renameio.WithTempDir(filepath.Dir(w.path)), renameio.WithPermissions(0o666))
	if err != nil {
		return err
	}
	w.w = bufio.NewWriterSize(w.file, 4*chunk)
	_, err = w.w.Write(header)
	return err
}

func (w *Writer) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tensors %s: %w", w.path, err)
}

// Write writes the next numbers: the tensors' one after the other, each
// row-major. It may be called with any count of them.
func (w *Writer) Write(numbers []float32) error {
	if int64(len(numbers)) > w.left {
		return w.wrap(fmt.Errorf("%d numbers come, and %d are left by the shapes", len(numbers), w.left))
	}
	w.left -= int64(len(numbers))
	_, err := w.w.Write(raw.Bytes(numbers))
	return w.wrap(err)
}

// Commit puts the file at its path, when all numbers have been written.
func (w *Writer) Commit() error {
	if w.left > 0 {
		return w.wrap(fmt.Errorf("%d numbers are missing", w.left))
	}
	err := w.w.Flush()
	if err == nil {
		err = w.file.CloseAtomicallyReplace()
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(w.path))
	}
	return w.wrap(err)
}

// Close removes what was written, unless it was committed.
func (w *Writer) Close() error {
	if w.file == nil {
		return nil
	}
	return w.wrap(w.file.Cleanup())
}

// Reader reads parts of the tensors of a file. Several goroutines may use it.
type Reader struct {
	State State
	path  string
	file  *os.File
	spans []span
}

// OpenReader opens the file at path and checks its whole header.
func OpenReader(path string) (*Reader, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{path: path, file: f}
	if r.State, r.spans, err = decodeHeader(f, size); err != nil {
		return nil, errors.Join(fmt.Errorf("checkpoint %s: %w", path, err), f.Close())
	}
	return r, nil
}

// Shape returns the shape of a tensor.
func (r *Reader) Shape(name string) ([]int, error) {
	s, err := r.find(name)
	return s.shape, err
}

func (r *Reader) find(name string) (span, error) {
	for _, s := range r.spans {
		if s.name == name {
			return s, nil
		}
	}
	return span{}, fmt.Errorf("checkpoint %s: it has no tensor %q", r.path, name)
}

// Read fills dst with the numbers of a tensor from number first on.
func (r *Reader) Read(name string, first int64, dst []float32) error {
	s, err := r.find(name)
	if err != nil {
		return err
	}
	if n := (s.end - s.begin) / 4; first < 0 || first > n || int64(len(dst)) > n-first {
		return fmt.Errorf("checkpoint %s: tensor %q has %d numbers, not %d from %d on", r.path, name, n, len(dst), first)
	}
	at := s.begin + 4*first
	if err := readAt(r.file, raw.Bytes(dst), at); err != nil {
		return fmt.Errorf("checkpoint %s: tensor %q, at byte %d: %w", r.path, name, at, err)
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }
