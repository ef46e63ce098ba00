package record

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/testenv"
)

// Every part of a shard is met by a full disk at some limit.
func TestFullDiskLeavesNothing(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
	size := len(smallShard(t, Raw))
	seen := make(map[string]bool)
	for limit := range size {
		dir := t.TempDir()
		err := testenv.FullDisk(t, uint64(limit), func() error {
			_, err := tryShard(filepath.Join(dir, "a.rec"), small, Raw, 10)
			return err
		})
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), "nothing is left") {
			t.Fatalf("room for %d of %d bytes: %v", limit, size, err)
		}
		seen[strings.Fields(e.Part)[0]] = true
		wantFiles(t, dir)
	}
	if len(seen) != 4 {
		t.Errorf("the limits met %v, want header, chunk, index, trailer", seen)
	}
}
