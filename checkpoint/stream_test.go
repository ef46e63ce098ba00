package checkpoint

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestWriterAndReader(t *testing.T) {
	dir := t.TempDir()
	want := &Checkpoint{
		State:   State{Notes: map[string]string{"layer": "fc7"}},
		Tensors: []Tensor{{"x", []int{3, 2}, []float32{1, 2, 3, 4, 5, 6}}, {"y", []int{1}, []float32{7}}},
	}
	whole, streamed := filepath.Join(dir, "whole"), filepath.Join(dir, "streamed")
	if err := Write(whole, want); err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(streamed, want.Notes, want.Tensors)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, part := range [][]float32{{1}, {2, 3, 4, 5}, {6, 7}} { // without regard to the tensors
		if err := w.Commit(); err == nil || !strings.Contains(err.Error(), "are missing") {
			t.Errorf("committed half a file: %v", err)
		}
		if err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write([]float32{8}); err == nil {
		t.Error("took a number too many")
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(whole)
	b, _ := os.ReadFile(streamed)
	if len(a) == 0 || !slices.Equal(a, b) {
		t.Error("the file differs from one that was written at once")
	}

	r, err := OpenReader(streamed)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	part := make([]float32, 3)
	if err := r.Read("x", 2, part); err != nil || !slices.Equal(part, []float32{3, 4, 5}) {
		t.Errorf("read %v, %v", part, err)
	}
	if shape, err := r.Shape("x"); err != nil || !slices.Equal(shape, []int{3, 2}) || !reflect.DeepEqual(r.State, want.State) {
		t.Errorf("%v, %v, %v", shape, err, r.State)
	}
	for _, first := range []int64{-1, 4, 7, 1 << 62} {
		if err := r.Read("x", first, part); err == nil {
			t.Errorf("read 3 of 6 numbers from %d on", first)
		}
	}
	if _, err := r.Shape("z"); err == nil {
		t.Error("there is a tensor z")
	}
}

func TestWriterLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(filepath.Join(dir, "x"), nil, []Tensor{{Name: "x", Shape: []int{2}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]float32{1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("%v is left", list)
	}
}
