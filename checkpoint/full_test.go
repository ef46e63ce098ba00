package checkpoint

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/testenv"
)

func TestWriteToAFullDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	const room = 1000000 // within the first chunk
	err := testenv.FullDisk(t, room, func() error {
		return Write(path, &Checkpoint{Tensors: []Tensor{{"fc6.weight", []int{2 * chunk}, make([]float32, 2*chunk)}}})
	})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `tensor "fc6.weight", at byte `) {
		t.Errorf("error is %v", err)
	}
	if names := list(t, dir); !slices.Equal(names, []string{"a"}) {
		t.Errorf("the folder holds %v", names)
	}
	c, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := same(sample(), c); err != nil {
		t.Error(err)
	}
}

// Opening a named pipe that nobody writes to would wait for ever.
func TestReadOfAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	if err := second(Read(path)); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("error is %v", err)
	}
}
