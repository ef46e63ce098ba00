package record

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/klauspost/compress/zstd"
)

// Writer writes one shard. It is for one goroutine. Nothing stands under the
// shard's name before Close has returned without an error.
type Writer struct {
	path    string
	shape   Shape
	file    *renameio.PendingFile
	encoder *zstd.Encoder

	raw     []byte // images of the chunk being filled
	packed  []byte // reused
	at      int64  // bytes written
	chunks  []chunk
	labels  []int32
	sources []int64
	content hash.Hash
	err     error // the first; the shard is lost
}

// Create starts the shard at path. A file that is there already is an error.
// Close or Abort must follow.
func Create(path string, s Shape) (*Writer, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s: there is a file of that name already; remove it or choose another", path)
		}
		return nil, err
	}
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false)) // the index has a checksum
	if err != nil {
		return nil, err
	}
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o666))
	if err != nil {
		return nil, err
	}
	w := &Writer{
		path:    path,
		shape:   s,
		file:    file,
		encoder: encoder,
		raw:     make([]byte, 0, s.ChunkImages*s.ImageBytes()),
		content: sha256.New(),
	}
	if err := w.write("header", s.header()); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// Append adds an image: its pixels, HWC; its label, counted from 0; and its
// number in the source.
func (w *Writer) Append(pixels []byte, label int32, source int64) error {
	switch {
	case w.err != nil:
		return w.err
	case len(pixels) != w.shape.ImageBytes():
		return fmt.Errorf("%s: image %d has %d bytes; %dx%d RGB needs %d",
			w.path, len(w.labels), len(pixels), w.shape.Height, w.shape.Width, w.shape.ImageBytes())
	case label < 0 || source < 0:
		return fmt.Errorf("%s: image %d has label %d and source %d; neither may be negative", w.path, len(w.labels), label, source)
	case len(w.labels) == MaxImages:
		return fmt.Errorf("%s: a shard holds %d images at most", w.path, MaxImages)
	}
	var l [4]byte
	le.PutUint32(l[:], uint32(label))
	w.content.Write(l[:])
	w.content.Write(pixels)
	w.raw = append(w.raw, pixels...)
	w.labels = append(w.labels, label)
	w.sources = append(w.sources, source)
	if len(w.raw) == cap(w.raw) {
		return w.flush()
	}
	return nil
}

// Images returns how many images were added.
func (w *Writer) Images() int { return len(w.labels) }

// flush writes the chunk that is being filled.
func (w *Writer) flush() error {
	if len(w.raw) == 0 {
		return nil
	}
	w.packed = w.encoder.EncodeAll(w.raw, w.packed[:0])
	c := chunk{offset: w.at, size: len(w.packed), images: len(w.raw) / w.shape.ImageBytes(), crc: checksum(w.packed)}
	w.chunks = append(w.chunks, c)
	w.raw = w.raw[:0]
	return w.write(fmt.Sprintf("chunk %d", len(w.chunks)-1), w.packed)
}

func (w *Writer) write(part string, b []byte) error {
	if _, err := w.file.Write(b); err != nil {
		w.err = &Error{w.path, part, w.at, fmt.Errorf("writing it: %w; nothing is left under that name", err)}
		return w.err
	}
	w.at += int64(len(b))
	return nil
}

// Close writes what is left, syncs the file and gives it its name. After an
// error nothing is left of it. The result is the shard's entry for
// dataset.json.
func (w *Writer) Close() (Shard, error) {
	if err := w.finish(); err != nil {
		return Shard{}, errors.Join(err, w.Abort())
	}
	return Shard{
		File:     filepath.Base(w.path),
		Images:   len(w.labels),
		Bytes:    w.at,
		Checksum: hex32(checksum(index(w.chunks, w.labels, w.sources))),
		Content:  fmt.Sprintf("%x", w.content.Sum(nil)),
	}, nil
}

func (w *Writer) finish() error {
	switch {
	case w.err != nil:
		return w.err
	case len(w.labels) == 0:
		return fmt.Errorf("%s: a shard needs at least one image", w.path)
	}
	if err := w.flush(); err != nil {
		return err
	}
	at, ix := w.at, index(w.chunks, w.labels, w.sources)
	if err := w.write("index", ix); err != nil {
		return err
	}
	if err := w.write("trailer", trailer(at, ix, len(w.chunks), len(w.labels))); err != nil {
		return err
	}
	if err := w.file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	if err := syncDir(filepath.Dir(w.path)); err != nil {
		return errors.Join(err, os.Remove(w.path))
	}
	return nil
}

// Abort gives the shard up and removes what was written of it. After Close it
// does nothing.
func (w *Writer) Abort() error { return w.file.Cleanup() }

// syncDir makes a rename in dir last through a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func hex32(v uint32) string { return fmt.Sprintf("%08x", v) }
