package cudnn

import (
	"fmt"

	"alexnet/dnn/cuda/libraries"
)

// Library is libcudnn. It stays open until the process ends. Its methods may be
// called from any goroutine.
type Library struct {
	f       *Functions
	path    string
	version int
}

// wanted is the major version whose functions this package has.
const wanted = 9

// Open finds libcudnn.
func Open() (*Library, error) {
	lib, err := libraries.Open(libraries.CuDNN)
	if err != nil {
		return nil, err
	}
	var f Functions
	if err := lib.Bind(f.Bindings()); err != nil {
		return nil, fmt.Errorf("cuDNN %d is wanted: %w", wanted, err)
	}
	return New(&f, lib.Path)
}

// New checks that what stands behind a table of functions is cuDNN 9. path is
// what [Library.Path] returns.
func New(f *Functions, path string) (*Library, error) {
	l := &Library{f: f, path: path, version: int(f.GetVersion())}
	if major, minor, patch := l.Version(); major != wanted {
		return nil, fmt.Errorf("%s is cuDNN %d.%d.%d, but version %d is needed: install it, or put its folder first in ALEXNET_CUDA_PATH",
			path, major, minor, patch, wanted)
	}
	return l, nil
}

// Path returns the library's file.
func (l *Library) Path() string { return l.path }

// Version returns the library's version (cudnnGetVersion).
func (l *Library) Version() (major, minor, patch int) {
	thousands := 10000
	if l.version < 90000 { // as versions were written up to 8
		thousands = 1000
	}
	return l.version / thousands, l.version % thousands / 100, l.version % 100
}

// CudartVersion returns the version of CUDA that the library was built with:
// 12040 for 12.4 (cudnnGetCudartVersion).
func (l *Library) CudartVersion() int { return int(l.f.GetCudartVersion()) }
