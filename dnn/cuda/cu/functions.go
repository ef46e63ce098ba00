package cu

import (
	"unsafe"

	"alexnet/internal/native"
)

// The driver's types, under their C names where a type of this package goes by
// the plain one.
type (
	Result      int32   // CUresult
	Device      int32   // CUdevice
	DevicePtr   uintptr // CUdeviceptr: an address in device memory
	CUContext   uintptr
	CUStream    uintptr
	CUEvent     uintptr
	CUModule    uintptr
	CUFunction  uintptr
	CUGraph     uintptr
	CUGraphExec uintptr
)

// Memcpy3DPeer is CUDA_MEMCPY3D_PEER, which says what Memcpy3DPeerAsync copies.
type Memcpy3DPeer struct {
	SrcXInBytes, SrcY, SrcZ, SrcLOD uintptr
	SrcMemoryType                   MemoryType
	SrcHost                         unsafe.Pointer
	SrcDevice                       DevicePtr
	SrcArray                        uintptr
	SrcContext                      CUContext
	SrcPitch, SrcHeight             uintptr

	DstXInBytes, DstY, DstZ, DstLOD uintptr
	DstMemoryType                   MemoryType
	DstHost                         unsafe.Pointer
	DstDevice                       DevicePtr
	DstArray                        uintptr
	DstContext                      CUContext
	DstPitch, DstHeight             uintptr

	WidthInBytes, Height, Depth uintptr
}

// MemoryType is CUmemorytype.
type MemoryType uint32

// MemoryTypeDevice is CU_MEMORYTYPE_DEVICE.
const MemoryTypeDevice MemoryType = 2

// Functions are the driver's functions. [Open] makes them call libcuda; others
// may put functions of their own in their place.
type Functions struct {
	Init                      func(flags uint32) Result
	DriverGetVersion          func(version *int32) Result
	GetErrorName              func(r Result, name **byte) Result
	GetErrorString            func(r Result, text **byte) Result
	DeviceGetCount            func(count *int32) Result
	DeviceGet                 func(device *Device, ordinal int32) Result
	DeviceGetName             func(name *byte, length int32, d Device) Result
	DeviceTotalMem            func(bytes *uintptr, d Device) Result
	DeviceGetAttribute        func(value *int32, a DeviceAttribute, d Device) Result
	DeviceGetPCIBusId         func(id *byte, length int32, d Device) Result
	DeviceCanAccessPeer       func(can *int32, d, peer Device) Result
	PrimaryCtxRetain          func(ctx *CUContext, d Device) Result
	PrimaryCtxRelease         func(d Device) Result
	CtxSetCurrent             func(ctx CUContext) Result
	CtxGetCurrent             func(ctx *CUContext) Result
	CtxSynchronize            func() Result
	CtxEnablePeerAccess       func(peer CUContext, flags uint32) Result
	CtxDisablePeerAccess      func(peer CUContext) Result
	MemGetInfo                func(free, total *uintptr) Result
	MemAlloc                  func(p *DevicePtr, bytes uintptr) Result
	MemFree                   func(p DevicePtr) Result
	MemHostAlloc              func(p *unsafe.Pointer, bytes uintptr, flags uint32) Result
	MemFreeHost               func(p unsafe.Pointer) Result
	MemcpyHtoDAsync           func(dst DevicePtr, src unsafe.Pointer, bytes uintptr, s CUStream) Result
	MemcpyDtoHAsync           func(dst unsafe.Pointer, src DevicePtr, bytes uintptr, s CUStream) Result
	MemcpyDtoDAsync           func(dst, src DevicePtr, bytes uintptr, s CUStream) Result
	MemcpyPeerAsync           func(dst DevicePtr, dstCtx CUContext, src DevicePtr, srcCtx CUContext, bytes uintptr, s CUStream) Result
	Memcpy3DPeerAsync         func(copy *Memcpy3DPeer, s CUStream) Result
	MemsetD8Async             func(dst DevicePtr, value uint8, count uintptr, s CUStream) Result
	StreamCreate              func(s *CUStream, flags StreamFlags) Result
	StreamDestroy             func(s CUStream) Result
	StreamSynchronize         func(s CUStream) Result
	StreamQuery               func(s CUStream) Result
	StreamWaitEvent           func(s CUStream, e CUEvent, flags uint32) Result
	StreamBeginCapture        func(s CUStream, mode CaptureMode) Result
	StreamEndCapture          func(s CUStream, g *CUGraph) Result
	EventCreate               func(e *CUEvent, flags EventFlags) Result
	EventDestroy              func(e CUEvent) Result
	EventRecord               func(e CUEvent, s CUStream) Result
	EventSynchronize          func(e CUEvent) Result
	EventQuery                func(e CUEvent) Result
	EventElapsedTime          func(milliseconds *float32, start, end CUEvent) Result
	ModuleLoadData            func(m *CUModule, image unsafe.Pointer) Result
	ModuleUnload              func(m CUModule) Result
	ModuleGetFunction         func(f *CUFunction, m CUModule, name *byte) Result
	LaunchKernel              func(f CUFunction, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes uint32, s CUStream, params, extra *unsafe.Pointer) Result
	GraphInstantiateWithFlags func(e *CUGraphExec, g CUGraph, flags uint64) Result
	GraphDestroy              func(g CUGraph) Result
	GraphLaunch               func(e CUGraphExec, s CUStream) Result
	GraphExecDestroy          func(e CUGraphExec) Result
}

// Bindings pairs each function with its prototype in cuda.h. Where the header
// renames a function to its newest form (cuMemAlloc_v2), so does the list.
func (f *Functions) Bindings() []native.Binding {
	return []native.Binding{
		native.Func1(&f.Init, "CUresult cuInit(unsigned int Flags)"),
		native.Func1(&f.DriverGetVersion, "CUresult cuDriverGetVersion(int *driverVersion)"),
		native.Func2(&f.GetErrorName, "CUresult cuGetErrorName(CUresult error, const char **pStr)"),
		native.Func2(&f.GetErrorString, "CUresult cuGetErrorString(CUresult error, const char **pStr)"),
		native.Func1(&f.DeviceGetCount, "CUresult cuDeviceGetCount(int *count)"),
		native.Func2(&f.DeviceGet, "CUresult cuDeviceGet(CUdevice *device, int ordinal)"),
		native.Func3(&f.DeviceGetName, "CUresult cuDeviceGetName(char *name, int len, CUdevice dev)"),
		native.Func2(&f.DeviceTotalMem, "CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)"),
		native.Func3(&f.DeviceGetAttribute, "CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)"),
		native.Func3(&f.DeviceGetPCIBusId, "CUresult cuDeviceGetPCIBusId(char *pciBusId, int len, CUdevice dev)"),
		native.Func3(&f.DeviceCanAccessPeer, "CUresult cuDeviceCanAccessPeer(int *canAccessPeer, CUdevice dev, CUdevice peerDev)"),
		native.Func2(&f.PrimaryCtxRetain, "CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)"),
		native.Func1(&f.PrimaryCtxRelease, "CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)"),
		native.Func1(&f.CtxSetCurrent, "CUresult cuCtxSetCurrent(CUcontext ctx)"),
		native.Func1(&f.CtxGetCurrent, "CUresult cuCtxGetCurrent(CUcontext *pctx)"),
		native.Func0(&f.CtxSynchronize, "CUresult cuCtxSynchronize(void)"),
		native.Func2(&f.CtxEnablePeerAccess, "CUresult cuCtxEnablePeerAccess(CUcontext peerContext, unsigned int Flags)"),
		native.Func1(&f.CtxDisablePeerAccess, "CUresult cuCtxDisablePeerAccess(CUcontext peerContext)"),
		native.Func2(&f.MemGetInfo, "CUresult cuMemGetInfo_v2(size_t *free, size_t *total)"),
		native.Func2(&f.MemAlloc, "CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)"),
		native.Func1(&f.MemFree, "CUresult cuMemFree_v2(CUdeviceptr dptr)"),
		native.Func3(&f.MemHostAlloc, "CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)"),
		native.Func1(&f.MemFreeHost, "CUresult cuMemFreeHost(void *p)"),
		native.Func4(&f.MemcpyHtoDAsync, "CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream)"),
		native.Func4(&f.MemcpyDtoHAsync, "CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)"),
		native.Func4(&f.MemcpyDtoDAsync, "CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)"),
		native.Func6(&f.MemcpyPeerAsync, "CUresult cuMemcpyPeerAsync(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext, size_t ByteCount, CUstream hStream)"),
		native.Func2(&f.Memcpy3DPeerAsync, "CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *pCopy, CUstream hStream)"),
		native.Func4(&f.MemsetD8Async, "CUresult cuMemsetD8Async(CUdeviceptr dstDevice, unsigned char uc, size_t N, CUstream hStream)"),
		native.Func2(&f.StreamCreate, "CUresult cuStreamCreate(CUstream *phStream, unsigned int Flags)"),
		native.Func1(&f.StreamDestroy, "CUresult cuStreamDestroy_v2(CUstream hStream)"),
		native.Func1(&f.StreamSynchronize, "CUresult cuStreamSynchronize(CUstream hStream)"),
		native.Func1(&f.StreamQuery, "CUresult cuStreamQuery(CUstream hStream)"),
		native.Func3(&f.StreamWaitEvent, "CUresult cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags)"),
		native.Func2(&f.StreamBeginCapture, "CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode)"),
		native.Func2(&f.StreamEndCapture, "CUresult cuStreamEndCapture(CUstream hStream, CUgraph *phGraph)"),
		native.Func2(&f.EventCreate, "CUresult cuEventCreate(CUevent *phEvent, unsigned int Flags)"),
		native.Func1(&f.EventDestroy, "CUresult cuEventDestroy_v2(CUevent hEvent)"),
		native.Func2(&f.EventRecord, "CUresult cuEventRecord(CUevent hEvent, CUstream hStream)"),
		native.Func1(&f.EventSynchronize, "CUresult cuEventSynchronize(CUevent hEvent)"),
		native.Func1(&f.EventQuery, "CUresult cuEventQuery(CUevent hEvent)"),
		native.Func3(&f.EventElapsedTime, "CUresult cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd)"),
		native.Func2(&f.ModuleLoadData, "CUresult cuModuleLoadData(CUmodule *module, const void *image)"),
		native.Func1(&f.ModuleUnload, "CUresult cuModuleUnload(CUmodule hmod)"),
		native.Func3(&f.ModuleGetFunction, "CUresult cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)"),
		native.Func11(&f.LaunchKernel, "CUresult cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void **kernelParams, void **extra)"),
		native.Func3(&f.GraphInstantiateWithFlags, "CUresult cuGraphInstantiateWithFlags(CUgraphExec *phGraphExec, CUgraph hGraph, unsigned long long flags)"),
		native.Func1(&f.GraphDestroy, "CUresult cuGraphDestroy(CUgraph hGraph)"),
		native.Func2(&f.GraphLaunch, "CUresult cuGraphLaunch(CUgraphExec hGraphExec, CUstream hStream)"),
		native.Func1(&f.GraphExecDestroy, "CUresult cuGraphExecDestroy(CUgraphExec hGraphExec)"),
	}
}
