package record

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"

	"alexnet/internal/durable"

	"github.com/google/renameio/v2"
)

// Writer writes one shard. It is for one goroutine. Nothing stands under the
// shard's name before Close has returned without an error.
type Writer struct {
	path    string
	shape   Shape
	codec   Codec
	file    *renameio.PendingFile
	at      int64 // bytes written
	chunks  []chunk
	images  []Image
	content hash.Hash
	err     error // the first; the shard is lost
}

// Create starts the shard at path. A file that is there already is an error.
// Close or Abort must follow.
func Create(path string, s Shape, codec Codec) (*Writer, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s: there is a file of that name already; remove it or choose another", path)
		}
		return nil, err
	}
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o666))
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, shape: s, codec: codec, file: file, content: sha256.New()}
	if err := w.write("header", s.header(codec)); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// Write adds a chunk, which an Encoder of the shard's codec must have made ready.
// Only the last may have fewer images than a chunk has.
func (w *Writer) Write(c *Chunk) error {
	switch {
	case w.err != nil:
		return w.err
	case c.shape != w.shape || c.codec != w.codec || c.Len() == 0:
		return fmt.Errorf("%s: a chunk of %d images, %v, shape %v, in a shard that is %v, shape %v", w.path, c.Len(), c.codec, c.shape, w.codec, w.shape)
	case len(w.images) != len(w.chunks)*w.shape.ChunkImages:
		return fmt.Errorf("%s: another chunk after one of fewer images than %d", w.path, w.shape.ChunkImages)
	case len(w.images)+c.Len() > MaxImages:
		return fmt.Errorf("%s: a shard holds %d images at most", w.path, MaxImages)
	}
	w.chunks = append(w.chunks, chunk{offset: w.at, size: len(c.packed), images: c.Len(), crc: c.crc})
	w.images = append(w.images, c.images...)
	w.content.Write(c.digest[:])
	return w.write(fmt.Sprintf("chunk %d", len(w.chunks)-1), c.packed)
}

// Images returns how many images were added.
func (w *Writer) Images() int { return len(w.images) }

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
	ix := index(w.chunks, w.images)
	if err := w.finish(ix); err != nil {
		return Shard{}, errors.Join(err, w.Abort())
	}
	return Shard{
		File:     filepath.Base(w.path),
		Images:   len(w.images),
		Bytes:    w.at,
		Checksum: hex32(checksum(ix)),
		Content:  fmt.Sprintf("%x", w.content.Sum(nil)),
	}, nil
}

func (w *Writer) finish(ix []byte) error {
	switch {
	case w.err != nil:
		return w.err
	case len(w.images) == 0:
		return fmt.Errorf("%s: a shard needs at least one image", w.path)
	}
	at := w.at
	if err := w.write("index", ix); err != nil {
		return err
	}
	if err := w.write("trailer", trailer(at, ix, len(w.chunks), len(w.images))); err != nil {
		return err
	}
	if err := w.file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	if err := durable.SyncDir(filepath.Dir(w.path)); err != nil {
		return errors.Join(err, os.Remove(w.path))
	}
	return nil
}

// Abort gives the shard up and removes what was written of it. After Close it
// does nothing.
func (w *Writer) Abort() error { return w.file.Cleanup() }

func hex32(v uint32) string { return fmt.Sprintf("%08x", v) }
