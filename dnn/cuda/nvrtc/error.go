package nvrtc

import (
	"fmt"
	"strings"

	"alexnet/dnn/cuda/internal/cstring"
)

// Error is a failed call of NVRTC.
type Error struct {
	Function string // and its arguments, as far as they matter
	Result   Result
	Text     string // NVRTC_ERROR_OUT_OF_MEMORY
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (%d)", e.Function, e.Text, int32(e.Result))
}

// Is makes errors.Is(err, nvrtc.ErrorOutOfMemory) work.
func (e *Error) Is(target error) bool { r, ok := target.(Result); return ok && r == e.Result }

func (r Result) Error() string { return fmt.Sprintf("NVRTC error %d", int32(r)) }

// CompileError is a program that NVRTC refused to compile.
type CompileError struct {
	Name   string // of the program
	Result Result
	Text   string // NVRTC_ERROR_COMPILATION
	Log    string // what the compiler said
}

func (e *CompileError) Error() string {
	s := fmt.Sprintf("nvrtcCompileProgram(%s): %s (%d)", e.Name, e.Text, int32(e.Result))
	if e.Log != "" {
		s += ":\n" + strings.TrimRight(e.Log, "\n")
	}
	return s
}

// Is makes errors.Is(err, nvrtc.ErrorCompilation) work.
func (e *CompileError) Is(target error) bool { r, ok := target.(Result); return ok && r == e.Result }

func (l *Library) check(r Result, format string, args ...any) error {
	if r == Success {
		return nil
	}
	return &Error{Function: fmt.Sprintf(format, args...), Result: r, Text: l.text(r)}
}

func (l *Library) text(r Result) string { return cstring.Copy(l.f.GetErrorString(r)) }
