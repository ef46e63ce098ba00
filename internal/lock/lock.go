// Package lock lets one program at a time work in a folder.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

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

// look is how often Wait tries again.
const look = 200 * time.Millisecond

// Wait takes the lock as Take does, and waits for whoever has it. It calls held, once,
// if it has to wait.
func Wait(ctx context.Context, path string, held func()) (*os.File, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for told := false; ; told = true {
		f, err := Take(path)
		if !errors.Is(err, ErrHeld) {
			return f, err
		}
		if !told {
			held()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
