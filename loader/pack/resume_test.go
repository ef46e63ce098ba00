package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/loader/record"
)

// contents returns the files of a folder.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, name := range names(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

// same fails the test unless two data sets have the same bytes.
func same(t testing.TB, got, want string) {
	t.Helper()
	a, b := contents(t, got), contents(t, want)
	if len(a) != len(b) {
		t.Fatalf("files %q, want %q", names(t, got), names(t, want))
	}
	for name := range b {
		if a[name] != b[name] {
			t.Errorf("%s differs", name)
		}
	}
}

// spoiled is tree with some files that are no images.
func spoiled(t testing.TB) map[string][]byte {
	files := tree(t)
	for n := range 40 {
		if n%6 == 1 {
			files[fmt.Sprintf("%s/cat/bad%02d.x", []string{"train", "test"}[n%2], n)] = []byte("no image")
		}
	}
	return files
}

// small shards: four images of 8x8 each.
func smallShards(source, out string) Options {
	return Options{Source: source, Out: out, Name: "n", Size: 8, ShardBytes: 4 * 8 * 8 * 3}
}

// Stopped after any image, a packing goes on from its last whole shard and gives
// the bytes that it would have given.
func TestStoppedPackingGoesOn(t *testing.T) {
	dir := t.TempDir()
	source := writeDir(t, filepath.Join(dir, "s"), spoiled(t))
	whole := smallShards(source, filepath.Join(dir, "whole"))
	d, err := Folder(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Splits["train"].Shards) != 8 || d.Rejected != 7 {
		t.Fatalf("%d shards, %d files rejected", len(d.Splits["train"].Shards), d.Rejected)
	}
	for at := 1; at <= 46; at += 3 {
		o := smallShards(source, filepath.Join(dir, fmt.Sprint("out", at)))
		o.Workers = 1 + at%3
		ctx, cancel := context.WithCancel(t.Context())
		o.Progress = func(done, total int) {
			if done == at {
				cancel()
			}
		}
		_, err := Folder(ctx, o)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at image %d: %v", at, err)
		}
		partial := o.Out + ".partial"
		var before []os.FileInfo
		kept := 0
		shards, _ := filepath.Glob(filepath.Join(partial, "data", "*.rec"))
		for _, name := range shards {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			before = append(before, info)
			r, err := record.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			kept += r.Images()
			r.Close()
		}
		u := (*Unfinished)(nil)
		if errors.As(err, &u) != (len(shards) > 0) || u != nil && u.Dir != partial {
			t.Errorf("stopped at image %d with %d shards: %v", at, len(shards), err)
		}
		said := ""
		o.Progress = nil
		o.Message = func(format string, args ...any) { said += fmt.Sprintf(format, args...) }
		if _, err := Folder(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if (kept > 0) != strings.Contains(said, "images are there") {
			t.Errorf("going on with %d images, it says %q", kept, said)
		}
		same(t, o.Out, whole.Out)
		for i, name := range shards {
			after, err := os.Stat(filepath.Join(o.Out, filepath.Base(name)))
			if err != nil || !os.SameFile(before[i], after) || !after.ModTime().Equal(before[i].ModTime()) {
				t.Errorf("stopped at image %d: %s was written again", at, name)
			}
		}
		if _, err := os.Stat(partial); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", partial, err)
		}
	}
}

// await waits until something has happened, for a minute at most.
func await(t *testing.T, happened func() bool) {
	for start := time.Now(); !happened(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Error("nothing has happened for a minute")
			return
		}
	}
}

// killedPacking is set in the process that TestKilledPackingGoesOn kills.
const killedPacking = "ALEXNET_TEST_KILLED_PACKING"

// Killed at 20 random moments, a packing loses no whole shard and ends with the
// bytes that it would have given.
func TestKilledPackingGoesOn(t *testing.T) {
	if out := os.Getenv(killedPacking); out != "" {
		o := smallShards(os.Getenv(killedPacking+"_SOURCE"), out)
		o.Workers = 2
		o.Progress = func(done, total int) { time.Sleep(time.Millisecond) } // else it is over at once
		if _, err := Folder(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	files := make(map[string][]byte)
	for n := range 300 {
		files[fmt.Sprintf("train/%c/%03d", 'a'+n%3, n)] = encoded(t, n, 9+n%5, 8+n%7)
	}
	files["train/a/bad"] = []byte("no image")
	source := writeTar(t, filepath.Join(dir, "s.tar"), files)
	whole := smallShards(source, filepath.Join(dir, "whole"))
	if _, err := Folder(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	run := func(kill bool) error {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledPackingGoesOn$")
		cmd.Env = append(os.Environ(), killedPacking+"="+out, killedPacking+"_SOURCE="+source)
		var b bytes.Buffer
		cmd.Stdout, cmd.Stderr = &b, &b
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if kill { // at any moment from the first shard on
			await(t, func() bool {
				shards, _ := filepath.Glob(filepath.Join(out+"*", "data", "*.rec"))
				return len(shards) > 0 || len(ended) > 0
			})
			time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
			cmd.Process.Signal(syscall.SIGKILL) // which fails if it has ended
		}
		err := <-ended
		if err != nil && b.Len() > 0 {
			t.Fatalf("%v: %s", err, b.String())
		}
		return err
	}
	var kept []string
	most := 0
	for kill := 0; kill < 20; {
		if run(true) == nil { // it came to its end
			same(t, out, whole.Out)
			if err := os.RemoveAll(out); err != nil {
				t.Fatal(err)
			}
			kept = nil
			continue
		}
		kill++
		shards, _ := filepath.Glob(filepath.Join(out+".partial", "data", "*.rec"))
		for _, name := range kept {
			if !slices.Contains(shards, name) {
				if _, err := os.Stat(filepath.Join(out, filepath.Base(name))); err != nil { // unless it was at the very end
					t.Errorf("kill %d lost %s", kill, name)
				}
			}
		}
		kept, most = shards, max(most, len(shards))
		if _, err := os.Stat(out); err == nil { // killed after its last word
			same(t, out, whole.Out)
			if err := errors.Join(os.RemoveAll(out), os.RemoveAll(out+".partial")); err != nil {
				t.Fatal(err)
			}
			kept = nil
		}
	}
	if most == 0 {
		t.Error("no kill came after a shard was whole")
	}
	if err := run(false); err != nil {
		t.Fatal(err)
	}
	same(t, out, whole.Out)
	f, err := record.OpenFolder(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(out + ".partial"); err != nil {
		t.Fatal(err)
	}
}

// What was begun with other options, or is damaged, is not mixed in, nor removed.
func TestOnlyTheSamePackingGoesOn(t *testing.T) {
	dir := t.TempDir()
	source := writeDir(t, filepath.Join(dir, "s"), tree(t))
	o := smallShards(source, filepath.Join(dir, "out"))
	shard := filepath.Join(o.Out+".partial", "data", "train-00000.rec")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := o
	stopped.Progress = func(done, _ int) {
		if done < 20 {
			return
		}
		await(t, func() bool { _, err := os.Stat(shard); return err == nil }) // it is being written
		cancel()
	}
	if _, err := Folder(ctx, stopped); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"codec":  func(o *Options) { o.Codec = record.Delta },
		"filter": func(o *Options) { o.Filter++ },
		"shards": func(o *Options) { o.ShardBytes *= 2 },
		"orient": func(o *Options) { o.Orient = true },
		"size":   func(o *Options) { o.Size = 7 },
		"full":   func(o *Options) { o.Full = true },
		"source": func(o *Options) {
			o.Source = writeDir(t, filepath.Join(dir, "other"), joined(tree(t), one("train/cat/more", encoded(t, 1, 9, 9))))
		},
	} {
		other := o
		change(&other)
		if _, err := Folder(t.Context(), other); !errors.Is(err, errOther) || !strings.Contains(err.Error(), "other -out") {
			t.Errorf("another %s: %v", name, err)
		}
		if _, err := os.Stat(shard); err != nil {
			t.Errorf("another %s: %v", name, err)
		}
	}
	// Of the same names and sizes, but another image at the start of a shard.
	r, err := record.Open(shard)
	if err != nil {
		t.Fatal(err)
	}
	l, err := folderListing(t.Context(), source, scratch{dir: dir}, 0.1, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(source, l.train[r.Image(0).Source].name)
	if err := errors.Join(r.Close(), l.close()); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bmpLike(t, len(image)), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(t.Context(), o); err == nil || !strings.Contains(err.Error(), "have changed since") {
		t.Errorf("another image under the same name: %v", err)
	}
	if err := os.WriteFile(path, image, 0o666); err != nil {
		t.Fatal(err)
	}
	// Shards without what says of what they are.
	identity := filepath.Join(o.Out+".partial", identityFile)
	was, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(identity); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(t.Context(), o); !errors.Is(err, errOther) {
		t.Errorf("without identity: %v", err)
	}
	if err := os.WriteFile(identity, was, 0o666); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(shard)
	if err != nil {
		t.Fatal(err)
	}
	b[50] ^= 1
	if err := os.WriteFile(shard, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(t.Context(), o); !errors.Is(err, record.ErrDamaged) || !strings.Contains(err.Error(), "to begin again") ||
		strings.Contains(err.Error(), "same command") {
		t.Errorf("damaged: %v", err)
	}
	if err := os.RemoveAll(o.Out + ".partial"); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(t.Context(), o); err != nil {
		t.Error(err)
	}
}

// bmpLike returns an image file of n bytes.
func bmpLike(t *testing.T, n int) []byte {
	b := bmpOf(9, 8, 9, 99, 199)
	if len(b) > n {
		t.Fatalf("no image of %d bytes", n)
	}
	return append(b, make([]byte, n-len(b))...) // what follows the pixels does not matter
}

// Files that were passed over are an error when the packing goes on with -strict,
// whose advice can be followed; nothing that an earlier packing unpacked stays.
func TestGoingOnStrictly(t *testing.T) {
	dir := t.TempDir()
	o := smallShards(writeDir(t, filepath.Join(dir, "s"), spoiled(t)), filepath.Join(dir, "out"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := o
	stopped.Progress = func(done, _ int) {
		if done == 30 {
			await(t, func() bool {
				_, err := os.Stat(filepath.Join(o.Out+".partial", "data", "train-00003.rec"))
				return err == nil
			})
			cancel()
		}
	}
	if _, err := Folder(ctx, stopped); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	left := filepath.Join(o.Out+".partial", "1-source.tar")
	if err := os.WriteFile(left, []byte("unpacked by one that was killed"), 0o666); err != nil {
		t.Fatal(err)
	}
	strict := o
	strict.Strict = true
	strict.Message = func(string, ...any) {
		if _, err := os.Stat(left); err == nil {
			t.Error("what a killed packing had unpacked is still there")
		}
	}
	if _, err := Folder(t.Context(), strict); err == nil || !strings.Contains(err.Error(), "/bad") || !strings.Contains(err.Error(), "without -strict") {
		t.Errorf("strictly: %v", err)
	}
	if d, err := Folder(t.Context(), o); err != nil || d.Rejected != 7 {
		t.Errorf("not strictly: %v", err)
	}
}

// Two programs do not pack into one folder.
func TestOnePackerAtATime(t *testing.T) {
	dir := t.TempDir()
	o := smallShards(writeDir(t, filepath.Join(dir, "s"), tree(t)), filepath.Join(dir, "out"))
	var second error
	first := o
	first.Progress = func(done, _ int) {
		if done == 9 {
			_, second = Folder(t.Context(), o)
		}
	}
	if _, err := Folder(t.Context(), first); err != nil {
		t.Error(err)
	}
	if second == nil || !strings.Contains(second.Error(), "another program is packing into it") {
		t.Errorf("error %v", second)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"out", "s"}) {
		t.Errorf("left: %q", got)
	}
}
