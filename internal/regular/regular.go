// Package regular opens files whose names others may have given to something else.
package regular

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Open opens a regular file. It follows no symbolic link at path and does not wait
// for the other end of a named pipe: what is not a regular file is an error. With
// [os.O_CREATE] a file is made if there is none.
func Open(path string, flag int) (*os.File, error) {
	f, err := open(path, flag|syscall.O_NOFOLLOW)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s: is a symbolic link, which is not followed: remove it", path)
	}
	return f, err
}

// Follow opens a regular file for reading, and follows symbolic links to it.
func Follow(path string) (*os.File, error) { return open(path, os.O_RDONLY) }

func open(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NONBLOCK, 0o666)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: is not a file (%v): remove it", path, info.Mode().Type())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
