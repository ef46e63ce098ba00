package metrics

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/testenv"
)

func TestWriteToAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Write(sample(Train, 1)); err != nil {
		t.Fatal(err)
	}
	const room = 200 // less than two lines
	err = testenv.FullDisk(t, room, func() error { return w.Write(sample(Train, 2)) })
	if err == nil {
		t.Fatal("a line was written beyond the limit")
	}

	if err := w.Write(sample(Train, 3)); err != nil { // there is room again
		t.Fatal(err)
	}
	if got := steps(t, path); len(got) != 2 || got[1] != 3 {
		t.Errorf("steps are %v, want [1 3]", got)
	}
}

// Opening a named pipe that nobody writes to would wait for ever.
func TestReadOfAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	if err := func() error { _, err := Read(path); return err }(); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("error is %v", err)
	}
}
