package nvrtc

import "alexnet/internal/native"

// RawProgram is nvrtcProgram.
type RawProgram uintptr

// Result is nvrtcResult.
type Result int32

// Results that programs look at.
const (
	Success           Result = 0 // NVRTC_SUCCESS
	ErrorOutOfMemory  Result = 1 // NVRTC_ERROR_OUT_OF_MEMORY
	ErrorInvalidInput Result = 3 // NVRTC_ERROR_INVALID_INPUT
	ErrorCompilation  Result = 6 // NVRTC_ERROR_COMPILATION
)

// Functions are NVRTC's functions, as far as this package has them. [Open] makes
// them call libnvrtc; others may put functions of their own in their place.
type Functions struct {
	GetErrorString    func(r Result) *byte
	Version           func(major, minor *int32) Result
	CreateProgram     func(p *RawProgram, source, name *byte, count int32, headers, names **byte) Result
	DestroyProgram    func(p *RawProgram) Result
	CompileProgram    func(p RawProgram, count int32, options **byte) Result
	GetProgramLogSize func(p RawProgram, bytes *uintptr) Result
	GetProgramLog     func(p RawProgram, log *byte) Result
	GetCUBINSize      func(p RawProgram, bytes *uintptr) Result
	GetCUBIN          func(p RawProgram, cubin *byte) Result
}

// Bindings pairs each function with its prototype in nvrtc.h.
func (f *Functions) Bindings() []native.Binding {
	return []native.Binding{
		native.Func1(&f.GetErrorString, "const char *nvrtcGetErrorString(nvrtcResult result)"),
		native.Func2(&f.Version, "nvrtcResult nvrtcVersion(int *major, int *minor)"),
		native.Func6(&f.CreateProgram, "nvrtcResult nvrtcCreateProgram(nvrtcProgram *prog, const char *src, const char *name, int numHeaders, const char * const *headers, const char * const *includeNames)"),
		native.Func1(&f.DestroyProgram, "nvrtcResult nvrtcDestroyProgram(nvrtcProgram *prog)"),
		native.Func3(&f.CompileProgram, "nvrtcResult nvrtcCompileProgram(nvrtcProgram prog, int numOptions, const char * const *options)"),
		native.Func2(&f.GetProgramLogSize, "nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram prog, size_t *logSizeRet)"),
		native.Func2(&f.GetProgramLog, "nvrtcResult nvrtcGetProgramLog(nvrtcProgram prog, char *log)"),
		native.Func2(&f.GetCUBINSize, "nvrtcResult nvrtcGetCUBINSize(nvrtcProgram prog, size_t *cubinSizeRet)"),
		native.Func2(&f.GetCUBIN, "nvrtcResult nvrtcGetCUBIN(nvrtcProgram prog, char *cubin)"),
	}
}
