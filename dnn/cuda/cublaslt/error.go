package cublaslt

import (
	"fmt"

	"alexnet/dnn/cuda/internal/cstring"
)

// Error is a failed call of cuBLASLt.
type Error struct {
	Function string // and its arguments, as far as they matter
	Status   Status
	Name     string // CUBLAS_STATUS_INVALID_VALUE
	Text     string // the same in words
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (%d): %s", e.Function, e.Name, int32(e.Status), e.Text)
}

// Is makes errors.Is(err, cublaslt.NotSupported) work.
func (e *Error) Is(target error) bool { s, ok := target.(Status); return ok && s == e.Status }

func (s Status) Error() string { return fmt.Sprintf("cuBLASLt error %d", int32(s)) }

// failure makes an error of a result other than Success.
func (l *Library) failure(s Status, format string, args ...any) error {
	return &Error{Function: fmt.Sprintf(format, args...), Status: s,
		Name: cstring.Copy(l.f.GetStatusName(s)), Text: cstring.Copy(l.f.GetStatusString(s))}
}

// check is failure for any result.
func (l *Library) check(s Status, format string, args ...any) error {
	if s == Success {
		return nil
	}
	return l.failure(s, format, args...)
}
