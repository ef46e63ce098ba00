// Package tensorboard writes event files, in which TensorBoard finds the curves,
// pictures and texts of a run:
//
//	tensorboard --logdir RUN
//
// A file is a sequence of records. Each is, little-endian,
//
//	uint64  length of the data in bytes
//	uint32  masked CRC-32C of the eight bytes above
//	        data
//	uint32  masked CRC-32C of the data
//
// as TensorFlow's record_writer.h says. A mask turns the checksum, so that one of
// data that holds checksums is not itself among them. The data is a protocol
// buffer, an Event of TensorBoard's event.proto and summary.proto.
package tensorboard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// prefix is what the names of event files begin with. The time in seconds and
// the name of the machine follow.
const prefix = "events.out.tfevents."

// Writer appends events to a file. It is for one goroutine.
type Writer struct {
	f    *os.File
	size int64  // of the whole records in f
	data []byte // reused
}

// Create starts a new event file in dir, beside those of the same run that may
// be there. What these hold of the step first and later is void from now on: it
// is what a run does again that goes on from an earlier step.
func Create(dir string, first int64) (*Writer, error) {
	path, err := fresh(dir)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f}
	if err := errors.Join(w.write(0, appendVersion), w.write(first, appendStart)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return w, nil
}

// fresh returns a name for a file in dir. TensorBoard reads a run's files in the
// order of their names, so this one comes after all others, even if they were
// made within the same second or the clock was put back.
func fresh(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	seconds := time.Now().Unix()
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		text, _, _ := strings.Cut(rest, ".")
		if s, err := strconv.ParseInt(text, 10, 64); ok && err == nil && s < latest {
			seconds = max(seconds, s+1)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // the name tells files apart and means nothing
	}
	return filepath.Join(dir, fmt.Sprintf("%s%010d.%s", prefix, seconds, host)), nil
}

// latest is the last time whose name sorts as it should: one of ten digits.
const latest = 9_999_999_999

// Scalar is a point of the curve that its tag names, as "train/loss".
type Scalar struct {
	Tag   string
	Value float64 // kept as float32
}

// Scalars appends a point to each of several curves.
func (w *Writer) Scalars(step int64, values ...Scalar) error {
	return w.write(step, func(b []byte) []byte { return appendScalars(b, values) })
}

// Image appends a picture, as PNG.
func (w *Writer) Image(step int64, tag string, img image.Image) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return fmt.Errorf("%s: the picture %s: %w", w.f.Name(), tag, err)
	}
	size := img.Bounds().Size()
	return w.write(step, func(to []byte) []byte { return appendImage(to, tag, size, b.Bytes()) })
}

// Text appends a text in Markdown.
func (w *Writer) Text(step int64, tag, markdown string) error {
	return w.write(step, func(b []byte) []byte { return appendText(b, tag, markdown) })
}

// headBytes stand before a record's data.
const headBytes = 8 + 4

// write appends an event as one record, in one call to the system. After an error
// the file holds the records before it, whole.
func (w *Writer) write(step int64, what func([]byte) []byte) error {
	b := what(appendEvent(append(w.data[:0], make([]byte, headBytes)...), step, time.Now()))
	binary.LittleEndian.PutUint64(b, uint64(len(b)-headBytes))
	binary.LittleEndian.PutUint32(b[8:], masked(b[:8]))
	b = binary.LittleEndian.AppendUint32(b, masked(b[headBytes:]))
	w.data = b
	if _, err := w.f.Write(b); err != nil {
		// A full disk takes part of a record, behind which no other could be read.
		return errors.Join(err, w.f.Truncate(w.size))
	}
	w.size += int64(len(b))
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// Sync makes the events so far last through a loss of power.
func (w *Writer) Sync() error { return w.f.Sync() }

// Close syncs and closes the file.
func (w *Writer) Close() error { return errors.Join(w.f.Sync(), w.f.Close()) }
