package cu

// StreamFlags are CUstream_flags.
type StreamFlags uint32

// EventFlags are CUevent_flags.
type EventFlags uint32

// The flags.
const (
	StreamNonBlocking  StreamFlags = 1 // CU_STREAM_NON_BLOCKING: not ordered with the default stream
	EventDefault       EventFlags  = 0 // CU_EVENT_DEFAULT: keeps the time
	EventBlockingSync  EventFlags  = 1 // CU_EVENT_BLOCKING_SYNC: who waits for it leaves the core to others
	EventDisableTiming EventFlags  = 2 // CU_EVENT_DISABLE_TIMING

	hostAllocPortable = 1 // CU_MEMHOSTALLOC_PORTABLE: pinned for every context
)

// CaptureMode is CUstreamCaptureMode: whose calls of functions that a graph could
// not repeat, such as cuMemAlloc, are refused while a stream captures, and make
// the capture fail.
type CaptureMode uint32

// The modes.
const (
	CaptureGlobal      CaptureMode = 0 // CU_STREAM_CAPTURE_MODE_GLOBAL: every thread's
	CaptureThreadLocal CaptureMode = 1 // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: those of the thread that captures
	CaptureRelaxed     CaptureMode = 2 // CU_STREAM_CAPTURE_MODE_RELAXED: no one's
)

// DeviceAttribute is CUdevice_attribute.
type DeviceAttribute int32

// Attributes of a device.
const (
	MultiprocessorCount    DeviceAttribute = 16 // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
	ComputeCapabilityMajor DeviceAttribute = 75 // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
	ComputeCapabilityMinor DeviceAttribute = 76 // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
)

// Results that programs look at.
const (
	Success                       Result = 0
	ErrorInvalidValue             Result = 1
	ErrorOutOfMemory              Result = 2
	ErrorNotInitialized           Result = 3
	ErrorDeviceUnavailable        Result = 46
	ErrorNoDevice                 Result = 100
	ErrorInvalidDevice            Result = 101
	ErrorInvalidContext           Result = 201
	ErrorECCUncorrectable         Result = 214
	ErrorPeerAccessUnsupported    Result = 217
	ErrorInvalidHandle            Result = 400
	ErrorIllegalState             Result = 401
	ErrorNotFound                 Result = 500
	ErrorNotReady                 Result = 600
	ErrorIllegalAddress           Result = 700
	ErrorPeerAccessAlreadyEnabled Result = 704
	ErrorPeerAccessNotEnabled     Result = 705
	ErrorContextIsDestroyed       Result = 709
	ErrorLaunchFailed             Result = 719
	ErrorNotSupported             Result = 801
	ErrorStreamCaptureUnsupported Result = 900
	ErrorStreamCaptureInvalidated Result = 901
	ErrorStreamCaptureMerge       Result = 902
	ErrorStreamCaptureIsolation   Result = 905
	ErrorStreamCaptureImplicit    Result = 906
	ErrorCapturedEvent            Result = 907
	ErrorStreamCaptureWrongThread Result = 908
	ErrorUnknown                  Result = 999
)
