package record

import (
	"errors"
	"fmt"
)

// Error says what is wrong with a file of a data set, and where.
type Error struct {
	File   string // path
	Part   string // "header", "chunk 3", "index", "trailer"
	Offset int64  // where the part starts in the file, in bytes
	Err    error  // what is wrong, and what to do about it
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s at byte %d: %v", e.File, e.Part, e.Offset, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrDamaged is inside every error about bytes that are not what was written.
var ErrDamaged = errors.New("the file is damaged: copy it again from where it was good, or pack the data set again")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%s; %w", fmt.Sprintf(format, args...), ErrDamaged)
}
