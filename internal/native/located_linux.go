package native

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// located returns the file that the loader took for name, which it maps under
// the file's real name; where that cannot be told, name.
func located(name string) string {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return name
	}
	defer f.Close()
	stem, _, _ := strings.Cut(name, ".so")
	for s := bufio.NewScanner(f); s.Scan(); {
		if _, path, ok := strings.Cut(s.Text(), "/"); ok && strings.HasPrefix(filepath.Base(path), stem) {
			return "/" + path
		}
	}
	return name
}
