package native

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestOpenLibc(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs linux: looks for libc.so.6")
	}
	l, err := Open([]string{"libalexnet-absent.so", "libc.so.6"}, []string{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(l.Path) || !strings.Contains(l.Path, "libc") {
		t.Errorf("Path is %q, want the file that was opened", l.Path)
	}
	if p, err := l.Symbol("strlen"); err != nil || p == 0 {
		t.Errorf("Symbol(strlen) = %#x, %v", p, err)
	}
	if _, err := l.Symbol("alexnet_absent"); err == nil || !strings.Contains(err.Error(), "alexnet_absent") || !strings.Contains(err.Error(), l.Path) {
		t.Errorf("Symbol of an absent name: error %v, want one that names it and the library", err)
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
	if err == nil {
		t.Fatal("opened a text file")
	}
	for _, want := range []string{filepath.Join(dir, "libabsent.so") + ": not there", broken, explicit, "\n\tlibabsent.so: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not mention %q:\n%v", want, err)
		}
	}
}
