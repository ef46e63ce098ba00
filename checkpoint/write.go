package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"alexnet/internal/durable"
	"alexnet/internal/raw"

	"github.com/google/renameio/v2"
)

// chunk is how many numbers are read or written at a time: 1 MiB.
const chunk = 1 << 18

// Write writes c to path. The file appears whole, or not at all: it is written
// under another name in the same folder, synced and renamed, and what was at
// path before stays until then. Equal checkpoints give equal bytes.
func Write(path string, c *Checkpoint) error {
	if err := write(path, c); err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return nil
}

func write(path string, c *Checkpoint) (err error) {
	header, err := c.header()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir), renameio.WithPermissions(0o666))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Cleanup()) }()
	if err := encode(f, header, c.Tensors); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// header returns everything before the numbers, which must be finite and as many
// as the shapes say.
func (c *Checkpoint) header() ([]byte, error) {
	sums := make([]uint32, len(c.Tensors))
	for i, t := range c.Tensors {
		if n, err := elements(t.Shape); err == nil && n != int64(len(t.Data)) {
			return nil, fmt.Errorf("tensor %q: shape %v makes %d elements, and there are %d", t.Name, t.Shape, n, len(t.Data))
		}
		if err := t.finite(); err != nil {
			return nil, err
		}
		sums[i] = t.checksum()
	}
	b, err := header(&c.State, c.Tensors)
	if err != nil {
		return nil, err
	}
	seal(b, sums)
	return b, nil
}

// header returns everything before the numbers, with blank checksums. It looks at
// the names and shapes of tensors, not at their numbers.
func header(s *State, tensors []Tensor) ([]byte, error) {
	meta, err := s.metadata()
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(make([]byte, 8)) // for the length
	separator := byte('{')
	add := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.WriteByte(separator)
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
		separator = ','
		return nil
	}
	for k, v := range meta {
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("the state's %s is not UTF-8 text, which JSON needs", k)
		}
	}
	summed := map[string]string{checksumsKey: blankChecksums(len(tensors))}
	maps.Copy(summed, meta)
	if err := add("__metadata__", summed); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	end := int64(0)
	for _, t := range tensors {
		n, err := elements(t.Shape)
		switch {
		case t.Name == "" || t.Name == "__metadata__" || !utf8.ValidString(t.Name):
			err = errors.New("that cannot be the name of a tensor")
		case seen[t.Name]:
			err = errors.New("there are two tensors of that name")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		seen[t.Name] = true
		e := entry{Dtype: "F32", Shape: t.Shape, Offsets: []int64{end, end + 4*n}}
		if e.Shape == nil {
			e.Shape = []int{} // JSON null is no shape
		}
		if err := add(t.Name, e); err != nil {
			return nil, err
		}
		end += 4 * n
	}
	b.WriteByte('}')
	return frame(b.Bytes())
}

// frame pads a header, behind its first 8 bytes, and puts its length there.
func frame(b []byte) ([]byte, error) {
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	n := len(b) - 8
	if n > maxHeader {
		return nil, fmt.Errorf("the header has %d bytes, and safetensors allows %d: there are too many tensors or classes", n, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(n))
	return b, nil
}

// encode writes a whole file, a chunk at a time.
func encode(w io.Writer, header []byte, tensors []Tensor) error {
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	at := int64(len(header))
	for _, t := range tensors {
		for part := range slices.Chunk(t.Data, chunk) {
			n, err := w.Write(raw.Bytes(part))
			if err != nil {
				return fmt.Errorf("tensor %q, at byte %d: %w; a file that was at this path is untouched", t.Name, at, err)
			}
			at += int64(n)
		}
	}
	return nil
}
