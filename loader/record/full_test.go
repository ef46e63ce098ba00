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
	size := len(smallShard(t))
	seen := make(map[string]bool)
	for limit := range size {
		dir := t.TempDir()
		err := testenv.FullDisk(t, uint64(limit), func() error {
			w, err := Create(filepath.Join(dir, "a.rec"), small)
			if err != nil {
				return err
			}
			for i := range 10 {
				if err := w.Append(image(small, i), int32(i%4), int64(100-i)); err != nil {
					_, closing := w.Close()
					if !errors.Is(closing, err) {
						t.Errorf("Close after %v says %v", err, closing)
					}
					return err
				}
			}
			_, err = w.Close()
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
