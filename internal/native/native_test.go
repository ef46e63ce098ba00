package native

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"alexnet/internal/native/nativetest"
)

func TestOpenLibc(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs linux: looks for libc.so.6")
	}
	l, err := Open([]string{"libalexnet-absent.so", "libc.so.6"}, []string{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.Path); err != nil || !filepath.IsAbs(l.Path) || !strings.Contains(l.Path, "libc") {
		t.Errorf("Path is %q, want the file that was opened: %v", l.Path, err)
	}
	if p, err := l.Symbol("strlen"); err != nil || p == 0 {
		t.Errorf("Symbol(strlen) = %#x, %v", p, err)
	}
	if _, err := l.Symbol("alexnet_absent"); err == nil || !strings.Contains(err.Error(), "alexnet_absent") || !strings.Contains(err.Error(), l.Path) {
		t.Errorf("Symbol of an absent name: error %v, want one that names it and the library", err)
	}
}

func TestOpenOrder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs linux: the loader has to know libm.so.6")
	}
	dir := t.TempDir()
	lib1, lib2 := "lib"+nativetest.Tag(t)+".so.1", "lib"+nativetest.Tag(t)+".so.2"
	empty, first, second := filepath.Join(dir, "empty"), filepath.Join(dir, "first"), filepath.Join(dir, "second")
	nativetest.Build(t, filepath.Join(first, lib1), "void f(void) {}")
	nativetest.Build(t, filepath.Join(second, lib2), "void f(void) {}")
	nativetest.Build(t, filepath.Join(second, "libm.so.6"), "void f(void) {}")
	t.Chdir(second)
	loaders, err := Open([]string{"libm.so.6"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two, m := filepath.Join(first, lib1), filepath.Join(second, lib2), filepath.Join(second, "libm.so.6")
	for _, c := range []struct {
		name        string
		names, dirs []string
		want        string
	}{
		{"the first name in the first folder", []string{lib1, lib2}, []string{empty, first, second}, one},
		{"a folder goes before a name", []string{lib1, lib2}, []string{second, first}, two},
		{"a path before all", []string{lib1, two}, []string{first}, two},
		{"the loader last of itself", []string{"libm.so.6"}, []string{first, second}, m},
		{"the loader where it stands", []string{"libm.so.6"}, []string{first, Loader, second}, loaders.Path},
		{"the loader, then a folder", []string{lib2}, []string{Loader, second}, two},
		{"the working folder is a folder", []string{"libm.so.6"}, []string{"."}, "./libm.so.6"},
	} {
		l, err := Open(c.names, c.dirs)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if l.Path != c.want {
			t.Errorf("%s: opened %s, want %s", c.name, l.Path, c.want)
		}
	}
}

func TestOpenSaysWhereItLooked(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "libbroken.so")
	if err := os.WriteFile(broken, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	explicit := filepath.Join(dir, "sub", "liba.so")
	_, err := Open([]string{"libabsent.so", "libbroken.so", explicit}, []string{dir})
	var open *OpenError
	if !errors.As(err, &open) {
		t.Fatalf("error is a %T, want an OpenError", err)
	}
	want := []struct {
		path   string
		absent bool
	}{{explicit, true}, {filepath.Join(dir, "libabsent.so"), true}, {broken, false}, {"libabsent.so", true}, {"libbroken.so", true}}
	if len(open.Tried) != len(want) {
		t.Fatalf("tried %d libraries, want %d:\n%v", len(open.Tried), len(want), err)
	}
	for i, w := range want {
		a := open.Tried[i]
		if a.Path != w.path {
			t.Errorf("attempt %d is at %s, want %s", i, a.Path, w.path)
		}
		if runtime.GOOS == "linux" && errors.Is(a.Err, fs.ErrNotExist) != w.absent {
			t.Errorf("attempt %d, %s, says %v; that the file is not there is %v", i, a.Path, a.Err, w.absent)
		}
		if !strings.Contains(err.Error(), "\n\t"+a.String()) {
			t.Errorf("error does not mention %q:\n%v", a, err)
		}
	}
}

// A library that lacks one that it links with is there, but cannot be opened.
func TestOpenNamesAMissingDependency(t *testing.T) {
	dir := t.TempDir()
	below, above := filepath.Join(dir, "libalexnetbelow.so"), filepath.Join(dir, "libalexnetabove.so")
	nativetest.Build(t, below, "int f(void) { return 1; }")
	nativetest.Build(t, above, "int f(void); int g(void) { return f(); }", below)
	if err := os.Remove(below); err != nil {
		t.Fatal(err)
	}
	_, err := Open([]string{above}, nil)
	var open *OpenError
	if !errors.As(err, &open) || len(open.Tried) != 1 || errors.Is(open.Tried[0].Err, fs.ErrNotExist) || !strings.Contains(err.Error(), "libalexnetbelow.so") {
		t.Errorf("error is %v, want one that names libalexnetbelow.so", err)
	}
}
