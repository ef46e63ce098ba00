package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"alexnet/internal/testenv"
)

// manyShards opens a data set of 30 training shards of one chunk each. At most limit
// shards may be open.
func manyShards(t *testing.T, limit int) *Folder {
	t.Helper()
	dir, d, _ := folder(t)
	split := Split{}
	for i := range 30 {
		path := filepath.Join(dir, "many-"+string(rune('a'+i))+".rec")
		split.Shards = append(split.Shards, writeShard(t, path, small, Delta, 2))
		split.Images += 2
	}
	d.Splits["train"] = split
	if err := WriteDataset(dir, d); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	f.files.limit = limit
	return f
}

// Workers that read more shards than may be open share the files: each reads right,
// and there are never more open.
func TestBoundedFiles(t *testing.T) {
	for _, limit := range []int{1, 3, 100} {
		f := manyShards(t, limit)
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				var d Decoder
				for i := range 90 {
					r := f.Shards["train"][(i*7+worker*11)%30]
					r.Prefetch(0)
					if err := d.Read(r, 0); err != nil {
						t.Error(err)
						return
					}
					if im, pixels := d.Image(1); im.Source != 99 || string(pixels) != string(image(small.Height, small.Width, 1)) {
						t.Errorf("%s: image %+v, pixels %v", r.path, im, pixels)
					}
					f.files.mu.Lock()
					if n := len(f.files.open); n > limit || n > 30 {
						t.Errorf("%d files are open, and %d may be", n, limit)
					}
					f.files.mu.Unlock()
				}
			})
		}
		group.Wait()
		for _, r := range f.Shards["train"] {
			if r.file.users != 0 {
				t.Errorf("%s has %d users at the end", r.path, r.file.users)
			}
		}
	}
}

// The least recently used file goes first, so that a shard that is read again and
// again stays open.
func TestLeastRecentlyUsedFileIsClosed(t *testing.T) {
	f := manyShards(t, 2)
	var d Decoder
	shards := f.Shards["train"]
	for _, i := range []int{0, 1, 0, 2} {
		if err := d.Read(shards[i], 0); err != nil {
			t.Fatal(err)
		}
	}
	if shards[0].file.File == nil || shards[1].file.File != nil || shards[2].file.File == nil {
		t.Error("want the first and the third shard open")
	}
}

// A process that has no descriptors left does with the shards that are open. Without
// any, the error is about the process: no shard is called damaged, and later it can
// be read.
func TestWithoutDescriptors(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
	f := manyShards(t, 100)
	tight := syscall.Rlimit{Cur: 40, Max: 40}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &tight); err != nil {
		t.Fatal(err)
	}
	take := func() (held []*os.File) {
		for {
			null, err := os.Open(os.DevNull)
			if err != nil {
				return held
			}
			held = append(held, null)
		}
	}
	held := take()
	var d Decoder
	if err := d.Read(f.Shards["train"][0], 0); !IsShortage(err) || errors.As(err, new(*Error)) {
		t.Errorf("without descriptors: %v", err)
	}
	if err := f.Verify(t.Context(), nil); !IsShortage(err) || strings.Contains(err.Error(), "\n") {
		t.Errorf("verified without descriptors: %v", err)
	}
	for _, file := range held[:2] {
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Verify(t.Context(), nil); err != nil {
		t.Errorf("with two descriptors: %v", err)
	}
	for _, file := range held[2:] {
		file.Close()
	}
}

// A closed data set says so, whatever was read before.
func TestClosedFolder(t *testing.T) {
	f := manyShards(t, 3)
	var d Decoder
	if err := errors.Join(d.Read(f.Shards["train"][0], 0), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Shards["train"][:2] {
		if err := d.Read(r, 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

// Verify lists a shard that is not there, once, and reads the others.
func TestVerifyListsMissingShards(t *testing.T) {
	f := manyShards(t, 3)
	for _, i := range []int{4, 9} {
		if err := os.Remove(f.Shards["train"][i].path); err != nil {
			t.Fatal(err)
		}
	}
	done := 0
	err := f.Verify(t.Context(), func(n, _ int) { done = n })
	if err == nil || strings.Count(err.Error(), "no such file") != 2 || !strings.Contains(err.Error(), "many-e.rec") || done != 62 {
		t.Errorf("%d images were read: %v", done, err)
	}
	if err := f.Missing(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "many-e.rec") {
		t.Errorf("missing: %v", err)
	}
}
