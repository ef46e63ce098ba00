// Package native finds and opens shared libraries at run time, so that one
// binary, built without cgo, serves machines with and without them.
package native

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Library is an open shared library. It stays open until the process ends:
// what it has started (threads, exit handlers) cannot be taken back.
type Library struct {
	Path   string // the file, or the bare name if the system's loader found it
	handle uintptr
}

// Open opens the first library that can be opened: each of names in each of
// dirs, then each of names by the system's loader, which knows its own folders
// (LD_LIBRARY_PATH, the cache of ldconfig). A name that contains a path
// separator is opened as it stands. The error lists every place and what the
// loader said of it.
func Open(names, dirs []string) (*Library, error) {
	var tried []string
	try := func(path string) *Library {
		h, err := open(path)
		if err == nil {
			return &Library{Path: path, handle: h}
		}
		tried = append(tried, fmt.Sprintf("%s: %v", path, err))
		return nil
	}
	for _, name := range names {
		if strings.ContainsRune(name, filepath.Separator) {
			if l := try(name); l != nil {
				return l, nil
			}
			continue
		}
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err != nil {
				tried = append(tried, path+": not there")
				continue
			}
			if l := try(path); l != nil {
				return l, nil
			}
		}
	}
	for _, name := range names {
		if strings.ContainsRune(name, filepath.Separator) {
			continue
		}
		if l := try(name); l != nil {
			l.Path = located(name)
			return l, nil
		}
	}
	return nil, fmt.Errorf("no library could be opened; tried\n\t%s", strings.Join(tried, "\n\t"))
}

// Symbol returns the address of a function or variable of the library.
func (l *Library) Symbol(name string) (uintptr, error) {
	p, err := symbol(l.handle, name)
	if err != nil {
		return 0, fmt.Errorf("%s has no %s, so it is another library or another version of it: %w", l.Path, name, err)
	}
	return p, nil
}
