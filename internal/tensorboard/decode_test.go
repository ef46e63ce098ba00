package tensorboard

import (
	"encoding/binary"
	"fmt"
	"math"
)

// What follows reads event files by the description of their format alone: it
// shares nothing with the writer but its name.

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

// event is what one record says.
type event struct {
	time    float64
	step    int64
	version string
	started bool
	values  []value
}

type value struct {
	tag                        string
	scalar                     float32
	height, width, colorspace  uint64
	png                        []byte
	plugin, text               string
	dataClass, kind, dimension uint64
}

// parse reads an event; a field that it does not know is an error.
func parse(b []byte) (e event, err error) {
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
		last := len(e.values) - 1
		switch path {
		case ".1":
			e.time = math.Float64frombits(f.value)
		case ".2":
			e.step = int64(f.value)
		case ".3":
			e.version = string(f.bytes)
		case ".7.1":
			e.started = f.value == 1
		case ".5.1":
			e.values = append(e.values, value{})
			return false
		case ".5.1.1":
			e.values[last].tag = string(f.bytes)
		case ".5.1.2":
			e.values[last].scalar = math.Float32frombits(uint32(f.value))
		case ".5.1.4.1":
			e.values[last].height = f.value
		case ".5.1.4.2":
			e.values[last].width = f.value
		case ".5.1.4.3":
			e.values[last].colorspace = f.value
		case ".5.1.4.4":
			e.values[last].png = f.bytes
		case ".5.1.8.1":
			e.values[last].kind = f.value
		case ".5.1.8.2.2.1":
			e.values[last].dimension = f.value
		case ".5.1.8.8":
			e.values[last].text = string(f.bytes)
		case ".5.1.9.1.1":
			e.values[last].plugin = string(f.bytes)
		case ".5.1.9.4":
			e.values[last].dataClass = f.value
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
