package cuda

import (
	"context"
	"errors"
	"fmt"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
)

// stream is a queue of work on a GPU.
type stream struct {
	device *Device
	cu     *cu.Stream
	dnn    *cudnn.Handle   // that works in this stream; made when it is first needed
	copy   cu.Memcpy3DPeer // of the call in hand
	closed bool
}

// NewStream makes a stream, which Close must end.
func (d *Device) NewStream() (dnn.Stream, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	s, err := d.ctx.NewStream(cu.StreamNonBlocking)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	d.open.streams++
	return &stream{device: d, cu: s}, nil
}

// cudnn returns the handle of cuDNN that works in this stream.
func (s *stream) cudnn() (*cudnn.Handle, error) {
	if s.dnn != nil {
		return s.dnn, nil
	}
	h, err := s.device.libs.CuDNN.NewHandle(s.device.ctx)
	if err != nil {
		return nil, err
	}
	if err := h.SetStream(s.cu); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	s.dnn = h
	return h, nil
}

func (s *stream) fail(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.device.name, s.device.note(err))
}

func (s *stream) Launch(t dnn.Task) error {
	switch t := t.(type) {
	case *task:
		if t.device == s.device {
			return s.fail(t.launch(s))
		}
	case *joined:
		if t.device == s.device {
			return s.fail(t.launch(s))
		}
	}
	return fmt.Errorf("%s: a task prepared by another device", s.device.name)
}

// event is a point in a stream of a GPU.
type event struct {
	device *Device
	cu     *cu.Event
}

// NewEvent makes an event. A host that waits for it does so without using a core,
// of which the loader needs all.
func (d *Device) NewEvent() (dnn.Event, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	e, err := d.ctx.NewEvent(cu.EventDisableTiming | cu.EventBlockingSync)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	return &event{d, e}, nil
}

func (e *event) Close() error { return e.device.ending(e.cu.Close()) }

// Synchronize looks at ctx before and after it waits.
func (e *event) Synchronize(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.cu.Synchronize(); err != nil {
		return fmt.Errorf("%s: %w", e.device.name, e.device.note(err))
	}
	return ctx.Err()
}

func (s *stream) event(e dnn.Event) (*event, error) {
	c, ok := e.(*event)
	if !ok {
		return nil, fmt.Errorf("%s: a %T is not an event of a GPU", s.device.name, e)
	}
	return c, nil
}

func (s *stream) Record(e dnn.Event) error {
	c, err := s.event(e)
	if err != nil {
		return err
	}
	return s.fail(c.cu.Record(s.cu))
}

func (s *stream) Wait(e dnn.Event) error {
	c, err := s.event(e)
	if err != nil {
		return err
	}
	return s.fail(s.cu.Wait(c.cu))
}

func (s *stream) Upload(dst dnn.Buffer, src []byte) error {
	d, err := bufferOf(dst)
	if err != nil {
		return fmt.Errorf("%s: upload: %w", s.device.name, err)
	}
	if d.bytes < int64(len(src)) {
		return fmt.Errorf("%s: upload of %d bytes into a buffer of %d", s.device.name, len(src), d.bytes)
	}
	return s.fail(s.cu.MemcpyHtoDAsync(d.ptr, src))
}

func (s *stream) Download(dst []byte, src dnn.Buffer) error {
	c, err := bufferOf(src)
	if err != nil {
		return fmt.Errorf("%s: download: %w", s.device.name, err)
	}
	if c.bytes < int64(len(dst)) {
		return fmt.Errorf("%s: download of %d bytes from a buffer of %d", s.device.name, len(dst), c.bytes)
	}
	return s.fail(s.cu.MemcpyDtoHAsync(dst, c.ptr))
}

// Copy copies rows. The driver goes through the host where one GPU cannot reach
// the other.
func (s *stream) Copy(dst, src dnn.Buffer, r dnn.Rows) error {
	d, err := bufferOf(dst)
	if err != nil {
		return fmt.Errorf("%s: copy to: %w", s.device.name, err)
	}
	c, err := bufferOf(src)
	if err != nil {
		return fmt.Errorf("%s: copy from: %w", s.device.name, err)
	}
	size := r.Format.Bytes()
	if err := r.Inside(d.bytes/size, c.bytes/size); err != nil {
		return fmt.Errorf("%s: %w", s.device.name, err)
	}
	if r.Count == 0 || r.Width == 0 {
		return nil
	}
	to, from := d.ptr+cu.DevicePtr(size*int64(r.DstOffset)), c.ptr+cu.DevicePtr(size*int64(r.SrcOffset))
	if r.Count == 1 || r.DstStride == r.Width && r.SrcStride == r.Width {
		bytes := size * int64(r.Count) * int64(r.Width)
		if d.device.ctx.Handle() == c.device.ctx.Handle() {
			return s.fail(s.cu.MemcpyDtoDAsync(to, from, bytes))
		}
		return s.fail(s.cu.MemcpyPeerAsync(to, d.device.ctx, from, c.device.ctx, bytes))
	}
	pitch := func(stride int) uintptr { return uintptr(size) * uintptr(stride) }
	s.copy = cu.Memcpy3DPeer{
		SrcMemoryType: cu.MemoryTypeDevice, SrcDevice: from, SrcContext: c.device.ctx.Handle(), SrcPitch: pitch(r.SrcStride),
		DstMemoryType: cu.MemoryTypeDevice, DstDevice: to, DstContext: d.device.ctx.Handle(), DstPitch: pitch(r.DstStride),
		WidthInBytes: pitch(r.Width), Height: uintptr(r.Count), Depth: 1,
	}
	return s.fail(s.cu.Memcpy3DPeerAsync(&s.copy))
}

// Synchronize looks at ctx before and after it waits; the wait is as long as the
// work that is queued.
func (s *stream) Synchronize(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(s.fail(s.cu.Synchronize()), ctx.Err())
}

// Close waits for queued work and returns its error.
func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.device.open.streams--
	if s.device.workspace.user == s {
		s.device.workspace.user = nil
	}
	errs := []error{s.cu.Synchronize()}
	if s.dnn != nil {
		errs = append(errs, s.dnn.Close())
	}
	return s.device.ending(errors.Join(append(errs, s.cu.Close())...))
}
