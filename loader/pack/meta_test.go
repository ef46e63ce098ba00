package pack

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// matOf returns a MAT-file with the struct array synsets, of which a row has a
// value for each field: a float64 or a string.
func matOf(fields []string, rows ...[]any) []byte {
	word := binary.LittleEndian.AppendUint32
	element := func(kind uint32, data []byte) []byte {
		b := word(word(nil, kind), uint32(len(data)))
		return append(append(b, data...), make([]byte, -len(data)&7)...)
	}
	matrix := func(class uint32, name string, rows, cols int, content ...[]byte) []byte {
		return element(14, slices.Concat(element(6, word(word(nil, class), 0)),
			element(5, word(word(nil, uint32(rows)), uint32(cols))), element(1, []byte(name)), slices.Concat(content...)))
	}
	names := make([]byte, 32*len(fields))
	for i, f := range fields {
		copy(names[32*i:], f)
	}
	table := slices.Concat(element(5, word(nil, 32)), element(1, names))
	for _, row := range rows {
		for _, v := range row {
			switch v := v.(type) {
			case float64:
				table = append(table, matrix(6, "", 1, 1, element(9, binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))))...)
			case string:
				table = append(table, matrix(4, "", 1, len(v), element(16, []byte(v)))...)
			}
		}
	}
	b := append([]byte(fmt.Sprintf("%-116s", "MATLAB 5.0 MAT-file")), "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01IM"...)
	return append(b, matrix(2, "synsets", len(rows), 1, table)...)
}

// The kits of 2010, 2012 and later name their fields in different ways.
func TestMetaOfEveryKit(t *testing.T) {
	for _, fields := range [][]string{
		{"ILSVRC2010_ID", "WNID", "words"},
		{"ILSVRC2012_ID", "WNID", "words"},
		{"ILSVRC2015_CLSLOC_ID", "WNID", "name"},
		{"synset_id", "WNID", "words"},
	} {
		m, err := parseMeta(document{name: "meta.mat", data: matOf(fields, []any{2.0, "n01440764", "tench"}, []any{1.0, "n02119789", ""})})
		if err != nil {
			t.Fatalf("%s: %v", fields, err)
		}
		if got := fmt.Sprint(m.synsets, m.words); got != "map[1:n02119789 2:n01440764] map[n01440764:tench n02119789:]" {
			t.Errorf("%s: %s", fields, got)
		}
	}
}

func TestMetaErrors(t *testing.T) {
	fields := []string{"ILSVRC2012_ID", "WNID", "words"}
	good := []any{1.0, "n01440764", "tench"}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no field":  {matOf([]string{"ID", "WNID", "words"}, good), "element 1 of synsets has not a number"},
		"no synset": {matOf(fields, good, []any{2.0, "tench", ""}), "element 2 of synsets"},
		"fraction":  {matOf(fields, good, []any{1.5, "n01440764", ""}), "element 2 of synsets"},
		"infinite":  {matOf(fields, good, []any{math.Inf(1), "n01440764", ""}), "element 2 of synsets"},
		"none":      {matOf(fields, good, []any{math.NaN(), "n01440764", ""}), "element 2 of synsets"},
		"twice":     {matOf(fields, good, []any{1.0, "n01440765", ""}), "number 1 is that of n01440764 and of n01440765"},
		"empty":     {matOf(fields), "there are no synsets"},
	} {
		_, err := parseMeta(document{name: "meta.mat", where: "x/meta.mat", data: c.data})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x/meta.mat: ") {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}
