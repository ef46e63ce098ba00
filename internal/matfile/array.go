package matfile

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// MATLAB's classes of arrays that are read.
const (
	mxSTRUCT = 2
	mxCHAR   = 4
	mxDOUBLE = 6  // the first class of numbers
	mxUINT64 = 15 // the last
)

const (
	maxDepth = 16  // structs in structs
	perArray = 256 // bytes that an Array costs, with its slices
)

// variable reads e if it is the variable of the given name; else it returns nil.
func (r *reader) variable(e element, name string) (*Array, error) {
	packed := 0
	if e.kind == miCOMPRESSED {
		before := r.left
		var err error
		if e, err = r.inflate(e.data); err != nil {
			return nil, err
		}
		packed = before - r.left
	}
	if e.kind != miMATRIX {
		return nil, fmt.Errorf("an element of type %d where a matrix belongs; the file is damaged", e.kind)
	}
	m, err := r.matrix(e.data)
	if err != nil || m.name != name {
		r.left += packed // it is let go
		return nil, err
	}
	return r.array(m, 0)
}

// matrix is the beginning of an element of type miMATRIX, and the rest of it.
type matrix struct {
	class byte
	dims  []float64
	name  string
	rest  []byte
}

func (r *reader) matrix(b []byte) (m matrix, err error) {
	if len(b) == 0 {
		m.class, m.dims = mxDOUBLE, []float64{0, 0} // an empty array, as fields are that nothing was assigned to
		return m, nil
	}
	flags, b, err := r.next(b, miUINT32, "flags")
	if err != nil {
		return m, err
	}
	if len(flags) != 8 {
		return m, fmt.Errorf("%d bytes of flags, which are 8; the file is damaged", len(flags))
	}
	m.class = byte(r.order().Uint32(flags))
	if m.class == 17 { // an opaque object has no dimensions
		var name []byte
		name, m.rest, err = r.next(b, miINT8, "letters of a name")
		m.name = string(name)
		return m, err
	}
	dims, b, err := r.next(b, miINT32, "dimensions")
	if err != nil {
		return m, err
	}
	if m.dims, err = r.numbers(element{miINT32, dims}); err != nil {
		return m, err
	}
	name, b, err := r.next(b, miINT8, "letters of a name")
	m.name, m.rest = string(name), b
	return m, err
}

// array reads the content of m.
func (r *reader) array(m matrix, depth int) (*Array, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("structs lie in structs %d deep", depth)
	}
	if err := r.spend(perArray); err != nil {
		return nil, err
	}
	a := new(Array)
	switch {
	case m.class == mxSTRUCT:
		a.Class = Struct
	case m.class == mxCHAR:
		a.Class = Text
	case m.class >= mxDOUBLE && m.class <= mxUINT64:
		a.Class = Numbers
	default:
		return a, nil
	}
	if len(m.dims) != 2 {
		return nil, fmt.Errorf("an array of %d dimensions; only those of 2 are read", len(m.dims))
	}
	if m.dims[0] < 0 || m.dims[1] < 0 || m.dims[0]*m.dims[1] > budget {
		return nil, fmt.Errorf("an array of %gx%g; the file is damaged, or too large", m.dims[0], m.dims[1])
	}
	a.Rows, a.Cols = int(m.dims[0]), int(m.dims[1])
	var err error
	switch a.Class {
	case Struct:
		err = r.fields(a, m.rest, depth)
	case Text:
		err = r.text(a, m.rest)
	case Numbers:
		if len(m.rest) == 0 && a.Len() == 0 {
			break
		}
		var e element // the real part; the imaginary one may follow
		if e, _, err = r.element(m.rest); err == nil {
			a.Numbers, err = r.numbers(e)
		}
		if err == nil && len(a.Numbers) != a.Len() {
			err = fmt.Errorf("%d numbers in an array of %dx%d; the file is damaged", len(a.Numbers), a.Rows, a.Cols)
		}
	}
	return a, err
}

// fields reads the fields of a struct array.
func (r *reader) fields(a *Array, b []byte, depth int) error {
	size, b, err := r.next(b, miINT32, "lengths of field names")
	if err != nil {
		return err
	}
	names, b, err := r.next(b, miINT8, "field names")
	if err != nil {
		return err
	}
	if len(size) != 4 {
		return errShort
	}
	n := int(int32(r.order().Uint32(size)))
	if n < 1 || len(names)%n != 0 {
		return fmt.Errorf("field names of %d bytes each in %d bytes; the file is damaged", n, len(names))
	}
	if err := r.spend(32 * (len(names) / n)); err != nil {
		return err
	}
	for ; len(names) > 0; names = names[n:] {
		name, _, _ := bytes.Cut(names[:n], []byte{0})
		a.Fields = append(a.Fields, string(name))
	}
	for i := range a.Len() {
		for _, name := range a.Fields {
			data, rest, err := r.next(b, miMATRIX, "values of a field")
			if err == nil {
				b = rest
				var m matrix
				if m, err = r.matrix(data); err == nil {
					var v *Array
					v, err = r.array(m, depth+1)
					a.values = append(a.values, v)
				}
			}
			if err != nil {
				return fmt.Errorf("element %d, field %s: %w", i+1, name, err)
			}
		}
	}
	return nil
}

// text reads the letters of a char array, and puts the rows together.
func (r *reader) text(a *Array, b []byte) error {
	if a.Len() == 0 {
		return nil
	}
	e, _, err := r.element(b)
	if err != nil {
		return err
	}
	if err := r.spend(8 * len(e.data)); err != nil { // runes, and their text
		return err
	}
	letters, err := r.letters(e)
	if err != nil {
		return err
	}
	if a.Rows == 1 { // letters beyond 16 bits may count as one or as two
		a.Text = []string{string(letters)}
		return nil
	}
	if len(letters) != a.Len() {
		return fmt.Errorf("%d letters in a text of %dx%d; the file is damaged", len(letters), a.Rows, a.Cols)
	}
	if err := r.spend(16 * a.Rows); err != nil {
		return err
	}
	row := make([]rune, a.Cols)
	for i := range a.Rows {
		for j := range row {
			row[j] = letters[j*a.Rows+i]
		}
		a.Text = append(a.Text, string(row))
	}
	return nil
}

// letters decodes a text. One of 8 bits that is not UTF-8 is Latin-1.
func (r *reader) letters(e element) ([]rune, error) {
	order := r.order()
	var letters []rune
	switch width := widths[e.kind]; {
	case e.kind == miUTF8 || e.kind == miINT8 || e.kind == miUINT8:
		if utf8.Valid(e.data) {
			return []rune(string(e.data)), nil
		}
		for _, c := range e.data {
			letters = append(letters, rune(c))
		}
	case e.kind == miUTF16 || e.kind == miUINT16:
		if len(e.data)%width != 0 {
			return nil, errShort
		}
		units := make([]uint16, len(e.data)/width)
		for i := range units {
			units[i] = order.Uint16(e.data[i*width:])
		}
		letters = utf16.Decode(units)
	case e.kind == miUTF32:
		if len(e.data)%width != 0 {
			return nil, errShort
		}
		for i := 0; i < len(e.data); i += width {
			letters = append(letters, rune(order.Uint32(e.data[i:])))
		}
	default:
		return nil, errors.New("its text is stored as numbers; the file is damaged")
	}
	return letters, nil
}
