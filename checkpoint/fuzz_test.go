package checkpoint

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzHeader wants the tensors of an accepted header to fill the file and no more: a
// false claim costs no memory. Written again, the file reads the same. Here the length
// of the header and the numbers are always sound. FuzzDecode seldom finds such a file.
func FuzzHeader(f *testing.F) {
	c, bytes := sample(), 0
	for _, t := range c.Tensors {
		bytes += 4 * len(t.Data)
		clear(t.Data)
	}
	whole := mustEncode(f, c)
	header := string(whole[8 : len(whole)-bytes])
	f.Add(header, uint16(bytes))
	f.Add(strings.Replace(header, checksumsKey, "a note", 1), uint16(bytes)) // without checksums
	f.Add(`{}`, uint16(0))
	f.Add(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F32","shape":[0],"data_offsets":[24,24]}}`, uint16(24))
	f.Fuzz(func(t *testing.T, header string, data uint16) {
		c, err := decodeBytes(file(header, int(data)))
		if err != nil {
			return
		}
		numbers := 0
		for _, t := range c.Tensors {
			numbers += len(t.Data)
		}
		if 4*numbers != int(data) {
			t.Fatalf("%d numbers of %d bytes", numbers, data)
		}
		again, err := decodeBytes(mustEncode(t, c))
		if err != nil {
			t.Fatal(err)
		}
		if err := same(c, again); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzState wants metadata that is accepted to read the same when it is written again.
func FuzzState(f *testing.F) {
	add := func(s State) {
		m, err := s.metadata()
		if err != nil {
			f.Fatal(err)
		}
		b, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	add(sample().State)
	add(State{Net: "n"})
	add(State{Notes: map[string]string{"format": "pt"}})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m map[string]string
		if json.Unmarshal(b, &m) != nil {
			return
		}
		delete(m, checksumsKey) // as a reader of files does
		s, err := parseState(m, true)
		if err != nil {
			return
		}
		again, err := s.metadata()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseState(again, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := same(&Checkpoint{State: s}, &Checkpoint{State: back}); err != nil {
			t.Fatal(err)
		}
	})
}
