package kernels

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"alexnet/dnn/cuda/nvrtc"
)

// cacheFile is where compiled kernels are kept: a checksum (SHA-256), then the
// cubin. Its name says what the cubin follows from, the compiler's file among it,
// so that a file is never out of date; it is written under another name first, so that a process which finds
// it finds all of it. "" is no file.
type cacheFile string

// mostBytes is the size from which on a file is none of ours.
const mostBytes = 64 << 20

// CacheDir returns dir or, if it is "", the folder of the user's that takes its place:
// "" if there is none.
func CacheDir(dir string) string {
	if dir != "" {
		return dir
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(user, "alexnet", "kernels")
}

func openCache(dir string, rtc *nvrtc.Library, source string, options []string) cacheFile {
	if dir = CacheDir(dir); dir == "" {
		return ""
	}
	h := sha256.New()
	major, minor := rtc.Version()
	fmt.Fprintf(h, "NVRTC %d.%d %q %q\n%s", major, minor, rtc.Path(), options, source)
	return cacheFile(filepath.Join(dir, hex.EncodeToString(h.Sum(nil))+".cubin"))
}

// read returns the cubin, if the file is there and whole.
func (f cacheFile) read() ([]byte, bool) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, false
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, mostBytes))
	if err != nil || len(data) <= sha256.Size {
		return nil, false
	}
	sum, cubin := data[:sha256.Size], data[sha256.Size:]
	want := sha256.Sum256(cubin)
	return cubin, bytes.Equal(sum, want[:])
}

// write keeps the cubin. If that fails, the next process compiles again.
func (f cacheFile) write(cubin []byte) {
	if f == "" || os.MkdirAll(filepath.Dir(string(f)), 0o700) != nil {
		return
	}
	sum := sha256.Sum256(cubin)
	_ = renameio.WriteFile(string(f), append(sum[:], cubin...), 0o600, renameio.WithTempDir(filepath.Dir(string(f))))
}
