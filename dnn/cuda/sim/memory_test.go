package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/dnn/cuda/kernels"
)

// Fresh memory is poison; of too much the GPU has none; addresses are apart and
// never used twice.
func TestAllocations(t *testing.T) {
	r := newRig(t, Options{Memory: 1 << 20})
	p, q, h := r.alloc(400<<10), r.alloc(12), r.host(0, 0)
	out := make([]float32, 100<<10)
	r.ok(r.download(out, p, 0))
	if !allNaN(out) {
		t.Error("fresh memory is not poison")
	}
	if p%alignment != 0 || q%alignment != 0 || q-p < 400<<10+gap && p-q < 400<<10+gap {
		t.Errorf("memory at %#x and %#x", uintptr(p), uintptr(q))
	}
	var free, total uintptr
	r.ok(r.f.MemGetInfo(&free, &total))
	if free != 1<<20-400<<10-512 || total != 1<<20 {
		t.Errorf("%d of %d bytes are free", free, total)
	}
	var o cu.DevicePtr
	r.wants(cu.ErrorOutOfMemory, r.f.MemAlloc(&o, 700<<10))
	r.on(1, func() { r.free(r.alloc(700 << 10)) }) // the other GPU has its own
	r.free(p)
	o = r.alloc(700 << 10)
	if o == p {
		t.Error("an address is used again")
	}
	r.wants(cu.ErrorInvalidValue, r.f.MemFree(p))
	r.wants(cu.ErrorInvalidValue, r.f.MemFree(o+1))
	r.wants(cu.ErrorInvalidValue, r.f.MemAlloc(&p, 0))
	r.ok(r.f.MemFree(0))

	var fresh unsafe.Pointer
	r.ok(r.f.MemHostAlloc(&fresh, 8, 0))
	if x := unsafe.Slice((*float32)(fresh), 2); !allNaN(x) {
		t.Errorf("fresh page-locked memory has %v", x)
	}
	r.ok(r.f.MemFreeHost(fresh))
	r.wants(cu.ErrorInvalidValue, r.f.MemFreeHost(fresh))
	r.free(q, o, h)
}

// What a copy or memset cannot reach is refused at once.
func TestCopyBounds(t *testing.T) {
	r := newRig(t, Options{})
	p, other, h, heap := r.alloc(64), r.alloc(64), r.host(make([]float32, 16)...), make([]byte, 64)
	var far cu.DevicePtr
	r.on(1, func() { far = r.alloc(64) })
	hp, up := unsafe.Pointer(&h[0]), unsafe.Pointer(&heap[0])
	for name, result := range map[string]cu.Result{
		"beyond the end":           r.f.MemcpyHtoDAsync(p+1, up, 64, 0),
		"before the start":         r.f.MemcpyHtoDAsync(p-1, up, 8, 0),
		"over to another":          r.f.MemcpyDtoDAsync(p, other, uintptr(other-p)+8, 0),
		"a host address":           r.f.MemcpyDtoDAsync(p, cu.DevicePtr(uintptr(hp)), 8, 0),
		"null":                     r.f.MemcpyDtoHAsync(up, 0, 8, 0),
		"to null":                  r.f.MemcpyDtoHAsync(nil, p, 8, 0),
		"the host's end":           r.f.MemcpyHtoDAsync(p, unsafe.Add(hp, 4), 64, 0),
		"memory of another GPU":    r.f.MemcpyHtoDAsync(far, up, 8, 0),
		"too much":                 r.f.MemsetD8Async(p, 0, ^uintptr(0), 0),
		"memset beyond the end":    r.f.MemsetD8Async(p, 0, 65, 0),
		"another context's memory": r.f.MemcpyPeerAsync(far, r.ctx[0], p, r.ctx[0], 8, 0),
	} {
		if result != cu.ErrorInvalidValue {
			t.Errorf("%s: %v", name, results[result].name)
		}
	}
	r.wants(cu.ErrorInvalidContext, r.f.MemcpyPeerAsync(far, 0, p, r.ctx[0], 8, 0))
	r.ok(r.f.MemcpyHtoDAsync(0, nil, 0, 0)) // nothing
	r.ok(r.f.CtxSynchronize())              // and the context works on
	r.free(p, other, far, h)
}

// What a kernel cannot reach makes its context fail, for good, once it runs.
func TestIllegalAddress(t *testing.T) {
	const n = 8
	for name, test := range map[string]struct {
		at   func(r *rig, p, far, freed cu.DevicePtr) cu.DevicePtr
		want cu.Result
	}{
		"beyond the end":      {func(r *rig, p, _, _ cu.DevicePtr) cu.DevicePtr { return p + 4 }, cu.ErrorIllegalAddress},
		"before the start":    {func(r *rig, p, _, _ cu.DevicePtr) cu.DevicePtr { return p - 4 }, cu.ErrorIllegalAddress},
		"freed":               {func(_ *rig, _, _, freed cu.DevicePtr) cu.DevicePtr { return freed }, cu.ErrorIllegalAddress},
		"null":                {func(*rig, cu.DevicePtr, cu.DevicePtr, cu.DevicePtr) cu.DevicePtr { return 0 }, cu.ErrorIllegalAddress},
		"of no GPU":           {func(*rig, cu.DevicePtr, cu.DevicePtr, cu.DevicePtr) cu.DevicePtr { return 77 << rangeBits }, cu.ErrorIllegalAddress},
		"of another GPU":      {func(_ *rig, _, far, _ cu.DevicePtr) cu.DevicePtr { return far }, cu.ErrorIllegalAddress},
		"not a multiple of 4": {func(r *rig, p, _, _ cu.DevicePtr) cu.DevicePtr { return p + 2 }, errorMisalignedAddress},
		"of another GPU, with its": {func(r *rig, _, far, _ cu.DevicePtr) cu.DevicePtr {
			r.ok(r.f.CtxEnablePeerAccess(r.ctx[1], 0))
			return far
		}, cu.Success},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			code, s, e, x, freed := r.code(), r.stream(), r.event(), r.alloc(4*n), r.alloc(4*n)
			var far cu.DevicePtr
			r.on(1, func() { far = r.alloc(4 * n) })
			r.free(freed)
			y := test.at(r, x, far, freed)
			r.ok(r.launch(code, s, kernels.Scale{X: x, Y: y, Count: n, Factor: 1}))
			r.ok(r.f.EventRecord(e, s)) // nothing has run
			r.wants(test.want, r.f.StreamSynchronize(s))
			var free, total uintptr
			r.wants(test.want, r.f.MemGetInfo(&free, &total))
			r.wants(test.want, r.f.EventSynchronize(e))
			r.wants(test.want, r.f.MemAlloc(&y, 4))
			if test.want != cu.Success { // what is given back is given back, with the same words
				var text *byte
				r.ok(r.f.GetErrorString(test.want, &text))
				if s := cstring.Copy(text); !strings.Contains(s, "kernel scale on GPU 0") {
					t.Error(s)
				}
			} else {
				r.free(y)
			}
			r.wants(test.want, r.f.StreamDestroy(s))
			r.wants(test.want, r.f.EventDestroy(e))
			r.wants(test.want, r.f.MemFree(x))
			r.wants(test.want, r.f.ModuleUnload(code))
			r.on(1, func() { r.free(far) }) // the other GPU has nothing to do with it
		})
	}
}

// Copies between GPUs need no access; reading another GPU's memory does.
func TestPeers(t *testing.T) {
	for name, test := range map[string]struct {
		o      Options
		can    int32
		enable cu.Result
	}{
		"offered":     {Options{}, 1, cu.Success},
		"refused":     {Options{Faults: Faults{RefusePeerAccess: true}}, 1, errorTooManyPeers},
		"not offered": {Options{NoPeerAccess: true}, 0, cu.ErrorPeerAccessUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, test.o)
			var can int32
			r.ok(r.f.DeviceCanAccessPeer(&can, 0, 1))
			if can != test.can {
				t.Errorf("cuDeviceCanAccessPeer says %d", can)
			}
			r.ok(r.f.DeviceCanAccessPeer(&can, 0, 0))
			if can != 0 {
				t.Error("a GPU is its own peer")
			}
			p := r.put(1, 2, 3)
			var q cu.DevicePtr
			r.on(1, func() { q = r.put(0, 0, 0) })
			r.ok(r.f.MemcpyPeerAsync(q, r.ctx[1], p, r.ctx[0], 12, 0))
			r.ok(r.f.CtxSynchronize())
			r.on(1, func() { same(t, "copied", r.get(q, 3), 1, 2, 3) })

			r.wants(cu.ErrorInvalidValue, r.f.MemcpyDtoDAsync(p, q, 12, 0))
			r.wants(cu.ErrorInvalidContext, r.f.CtxEnablePeerAccess(r.ctx[0], 0))
			r.wants(test.enable, r.f.CtxEnablePeerAccess(r.ctx[1], 0))
			if test.enable == cu.Success {
				r.wants(cu.ErrorPeerAccessAlreadyEnabled, r.f.CtxEnablePeerAccess(r.ctx[1], 0))
				r.ok(r.f.MemcpyDtoDAsync(p, q, 12, 0))
				r.ok(r.f.CtxSynchronize())
				r.on(1, func() { // access is one way
					r.wants(cu.ErrorInvalidValue, r.f.MemcpyDtoDAsync(q, p, 12, 0))
				})
				r.ok(r.f.CtxDisablePeerAccess(r.ctx[1]))
			}
			r.wants(cu.ErrorPeerAccessNotEnabled, r.f.CtxDisablePeerAccess(r.ctx[1]))
			r.free(p, q)
		})
	}
}

// Freeing waits for the GPU's work; page-locked memory is not waited for, and work
// that comes too late for it fails.
func TestFreeing(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		code, s, x, y := r.code(), r.stream(), r.put(1), r.put(0)
		r.ok(r.launch(code, s, kernels.Scale{X: x, Y: y, Count: 1, Factor: 2}))
		r.free(x)
		same(t, "y", r.get(y, 1), 2)

		from := r.host(1)
		r.ok(r.upload(y, from, s))
		r.free(from)
		if !allNaN(from) {
			t.Error("page-locked memory that was given back has its numbers")
		}
		r.wants(cu.ErrorIllegalAddress, r.f.StreamSynchronize(s))
		for _, result := range []cu.Result{r.f.StreamDestroy(s), r.f.MemFree(y), r.f.ModuleUnload(code)} {
			r.wants(cu.ErrorIllegalAddress, result)
		}
	})
}

// Boxes of bytes go where CUDA's documentation says.
func TestBoxes(t *testing.T) {
	r := newRig(t, Options{})
	const size = 4000
	random := rand.New(rand.NewPCG(1, 2))
	src, dst := make([]byte, size), make([]byte, size)
	for range 50 {
		for i := range src {
			src[i], dst[i] = byte(random.Uint32()), 0
		}
		from, to := r.alloc(size), cu.DevicePtr(0)
		r.on(1, func() {
			to = r.alloc(size)
			r.ok(r.f.MemcpyHtoDAsync(to, unsafe.Pointer(&dst[0]), size, 0))
			r.ok(r.f.CtxSynchronize())
		})
		r.ok(r.f.MemcpyHtoDAsync(from, unsafe.Pointer(&src[0]), size, 0))
		n := func(k int) uintptr { return uintptr(random.IntN(k)) }
		c := cu.Memcpy3DPeer{SrcMemoryType: cu.MemoryTypeDevice, DstMemoryType: cu.MemoryTypeDevice, SrcDevice: from, DstDevice: to, SrcContext: r.ctx[0], DstContext: r.ctx[1],
			SrcXInBytes: n(5), SrcY: n(3), SrcZ: n(2), DstXInBytes: n(5), DstY: n(3), DstZ: n(2), WidthInBytes: 1 + n(9), Height: 1 + n(4), Depth: 1 + n(4)}
		c.SrcPitch, c.DstPitch = c.SrcXInBytes+c.WidthInBytes+n(5), c.DstXInBytes+c.WidthInBytes+n(5)
		c.SrcHeight, c.DstHeight = c.SrcY+c.Height+n(3), c.DstY+c.Height+n(3)
		r.ok(r.f.Memcpy3DPeerAsync(&c, 0))
		kept := c
		c = cu.Memcpy3DPeer{} // it was read
		for z := range kept.Depth {
			for y := range kept.Height {
				copy(dst[((kept.DstZ+z)*kept.DstHeight+kept.DstY+y)*kept.DstPitch+kept.DstXInBytes:][:kept.WidthInBytes],
					src[((kept.SrcZ+z)*kept.SrcHeight+kept.SrcY+y)*kept.SrcPitch+kept.SrcXInBytes:])
			}
		}
		got := make([]byte, size)
		r.ok(r.f.CtxSynchronize())
		r.on(1, func() { r.ok(r.f.MemcpyDtoHAsync(unsafe.Pointer(&got[0]), to, size, 0)) })
		if !bytes.Equal(got, dst) {
			t.Fatalf("%+v", kept)
		}

		for name, change := range map[string]func(c *cu.Memcpy3DPeer){
			"pitch":  func(c *cu.Memcpy3DPeer) { c.Height, c.SrcPitch = 2, c.SrcXInBytes+c.WidthInBytes-1 },
			"height": func(c *cu.Memcpy3DPeer) { c.Depth, c.DstHeight = 2, c.DstY+c.Height-1 },
			"beyond": func(c *cu.Memcpy3DPeer) { c.DstZ = size },
			"level":  func(c *cu.Memcpy3DPeer) { c.DstLOD = 1 },
			"array":  func(c *cu.Memcpy3DPeer) { c.SrcMemoryType = 3 },
		} {
			bad := kept
			change(&bad)
			if result := r.f.Memcpy3DPeerAsync(&bad, 0); result != cu.ErrorInvalidValue {
				t.Errorf("%s: %v", name, results[result].name)
			}
		}
		r.free(from, to)
	}
}

// A result over an operand is lost, unless the operation is one for each number.
func TestOverlap(t *testing.T) {
	r := newRig(t, Options{})
	code, p := r.code(), r.put(1, 2, 3, 4, 5, 6, 7, 8)
	for _, test := range []struct {
		args kernels.Args
		want []float32
	}{
		{kernels.Scale{X: p, Y: p, Count: 4, Factor: 2}, []float32{2, 4, 6, 8}},
		{kernels.Fit{X: p, Y: p + 16, Planes: 1, H: 1, W: 4, OutH: 1, OutW: 4}, []float32{1, 2, 3, 4, 1, 2, 3, 4}},
		{kernels.Fit{X: p, Y: p, Planes: 1, H: 1, W: 4, OutH: 1, OutW: 4}, nil},
		{kernels.Scale{X: p, Y: p + 4, Count: 4, Factor: 2}, nil},
	} {
		r.ok(r.upload(p, []float32{1, 2, 3, 4, 5, 6, 7, 8}, 0))
		r.ok(r.launch(code, 0, test.args))
		got := r.get(p, 8)
		if test.want != nil {
			same(t, fmt.Sprintf("%+v", test.args), got[:len(test.want)], test.want...)
		} else if !allNaN(got[1:4]) { // all of Y
			t.Errorf("%+v: %v", test.args, got)
		}
	}
	r.ok(r.f.MemcpyDtoDAsync(p, p+4, 8, 0))
	if got := r.get(p, 2); !allNaN(got) {
		t.Errorf("copied onto itself: %v", got)
	}
	r.free(code, p)
}
