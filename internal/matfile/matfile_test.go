package matfile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The fixtures are SciPy's, and one by hand that SciPy reads: testdata/make.py.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".mat"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTable(t *testing.T) {
	for _, file := range []string{"plain", "compressed", "big-endian"} {
		b := fixture(t, file)
		a, err := Read(b, "synsets")
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var got []string
		for i := range a.Len() {
			id, ok1 := a.Field(i, "ILSVRC2012_ID").Number()
			wnid, ok2 := a.Field(i, "WNID").Line()
			words, ok3 := a.Field(i, "words").Line()
			if !ok1 || !ok2 || !ok3 {
				t.Errorf("%s: element %d has not all fields", file, i)
			}
			got = append(got, fmt.Sprintf("%g %s %s %d", id, wnid, words, len(a.Field(i, "children").Numbers)))
		}
		want := []string{
			"1 n02119789 kit fox, Vulpes macrotis 0",
			"2 n01440764 tench, Tinca tinca 0",
			"3 n03126707 crane 0",
			"4 n02012849 crane 0",
			"5 n07930864 décor — cup 0",
			"1001 n00001740 entity 5",
		}
		if a.Class != Struct || a.Rows != 6 || a.Cols != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: %dx%d\n%s", file, a.Rows, a.Cols, strings.Join(got, "\n"))
		}
		if a.Field(0, "absent") != nil {
			t.Errorf("%s: a field that is not there is found", file)
		}
		if n, err := Read(b, "number"); err != nil || !slices.Equal(n.Numbers, []float64{3.25}) {
			t.Errorf("%s: number is %v, error %v", file, n, err)
		}
	}
}

func TestEmptyText(t *testing.T) {
	a, err := Read(fixture(t, "plain"), "synsets")
	if err != nil {
		t.Fatal(err)
	}
	if gloss, ok := a.Field(4, "gloss").Line(); gloss != "" || !ok {
		t.Errorf("%q, %v", gloss, ok)
	}
}

func TestKinds(t *testing.T) {
	a, err := Read(fixture(t, "kinds"), "synsets")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"} {
		f := a.Field(0, name)
		if f.Rows != 2 || f.Cols != 3 || !slices.Equal(f.Numbers, []float64{1, 4, 2, 5, 3, 100}) {
			t.Errorf("%s: %+v", name, f)
		}
		if _, ok := f.Number(); ok {
			t.Errorf("%s: six numbers pass for one", name)
		}
	}
	if f := a.Field(0, "negative"); !slices.Equal(f.Numbers, []float64{-1, -100}) {
		t.Errorf("negative: %+v", f)
	}
	if f := a.Field(0, "complex"); !slices.Equal(f.Numbers, []float64{1, 3}) { // the real part
		t.Errorf("complex: %+v", f)
	}
	if f := a.Field(0, "rows"); !slices.Equal(f.Text, []string{"one", "two"}) {
		t.Errorf("rows: %+v", f)
	}
	if n, ok := a.Field(0, "inner").Field(0, "deep").Number(); !ok || n != 7.5 {
		t.Errorf("inner.deep is %g", n)
	}
	if f := a.Field(0, "cell"); f.Class != Other {
		t.Errorf("cell: %+v", f)
	}
}

// Every cut of a file is an error, and names a place or the variable.
func TestCutOff(t *testing.T) {
	for _, file := range []string{"plain", "compressed", "big-endian"} {
		b := fixture(t, file)
		for n := range b {
			if a, err := Read(b[:n], "synsets"); err == nil && n < len(b)-8 { // the last padding
				t.Fatalf("%s: cut to %d of %d bytes, it is read as %dx%d", file, n, len(b), a.Rows, a.Cols)
			}
		}
	}
}

func elementOf(kind uint32, data []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	return append(b, make([]byte, -len(data)&7)...)
}

func words(x ...uint32) (b []byte) {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// file returns a MAT-file with the array "x" of the given class and content.
func file(class uint32, dims []uint32, content ...[]byte) []byte {
	b := append(bytes.Repeat([]byte(" "), 116), "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01IM"...)
	m := slices.Concat(elementOf(miUINT32, words(class, 0)), elementOf(miINT32, words(dims...)), elementOf(miINT8, []byte("x")), slices.Concat(content...))
	return append(b, elementOf(miMATRIX, m)...)
}

func TestErrors(t *testing.T) {
	one := elementOf(miDOUBLE, make([]byte, 8))
	deep := elementOf(miMATRIX, nil)
	structOf := func(value []byte) []byte {
		return slices.Concat(elementOf(miINT32, words(2)), elementOf(miINT8, []byte("f\x00")), value)
	}
	for range 20 {
		deep = elementOf(miMATRIX, slices.Concat(elementOf(miUINT32, words(mxSTRUCT, 0)), elementOf(miINT32, words(1, 1)), elementOf(miINT8, nil), structOf(deep)))
	}
	packed := file(6, nil)[:header]
	packed = append(packed, elementOf(miCOMPRESSED, []byte("no zlib"))...)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"level 4":   {make([]byte, 200), "no MAT-file of level 5"},
		"other":     {file(6, []uint32{1, 1}, one)[:header], "no variable x"},
		"huge":      {file(6, []uint32{1 << 30, 1 << 30}, one), "too large"},
		"negative":  {file(6, []uint32{1, 1 << 31}, one), "damaged"},
		"3-D":       {file(6, []uint32{1, 1, 1}, one), "3 dimensions"},
		"few":       {file(6, []uint32{2, 1}, one), "1 numbers in an array of 2x1"},
		"letters":   {file(4, []uint32{2, 2}, elementOf(miUTF8, []byte("abc"))), "3 letters"},
		"float":     {file(4, []uint32{1, 1}, one), "stored as numbers"},
		"no number": {file(6, []uint32{1, 1}, elementOf(miUTF8, []byte("a"))), "where numbers belong"},
		"names":     {file(2, []uint32{1, 1}, elementOf(miINT32, words(0)), elementOf(miINT8, nil)), "field names"},
		"fields":    {file(2, []uint32{9, 1}, structOf(nil)), "element 1, field f: it ends"},
		"deep":      {file(2, []uint32{1, 1}, structOf(deep)), "17 deep"},
		"zlib":      {packed, "byte 128"},
		"opaque":    {slices.Concat(packed[:header], elementOf(miMATRIX, slices.Concat(elementOf(miUINT32, words(17, 0)), elementOf(miINT8, []byte("y"))))), "no variable x"},
		"no matrix": {slices.Concat(packed[:header], elementOf(miINT8, nil)), "where a matrix belongs"},
		"no flags":  {slices.Concat(packed[:header], elementOf(miMATRIX, elementOf(miINT8, nil))), "where the flags belong"},
		"flags":     {slices.Concat(packed[:header], elementOf(miMATRIX, elementOf(miUINT32, words(6)))), "4 bytes of flags"},
		"small":     {slices.Concat(packed[:header], words(5<<16|miINT8, 0)), "5 bytes in the place of 4"},
		"half":      {file(6, []uint32{1, 1}, elementOf(miDOUBLE, make([]byte, 7))), "in the middle of an element"},
	} {
		if _, err := Read(c.file, "x"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// What is stored in other ways than SciPy's.
func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"UTF-8":   {elementOf(miUTF8, []byte("é")), "é"},
		"Latin-1": {elementOf(miUINT8, []byte{0xe9}), "é"},
		"UTF-16":  {elementOf(miUTF16, []byte{0xe9, 0}), "é"},
		"UINT16":  {elementOf(miUINT16, []byte{0xe9, 0}), "é"},
		"UTF-32":  {elementOf(miUTF32, words(0xe9)), "é"},
		"pair":    {elementOf(miUINT16, []byte{0x3d, 0xd8, 0, 0xde}), "😀"},
	} {
		a, err := Read(file(mxCHAR, []uint32{1, 1}, c.content), "x")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, ok := a.Line(); got != c.want || !ok {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

// A small file cannot become much.
func TestBudget(t *testing.T) {
	const little = 1 << 16
	big := file(1, []uint32{1, 1}, elementOf(miUINT8, make([]byte, little)))
	packed := append(bytes.Clone(big[:header]), elementOf(miCOMPRESSED, deflated(t, big[header:]))...)
	numbers := file(6, []uint32{little / 4, 1}, elementOf(miUINT8, make([]byte, little/4))) // of 8 bytes each
	var values []byte
	for range little / 64 {
		values = append(values, elementOf(miMATRIX, nil)...)
	}
	fields := file(2, []uint32{little / 64, 1}, elementOf(miINT32, words(2)), elementOf(miINT8, []byte("f\x00")), values)
	text := file(4, []uint32{1, little / 4}, elementOf(miUTF8, make([]byte, little/4)))
	for name, b := range map[string][]byte{"packed": packed, "numbers": numbers, "fields": fields, "text": text} {
		if _, err := read(b, "x", little); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := Read(b, "x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a file holds, it is read or refused, without a panic.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"plain", "compressed", "big-endian", "kinds"} {
		f.Add(fixture(f, name))
	}
	f.Add(file(4, []uint32{2, 2}, elementOf(miUTF8, []byte("abcd"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Read(b, "synsets")
		if err != nil {
			return
		}
		for i := range min(a.Len(), 1000) {
			for _, name := range a.Fields {
				if v := a.Field(i, name); v == nil || len(v.Numbers) != v.Len() && v.Class == Numbers {
					t.Errorf("element %d: field %s is %+v", i, name, v)
				}
			}
		}
	})
}

func deflated(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}
