// Package measure holds what the scripts that check and time the program share:
// what machine it is, medians, and figures as text.
package measure

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// FromFile returns what follows key in the first line of a file that begins with
// it, or nothing. The files are those of Linux.
func FromFile(path, key string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() // was only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), key); ok {
			return strings.Join(strings.Fields(strings.TrimLeft(rest, " \t:")), " ")
		}
	}
	return ""
}

// CPU returns the model of the machine's processor, or nothing.
func CPU() string { return FromFile("/proc/cpuinfo", "model name") }

// Memory returns a size of this process in bytes, and whether it is known: VmRSS, what
// is in use now, or VmHWM, the most that was at once.
func Memory(key string) (bytes int64, known bool) {
	kB, err := strconv.ParseInt(strings.TrimSuffix(FromFile("/proc/self/status", key), " kB"), 10, 64)
	return kB << 10, err == nil
}

// LastCache returns the size of the first core's largest cache in bytes. It
// is known on Linux alone.
func LastCache() (int64, error) { return largestCache("/sys/devices/system/cpu/cpu0/cache") }

// largestCache reads the files index*/size below dir.
func largestCache(dir string) (int64, error) {
	files, err := filepath.Glob(filepath.Join(dir, "index*", "size"))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("%s says nothing of the sizes of caches", dir)
	}
	var largest int64
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		size, err := parseSize(strings.TrimSpace(string(text)))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		largest = max(largest, size)
	}
	return largest, nil
}

// parseSize reads a size as Linux writes it: 48K, 32M.
func parseSize(s string) (int64, error) {
	digits, shift := s, 0
	for i, unit := range "KMG" {
		if d, ok := strings.CutSuffix(s, string(unit)); ok {
			digits, shift = d, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a size such as 2048K", s)
	}
	return n << shift, nil
}
