package cudnn

import (
	"errors"
	"fmt"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/internal/handle"
)

// Handle is cuDNN on one GPU. Its methods may be called from one goroutine at a
// time, of any thread; several handles work side by side. They queue work in the
// handle's stream and do not wait for it: what goes wrong on the GPU comes out of
// a later call, at the latest of the stream's Synchronize.
type Handle struct {
	lib    *Library
	ctx    *cu.Context
	raw    RawHandle
	life   *handle.Life
	stream *cu.Stream   // nil for the context's default stream
	held   *handle.Life // keeps the stream as long as the handle works in it

	// The scaling factors of the call in hand, where C can read them.
	alpha, beta     float32
	alpha64, beta64 float64
}

// NewHandle starts cuDNN on a context's GPU. It works in the default stream
// until SetStream (cudnnCreate).
func (l *Library) NewHandle(ctx *cu.Context) (*Handle, error) {
	const name = "cudnnCreate"
	if ctx == nil {
		return nil, fmt.Errorf("%s: no context", name)
	}
	if err := ctx.Enter(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer ctx.Leave()
	h := &Handle{lib: l, ctx: ctx}
	if s := l.f.Create(&h.raw); s != Success {
		return nil, l.failure(s, name+"(device %d)", ctx.Device())
	}
	var err error
	if h.life, err = handle.New(fmt.Sprintf("a cuDNN handle of device %d", ctx.Device()), func() error {
		return errors.Join(h.destroy(), h.held.Close())
	}, ctx.Life()); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Handle) destroy() error {
	if err := h.ctx.EnterToRelease(); err != nil {
		return fmt.Errorf("cudnnDestroy: %w", err)
	}
	defer h.ctx.Leave()
	if s := h.lib.f.Destroy(h.raw); s != Success {
		return h.lib.failure(s, "cudnnDestroy(device %d)", h.ctx.Device())
	}
	return nil
}

// WrapHandle returns a handle, made in ctx, that somebody else made and will
// destroy. It works in the stream that it was given.
func (l *Library) WrapHandle(ctx *cu.Context, raw RawHandle) (*Handle, error) {
	if ctx == nil {
		return nil, errors.New("a foreign cuDNN handle: no context")
	}
	h := &Handle{lib: l, ctx: ctx, raw: raw}
	var err error
	if h.life, err = handle.New(fmt.Sprintf("a foreign cuDNN handle of device %d", ctx.Device()), func() error {
		return h.held.Close()
	}, ctx.Life()); err != nil {
		return nil, err
	}
	return h, nil
}

// Raw returns the handle as cuDNN knows it.
func (h *Handle) Raw() RawHandle { return h.raw }

// Close gives the handle back. cuDNN waits for work that is queued.
func (h *Handle) Close() error { return h.life.Close() }

// SetStream makes the handle work in s, which is not given back before the
// handle is or has got another; in the context's default stream if s is nil
// (cudnnSetStream).
func (h *Handle) SetStream(s *cu.Stream) error {
	const name = "cudnnSetStream"
	var raw cu.CUStream
	var held *handle.Life
	if s != nil {
		if s.Context().Handle() != h.ctx.Handle() {
			return fmt.Errorf("%s: the stream is of device %d and another context than the handle, of device %d",
				name, s.Context().Device(), h.ctx.Device())
		}
		var err error
		if held, err = handle.New("the stream of a cuDNN handle", nil, s.Life()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		raw = s.Handle()
	}
	old := h.stream
	h.stream = nil // the old one may be closed by now
	if err := h.enter(name); err != nil {
		h.stream = old
		return errors.Join(err, held.Close())
	}
	defer h.ctx.Leave()
	if status := h.lib.f.SetStream(h.raw, raw); status != Success {
		h.stream = old
		return errors.Join(h.lib.failure(status, name+"(device %d)", h.ctx.Device()), held.Close())
	}
	before := h.held
	h.stream, h.held = s, held
	return before.Close()
}

// enter makes the handle's context current, until h.ctx.Leave, if all that a
// function needs is open.
func (h *Handle) enter(function string, used ...resource) error {
	err := h.life.Use()
	if err == nil && h.stream != nil {
		err = h.stream.Life().Use()
	}
	if err == nil {
		err = inUse(used...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", function, err)
	}
	if err := h.ctx.Enter(); err != nil {
		return fmt.Errorf("%s: %w", function, err)
	}
	return nil
}

// scale puts down scaling factors for a call whose results are of type t: cuDNN
// reads them as float64 if the results are, else as float32.
func (h *Handle) scale(t DataType, alpha, beta float32) (a, b unsafe.Pointer) {
	if t == Double {
		h.alpha64, h.beta64 = float64(alpha), float64(beta)
		return unsafe.Pointer(&h.alpha64), unsafe.Pointer(&h.beta64)
	}
	h.alpha, h.beta = alpha, beta
	return unsafe.Pointer(&h.alpha), unsafe.Pointer(&h.beta)
}

// size is a size as C counts, where less than nothing would be very much.
func size(bytes int64) uintptr { return uintptr(max(bytes, 0)) }
