package regular

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("file"), []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Symlink("file", path("link")), syscall.Mkfifo(path("pipe"), 0o666), os.Mkdir(path("folder"), 0o777)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"link": "link: is a symbolic link", "pipe": "pipe: is not a file", "folder": "folder: is not a file", "absent": "no such file"} {
		f, err := Open(path(name), os.O_RDONLY)
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
	for _, name := range []string{"file", "new"} {
		f, err := Open(path(name), os.O_RDWR|os.O_CREATE)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f.Close()
	}
	for name, want := range map[string]string{"file": "", "link": "", "pipe": "pipe: is not a file", "folder": "folder: is not a file", "absent": "no such file"} {
		f, err := Follow(path(name))
		if err == nil {
			f.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s, followed: error %v, want %q", name, err, want)
		}
	}
	if b, err := os.ReadFile(path("file")); err != nil || string(b) != "content" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}
