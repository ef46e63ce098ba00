package cu

import (
	"reflect"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/internal/prototype"
)

var rules = prototype.Rules{
	Prefix: "cu",
	Names: map[string]string{
		"cuDevicePrimaryCtxRetain":     "PrimaryCtxRetain",
		"cuDevicePrimaryCtxRelease_v2": "PrimaryCtxRelease",
	},
	Types: map[string]reflect.Type{
		"CUresult":            reflect.TypeFor[Result](),
		"CUdevice":            reflect.TypeFor[Device](),
		"CUdeviceptr":         reflect.TypeFor[DevicePtr](),
		"CUdevice_attribute":  reflect.TypeFor[DeviceAttribute](),
		"CUcontext":           reflect.TypeFor[CUContext](),
		"CUstream":            reflect.TypeFor[CUStream](),
		"CUevent":             reflect.TypeFor[CUEvent](),
		"CUmodule":            reflect.TypeFor[CUModule](),
		"CUfunction":          reflect.TypeFor[CUFunction](),
		"CUgraph":             reflect.TypeFor[CUGraph](),
		"CUgraphExec":         reflect.TypeFor[CUGraphExec](),
		"CUstreamCaptureMode": reflect.TypeFor[CaptureMode](),
		"CUDA_MEMCPY3D_PEER":  reflect.TypeFor[Memcpy3DPeer](),
	},
}

func TestFunctionsAreAsTheirPrototypes(t *testing.T) {
	var f Functions
	rules.Test(t, &f, f.Bindings())
}

func TestPrototypesAreAsInTheHeader(t *testing.T) {
	prototype.TestHeader(t, new(Functions).Bindings(), "/usr/include/cuda.h", "/usr/local/cuda/include/cuda.h")
}

// The offsets are those that a C compiler gives for cuda.h.
func TestMemcpy3DPeerIsLaidOutAsInC(t *testing.T) {
	var m Memcpy3DPeer
	got := []uintptr{unsafe.Sizeof(m), unsafe.Offsetof(m.SrcMemoryType), unsafe.Offsetof(m.SrcHost), unsafe.Offsetof(m.SrcDevice),
		unsafe.Offsetof(m.SrcArray), unsafe.Offsetof(m.SrcContext), unsafe.Offsetof(m.SrcPitch), unsafe.Offsetof(m.SrcHeight),
		unsafe.Offsetof(m.DstXInBytes), unsafe.Offsetof(m.DstMemoryType), unsafe.Offsetof(m.DstHost), unsafe.Offsetof(m.DstDevice),
		unsafe.Offsetof(m.DstContext), unsafe.Offsetof(m.DstPitch), unsafe.Offsetof(m.WidthInBytes), unsafe.Offsetof(m.Height), unsafe.Offsetof(m.Depth)}
	want := []uintptr{200, 32, 40, 48, 56, 64, 72, 80, 88, 120, 128, 136, 152, 160, 176, 184, 192}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("size and offsets %v, want %v", got, want)
	}
}
