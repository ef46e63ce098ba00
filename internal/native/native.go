// Package native finds and opens shared libraries at run time, so that one
// binary, built without cgo, serves machines with and without them.
package native

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Library is an open shared library. It stays open until the process ends:
// what it has started (threads, exit handlers) cannot be taken back.
type Library struct {
	Path   string // the file, or the bare name if the system's loader found it and does not say where
	handle uintptr
}

// Loader is a folder that stands for all that the system's loader knows:
// LD_LIBRARY_PATH, the cache of ldconfig, and what has been opened already.
const Loader = ""

// Open opens the first library that can be opened: each of names in the first
// of dirs, then in the second, and so on. [Loader] may be any of dirs, and comes
// last if it is none of them. A name that contains a path separator is opened as
// it stands, before all others. The error is an [OpenError].
func Open(names, dirs []string) (*Library, error) {
	var paths []string
	for _, name := range names {
		if strings.ContainsRune(name, filepath.Separator) {
			paths = append(paths, name)
		}
	}
	if !slices.Contains(dirs, Loader) {
		dirs = append(slices.Clip(dirs), Loader)
	}
	for _, dir := range dirs {
		for _, name := range names {
			switch {
			case strings.ContainsRune(name, filepath.Separator):
			case dir == Loader:
				paths = append(paths, name)
			default:
				// Not filepath.Join, which would make a bare name of ./name.
				paths = append(paths, dir+string(filepath.Separator)+name)
			}
		}
	}
	failed := &OpenError{}
	for _, path := range paths {
		l, err := openOne(path)
		if err == nil {
			return l, nil
		}
		failed.Tried = append(failed.Tried, Attempt{path, err})
	}
	return nil, failed
}

func openOne(path string) (*Library, error) {
	if !strings.ContainsRune(path, filepath.Separator) {
		h, err := open(path)
		if err != nil {
			// The loader has no other way to say that it knows no such library. What
			// it says of one that lacks a dependency begins with the dependency.
			if strings.Contains(err.Error(), path+": ") && strings.HasSuffix(err.Error(), "No such file or directory") {
				err = fs.ErrNotExist
			}
			return nil, err
		}
		return &Library{Path: located(h, path), handle: h}, nil
	}
	// The system says better than the loader why a file cannot be reached.
	if _, err := os.Stat(path); err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, err
	}
	h, err := open(path)
	if err != nil {
		return nil, err
	}
	return &Library{Path: path, handle: h}, nil
}

// Attempt is one library that could not be opened.
type Attempt struct {
	Path string // the file, or a bare name, which the system's loader was asked for
	Err  error  // fs.ErrNotExist, the system's error, or what the loader said
}

// String says it in one line.
func (a Attempt) String() string {
	if errors.Is(a.Err, fs.ErrNotExist) {
		return a.Path + ": not there"
	}
	return fmt.Sprintf("%s: %v", a.Path, a.Err)
}

// OpenError is the error of [Open]: every library that was tried, in order.
type OpenError struct{ Tried []Attempt }

func (e *OpenError) Error() string {
	var b strings.Builder
	b.WriteString("no library could be opened; tried")
	for _, a := range e.Tried {
		b.WriteString("\n\t" + a.String())
	}
	return b.String()
}

// Symbol returns the address of a function or variable of the library.
func (l *Library) Symbol(name string) (uintptr, error) {
	p, err := symbol(l.handle, name)
	if err != nil {
		return 0, fmt.Errorf("%s has no %s, so it is another library or another version of it: %w", l.Path, name, err)
	}
	return p, nil
}
