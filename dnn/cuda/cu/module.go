package cu

import (
	"fmt"
	"unsafe"

	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/internal/handle"
)

// Module is compiled code on a GPU.
type Module struct {
	ctx  *Context
	raw  CUModule
	life *handle.Life
}

// LoadData loads a cubin (cuModuleLoadData).
func (c *Context) LoadData(cubin []byte) (*Module, error) {
	if len(cubin) == 0 {
		return nil, fmt.Errorf("cuModuleLoadData(device %d): no code", c.device)
	}
	if err := c.Enter(); err != nil {
		return nil, err
	}
	defer c.Leave()
	m := &Module{ctx: c}
	if err := c.driver.check(c.driver.f.ModuleLoadData(&m.raw, unsafe.Pointer(&cubin[0])), "cuModuleLoadData(%d bytes, device %d)", len(cubin), c.device); err != nil {
		return nil, err
	}
	var err error
	m.life, err = handle.New("a module of kernels", func() error {
		return c.do(func() Result { return c.driver.f.ModuleUnload(m.raw) }, "cuModuleUnload")
	}, c.life)
	return m, err
}

// Close unloads the code, once no function of it is in use.
func (m *Module) Close() error { return m.life.Close() }

// Function is a kernel of a module.
type Function struct {
	module *Module
	name   string
	raw    CUFunction
}

// Function returns a kernel by its name (cuModuleGetFunction).
func (m *Module) Function(name string) (*Function, error) {
	if err := m.life.Use(); err != nil {
		return nil, err
	}
	c, err := cstring.New("the kernel's name", name)
	if err != nil {
		return nil, err
	}
	if err := m.ctx.Enter(); err != nil {
		return nil, err
	}
	defer m.ctx.Leave()
	f := &Function{module: m, name: name}
	return f, m.ctx.driver.check(m.ctx.driver.f.ModuleGetFunction(&f.raw, m.raw, c), "cuModuleGetFunction(%s)", name)
}

// Launch queues a run of the kernel over a row of blocks. params holds the
// address of each argument; the arguments are copied before Launch returns
// (cuLaunchKernel).
func (f *Function) Launch(s *Stream, blocks, threads uint32, params []unsafe.Pointer) error {
	if err := f.module.life.Use(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.ctx.Leave()
	if r := s.ctx.driver.f.LaunchKernel(f.raw, blocks, 1, 1, threads, 1, 1, 0, s.raw, unsafe.SliceData(params), nil); r != Success {
		return s.ctx.driver.check(r, "cuLaunchKernel(%s, %d blocks of %d threads, device %d)", f.name, blocks, threads, s.ctx.device)
	}
	return nil
}
