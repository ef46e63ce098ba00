package cublaslt

import (
	"fmt"

	"alexnet/dnn/cuda/libraries"
)

// Library is libcublasLt. It stays open until the process ends. Its methods may
// be called from any goroutine.
type Library struct {
	f       *Functions
	path    string
	version int
}

// The first and the last major version whose functions this package has.
const oldest, newest = 12, 13

// Open finds libcublasLt.
func Open() (*Library, error) {
	lib, err := libraries.Open(libraries.CuBLASLt)
	if err != nil {
		return nil, err
	}
	var f Functions
	if err := lib.Bind(f.Bindings()); err != nil {
		return nil, fmt.Errorf("cuBLASLt %d or %d is wanted: %w", oldest, newest, err)
	}
	return New(&f, lib.Path)
}

// New checks that what stands behind a table of functions is cuBLASLt 12 or 13.
// path is what [Library.Path] returns.
func New(f *Functions, path string) (*Library, error) {
	l := &Library{f: f, path: path, version: int(f.GetVersion())}
	if major, minor, patch := l.Version(); major < oldest || major > newest {
		return nil, fmt.Errorf("%s is cuBLASLt %d.%d.%d, but version %d or %d is needed: install it, or put its folder first in ALEXNET_CUDA_PATH",
			path, major, minor, patch, oldest, newest)
	}
	return l, nil
}

// Path returns the library's file.
func (l *Library) Path() string { return l.path }

// Version returns the library's version (cublasLtGetVersion).
func (l *Library) Version() (major, minor, patch int) {
	return l.version / 10000, l.version % 10000 / 100, l.version % 100
}
