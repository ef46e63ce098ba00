package main

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sample are files as they may lie about; the contents of images are their names.
var sample = []string{"train/cat/a.JPEG", "train/cat/b.png", "test/dog/a.jpg", "c.jpg", "train/cat/notes.txt", "train/dog/._a.jpg"}

// content returns what is in the files below dir, by name; links are followed.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		name, _ := filepath.Rel(dir, file)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestGather(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "images")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range append(sample, "../../up.gif") {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o666, Size: int64(len(name))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range sample {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(t.TempDir(), "images.tar")
	if err := os.WriteFile(archive, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}

	inFolder := map[string]string{
		"images/000000-c.jpg": "c.jpg", "dog/000001-a.jpg": "test/dog/a.jpg", "cat/000002-a.JPEG": "train/cat/a.JPEG", "cat/000003-b.png": "train/cat/b.png",
	}
	for from, want := range map[string]map[string]string{
		folder: inFolder,
		link:   inFolder,
		archive: {
			"cat/000000-a.JPEG": "train/cat/a.JPEG", "cat/000001-b.png": "train/cat/b.png", "dog/000002-a.jpg": "test/dog/a.jpg", "images/000003-c.jpg": "c.jpg",
			"images/000004-up.gif": "../../up.gif",
		},
	} {
		all, err := gather(t.Context(), from, filepath.Join(t.TempDir(), "x"))
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, all.dir); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", from, got, want)
		}
		twice := filepath.Join(t.TempDir(), "y")
		if err := all.repeat(t.Context(), twice, 2); err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, text := range content(t, twice) {
			count[text]++
		}
		for _, text := range want {
			if count[text] != 2 {
				t.Errorf("%s is there %d times", text, count[text])
			}
		}
	}

	for from, want := range map[string]string{
		t.TempDir():                      "there are no images in it",
		filepath.Join(folder, "none"):    "no such file",
		filepath.Join(folder, sample[0]): "a folder or a tar",
	} {
		if _, err := gather(t.Context(), from, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", from, err, want)
		}
	}
}

func TestRepeats(t *testing.T) {
	for _, k := range []struct {
		bytes, limit int64
		want         int
	}{{100, 99, 1}, {100, 100, 2}, {100, 299, 3}} {
		if got, err := repeats(10, k.bytes, k.limit); err != nil || got != k.want {
			t.Errorf("%v: %d, %v", k, got, err)
		}
	}
	if _, err := repeats(1000, 100, 1<<30); err == nil {
		t.Error("images that take almost nothing were repeated without end")
	}
}
