//go:build unix

package pack

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Files that may not grow stand in for a full disk, met by the unpacked tar,
// by a shard, by the statistics or by dataset.json. The limit is on the process,
// so the test runs in one of its own: in the first, package testing writes a log.
func TestFullDiskLeavesNothing(t *testing.T) {
	if os.Getenv("PACK_FULL_DISK") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "PACK_FULL_DISK=1")
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
	dir := t.TempDir()
	plain := make(map[string][]byte) // shards of it are small
	for _, name := range []string{"train/a/1", "train/a/2", "train/b/3", "train/b/4"} {
		plain[name] = bmpOf(40, 40, 1, 2, 3)
	}
	sources := map[string]string{
		"s":     writeDir(t, filepath.Join(dir, "s"), tree(t)),
		"plain": writeDir(t, filepath.Join(dir, "plain"), plain),
		"tgz":   writeTar(t, filepath.Join(dir, "s.tgz"), tree(t)),
	}
	for _, c := range []struct {
		source, part string
		size         int
		room         uint64
	}{
		{"tgz", "source.tar", 4, 5000},
		{"s", "chunk 0", 8, 1000},
		{"s", "index", 1, 200},
		{"plain", "statistics.bin", 32, 12000},
		{"plain", "dataset.json", 2, 500},
	} {
		tight := old
		tight.Cur = c.room
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &tight); err != nil {
			t.Fatal(err)
		}
		_, err := Folder(t.Context(), Options{Source: sources[c.source], Out: filepath.Join(dir, "out"), Size: c.size})
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("room for %d bytes: %v, want an error with %q", c.room, err, c.part)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"plain", "s", "s.tgz"}) {
			t.Errorf("left behind: %q", got)
		}
	}
}
