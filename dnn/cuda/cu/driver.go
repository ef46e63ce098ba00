package cu

import (
	"fmt"

	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/dnn/cuda/libraries"
)

// Driver is the CUDA driver, libcuda. It stays open until the process ends.
type Driver struct {
	f       *Functions
	path    string
	version int
}

// oldest is the first driver API that this package's functions are all in, and
// that cuDNN 9 works with.
const oldest = 12000

// Open finds libcuda and starts it.
func Open() (*Driver, error) {
	lib, err := libraries.Open(libraries.Driver)
	if err != nil {
		return nil, err
	}
	var f Functions
	if err := lib.Bind(f.Bindings()); err != nil {
		return nil, err
	}
	return New(&f, lib.Path)
}

// New starts the driver behind a table of functions. path is what
// [Driver.Path] returns.
func New(f *Functions, path string) (*Driver, error) {
	d := &Driver{f: f, path: path}
	var version int32
	if err := d.check(f.DriverGetVersion(&version), "cuDriverGetVersion"); err != nil {
		return nil, err
	}
	d.version = int(version)
	if d.version < oldest {
		return nil, fmt.Errorf("%s is a driver for CUDA %s, but 12.0 or newer is needed: update the NVIDIA driver", path, d.Version())
	}
	if err := d.check(f.Init(0), "cuInit"); err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", path, err)
	}
	return d, nil
}

// Path returns the library's file.
func (d *Driver) Path() string { return d.path }

// Version returns the newest version of CUDA that the driver can serve: 12.4.
func (d *Driver) Version() string { return fmt.Sprintf("%d.%d", d.version/1000, d.version%1000/10) }

// CUDAMajor returns the major part of the [Driver.Version]: 12.
func (d *Driver) CUDAMajor() int { return d.version / 1000 }

// NumDevices returns the count of GPUs (cuDeviceGetCount).
func (d *Driver) NumDevices() (int, error) {
	var n int32
	err := d.check(d.f.DeviceGetCount(&n), "cuDeviceGetCount")
	return int(n), err
}

// GetDevice returns a GPU by its number (cuDeviceGet).
func (d *Driver) GetDevice(ordinal int) (Device, error) {
	var dev Device
	err := d.check(d.f.DeviceGet(&dev, int32(ordinal)), "cuDeviceGet(%d)", ordinal)
	return dev, err
}

// Name returns a GPU's name (cuDeviceGetName).
func (d *Driver) Name(dev Device) (string, error) {
	buf := make([]byte, 256)
	err := d.check(d.f.DeviceGetName(&buf[0], int32(len(buf)-1), dev), "cuDeviceGetName(device %d)", dev)
	return cstring.Copy(&buf[0]), err
}

// PCIBusID returns where a GPU is plugged in (cuDeviceGetPCIBusId).
func (d *Driver) PCIBusID(dev Device) (string, error) {
	buf := make([]byte, 64)
	err := d.check(d.f.DeviceGetPCIBusId(&buf[0], int32(len(buf)-1), dev), "cuDeviceGetPCIBusId(device %d)", dev)
	return cstring.Copy(&buf[0]), err
}

// TotalMem returns the bytes of a GPU's memory (cuDeviceTotalMem).
func (d *Driver) TotalMem(dev Device) (int64, error) {
	var n uintptr
	err := d.check(d.f.DeviceTotalMem(&n, dev), "cuDeviceTotalMem(device %d)", dev)
	return int64(n), err
}

// Attribute returns one of a GPU's attributes (cuDeviceGetAttribute).
func (d *Driver) Attribute(a DeviceAttribute, dev Device) (int, error) {
	var v int32
	err := d.check(d.f.DeviceGetAttribute(&v, a, dev), "cuDeviceGetAttribute(%d, device %d)", a, dev)
	return int(v), err
}

// ComputeCapability returns a GPU's: 9, 0 for Hopper.
func (d *Driver) ComputeCapability(dev Device) (major, minor int, err error) {
	if major, err = d.Attribute(ComputeCapabilityMajor, dev); err != nil {
		return 0, 0, err
	}
	minor, err = d.Attribute(ComputeCapabilityMinor, dev)
	return major, minor, err
}

// CanAccessPeer reports whether dev can be given access to peer's memory
// (cuDeviceCanAccessPeer).
func (d *Driver) CanAccessPeer(dev, peer Device) (bool, error) {
	var can int32
	err := d.check(d.f.DeviceCanAccessPeer(&can, dev, peer), "cuDeviceCanAccessPeer(device %d, device %d)", dev, peer)
	return can != 0, err
}
