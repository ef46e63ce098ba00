package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
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

// TestWait: who comes second is told once, waits, and takes what is given back; or
// leaves when it is told to.
func TestWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Wait(ctx, path, cancel); err != context.Canceled {
		t.Errorf("a wait that is cancelled: %v", err)
	}
	told := 0
	second, err := Wait(t.Context(), path, func() {
		told++
		time.AfterFunc(3*look, func() { first.Close() })
	})
	if err != nil || told != 1 {
		t.Fatalf("told %d times, error %v", told, err)
	}
	if _, err := Take(path); !errors.Is(err, ErrHeld) {
		t.Errorf("taken twice: %v", err)
	}
	second.Close()
}

// TestFileKeepsItsContent: taking a lock cuts no file.
func TestFileKeepsItsContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if b, err := os.ReadFile(path); string(b) != "content" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	link := filepath.Join(t.TempDir(), "lock")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Take(link); err == nil {
		t.Error("a link was followed")
	}
}
