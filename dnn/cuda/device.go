package cuda

import (
	"errors"
	"fmt"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/kernels"
)

// Device is a GPU, or a share of one: several devices may stand on one GPU, each
// with streams of its own.
type Device struct {
	name    string
	libs    *Libraries
	options Options
	ctx     *cu.Context
	kernels *kernels.Module
	blas    *cublaslt.Handle
	dnn     *cudnn.Handle // to ask for algorithms
	tuned   *tuned        // algorithms that were chosen
	open    struct{ streams, buffers, hosts int }
	closed  bool
	failed  bool // the GPU has said so

	workspace workspace
}

// New opens GPU number ordinal. name is what the user calls it.
func (l *Libraries) New(name string, ordinal int, o Options) (*Device, error) {
	d := &Device{name: name, libs: l, options: o}
	if err := d.start(ordinal); err != nil {
		return nil, fmt.Errorf("%s: %w", name, errors.Join(err, d.release()))
	}
	return d, nil
}

func (d *Device) start(ordinal int) error {
	n, err := d.libs.Driver.NumDevices()
	if err != nil {
		return err
	}
	if ordinal < 0 || ordinal >= n {
		return fmt.Errorf("there is no GPU number %d: this machine has %d", ordinal, n)
	}
	gpu, err := d.libs.Driver.GetDevice(ordinal)
	if err != nil {
		return err
	}
	if d.ctx, err = d.libs.Driver.PrimaryContext(gpu); err != nil {
		return err
	}
	if d.kernels, err = kernels.Load(d.ctx, d.libs.NVRTC, d.options.KernelCache); err != nil {
		return err
	}
	if d.blas, err = d.libs.CuBLASLt.NewHandle(d.ctx); err != nil {
		return err
	}
	if d.dnn, err = d.libs.CuDNN.NewHandle(d.ctx); err != nil {
		return err
	}
	d.tuned = noTuned()
	if d.options.Autotune {
		name, err := d.libs.Driver.Name(gpu)
		if err != nil {
			return err
		}
		d.tuned = newTuned(d.options.KernelCache, d.libs, name)
	}
	return nil
}

// Connect lets each of the devices reach the memory of the others, where their
// GPUs offer it, so that copies between them need not go through the host.
func Connect(devices []*Device) error {
	for _, d := range devices {
		for _, peer := range devices {
			if d.ctx.Device() == peer.ctx.Device() {
				continue
			}
			can, err := d.libs.Driver.CanAccessPeer(d.ctx.Device(), peer.ctx.Device())
			if err == nil && can {
				err = d.ctx.EnablePeerAccess(peer.ctx)
			}
			if err != nil {
				return fmt.Errorf("%s: access to the memory of %s: %w", d.name, peer.name, err)
			}
		}
	}
	return nil
}

// Memory returns the bytes of the GPU's memory that are free, and of all.
func (d *Device) Memory() (free, total int64, err error) {
	if err := d.usable(); err != nil {
		return 0, 0, err
	}
	return d.ctx.MemGetInfo()
}

// InBFloat16 reports whether the device was opened for bfloat16; see dnn.InBFloat16.
func (d *Device) InBFloat16() bool { return d.options.Precision == BF16 }

// Name returns the name given to New.
func (d *Device) Name() string { return d.name }

// Close ends the device. It fails, and does nothing, while streams, buffers or
// host memory are open.
func (d *Device) Close() error {
	if d.closed {
		return nil
	}
	if o := d.open; o.streams+o.buffers+o.hosts > 0 {
		return fmt.Errorf("%s: %d streams, %d buffers and %d blocks of host memory are still open; close them before the device",
			d.name, o.streams, o.buffers, o.hosts)
	}
	d.closed = true
	return d.ending(d.release())
}

// note remembers whether err is of a GPU that has failed for good: then every
// later call returns it again.
func (d *Device) note(err error) error {
	var driver *cu.Error
	var dnn *cudnn.Error
	var blas *cublaslt.Error
	d.failed = d.failed || errors.As(err, &driver) && driver.Result.Lasting() ||
		errors.As(err, &dnn) && errors.Is(dnn, cudnn.ExecutionFailed) ||
		errors.As(err, &blas) && blas.Status == cublaslt.ExecutionFailed
	return err
}

// ending returns the error of giving something back, unless the GPU has failed
// before.
func (d *Device) ending(err error) error {
	if err == nil || d.failed {
		return nil
	}
	return fmt.Errorf("%s: %w", d.name, d.note(err))
}

// release gives back what start and the tasks took.
func (d *Device) release() error {
	var errs []error
	errs = append(errs, d.workspace.close())
	if d.dnn != nil {
		errs = append(errs, d.dnn.Close())
	}
	if d.blas != nil {
		errs = append(errs, d.blas.Close())
	}
	if d.kernels != nil {
		errs = append(errs, d.kernels.Close())
	}
	if d.ctx != nil {
		errs = append(errs, d.ctx.Close())
	}
	return errors.Join(errs...)
}

func (d *Device) usable() error {
	if d.closed {
		return fmt.Errorf("%s is closed", d.name)
	}
	return nil
}

// buffer is a range of a device's memory.
type buffer struct {
	device *Device
	ptr    cu.DevicePtr
	bytes  int64
	memory *cu.Memory // that it is in
	owner  bool       // whether Close gives it back
}

// NewBuffer takes memory; what is in it is undefined.
func (d *Device) NewBuffer(bytes int64) (dnn.Buffer, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	m, err := d.take(bytes)
	if err != nil {
		return nil, err
	}
	d.open.buffers++
	return &buffer{device: d, ptr: m.Ptr(), bytes: bytes, memory: m, owner: true}, nil
}

// take takes memory. If there is too little, the error says how much there is.
func (d *Device) take(bytes int64) (*cu.Memory, error) {
	m, err := d.ctx.MemAlloc(bytes)
	if err == nil {
		return m, nil
	}
	const mib = 1 << 20
	if free, total, infoErr := d.ctx.MemGetInfo(); infoErr == nil && errors.Is(err, cu.ErrorOutOfMemory) {
		return nil, fmt.Errorf("%s: %d MiB do not fit: of %d MiB of the GPU %d are free; use a smaller batch, or close other programs: %w",
			d.name, bytes/mib, total/mib, free/mib, err)
	}
	return nil, fmt.Errorf("%s: %w", d.name, err)
}

func (b *buffer) Bytes() int64 { return b.bytes }

func (b *buffer) Slice(offset, bytes int64) dnn.Buffer {
	if offset < 0 || bytes < 0 || offset > b.bytes-bytes {
		panic(fmt.Sprintf("cuda: Slice(%d, %d) of a buffer of %d bytes", offset, bytes, b.bytes))
	}
	return &buffer{device: b.device, ptr: b.ptr + cu.DevicePtr(offset), bytes: bytes, memory: b.memory}
}

func (b *buffer) Close() error {
	if !b.owner {
		return nil
	}
	b.owner = false
	b.device.open.buffers--
	return b.device.ending(b.memory.Close())
}

// bufferOf returns b, which must be memory of a GPU that is open.
func bufferOf(b dnn.Buffer) (*buffer, error) {
	c, ok := b.(*buffer)
	switch {
	case b == nil:
		return nil, errors.New("no buffer")
	case !ok:
		return nil, fmt.Errorf("a %T is not memory of a GPU", b)
	}
	if err := c.memory.Life().Use(); err != nil {
		return nil, err
	}
	return c, nil
}

// host is page-locked memory.
type host struct {
	*cu.HostMemory
	device *Device
	closed bool
}

// NewHost takes page-locked memory.
func (d *Device) NewHost(bytes int64) (dnn.Host, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	m, err := d.ctx.MemHostAlloc(bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: page-locked memory of the host: %w", d.name, err)
	}
	d.open.hosts++
	return &host{HostMemory: m, device: d}, nil
}

func (h *host) Close() error {
	if h.closed {
		return nil
	}
	h.closed = true
	h.device.open.hosts--
	return h.device.ending(h.HostMemory.Close())
}
