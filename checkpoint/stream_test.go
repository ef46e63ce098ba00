package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func parts() ([]Tensor, map[string]string) {
	return []Tensor{
		{"features", []int{5, 2, 1}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"labels", []int{5}, []float32{4, 3, 2, 1, 0}},
	}, map[string]string{"layer": "fc7"}
}

// Written in turns, a file has the bytes that Write gives it at once.
func TestStreamIsTheSameFile(t *testing.T) {
	dir := t.TempDir()
	tensors, notes := parts()
	w, err := Create(filepath.Join(dir, "a"), notes, tensors)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		for k, width := range []int{2, 1} {
			if err := w.Append(k, tensors[k].Data[i*width:(i+1)*width]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if names := list(t, dir); slices.Contains(names, "a") {
		t.Errorf("before Close there is %v", names)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if err := Write(filepath.Join(dir, "b"), &Checkpoint{State: State{Notes: notes}, Tensors: tensors}); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "b"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%q\n%q, %v", a, b, err)
	}
}

func TestStreamMissingAndTooMany(t *testing.T) {
	dir := t.TempDir()
	tensors, notes := parts()
	w, err := Create(filepath.Join(dir, "a"), notes, tensors)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(1, make([]float32, 6)); err == nil || !strings.Contains(err.Error(), `"labels" of shape [5] is given 1 numbers too many`) {
		t.Error(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), `10 numbers of tensor "features"`) {
		t.Error(err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if names := list(t, dir); len(names) > 0 {
		t.Errorf("%v is left", names)
	}
}

func TestReadingParts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	tensors, notes := parts()
	if err := Write(path, &Checkpoint{State: State{Notes: notes}, Tensors: tensors}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Notes["layer"] != "fc7" || !slices.Equal(f.Shape("features"), []int{5, 2, 1}) || f.Shape("fc7") != nil {
		t.Errorf("%v %v %v", f.Notes, f.Shape("features"), f.Shape("fc7"))
	}
	got := make([]float32, 3)
	if err := f.ReadAt("features", 7, got); err != nil || !slices.Equal(got, []float32{7, 8, 9}) {
		t.Error(got, err)
	}
	for _, c := range []struct {
		name  string
		first int64
	}{{"features", 8}, {"features", -1}, {"features", 1 << 62}, {"absent", 0}} {
		if err := f.ReadAt(c.name, c.first, got); err == nil {
			t.Errorf("3 numbers of %s from %d on were read", c.name, c.first)
		}
	}
}
