package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpuinfo")
	if err := os.WriteFile(file, []byte("processor\t: 0\nmodel name\t: A  CPU\nmodel name\t: another\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := FromFile(file, "model name"); got != "A CPU" {
		t.Errorf("%q", got)
	}
	if got := FromFile(file, "cores") + FromFile(file+"x", "cores"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"48K": 48 << 10, "307200K": 300 << 20, "32M": 32 << 20, "1G": 1 << 30, "512": 512} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "K", "-1K", "1T", "1.5M", "99999999999K"} {
		if got, err := parseSize(bad); err == nil {
			t.Errorf("%q is %d", bad, got)
		}
	}
}

func TestLargestCache(t *testing.T) {
	dir := t.TempDir()
	if _, err := largestCache(dir); err == nil {
		t.Error("there are no caches, and one was found")
	}
	write := func(index int, size string) {
		cache := filepath.Join(dir, fmt.Sprintf("index%d", index))
		if err := os.MkdirAll(cache, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cache, "size"), []byte(size+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(0, "48K")
	write(3, "32768K")
	write(2, "2048K")
	if got, err := largestCache(dir); err != nil || got != 32<<20 {
		t.Error(got, err)
	}
	write(1, "much")
	if _, err := largestCache(dir); err == nil || !strings.Contains(err.Error(), "index1") {
		t.Error(err)
	}
}
