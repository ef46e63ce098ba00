// Package testenv makes the surroundings that several packages' tests need.
package testenv

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

// Shared returns the path of a file of real images, which lies beside the
// repository, or skips the test.
func Shared(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("there is no go.mod above this test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", name)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is not there", path)
	}
	return path
}

// FullDisk calls f while no file may grow beyond room bytes, and returns its
// error: part of a write is done, then the system refuses with EFBIG, as it does
// with ENOSPC when a disk is full. The limit is on the whole process.
func FullDisk(t *testing.T, room uint64, f func() error) error {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // else the refusal ends the process
	defer signal.Reset(syscall.SIGXFSZ)
	tight := old
	tight.Cur = room
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &tight); err != nil {
		t.Fatal(err)
	}
	err := f()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	return err
}

const ownProcess = "ALEXNET_TEST_IN_ITS_OWN_PROCESS"

// InOwnProcess runs the test that calls it once more, in a process where it is
// alone, and returns true there. In the first process, where package testing
// writes a log that a full disk would stop, it reports how that went and returns
// false.
func InOwnProcess(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownProcess) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), ownProcess+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}
