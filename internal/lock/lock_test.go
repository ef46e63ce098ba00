package lock

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(path); !errors.Is(err, ErrHeld) {
		t.Errorf("taken twice: error %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = Take(path)
	if err != nil {
		t.Fatalf("it was given back: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Take(filepath.Join(path, "x")); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("below a file: error %v", err)
	}
}
