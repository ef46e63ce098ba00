package cuda

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/kernels"
)

// tuned is what measuring algorithms has found out, kept in a file so that it is done
// once for a GPU and its libraries, not at each start: for a network of AlexNet's size
// it takes seconds. The file's name says for which GPU and versions it holds.
type tuned struct {
	path string // "" if there is to be no file

	Convolutions map[string]cudnn.Perf
	Products     map[string]cublaslt.Algo

	tried map[string]bool // of Convolutions: whether they were seen to work
	fuses map[string]bool // whether a convolution can be done in one with its ReLU
}

// noTuned knows nothing and has no file: it remembers what a device has chosen.
func noTuned() *tuned {
	return &tuned{Convolutions: map[string]cudnn.Perf{}, Products: map[string]cublaslt.Algo{}, tried: map[string]bool{}, fuses: map[string]bool{}}
}

// mostTuned is the size from which on a file is none of ours.
const mostTuned = 4 << 20

// newTuned reads what is known. A file that is missing or damaged knows nothing.
func newTuned(dir string, libs *Libraries, gpu string) *tuned {
	t := noTuned()
	if dir = kernels.CacheDir(dir); dir == "" {
		return t
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q", []string{gpu, libs.Driver.Version()})
	for _, version := range []func() (int, int, int){libs.CuDNN.Version, libs.CuBLASLt.Version} {
		major, minor, patch := version()
		fmt.Fprintf(h, " %d.%d.%d", major, minor, patch)
	}
	t.path = filepath.Join(dir, "tuned-"+hex.EncodeToString(h.Sum(nil)[:8])+".json")
	t.read(t.path)
	return t
}

// read adds what the file knows.
func (t *tuned) read(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	var known tuned
	if json.NewDecoder(io.LimitReader(f, mostTuned)).Decode(&known) == nil {
		maps.Copy(t.Convolutions, known.Convolutions)
		maps.Copy(t.Products, known.Products)
	}
}

// write keeps what is known, with what other processes have found out meanwhile. If
// that fails, the next process measures again.
func (t *tuned) write() {
	if t.path == "" || os.MkdirAll(filepath.Dir(t.path), 0o700) != nil {
		return
	}
	all := noTuned()
	all.read(t.path)
	maps.Copy(all.Convolutions, t.Convolutions)
	maps.Copy(all.Products, t.Products)
	data, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		_ = renameio.WriteFile(t.path, data, 0o600, renameio.WithTempDir(filepath.Dir(t.path)))
	}
}
