// Package nativetest compiles small C libraries for tests.
package nativetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Build compiles the C source to a shared library at path, whose folder it
// makes. The soname is the file's name, which NVIDIA's libraries have too. flags
// are the compiler's; libraries to link with may be given as paths among them.
// Without a C compiler the test is skipped.
func Build(t *testing.T, path, source string, flags ...string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("needs a C compiler, cc, to make a library:", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-shared", "-fPIC", "-Wall", "-Werror", "-x", "c", "-", "-x", "none", "-Wl,-soname," + filepath.Base(path), "-o", path}, flags...)
	cmd := exec.CommandContext(t.Context(), cc, append(args, "-ldl")...)
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// Tag returns a part for the names of libraries that no other test, and no
// earlier run of this one, uses: the loader finds again what it has opened once.
func Tag(t *testing.T) string {
	t.Helper()
	return filepath.Base(filepath.Dir(t.TempDir())) // its end is random
}
