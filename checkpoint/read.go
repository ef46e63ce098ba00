package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"alexnet/internal/raw"
	"alexnet/internal/sysmem"
)

// entry is what the header says of one tensor.
type entry struct {
	Dtype   string  `json:"dtype"`
	Shape   []int   `json:"shape"`
	Offsets []int64 `json:"data_offsets"` // first byte and the one behind the last
}

// span is a tensor's place in the file, found to be sound.
type span struct {
	name       string
	shape      []int
	begin, end int64  // bytes from the start of the file
	sum        uint32 // checksum of those bytes, if the file has checksums
}

// Read reads the file at path, this program's or another's. The whole header is
// checked, against itself and against the size of the file, before memory for
// the tensors is taken. A damaged tensor and a number that is not finite are
// errors, which name the tensor.
func Read(path string) (*Checkpoint, error) {
	return ReadIf(path, anything)
}

// anything accepts every file.
func anything(State, []Tensor) error { return nil }

// ReadIf is Read that asks accept before memory for the tensors is taken. The
// tensors that accept sees have no Data. Its error ends the reading.
func ReadIf(path string, accept func(State, []Tensor) error) (*Checkpoint, error) {
	var c *Checkpoint
	err := open(path, func(r io.ReaderAt, size int64) (err error) {
		c, err = decode(r, size, accept)
		return err
	})
	return c, err
}

// ReadState reads and checks the header alone.
func ReadState(path string) (State, error) {
	var s State
	err := open(path, func(r io.ReaderAt, size int64) error {
		h, err := decodeHeader(r, size)
		s = h.State
		return err
	})
	return s, err
}

// open hands a file and its size to read. It refuses what is not a regular
// file: opening a named pipe would wait for ever.
func open(path string, read func(r io.ReaderAt, size int64) error) error {
	f, size, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f, size); err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return nil
}

func openFile(path string) (f *os.File, size int64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("checkpoint: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("checkpoint %s: is not a file (%v); name a .safetensors file", path, info.Mode().Type())
	}
	if f, err = os.Open(path); err != nil {
		return nil, 0, fmt.Errorf("checkpoint: %w", err)
	}
	if info, err = f.Stat(); err != nil { // path may have been replaced meanwhile
		return nil, 0, errors.Join(fmt.Errorf("checkpoint: %w", err), f.Close())
	}
	return f, info.Size(), nil
}

func decode(r io.ReaderAt, size int64, accept func(State, []Tensor) error) (*Checkpoint, error) {
	h, err := decodeHeader(r, size)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{State: h.State, Tensors: make([]Tensor, len(h.spans))}
	for i, s := range h.spans {
		c.Tensors[i] = Tensor{Name: s.name, Shape: s.shape}
	}
	if err := accept(h.State, c.Tensors); err != nil {
		return nil, err
	}
	if most := sysmem.Total(); size > most {
		return nil, fmt.Errorf("the file has %d bytes, and this machine has memory for %d: use a machine with more, or take another file", size, most)
	}
	for i, s := range h.spans {
		data := make([]float32, (s.end-s.begin)/4)
		c.Tensors[i].Data = data
		sum := uint32(0)
		for at := s.begin; at < s.end; {
			part := data[:min(chunk, len(data))]
			b := raw.Bytes(part)
			if err := readAt(r, b, at); err != nil {
				return nil, fmt.Errorf("tensor %q, at byte %d: %w", s.name, at, err)
			}
			sum = crc32.Update(sum, castagnoli, b)
			data = data[len(part):]
			at += int64(len(b))
		}
		if err := h.verify(&s, sum); err != nil {
			return nil, err
		}
		if err := c.Tensors[i].finite(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// head is what stands before the numbers.
type head struct {
	State
	spans  []span // the tensors' places in the order of their numbers
	summed bool   // the file has checksums
}

// decodeHeader reads the header and checks it against itself and the file's size.
func decodeHeader(r io.ReaderAt, size int64) (head, error) {
	fail := func(format string, args ...any) (head, error) {
		return head{}, fmt.Errorf(format, args...)
	}
	if size < 8 {
		return fail("byte 0: the file has %d bytes, and a safetensors file starts with 8 for the length of its header: it is empty, cut short or something else", size)
	}
	var length [8]byte
	if err := readAt(r, length[:], 0); err != nil {
		return fail("byte 0: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return fail("byte 0: the header's length is given as %d, and safetensors allows %d: this is no safetensors file (a PyTorch .pt or .pth must be saved again with safetensors.torch.save_file)", n, maxHeader)
	}
	if n > uint64(size-8) {
		return fail("byte 0: the header's length is given as %d, and the file has only %d bytes: it was cut short; copy it again", n, size)
	}
	header := append(length[:], make([]byte, n)...)
	if err := readAt(r, header[8:], 8); err != nil {
		return fail("byte 8: %w", err)
	}
	meta, spans, err := parseHeader(header[8:])
	if err != nil {
		return fail("header: %w", err)
	}
	summed, err := readChecksums(header, meta, spans)
	if err != nil {
		return fail("header: %w", err)
	}
	state, err := parseState(meta, summed)
	if err != nil {
		return fail("header: %w", err)
	}

	// Stable, so that tensors without elements stay where the header has them.
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	next := 8 + int64(n)
	for _, s := range spans {
		switch {
		case s.begin < next:
			return fail("tensor %q: starts at byte %d, inside of what lies before it (up to byte %d): the header is damaged; take another copy", s.name, s.begin, next)
		case s.begin > next:
			return fail("tensor %q: starts at byte %d, and what lies before it ends at byte %d: safetensors allows no gap; take another copy", s.name, s.begin, next)
		case s.end > size:
			return fail("tensor %q: ends at byte %d, and the file at byte %d: it was cut short; copy it again", s.name, s.end, size)
		}
		next = s.end
	}
	if next != size {
		return fail("byte %d: the last tensor ends here, and the file has %d bytes: something was added to it; take another copy", next, size)
	}
	return head{state, spans, summed}, nil
}

// parseHeader reads the JSON token by token, since encoding/json alone would
// take the last of two entries with one name.
func parseHeader(header []byte) (meta map[string]string, spans []span, err error) {
	if !utf8.Valid(header) {
		return nil, nil, errors.New("is not UTF-8 text: this is no safetensors file, or it is damaged")
	}
	d := json.NewDecoder(bytes.NewReader(header))
	at := func() int64 { return 8 + d.InputOffset() }
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, fmt.Errorf("byte %d: is not a JSON object: this is no safetensors file, or it is damaged", at())
	}
	seen := make(map[string]bool)
	for d.More() {
		place := at()
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, nil, fmt.Errorf("byte %d: want a tensor's name: %w", place, cmp.Or(err, errors.New("this is no JSON text")))
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("byte %d: %q is there twice", place, name)
		}
		seen[name] = true
		if name == "__metadata__" {
			err = d.Decode(&meta)
		} else {
			var e entry
			if err = d.Decode(&e); err == nil {
				var s span
				if len(spans) == maxTensors {
					return nil, nil, fmt.Errorf("byte %d: there are more than %d tensors: no network has so many; take another file", place, maxTensors)
				}
				if s, err = e.span(int64(len(header)) + 8); err == nil {
					s.name = name
					spans = append(spans, s)
				}
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("byte %d: %q: %w", place, name, err)
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, nil, fmt.Errorf("byte %d: %w", at(), err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, fmt.Errorf("byte %d: something follows the JSON object", at())
	}
	return meta, spans, nil
}

// span checks e by itself. Data starts at byte data of the file.
func (e *entry) span(data int64) (span, error) {
	if e.Dtype != "F32" {
		return span{}, fmt.Errorf("dtype is %q, and only F32 is read: convert the file first (in PyTorch, tensor.float())", e.Dtype)
	}
	if e.Shape == nil {
		return span{}, errors.New("has no shape")
	}
	n, err := elements(e.Shape)
	if err != nil {
		return span{}, err
	}
	if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] {
		return span{}, fmt.Errorf("data_offsets is %v, want where the tensor begins and ends", e.Offsets)
	}
	if got := e.Offsets[1] - e.Offsets[0]; got != 4*n {
		return span{}, fmt.Errorf("shape %v needs %d bytes, and data_offsets %v are %d", e.Shape, 4*n, e.Offsets, got)
	}
	begin, end := data+e.Offsets[0], data+e.Offsets[1]
	if end < 0 {
		return span{}, fmt.Errorf("data_offsets %v are beyond any file", e.Offsets)
	}
	return span{shape: e.Shape, begin: begin, end: end}, nil
}

// readAt fills b. A file that ends early has shrunk since it was opened.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		if err == io.EOF {
			err = errors.New("the file ends: something else is writing to it")
		}
		return err
	}
	return nil
}
