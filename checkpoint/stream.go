package checkpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"alexnet/internal/durable"
	"alexnet/internal/raw"

	"github.com/google/renameio/v2"
)

// Writer writes a file of tensors alone whose numbers come a few at a time and are
// not held in memory. It is for one goroutine.
type Writer struct {
	path  string
	file  *renameio.PendingFile
	head  []byte // with blank checksums until Close
	parts []part
}

// part is what has come of a tensor.
type part struct {
	Tensor
	w    *bufio.Writer // to its place in the file
	left int64         // numbers still to come
	sum  uint32        // checksum so far
}

// Create starts a file of tensors, whose Data is not looked at, and of notes, as in
// State. Nothing is at path until Close.
func Create(path string, notes map[string]string, tensors []Tensor) (*Writer, error) {
	head, err := header(&State{Notes: notes}, tensors)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o666))
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(head); err != nil {
		return nil, errors.Join(err, f.Cleanup())
	}
	w := &Writer{path: path, file: f, head: head}
	at := int64(len(head))
	for _, t := range tensors {
		n, err := elements(t.Shape)
		if err != nil {
			return nil, errors.Join(err, f.Cleanup())
		}
		w.parts = append(w.parts, part{t, bufio.NewWriterSize(io.NewOffsetWriter(f, at), 4*chunk), n, 0})
		at += 4 * n
	}
	return w, nil
}

// Append writes the next numbers of tensor i. Each tensor has a place of its own in
// the file, so they may come in turn.
func (w *Writer) Append(i int, data []float32) error {
	p := &w.parts[i]
	if p.left -= int64(len(data)); p.left < 0 {
		return fmt.Errorf("%s: tensor %q of shape %v is given %d numbers too many", w.path, p.Name, p.Shape, -p.left)
	}
	part := Tensor{Name: p.Name, Data: data}
	if err := part.finite(); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	p.sum = crc32.Update(p.sum, castagnoli, raw.Bytes(data))
	if _, err := p.w.Write(raw.Bytes(data)); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", w.path, p.Name, err)
	}
	return nil
}

// Close writes the checksums, syncs the file and gives it its name. It is an error
// if numbers are missing. After an error, Abort takes away what was written.
func (w *Writer) Close() error {
	sums := make([]uint32, len(w.parts))
	for i := range w.parts {
		p := &w.parts[i]
		if p.left > 0 {
			return fmt.Errorf("%s: %d numbers of tensor %q of shape %v are missing", w.path, p.left, p.Name, p.Shape)
		}
		if err := p.w.Flush(); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", w.path, p.Name, err)
		}
		sums[i] = p.sum
	}
	seal(w.head, sums)
	if _, err := w.file.WriteAt(w.head, 0); err != nil {
		return fmt.Errorf("%s: the header: %w", w.path, err)
	}
	if err := w.file.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(w.path))
}

// Abort takes the file away if it was not closed.
func (w *Writer) Abort() error { return w.file.Cleanup() }

// File is a file whose tensors are read in parts. Its methods may be called by
// several goroutines.
type File struct {
	head
	path  string
	f     *os.File
	named map[string]span
}

// Open opens the file at path and checks its header, as Read does. It does not read
// the tensors: [File.Verify] does.
func Open(path string) (*File, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(f, size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("checkpoint %s: %w", path, err), f.Close())
	}
	file := &File{head: h, path: path, f: f, named: make(map[string]span)}
	for _, s := range h.spans {
		file.named[s.name] = s
	}
	return file, nil
}

// Verify reads all tensors once and holds them against their checksums. The error
// names a damaged tensor. It returns nil for a file without checksums.
func (f *File) Verify(ctx context.Context) error {
	buf := make([]byte, 4*chunk)
	for _, s := range f.spans {
		sum := uint32(0)
		for at := s.begin; at < s.end && f.summed; {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(int64(len(buf)), s.end-at)]
			if err := readAt(f.f, b, at); err != nil {
				return fmt.Errorf("checkpoint %s: tensor %q, at byte %d: %w", f.path, s.name, at, err)
			}
			sum = crc32.Update(sum, castagnoli, b)
			at += int64(len(b))
		}
		if err := f.verify(&s, sum); err != nil {
			return fmt.Errorf("checkpoint %s: %w", f.path, err)
		}
	}
	return nil
}

// Summed reports whether the file has checksums. Files of other programs have none.
func (f *File) Summed() bool { return f.summed }

// Shape returns the shape of a tensor, or nil if there is none of that name.
func (f *File) Shape(name string) []int { return f.named[name].shape }

// ReadAt fills dst with the numbers of a tensor from number first on.
func (f *File) ReadAt(name string, first int64, dst []float32) error {
	s, ok := f.named[name]
	if !ok {
		return fmt.Errorf("checkpoint %s: it has no tensor %q", f.path, name)
	}
	if n := (s.end - s.begin) / 4; first < 0 || first > n || int64(len(dst)) > n-first {
		return fmt.Errorf("checkpoint %s: tensor %q has %d numbers, and %d are read from number %d on", f.path, name, n, len(dst), first)
	}
	if err := readAt(f.f, raw.Bytes(dst), s.begin+4*first); err != nil {
		return fmt.Errorf("checkpoint %s: tensor %q: %w", f.path, name, err)
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }
