package cu

import (
	"errors"
	"fmt"
	"unsafe"

	"alexnet/internal/handle"
)

// Stream is a queue of work on a GPU that runs in order, alongside other
// streams. Its methods return once the work is queued; errors of the work itself
// come out of later calls, at the latest of Synchronize.
type Stream struct {
	ctx  *Context
	raw  CUStream
	life *handle.Life
}

// NewStream makes a stream (cuStreamCreate).
func (c *Context) NewStream(flags StreamFlags) (*Stream, error) {
	if err := c.Enter(); err != nil {
		return nil, err
	}
	defer c.Leave()
	s := &Stream{ctx: c}
	if err := c.driver.check(c.driver.f.StreamCreate(&s.raw, flags), "cuStreamCreate(device %d)", c.device); err != nil {
		return nil, err
	}
	var err error
	s.life, err = handle.New(fmt.Sprintf("a stream of device %d", c.device), func() error {
		return c.do(func() Result { return c.driver.f.StreamDestroy(s.raw) }, "cuStreamDestroy")
	}, c.life)
	return s, err
}

// WrapStream returns a stream that somebody else made and will destroy.
func (c *Context) WrapStream(raw CUStream) (*Stream, error) {
	life, err := handle.New(fmt.Sprintf("a foreign stream of device %d", c.device), nil, c.life)
	return &Stream{ctx: c, raw: raw, life: life}, err
}

// Context returns the context that the stream is of.
func (s *Stream) Context() *Context { return s.ctx }

// Handle returns the stream as the driver knows it.
func (s *Stream) Handle() CUStream { return s.raw }

// Life returns the stream's life, for handles that are made with it.
func (s *Stream) Life() *handle.Life { return s.life }

// Close ends the stream. The driver lets queued work finish.
func (s *Stream) Close() error { return s.life.Close() }

func (s *Stream) enter() error {
	if err := s.life.Use(); err != nil {
		return err
	}
	return s.ctx.Enter()
}

// Synchronize waits until all queued work is done (cuStreamSynchronize).
func (s *Stream) Synchronize() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.StreamSynchronize(s.raw); r != Success {
		return s.ctx.driver.check(r, "cuStreamSynchronize(device %d)", s.ctx.device)
	}
	return nil
}

// Wait holds back what is queued from now on until what was recorded in e is
// reached (cuStreamWaitEvent).
func (s *Stream) Wait(e *Event) error {
	if err := e.life.Use(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.StreamWaitEvent(s.raw, e.raw, 0); r != Success {
		return s.ctx.driver.check(r, "cuStreamWaitEvent(device %d)", s.ctx.device)
	}
	return nil
}

// MemcpyHtoDAsync copies src to the GPU. src must not change until the copy is
// over; only from page-locked memory does the host go on meanwhile
// (cuMemcpyHtoDAsync).
func (s *Stream) MemcpyHtoDAsync(dst DevicePtr, src []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.MemcpyHtoDAsync(dst, unsafe.Pointer(unsafe.SliceData(src)), uintptr(len(src)), s.raw); r != Success {
		return s.ctx.driver.check(r, "cuMemcpyHtoDAsync(%d bytes, device %d)", len(src), s.ctx.device)
	}
	return nil
}

// MemcpyDtoHAsync copies to the host. dst must not be read until the copy is
// over (cuMemcpyDtoHAsync).
func (s *Stream) MemcpyDtoHAsync(dst []byte, src DevicePtr) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), src, uintptr(len(dst)), s.raw); r != Success {
		return s.ctx.driver.check(r, "cuMemcpyDtoHAsync(%d bytes, device %d)", len(dst), s.ctx.device)
	}
	return nil
}

// MemcpyDtoDAsync copies within the GPU (cuMemcpyDtoDAsync).
func (s *Stream) MemcpyDtoDAsync(dst, src DevicePtr, bytes int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.MemcpyDtoDAsync(dst, src, uintptr(bytes), s.raw); r != Success {
		return s.ctx.driver.check(r, "cuMemcpyDtoDAsync(%d bytes, device %d)", bytes, s.ctx.device)
	}
	return nil
}

// MemcpyPeerAsync copies from one context to another, directly where peer access
// is enabled, else through the host (cuMemcpyPeerAsync).
func (s *Stream) MemcpyPeerAsync(dst DevicePtr, dstCtx *Context, src DevicePtr, srcCtx *Context, bytes int64) error {
	if err := errors.Join(dstCtx.life.Use(), srcCtx.life.Use()); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.MemcpyPeerAsync(dst, dstCtx.raw, src, srcCtx.raw, uintptr(bytes), s.raw); r != Success {
		return s.ctx.driver.check(r, "cuMemcpyPeerAsync(%d bytes, device %d to device %d)", bytes, srcCtx.device, dstCtx.device)
	}
	return nil
}

// Memcpy3DPeerAsync is MemcpyPeerAsync for boxes of bytes
// (cuMemcpy3DPeerAsync). copy must stay as it is until the call returns.
func (s *Stream) Memcpy3DPeerAsync(copy *Memcpy3DPeer) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.Memcpy3DPeerAsync(copy, s.raw); r != Success {
		return s.ctx.driver.check(r, "cuMemcpy3DPeerAsync(%d rows of %d bytes)", copy.Height, copy.WidthInBytes)
	}
	return nil
}

// MemsetD8Async sets bytes (cuMemsetD8Async).
func (s *Stream) MemsetD8Async(dst DevicePtr, value byte, count int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.MemsetD8Async(dst, value, uintptr(count), s.raw); r != Success {
		return s.ctx.driver.check(r, "cuMemsetD8Async(%d bytes, device %d)", count, s.ctx.device)
	}
	return nil
}
