// Package handle keeps count of who needs a resource of a C library, so that it
// is given back once, after everything that was made with it.
package handle

import (
	"errors"
	"fmt"
	"sync"
)

// ErrClosed is what [Life.Use] returns after Close, with the resource's name
// around it.
var ErrClosed = errors.New("it has been closed")

// Life is the life of one resource. The zero Life is of one that is closed.
// Its methods may be called from any goroutine.
type Life struct {
	name    string
	release func() error
	on      []*Life

	mu   sync.Mutex
	open bool // until Close
	refs int  // 1 while open, and 1 for each resource that was made with it
}

// New begins the life of a resource that was made with those of on, which live
// at least as long. release, which may be nil for a resource that somebody else
// owns, gives it back. New fails if one of on is closed; then it calls release.
func New(name string, release func() error, on ...*Life) (*Life, error) {
	l := &Life{name: name, release: release, open: true, refs: 1}
	for i, o := range on {
		if err := o.hold(); err != nil {
			l.on = on[:i]
			return nil, errors.Join(err, l.Close())
		}
	}
	l.on = on
	return l, nil
}

// Use returns an error if the resource has been closed.
func (l *Life) Use() error {
	if l == nil {
		return fmt.Errorf("a resource that was never made: %w", ErrClosed)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return fmt.Errorf("%s: %w", l.name, ErrClosed)
	}
	return nil
}

func (l *Life) hold() error {
	if err := l.Use(); err != nil {
		return err
	}
	l.mu.Lock()
	l.refs++
	l.mu.Unlock()
	return nil
}

// Close ends the use of the resource. It is given back as soon as nothing that
// was made with it is left. Closing again does nothing.
func (l *Life) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	if !l.open {
		l.mu.Unlock()
		return nil
	}
	l.open = false
	l.mu.Unlock()
	return l.drop()
}

func (l *Life) drop() error {
	l.mu.Lock()
	l.refs--
	last := l.refs == 0
	l.mu.Unlock()
	if !last {
		return nil
	}
	var errs []error
	if l.release != nil {
		errs = append(errs, l.release())
	}
	for i := len(l.on) - 1; i >= 0; i-- {
		errs = append(errs, l.on[i].drop())
	}
	return errors.Join(errs...)
}
