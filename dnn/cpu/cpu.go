// Package cpu is the device that every computer has, behind the interfaces of
// package dnn. It is plain and exact: convolutions are matrix products over
// gathered patches (im2col), everything else is a loop that reads like its
// formula.
//
// Several devices may stand side by side. Each has memory and streams of its
// own, as GPUs have; the loops of all of them are worked off by one team of
// goroutines, as many as GOMAXPROCS.
//
// The same operation on the same numbers gives the same bits, however many
// cores there are and however the work falls out among them: how a loop is cut
// into parts follows from the sizes alone, each part is worked on by one
// goroutine from its beginning to its end, and partial sums are added in order.
package cpu

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"alexnet/dnn"
	"alexnet/internal/sysmem"
)

// Device is a CPU device.
type Device struct {
	name    string
	team    *team
	streams atomic.Int64 // open ones
	buffers atomic.Int64 // open ones
	hosts   atomic.Int64 // open ones
	closed  bool
}

// New starts a device, which Close must end. name is what the user calls it. The
// first call chooses the matrix product, see [BLAS]; it fails if the environment
// names one that cannot be had.
func New(name string) (*Device, error) {
	if err := useBLAS(); err != nil {
		return nil, err
	}
	return &Device{name: name, team: joinTeam()}, nil
}

// Name returns the name given to New.
func (d *Device) Name() string { return d.name }

// Close ends the device. It fails, and does nothing, while streams, buffers or
// host memory are open.
func (d *Device) Close() error {
	if d.closed {
		return nil
	}
	if s, b, h := d.streams.Load(), d.buffers.Load(), d.hosts.Load(); s > 0 || b > 0 || h > 0 {
		return fmt.Errorf("%s: %d streams, %d buffers and %d blocks of host memory are still open; close them before the device", d.name, s, b, h)
	}
	d.closed = true
	leaveTeam()
	return nil
}

func (d *Device) usable() error {
	if d.closed {
		return fmt.Errorf("%s is closed", d.name)
	}
	return nil
}

// buffer is a range of memory; owner is where it was taken.
type buffer struct {
	mem    []byte
	device *Device
	owner  *buffer
	closed bool // of an owner
}

// alignment of new buffers: a cache line, and the widest vector register.
const alignment = 64

// held is the sum over all devices of the memory that is open.
var held atomic.Int64

// NewBuffer takes memory.
func (d *Device) NewBuffer(bytes int64) (dnn.Buffer, error) {
	mem, err := d.take(bytes, "a buffer")
	if err != nil {
		return nil, err
	}
	d.buffers.Add(1)
	b := &buffer{mem: mem, device: d}
	b.owner = b
	return b, nil
}

// NewHost takes ordinary memory: copies from and to all of it are alike.
func (d *Device) NewHost(bytes int64) (dnn.Host, error) {
	mem, err := d.take(bytes, "host memory")
	if err != nil {
		return nil, err
	}
	d.hosts.Add(1)
	return &host{mem: mem, device: d}, nil
}

// take takes memory. What the machine does not have is refused here, since a Go
// program that runs out of memory cannot go on.
func (d *Device) take(bytes int64, what string) ([]byte, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	if bytes < 0 {
		return nil, fmt.Errorf("%s: %s of %d bytes", d.name, what, bytes)
	}
	if err := fits(bytes); err != nil {
		return nil, fmt.Errorf("%s: %s of %w", d.name, what, err)
	}
	held.Add(bytes)
	mem := make([]byte, bytes+alignment)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(mem))) % alignment
	return mem[skip:][:bytes:bytes], nil
}

// fits returns an error if the machine's memory cannot hold so many bytes more.
func fits(bytes int64) error {
	const mib = 1 << 20
	have, held := sysmem.Total(), held.Load()
	if bytes > have-held-alignment {
		return fmt.Errorf("%d MiB does not fit: the machine has %d MiB, of which this program holds %d; use a smaller batch or network",
			bytes/mib, have/mib, held/mib)
	}
	return nil
}

func (b *buffer) Bytes() int64 { return int64(len(b.mem)) }

func (b *buffer) Slice(offset, bytes int64) dnn.Buffer {
	if offset < 0 || bytes < 0 || offset > b.Bytes()-bytes {
		panic(fmt.Sprintf("cpu: Slice(%d, %d) of a buffer of %d bytes", offset, bytes, b.Bytes()))
	}
	return &buffer{mem: b.mem[offset:][:bytes:bytes], device: b.device, owner: b.owner}
}

func (b *buffer) Close() error {
	if b.owner != b || b.closed {
		return nil
	}
	held.Add(-b.Bytes())
	b.device.buffers.Add(-1)
	b.closed = true
	b.mem = nil
	return nil
}

// host is memory of the host.
type host struct {
	mem    []byte
	device *Device
	closed bool
}

func (h *host) Bytes() []byte { return h.mem }

func (h *host) Close() error {
	if h.closed {
		return nil
	}
	held.Add(-int64(len(h.mem)))
	h.device.hosts.Add(-1)
	h.closed = true
	h.mem = nil
	return nil
}

// memoryOf returns the memory of a buffer, which must be of this package.
func memoryOf(b dnn.Buffer) (*buffer, error) {
	c, ok := b.(*buffer)
	switch {
	case b == nil:
		return nil, errors.New("no buffer")
	case !ok:
		return nil, fmt.Errorf("a %T is not memory of a CPU device", b)
	case c.owner.closed:
		return nil, errors.New("the buffer is closed")
	}
	return c, nil
}
