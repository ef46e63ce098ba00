package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/dnn/cuda/kernels"
)

// module is loaded code. It runs as long as it is loaded.
type module struct {
	ctx       *cudaContext
	kernels   []string
	functions []uintptr
	unloaded  bool
}

// function is a kernel of a module.
type function struct {
	module *module
	name   string
}

// A cubin of the simulated compiler: the magic, the size of what follows up to
// the checksum, as 4 bytes, what it is compiled for, the kernels' names, each
// line ended, and a CRC-32 of all before it.
const magic = "\x7fSIMCUBIN"

func newCubin(arch string, kernels []string) []byte {
	body := strings.Join(append([]string{arch}, kernels...), "\n") + "\n"
	b := append([]byte(magic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[len(magic):], uint32(len(body)))
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// readCubin reads a cubin whose size nobody says. Of memory that does not begin
// as one, nothing behind the difference is read.
func readCubin(image unsafe.Pointer) (arch string, kernels []string, ok bool) {
	for i := range len(magic) {
		if *(*byte)(unsafe.Add(image, i)) != magic[i] {
			return "", nil, false
		}
	}
	const header = len(magic) + 4
	n := header + int(binary.LittleEndian.Uint32(unsafe.Slice((*byte)(image), header)[len(magic):]))
	b := unsafe.Slice((*byte)(image), n+4)
	if binary.LittleEndian.Uint32(b[n:]) != crc32.ChecksumIEEE(b[:n]) {
		return "", nil, false
	}
	lines := strings.Split(string(bytes.TrimSuffix(b[header:n], []byte("\n"))), "\n")
	return lines[0], lines[1:], true
}

func (m *Machine) moduleLoadData(h *cu.CUModule, image unsafe.Pointer) cu.Result {
	return m.in(outside(m, func(c *cudaContext) cu.Result {
		if h == nil || image == nil {
			return cu.ErrorInvalidValue
		}
		arch, names, ok := readCubin(image)
		switch {
		case !ok:
			return errorInvalidImage
		case arch != architecture:
			m.hints[errorNoBinaryForGPU] = fmt.Sprintf("the code is for %s, the GPU is %s", arch, architecture)
			return errorNoBinaryForGPU
		}
		*h = cu.CUModule(m.issue(&module{ctx: c, kernels: names}, "module of GPU %d", c.gpu.ordinal))
		return cu.Success
	}))
}

func (m *Machine) moduleUnload(h cu.CUModule) cu.Result {
	return m.ending(outside(m, func(c *cudaContext) cu.Result {
		mod, ok := find[*module](m, uintptr(h))
		if !ok || mod.ctx != c {
			return cu.ErrorInvalidHandle
		}
		mod.unloaded = true
		for _, f := range append(mod.functions, uintptr(h)) {
			delete(m.things, f)
		}
		return cu.Success
	}))
}

func (m *Machine) moduleGetFunction(h *cu.CUFunction, mh cu.CUModule, name *byte) cu.Result {
	return m.in(func(c *cudaContext) cu.Result {
		mod, ok := find[*module](m, uintptr(mh))
		switch {
		case h == nil || name == nil:
			return cu.ErrorInvalidValue
		case !ok || mod.ctx != c:
			return cu.ErrorInvalidHandle
		case !slices.Contains(mod.kernels, cstring.Copy(name)):
			return cu.ErrorNotFound
		}
		f := m.issue(&function{mod, cstring.Copy(name)}, "kernel %s", cstring.Copy(name))
		m.things[f].owned = true // by the module
		mod.functions = append(mod.functions, f)
		*h = cu.CUFunction(f)
		return cu.Success
	})
}

// Limits of all GPUs.
const (
	maxThreads  = 1024 // of a block
	maxBlocksX  = 1<<31 - 1
	maxBlocksYZ = 1<<16 - 1
	maxShared   = 48 << 10 // bytes of a block, unless it asks for more
)

func (m *Machine) launchKernel(fh cu.CUFunction, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes uint32, sh cu.CUStream, params, extra *unsafe.Pointer) cu.Result {
	return m.streaming(sh, func(s *stream) cu.Result {
		f, ok := find[*function](m, uintptr(fh))
		switch {
		case !ok || f.module.ctx != s.ctx:
			return cu.ErrorInvalidHandle
		case gridX < 1 || gridY < 1 || gridZ < 1 || gridX > maxBlocksX || max(gridY, gridZ) > maxBlocksYZ,
			blockX < 1 || blockY < 1 || blockZ < 1 || blockZ > 64 || max(blockX, blockY) > maxThreads || blockX*blockY*blockZ > maxThreads,
			sharedBytes > maxShared, extra != nil:
			return cu.ErrorInvalidValue
		}
		args, err := kernels.Decode(f.name, params)
		if err != nil {
			m.hints[cu.ErrorNotSupported] = err.Error()
			return cu.ErrorNotSupported
		}
		m.task(s, "kernel "+f.name, func(a *access) {
			if f.module.unloaded {
				a.fail(cu.ErrorLaunchFailed, "its module was unloaded before it ran")
				return
			}
			a.kernel(args)
		})
		return cu.Success
	})
}
