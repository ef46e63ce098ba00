package cu

import (
	"fmt"
	"runtime"

	"alexnet/internal/handle"
)

// Context is what a process has of a GPU: its memory, streams and kernels live
// in it. Methods of a context and of what was made with it may be called from
// one goroutine at a time; they make the context current on the thread
// themselves.
type Context struct {
	driver *Driver
	device Device
	raw    CUContext
	life   *handle.Life
}

// PrimaryContext returns the context of a GPU that all of the process shares,
// libraries that use the CUDA runtime among it (cuDevicePrimaryCtxRetain).
func (d *Driver) PrimaryContext(dev Device) (*Context, error) {
	c := &Context{driver: d, device: dev}
	if err := d.check(d.f.PrimaryCtxRetain(&c.raw, dev), "cuDevicePrimaryCtxRetain(device %d)", dev); err != nil {
		return nil, err
	}
	var err error
	c.life, err = handle.New(fmt.Sprintf("the context of device %d", dev), func() error {
		return d.check(d.f.PrimaryCtxRelease(dev), "cuDevicePrimaryCtxRelease(device %d)", dev)
	})
	return c, err
}

// WrapContext returns a context that somebody else made and will destroy.
func (d *Driver) WrapContext(dev Device, raw CUContext) (*Context, error) {
	c := &Context{driver: d, device: dev, raw: raw}
	var err error
	c.life, err = handle.New(fmt.Sprintf("a foreign context of device %d", dev), nil)
	return c, err
}

// Driver returns the driver that the context is of.
func (c *Context) Driver() *Driver { return c.driver }

// Device returns the context's GPU.
func (c *Context) Device() Device { return c.device }

// Handle returns the context as the driver knows it.
func (c *Context) Handle() CUContext { return c.raw }

// Life returns the context's life, for handles that are made with it.
func (c *Context) Life() *handle.Life { return c.life }

// Close gives the context back, once all that was made with it is closed.
func (c *Context) Close() error { return c.life.Close() }

// Enter makes the context current and keeps the goroutine on its thread until
// Leave, which must follow if the error is nil (cuCtxSetCurrent).
func (c *Context) Enter() error {
	if err := c.life.Use(); err != nil {
		return err
	}
	return c.EnterToRelease()
}

// EnterToRelease is Enter for giving back what was made with the context, which
// may have been closed before and lives until then.
func (c *Context) EnterToRelease() error {
	runtime.LockOSThread()
	if r := c.driver.f.CtxSetCurrent(c.raw); r != Success {
		runtime.UnlockOSThread()
		return c.driver.check(r, "cuCtxSetCurrent(context of device %d)", c.device)
	}
	return nil
}

// Leave ends what Enter began.
func (c *Context) Leave() { runtime.UnlockOSThread() }

// do calls the driver with the context current. It is for what is released,
// when the context may be closed already.
func (c *Context) do(call func() Result, function string) error {
	if err := c.EnterToRelease(); err != nil {
		return err
	}
	defer c.Leave()
	return c.driver.check(call(), "%s", function)
}

// ComputeCapability returns the GPU's: 9, 0 for Hopper.
func (c *Context) ComputeCapability() (major, minor int, err error) {
	return c.driver.ComputeCapability(c.device)
}

// Synchronize waits for all work in the context (cuCtxSynchronize).
func (c *Context) Synchronize() error {
	if err := c.Enter(); err != nil {
		return err
	}
	defer c.Leave()
	return c.driver.check(c.driver.f.CtxSynchronize(), "cuCtxSynchronize")
}

// MemGetInfo returns the bytes of the GPU's memory that are free, and of all
// (cuMemGetInfo).
func (c *Context) MemGetInfo() (free, total int64, err error) {
	if err := c.Enter(); err != nil {
		return 0, 0, err
	}
	defer c.Leave()
	var f, t uintptr
	err = c.driver.check(c.driver.f.MemGetInfo(&f, &t), "cuMemGetInfo")
	return int64(f), int64(t), err
}

// EnablePeerAccess lets kernels and copies of this context reach the memory of
// peer's. Enabling it again does nothing (cuCtxEnablePeerAccess).
func (c *Context) EnablePeerAccess(peer *Context) error {
	if err := peer.life.Use(); err != nil {
		return err
	}
	if err := c.Enter(); err != nil {
		return err
	}
	defer c.Leave()
	r := c.driver.f.CtxEnablePeerAccess(peer.raw, 0)
	if r == ErrorPeerAccessAlreadyEnabled {
		return nil
	}
	return c.driver.check(r, "cuCtxEnablePeerAccess(device %d to device %d)", c.device, peer.device)
}
