package nvrtc

import (
	"fmt"

	"alexnet/dnn/cuda/libraries"
)

// Library is libnvrtc. It stays open until the process ends. Its methods may be
// called from any goroutine, several at a time.
type Library struct {
	f            *Functions
	path         string
	major, minor int
}

// oldest is the first major version that knows every GPU that cuDNN 9 is for.
const oldest = 12

// Open finds libnvrtc.
func Open() (*Library, error) {
	lib, err := libraries.Open(libraries.NVRTC)
	if err != nil {
		return nil, err
	}
	var f Functions
	if err := lib.Bind(f.Bindings()); err != nil {
		return nil, fmt.Errorf("NVRTC %d or newer is wanted: %w", oldest, err)
	}
	return New(&f, lib.Path)
}

// New checks that what stands behind a table of functions is NVRTC 12 or newer.
// path is what [Library.Path] returns.
func New(f *Functions, path string) (*Library, error) {
	l, err := library(f, path)
	if err != nil {
		return nil, err
	}
	if l.major < oldest {
		return nil, fmt.Errorf("%s is NVRTC %d.%d, but version %d or newer is needed: install it, or put its folder first in ALEXNET_CUDA_PATH",
			path, l.major, l.minor, oldest)
	}
	return l, nil
}

// library is New for any version.
func library(f *Functions, path string) (*Library, error) {
	l := &Library{f: f, path: path}
	var major, minor int32
	if err := l.check(f.Version(&major, &minor), "nvrtcVersion"); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l.major, l.minor = int(major), int(minor)
	return l, nil
}

// Path returns the library's file.
func (l *Library) Path() string { return l.path }

// Version returns the library's version, which is that of its CUDA
// (nvrtcVersion).
func (l *Library) Version() (major, minor int) { return l.major, l.minor }
