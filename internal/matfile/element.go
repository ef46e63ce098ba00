package matfile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Types of data elements.
const (
	miINT8       = 1
	miUINT8      = 2
	miINT16      = 3
	miUINT16     = 4
	miINT32      = 5
	miUINT32     = 6
	miSINGLE     = 7
	miDOUBLE     = 9
	miINT64      = 12
	miUINT64     = 13
	miMATRIX     = 14
	miCOMPRESSED = 15
	miUTF8       = 16
	miUTF16      = 17
	miUTF32      = 18
)

// widths of the types of numbers and letters, in bytes.
var widths = map[uint32]int{
	miINT8: 1, miUINT8: 1, miINT16: 2, miUINT16: 2, miINT32: 4, miUINT32: 4, miSINGLE: 4,
	miDOUBLE: 8, miINT64: 8, miUINT64: 8, miUTF8: 1, miUTF16: 2, miUTF32: 4,
}

// element is a data element without its tag and padding.
type element struct {
	kind uint32
	data []byte
}

// reader reads the elements of one file.
type reader struct {
	big  bool
	left int // of the budget
}

var errShort = errors.New("it ends in the middle of an element; the file is damaged or cut off")

// spend takes n bytes, 0 or more, from the budget.
func (r *reader) spend(n int) error {
	if n > r.left {
		return fmt.Errorf("its content is larger than %d MiB", budget>>20)
	}
	r.left -= n
	return nil
}

func (r *reader) order() binary.ByteOrder {
	if r.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// element returns the first element of b, and what follows.
func (r *reader) element(b []byte) (e element, rest []byte, err error) {
	if len(b) < 8 {
		return e, nil, errShort
	}
	order := r.order()
	first := order.Uint32(b)
	if n := int(first >> 16); n > 0 { // a small element: size, type and data in 8 bytes
		if n > 4 {
			return e, nil, fmt.Errorf("an element of %d bytes in the place of 4; the file is damaged", n)
		}
		return element{first & 0xffff, b[4:][:n]}, b[8:], nil
	}
	size := uint64(order.Uint32(b[4:]))
	b = b[8:]
	if size > uint64(len(b)) {
		return e, nil, errShort
	}
	e = element{first, b[:size]}
	if e.kind != miCOMPRESSED {
		size = min((size+7)/8*8, uint64(len(b))) // the last may go without padding
	}
	return e, b[size:], nil
}

// next is element for one that must be of the given type.
func (r *reader) next(b []byte, kind uint32, what string) (data, rest []byte, err error) {
	e, rest, err := r.element(b)
	if err == nil && e.kind != kind {
		err = fmt.Errorf("an element of type %d where the %s belong, of type %d; the file is damaged", e.kind, what, kind)
	}
	return e.data, rest, err
}

// inflate unpacks an element of type miCOMPRESSED.
func (r *reader) inflate(data []byte) (element, error) {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return element{}, err
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(z, int64(r.left)+1)) // all of it, so that its checksum is compared
	if err != nil {
		return element{}, fmt.Errorf("unpacking it: %w", err)
	}
	if err := r.spend(int(n)); err != nil {
		return element{}, err
	}
	e, _, err := r.element(b.Bytes())
	return e, err
}

// numbers reads an element as numbers, whatever they are stored as: MATLAB
// stores whole numbers in the narrowest type that fits.
func (r *reader) numbers(e element) ([]float64, error) {
	width := widths[e.kind]
	if width == 0 || e.kind >= miUTF8 {
		return nil, fmt.Errorf("an element of type %d where numbers belong; the file is damaged", e.kind)
	}
	if len(e.data)%width != 0 {
		return nil, errShort
	}
	n := len(e.data) / width
	if err := r.spend(8 * n); err != nil {
		return nil, err
	}
	order, x := r.order(), make([]float64, n)
	for i := range x {
		b := e.data[i*width:]
		switch e.kind {
		case miINT8:
			x[i] = float64(int8(b[0]))
		case miUINT8:
			x[i] = float64(b[0])
		case miINT16:
			x[i] = float64(int16(order.Uint16(b)))
		case miUINT16:
			x[i] = float64(order.Uint16(b))
		case miINT32:
			x[i] = float64(int32(order.Uint32(b)))
		case miUINT32:
			x[i] = float64(order.Uint32(b))
		case miSINGLE:
			x[i] = float64(math.Float32frombits(order.Uint32(b)))
		case miDOUBLE:
			x[i] = math.Float64frombits(order.Uint64(b))
		case miINT64:
			x[i] = float64(int64(order.Uint64(b)))
		case miUINT64:
			x[i] = float64(order.Uint64(b))
		}
	}
	return x, nil
}
