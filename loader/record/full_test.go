//go:build unix

package record

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file that may not grow stands in for a full disk: part of a write is done,
// then the system refuses. Every part of a shard is met at some limit.
//
// The limit is on the process, so the test runs in one of its own: in the first,
// package testing writes a log.
func TestFullDiskLeavesNothing(t *testing.T) {
	if os.Getenv("RECORD_FULL_DISK") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "RECORD_FULL_DISK=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // else the refusal ends the process
	defer signal.Reset(syscall.SIGXFSZ)
	size := len(smallShard(t))
	seen := make(map[string]bool)
	for limit := range size {
		dir := t.TempDir()
		tight := old
		tight.Cur = uint64(limit)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &tight); err != nil {
			t.Fatal(err)
		}
		err := func() error {
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
		}()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
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
