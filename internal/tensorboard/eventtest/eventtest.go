// Package eventtest reads event files by the description of their format alone,
// for tests: it shares nothing with package tensorboard, which writes them.
package eventtest

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Event is what one record says.
type Event struct {
	Time    float64 // seconds since 1970
	Step    int64
	Version string // of the file's format
	Started bool   // what was said before of this step and later ones is void
	Values  []Value
}

// Value is a number, a picture or a text.
type Value struct {
	Tag                        string
	Scalar                     float32
	Height, Width, Colorspace  uint64 // of PNG
	PNG                        []byte
	Plugin, Text               string
	DataClass, Kind, Dimension uint64 // of Text
}

// Read returns the events of all files in a run's folder, in their order.
func Read(dir string) (events []Event, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all, err := records(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, data := range all {
			e, err := parse(data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			events = append(events, e)
		}
	}
	return events, nil
}

// Shown returns the values of a tag that TensorBoard shows: without those that a
// later start has made void.
func Shown(events []Event, tag string) (steps []int64, values []Value) {
	for _, e := range events {
		if e.Started {
			n, _ := slices.BinarySearch(steps, e.Step)
			steps, values = steps[:n], values[:n]
		}
		for _, v := range e.Values {
			if v.Tag == tag {
				steps, values = append(steps, e.Step), append(values, v)
			}
		}
	}
	return steps, values
}

// records takes a file apart, checks every checksum bit by bit, and returns the data.
func records(file []byte) ([][]byte, error) {
	var all [][]byte
	for at := 0; at < len(file); {
		rest := file[at:]
		if len(rest) < 16 {
			return all, fmt.Errorf("%d bytes are left at %d, too few for a record", len(rest), at)
		}
		n := binary.LittleEndian.Uint64(rest)
		if n > uint64(len(rest)-16) {
			return all, fmt.Errorf("the record at %d has %d bytes, and %d are left", at, n, len(rest)-16)
		}
		data := rest[12 : 12+n]
		for _, sum := range []struct {
			of   []byte
			want uint32
		}{{rest[:8], binary.LittleEndian.Uint32(rest[8:])}, {data, binary.LittleEndian.Uint32(rest[12+n:])}} {
			rotated := sum.want - 0xa282ead8
			if got := rotated>>17 | rotated<<15; got != bitwiseCRC(sum.of) {
				return all, fmt.Errorf("the record at %d: checksum %08x, want %08x", at, got, bitwiseCRC(sum.of))
			}
		}
		all = append(all, data)
		at += 16 + int(n)
	}
	return all, nil
}

// bitwiseCRC is the checksum of RFC 3720 (iSCSI), polynomial 0x1edc6f41.
func bitwiseCRC(b []byte) uint32 {
	c := ^uint32(0)
	for _, v := range b {
		c ^= uint32(v)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0x82f63b78 // the polynomial, its bits in the other order
			} else {
				c >>= 1
			}
		}
	}
	return ^c
}

// field is one field of a message: a number, or bytes.
type field struct {
	number uint64
	bytes  []byte // of a message, a string or bytes
	value  uint64 // of any other
}

// fields takes a message apart.
func fields(b []byte) ([]field, error) {
	var all []field
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return all, fmt.Errorf("a broken key: % x", b)
		}
		b = b[n:]
		f := field{number: key >> 3}
		switch kind := key & 7; {
		case kind == 0:
			if f.value, n = binary.Uvarint(b); n <= 0 {
				return all, fmt.Errorf("a broken number: % x", b)
			}
		case kind == 1 && len(b) >= 8:
			f.value, n = binary.LittleEndian.Uint64(b), 8
		case kind == 5 && len(b) >= 4:
			f.value, n = uint64(binary.LittleEndian.Uint32(b)), 4
		case kind == 2:
			length, m := binary.Uvarint(b)
			if m <= 0 || length > uint64(len(b)-m) {
				return all, fmt.Errorf("broken bytes: % x", b)
			}
			f.bytes, n = b[m:m+int(length)], m+int(length)
		default:
			return all, fmt.Errorf("field %d is of kind %d with %d bytes left", f.number, kind, len(b))
		}
		b = b[n:]
		all = append(all, f)
	}
	return all, nil
}

// parse reads an event; a field that it does not know is an error.
func parse(b []byte) (e Event, err error) {
	// walk calls each with the fields of a message by their path, as 5.1.2.
	var walk func(path string, b []byte, each func(path string, f field) bool) error
	walk = func(path string, b []byte, each func(string, field) bool) error {
		fs, err := fields(b)
		for _, f := range fs {
			inner := fmt.Sprintf("%s.%d", path, f.number)
			if !each(inner, f) {
				err = walk(inner, f.bytes, each)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", inner, err)
			}
		}
		return err
	}
	unknown := ""
	err = walk("", b, func(path string, f field) (leaf bool) {
		last := len(e.Values) - 1
		switch path {
		case ".1":
			e.Time = math.Float64frombits(f.value)
		case ".2":
			e.Step = int64(f.value)
		case ".3":
			e.Version = string(f.bytes)
		case ".7.1":
			e.Started = f.value == 1
		case ".5.1":
			e.Values = append(e.Values, Value{})
			return false
		case ".5.1.1":
			e.Values[last].Tag = string(f.bytes)
		case ".5.1.2":
			e.Values[last].Scalar = math.Float32frombits(uint32(f.value))
		case ".5.1.4.1":
			e.Values[last].Height = f.value
		case ".5.1.4.2":
			e.Values[last].Width = f.value
		case ".5.1.4.3":
			e.Values[last].Colorspace = f.value
		case ".5.1.4.4":
			e.Values[last].PNG = f.bytes
		case ".5.1.8.1":
			e.Values[last].Kind = f.value
		case ".5.1.8.2.2.1":
			e.Values[last].Dimension = f.value
		case ".5.1.8.8":
			e.Values[last].Text = string(f.bytes)
		case ".5.1.9.1.1":
			e.Values[last].Plugin = string(f.bytes)
		case ".5.1.9.4":
			e.Values[last].DataClass = f.value
		case ".5", ".7", ".5.1.4", ".5.1.8", ".5.1.8.2", ".5.1.8.2.2", ".5.1.9", ".5.1.9.1":
			return false
		default:
			unknown = path
		}
		return true
	})
	if err == nil && unknown != "" {
		err = fmt.Errorf("there is a field %s", unknown)
	}
	return e, err
}
