// Package lock lets one program at a time work in a folder.
package lock

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"alexnet/internal/regular"
)

// ErrHeld says that another program has the lock, or another part of this one.
var ErrHeld = errors.New("another program has its lock")

// Take takes the lock that a file stands for, which is made if it is not there,
// without waiting. A file that is there keeps its content. Closing the file, or the end of the program, gives it back.
// The error wraps ErrHeld where somebody has it.
func Take(path string) (*os.File, error) {
	f, err := regular.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = fmt.Errorf("%s: %w", path, ErrHeld)
	case err != nil:
		err = fmt.Errorf("%s: locking it: %w; choose a folder on a disk that can", path, err)
	default:
		return f, nil
	}
	return nil, errors.Join(err, f.Close())
}
