package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
)

// files keeps a bounded number of shards open. It is safe for concurrent use.
type files struct {
	limit int // at least 1

	mu     sync.Mutex
	freed  sync.Cond // a file is not in use any more; of mu
	open   []*file   // the least recently used first
	closed bool
}

// file is a shard that files opens and closes.
type file struct {
	*os.File // nil: it is closed; stays between use and done
	path     string
	files    *files
	users    int
}

func newFiles(limit int) *files {
	f := &files{limit: limit}
	f.freed.L = &f.mu
	return f
}

// use opens s, unless it is open, and keeps it open until done. If too many are open
// it closes another that nobody uses, and waits for one if all are in use. So a
// goroutine may use one file at a time.
func (s *file) use() error {
	f := s.files
	f.mu.Lock()
	defer f.mu.Unlock()
	for s.File == nil || f.closed {
		if f.closed {
			return fmt.Errorf("%s: %w", s.path, fs.ErrClosed)
		}
		if len(f.open) < f.limit {
			opened, err := openShard(s.path)
			if err == nil {
				s.File = opened
				f.open = append(f.open, s)
				break
			}
			if !IsShortage(err) || len(f.open) == 0 {
				return err
			}
			f.limit = len(f.open) // the rest of the program needs the others
		}
		if idle := slices.IndexFunc(f.open, func(o *file) bool { return o.users == 0 }); idle < 0 {
			f.freed.Wait()
		} else if err := f.close(idle); err != nil {
			return err
		}
	}
	s.users++
	at := slices.Index(f.open, s)
	f.open = append(slices.Delete(f.open, at, at+1), s)
	return nil
}

// done ends a use.
func (s *file) done() {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	s.users--
	if s.users == 0 {
		s.files.freed.Broadcast()
	}
}

// close closes file i of open. The caller holds mu.
func (f *files) close(i int) error {
	s := f.open[i]
	f.open = slices.Delete(f.open, i, i+1)
	closing := s.File
	s.File = nil
	return closing.Close()
}

// Close closes all files and lets none be opened again. None may be in use.
func (f *files) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.freed.Broadcast()
	var err error
	for len(f.open) > 0 {
		err = errors.Join(err, f.close(0))
	}
	return err
}

// openShard opens the plain file at path.
func openShard(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, missing(err)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // to open a pipe could take forever
		return nil, fmt.Errorf("%s: this is no plain file; give a shard of a data set", path)
	}
	return os.Open(path)
}

// missing says what to do about a shard that is not there.
func missing(err error) error {
	return fmt.Errorf("%w; copy it from where it is, or pack the data set again", err)
}

// IsShortage says whether err is that this process or the system has too many open
// files. Such an error says nothing about the file that was to be opened.
func IsShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

const (
	fewDescriptors = 256 // what every system allows
	mostOpen       = 256 // shards of one data set
)

// openLimit returns how many shards of a data set may be open. The rest of the
// program needs files too.
func openLimit() int { return int(max(1, min(descriptors()/4, mostOpen))) }
