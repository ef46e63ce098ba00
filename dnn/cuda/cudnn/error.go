package cudnn

import (
	"fmt"
	"strings"

	"alexnet/dnn/cuda/internal/cstring"
)

// Error is a failed call of cuDNN.
type Error struct {
	Function string // and its arguments, as far as they matter
	Status   Status
	Text     string // CUDNN_STATUS_BAD_PARAM
	Detail   string // what cudnnGetLastErrorString had to say; often nothing
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%d)", e.Function, e.Text, int32(e.Status))
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Is makes errors.Is(err, cudnn.NotSupported) work, also for the finer results
// that cuDNN 9 has within each thousand.
func (e *Error) Is(target error) bool {
	s, ok := target.(Status)
	return ok && (s == e.Status || s%1000 == 0 && s == e.Status/1000*1000)
}

func (s Status) Error() string { return fmt.Sprintf("cuDNN error %d", int32(s)) }

// failure makes an error of a result other than Success. It must be called on
// the thread of the failed call, where the library keeps its last words.
func (l *Library) failure(s Status, format string, args ...any) error {
	e := &Error{Function: fmt.Sprintf(format, args...), Status: s, Text: cstring.Copy(l.f.GetErrorString(s))}
	var detail [1024]byte
	l.f.GetLastErrorString(&detail[0], uintptr(len(detail)-1)) // the last byte stays zero
	e.Detail = strings.TrimSpace(cstring.Copy(&detail[0]))
	return e
}
