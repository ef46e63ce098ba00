package pack

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/testenv"
)

// The full disk is met by the unpacked tar, by a shard, by the statistics or by
// dataset.json.
func TestFullDiskLeavesNothingHalf(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
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
		err := testenv.FullDisk(t, c.room, func() error {
			_, err := Folder(t.Context(), Options{Source: sources[c.source], Out: filepath.Join(dir, "out"), Size: c.size})
			return err
		})
		if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("room for %d bytes: %v, want an error with %q", c.room, err, c.part)
		}
		want := []string{"plain", "s", "s.tgz"}
		if c.source == "plain" { // its shard is whole
			want = append([]string{"out.partial"}, want...)
			if u := (*Unfinished)(nil); !errors.As(err, &u) {
				t.Errorf("room for %d bytes: %v, want it to say that the shard is kept", c.room, err)
			}
		}
		if got := names(t, dir); !slices.Equal(got, want) {
			t.Errorf("left behind: %q, want %q", got, want)
		}
		if err := os.RemoveAll(filepath.Join(dir, "out.partial")); err != nil {
			t.Fatal(err)
		}
	}
}
