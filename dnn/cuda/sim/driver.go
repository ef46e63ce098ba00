package sim

import (
	"cmp"
	"fmt"
	"strings"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/cstring"
)

// Driver returns the functions of libcuda.
func (m *Machine) Driver() *cu.Functions {
	return &cu.Functions{
		Init: m.init, DriverGetVersion: m.driverGetVersion, GetErrorName: m.getErrorName, GetErrorString: m.getErrorString,
		DeviceGetCount: m.deviceGetCount, DeviceGet: m.deviceGet, DeviceGetName: m.deviceGetName, DeviceTotalMem: m.deviceTotalMem,
		DeviceGetAttribute: m.deviceGetAttribute, DeviceGetPCIBusId: m.deviceGetPCIBusID, DeviceCanAccessPeer: m.deviceCanAccessPeer,
		PrimaryCtxRetain: m.primaryCtxRetain, PrimaryCtxRelease: m.primaryCtxRelease, CtxSetCurrent: m.ctxSetCurrent, CtxGetCurrent: m.ctxGetCurrent,
		CtxSynchronize: m.ctxSynchronize, CtxEnablePeerAccess: m.ctxEnablePeerAccess, CtxDisablePeerAccess: m.ctxDisablePeerAccess,
		MemGetInfo: m.memGetInfo, MemAlloc: m.memAlloc, MemFree: m.memFree, MemHostAlloc: m.memHostAlloc, MemFreeHost: m.memFreeHost,
		MemcpyHtoDAsync: m.memcpyHtoDAsync, MemcpyDtoHAsync: m.memcpyDtoHAsync, MemcpyDtoDAsync: m.memcpyDtoDAsync,
		MemcpyPeerAsync: m.memcpyPeerAsync, Memcpy3DPeerAsync: m.memcpy3DPeerAsync, MemsetD8Async: m.memsetD8Async,
		StreamCreate: m.streamCreate, StreamDestroy: m.streamDestroy, StreamSynchronize: m.streamSynchronize, StreamQuery: m.streamQuery, StreamWaitEvent: m.streamWaitEvent,
		StreamBeginCapture: m.streamBeginCapture, StreamEndCapture: m.streamEndCapture,
		EventCreate: m.eventCreate, EventDestroy: m.eventDestroy, EventRecord: m.eventRecord, EventSynchronize: m.eventSynchronize,
		EventQuery: m.eventQuery, EventElapsedTime: m.eventElapsedTime,
		ModuleLoadData: m.moduleLoadData, ModuleUnload: m.moduleUnload, ModuleGetFunction: m.moduleGetFunction, LaunchKernel: m.launchKernel,
		GraphInstantiateWithFlags: m.graphInstantiate, GraphDestroy: m.graphDestroy, GraphLaunch: m.graphLaunch, GraphExecDestroy: m.graphExecDestroy,
	}
}

// Results that package cu does not name.
const (
	errorDeinitialized     cu.Result = 4
	errorInvalidImage      cu.Result = 200
	errorNoBinaryForGPU    cu.Result = 209
	errorTooManyPeers      cu.Result = 711
	errorMisalignedAddress cu.Result = 716
	errorUnknown           cu.Result = 999
)

// results are the names and texts of cuda.h.
var results = map[cu.Result]struct{ name, text string }{
	cu.Success:                       {"CUDA_SUCCESS", "no error"},
	cu.ErrorInvalidValue:             {"CUDA_ERROR_INVALID_VALUE", "invalid argument"},
	cu.ErrorOutOfMemory:              {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
	cu.ErrorNotInitialized:           {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
	errorDeinitialized:               {"CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
	cu.ErrorNoDevice:                 {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
	cu.ErrorInvalidDevice:            {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
	errorInvalidImage:                {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
	cu.ErrorInvalidContext:           {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
	errorNoBinaryForGPU:              {"CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
	cu.ErrorPeerAccessUnsupported:    {"CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", "peer access is not supported between these two devices"},
	cu.ErrorInvalidHandle:            {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
	cu.ErrorIllegalState:             {"CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
	cu.ErrorNotFound:                 {"CUDA_ERROR_NOT_FOUND", "named symbol not found"},
	cu.ErrorNotReady:                 {"CUDA_ERROR_NOT_READY", "device not ready"},
	cu.ErrorIllegalAddress:           {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
	cu.ErrorPeerAccessAlreadyEnabled: {"CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access is already enabled"},
	cu.ErrorPeerAccessNotEnabled:     {"CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "peer access has not been enabled"},
	cu.ErrorContextIsDestroyed:       {"CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
	errorTooManyPeers:                {"CUDA_ERROR_TOO_MANY_PEERS", "peer mapping resources exhausted"},
	errorMisalignedAddress:           {"CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
	cu.ErrorLaunchFailed:             {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
	cu.ErrorNotSupported:             {"CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
	cu.ErrorStreamCaptureUnsupported: {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
	cu.ErrorStreamCaptureInvalidated: {"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
	cu.ErrorStreamCaptureMerge:       {"CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
	cu.ErrorStreamCaptureIsolation:   {"CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
	cu.ErrorStreamCaptureImplicit:    {"CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
	cu.ErrorCapturedEvent:            {"CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
	cu.ErrorStreamCaptureWrongThread: {"CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
	errorUnknown:                     {"CUDA_ERROR_UNKNOWN", "unknown error"},
}

// text returns s for C, to which nothing of the program's reaches.
func text(s string) *byte {
	p, err := cstring.New("", strings.ReplaceAll(s, "\x00", ""))
	if err != nil {
		panic(err) // there is no zero byte left
	}
	return p
}

func (m *Machine) getErrorName(r cu.Result, name **byte) cu.Result {
	t, ok := results[r]
	if !ok || name == nil {
		return cu.ErrorInvalidValue
	}
	*name = text(t.name)
	return cu.Success
}

// getErrorString also says what the last such error was about, which the real
// one does not.
func (m *Machine) getErrorString(r cu.Result, s **byte) cu.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := results[r]
	if !ok || s == nil {
		return cu.ErrorInvalidValue
	}
	if detail := cmp.Or(m.hints[r], m.failures[r]); detail != "" {
		t.text += " (" + detail + ")"
	}
	delete(m.hints, r)
	*s = text(t.text)
	return cu.Success
}

// Versions of the simulated libraries.
const (
	driverVersion, oldDriverVersion = 12040, 11080
	computeMajor, computeMinor      = 9, 0
	multiprocessors                 = 4
)

func (m *Machine) isOld(library string) bool { return m.options.Faults.OldVersion == library }

func (m *Machine) driverGetVersion(version *int32) cu.Result {
	if version == nil {
		return cu.ErrorInvalidValue
	}
	*version = driverVersion
	if m.isOld(nameDriver) {
		*version = oldDriverVersion
	}
	return cu.Success
}

func (m *Machine) init(flags uint32) cu.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case flags != 0:
		return cu.ErrorInvalidValue
	case m.closed:
		return errorDeinitialized
	case len(m.gpus) == 0:
		return cu.ErrorNoDevice
	}
	m.started = true
	return cu.Success
}

// on calls f if the driver has been started.
func (m *Machine) on(f func() cu.Result) cu.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errorDeinitialized
	case !m.started:
		return cu.ErrorNotInitialized
	}
	return f()
}

// device calls f with a GPU.
func (m *Machine) device(d cu.Device, f func(g *gpu) cu.Result) cu.Result {
	return m.on(func() cu.Result {
		if d < 0 || int(d) >= len(m.gpus) {
			return cu.ErrorInvalidDevice
		}
		return f(m.gpus[d])
	})
}

func (m *Machine) deviceGetCount(count *int32) cu.Result {
	return m.on(func() cu.Result { return give(count, int32(len(m.gpus))) })
}

// give stores a result.
func give[T any](to *T, v T) cu.Result {
	if to == nil {
		return cu.ErrorInvalidValue
	}
	*to = v
	return cu.Success
}

func (m *Machine) deviceGet(device *cu.Device, ordinal int32) cu.Result {
	return m.device(cu.Device(ordinal), func(*gpu) cu.Result { return give(device, cu.Device(ordinal)) })
}

func (m *Machine) deviceGetName(name *byte, length int32, d cu.Device) cu.Result {
	return m.device(d, func(g *gpu) cu.Result { return giveText(name, length, "Simulated GPU") })
}

func (m *Machine) deviceGetPCIBusID(id *byte, length int32, d cu.Device) cu.Result {
	return m.device(d, func(g *gpu) cu.Result { return giveText(id, length, fmt.Sprintf("0000:%02x:00.0", g.ordinal+1)) })
}

// giveText stores a text in a buffer, as much as fits.
func giveText(to *byte, length int32, s string) cu.Result {
	if to == nil || length < 1 {
		return cu.ErrorInvalidValue
	}
	buf := unsafe.Slice(to, length)
	buf[copy(buf[:length-1], s)] = 0
	return cu.Success
}

func (m *Machine) deviceTotalMem(bytes *uintptr, d cu.Device) cu.Result {
	return m.device(d, func(*gpu) cu.Result { return give(bytes, uintptr(m.options.Memory)) })
}

func (m *Machine) deviceGetAttribute(value *int32, a cu.DeviceAttribute, d cu.Device) cu.Result {
	return m.device(d, func(*gpu) cu.Result {
		switch a {
		case cu.MultiprocessorCount:
			return give(value, multiprocessors)
		case cu.ComputeCapabilityMajor:
			return give(value, computeMajor)
		case cu.ComputeCapabilityMinor:
			return give(value, computeMinor)
		}
		return cu.ErrorInvalidValue
	})
}

func (m *Machine) deviceCanAccessPeer(can *int32, d, peer cu.Device) cu.Result {
	return m.device(d, func(g *gpu) cu.Result {
		if peer < 0 || int(peer) >= len(m.gpus) {
			return cu.ErrorInvalidDevice
		}
		if d == peer || m.options.NoPeerAccess {
			return give(can, 0)
		}
		return give(can, 1)
	})
}
