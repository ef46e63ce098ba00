package cu

import (
	"fmt"

	"alexnet/dnn/cuda/internal/cstring"
)

// Error is a failed call of the driver.
type Error struct {
	Function string // and its arguments, as far as they matter
	Result   Result
	Name     string // CUDA_ERROR_OUT_OF_MEMORY
	Text     string // out of memory
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (%d): %s", e.Function, e.Name, int32(e.Result), e.Text)
}

// Is makes errors.Is(err, cu.ErrorOutOfMemory) work.
func (e *Error) Is(target error) bool { r, ok := target.(Result); return ok && r == e.Result }

// Lasting reports whether a GPU that has once returned r returns it ever after:
// what its work did wrong, or a device that is no longer there.
func (r Result) Lasting() bool {
	const timeout, assert, hardwareStack = 702, 710, 714 // from there on, to ErrorLaunchFailed
	switch r {
	case ErrorDeviceUnavailable, ErrorECCUncorrectable, ErrorIllegalAddress, timeout, assert, ErrorUnknown:
		return true
	}
	return r >= hardwareStack && r <= ErrorLaunchFailed
}

// OfCapture reports whether r says that something cannot be part of a capture, or
// that a capture has failed because of it.
func (r Result) OfCapture() bool {
	return r >= ErrorStreamCaptureUnsupported && r <= ErrorStreamCaptureWrongThread
}

func (r Result) Error() string { return fmt.Sprintf("CUDA error %d", int32(r)) }

// check makes an error of a result. format and args say what was called. Where a
// call must not take memory, it is called only with a failure, since args do.
func (d *Driver) check(r Result, format string, args ...any) error {
	if r == Success {
		return nil
	}
	e := &Error{Function: fmt.Sprintf(format, args...), Result: r, Name: "CUDA_ERROR", Text: "unknown to this driver"}
	var p *byte
	if d.f.GetErrorName(r, &p) == Success && p != nil {
		e.Name = cstring.Copy(p)
	}
	p = nil
	if d.f.GetErrorString(r, &p) == Success && p != nil {
		e.Text = cstring.Copy(p)
	}
	return e
}
