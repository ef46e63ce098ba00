// Package matfile reads MATLAB's MAT-files of level 5 (MATLAB 5 to 7.2, and what
// save writes since without -v7.3), as far as tables are kept in them: numbers,
// texts, and struct arrays of these, of two dimensions. The ILSVRC development
// kits keep their list of classes in one.
//
// The format is MathWorks' "MAT-File Format" (R2019b, chapter 1). A file is a
// header of 128 bytes and data elements: a tag with type and size, then the
// data, to a multiple of 8 bytes. A variable is an element of type miMATRIX,
// made of elements itself, or one of type miCOMPRESSED, with that in zlib.
package matfile

import (
	"errors"
	"fmt"
)

// Class is what an array is made of.
type Class uint8

// The classes that are read. Others (cells, objects, sparse matrices, functions)
// are Other, and have no content here.
const (
	Other Class = iota
	Numbers
	Text
	Struct
)

// Array is a variable, or a field of one. Elements are in MATLAB's order: the
// first subscript runs fastest.
type Array struct {
	Class      Class
	Rows, Cols int
	Numbers    []float64 // of Numbers; integers beyond 2^53 are rounded
	Text       []string  // of Text, one a row
	Fields     []string  // of a Struct
	values     []*Array  // of a Struct: the fields of the first element, then those of the second
}

// Len returns the number of elements.
func (a *Array) Len() int { return a.Rows * a.Cols }

// Field returns the named field of element i of a Struct, or nil if it has none.
func (a *Array) Field(i int, name string) *Array {
	for f, n := range a.Fields {
		if n == name {
			return a.values[i*len(a.Fields)+f]
		}
	}
	return nil
}

// Number returns the value of an array that is one number.
func (a *Array) Number() (float64, bool) {
	if a == nil || a.Class != Numbers || len(a.Numbers) != 1 {
		return 0, false
	}
	return a.Numbers[0], true
}

// Line returns the value of an array that is one row of text; the empty text
// has no row.
func (a *Array) Line() (string, bool) {
	switch {
	case a == nil || a.Class != Text || len(a.Text) > 1:
		return "", false
	case len(a.Text) == 0:
		return "", true
	}
	return a.Text[0], true
}

const (
	header = 128
	// budget bounds the memory for a file, whatever it claims: what it unpacks
	// to, and what is made of that.
	budget = 64 << 20
)

// Is tells a MAT-file of level 5 by its first bytes.
func Is(b []byte) bool {
	return len(b) >= header && (string(b[124:128]) == "\x00\x01IM" || string(b[124:128]) == "\x01\x00MI")
}

// Read returns the variable of the given name in the MAT-file b.
func Read(b []byte, name string) (*Array, error) { return read(b, name, budget) }

func read(b []byte, name string, budget int) (*Array, error) {
	if !Is(b) {
		return nil, errors.New("this is no MAT-file of level 5; save it in MATLAB with -v7")
	}
	r := &reader{left: budget, big: b[126] == 'M'}
	at := header
	for rest := b[header:]; len(rest) > 0; {
		e, next, err := r.element(rest)
		if err == nil {
			var a *Array
			if a, err = r.variable(e, name); a != nil && err == nil {
				return a, nil
			}
		}
		if err != nil {
			return nil, fmt.Errorf("variable at byte %d: %w", at, err)
		}
		at += len(rest) - len(next)
		rest = next
	}
	return nil, fmt.Errorf("there is no variable %s in it", name)
}
