package cudnn

import (
	"errors"
	"fmt"
	"math"
	"runtime"

	"alexnet/internal/handle"
)

// descriptor is what all descriptors have. They belong to no context and no
// GPU, and are read when a function is called, so that they may be closed while
// the work that was queued with them still runs.
type descriptor[R ~uintptr] struct {
	raw  R
	text string // for errors
	life *handle.Life
}

// Raw returns the descriptor as cuDNN knows it.
func (d *descriptor[R]) Raw() R { return d.raw }

// String says what is described.
func (d *descriptor[R]) String() string { return d.text }

// Close gives the descriptor back.
func (d *descriptor[R]) Close() error { return d.life.Close() }

// resource is anything that a call needs to be open.
type resource interface {
	use() error
	fmt.Stringer
}

var errNil = errors.New("no descriptor")

// inUse returns an error unless all are open.
func inUse(all ...resource) error {
	for _, r := range all {
		if err := r.use(); err != nil {
			return err
		}
	}
	return nil
}

// onThread keeps the goroutine on its thread during a call and what failure
// asks for after it.
func onThread(call func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return call()
}

// newDescriptor makes a descriptor, which set fills. kind is as in the names of
// the library's functions.
func newDescriptor[R ~uintptr](l *Library, kind, text string, create func(*R) Status, destroy func(R) Status, set func(R) error) (d descriptor[R], err error) {
	err = onThread(func() error {
		var raw R
		if s := create(&raw); s != Success {
			return l.failure(s, "cudnnCreate%sDescriptor", kind)
		}
		life, err := handle.New(kind+" descriptor "+text, func() error {
			return onThread(func() error {
				if s := destroy(raw); s != Success {
					return l.failure(s, "cudnnDestroy%sDescriptor(%s)", kind, text)
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if err := set(raw); err != nil {
			return errors.Join(err, life.Close())
		}
		d = descriptor[R]{raw, text, life}
		return nil
	})
	return d, err
}

// foreign is a descriptor that somebody else made and will destroy.
func foreign[R ~uintptr](raw R) (descriptor[R], error) {
	life, err := handle.New("a foreign descriptor", nil)
	return descriptor[R]{raw, "foreign", life}, err
}

// fit returns an error unless C's int can hold all.
func fit(function string, values ...int) error {
	for _, v := range values {
		if v < math.MinInt32 || v > math.MaxInt32 {
			return fmt.Errorf("%s: %d is too large for cuDNN, which counts in 32 bits", function, v)
		}
	}
	return nil
}
