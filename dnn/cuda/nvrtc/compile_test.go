package nvrtc

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/dnn/cuda/internal/fake"
	"alexnet/internal/native"
)

// fakeLibrary returns NVRTC 12.4 of a fake machine, which makes of every source
// the cubin "code".
func fakeLibrary(t *testing.T) (*fake.Machine, *Library) {
	t.Helper()
	m, f := fake.New(t), new(Functions)
	m.Fill(t, f.Bindings())
	m.Hooks["nvrtcVersion"] = func(args []reflect.Value) { args[0].Elem().SetInt(12); args[1].Elem().SetInt(4) }
	result := func(size, get, text string) {
		m.Hooks[size] = func(args []reflect.Value) { args[1].Elem().SetUint(uint64(len(text))) }
		m.Hooks[get] = func(args []reflect.Value) {
			copy(unsafe.Slice((*byte)(args[1].UnsafePointer()), len(text)), text)
		}
	}
	result("nvrtcGetCUBINSize", "nvrtcGetCUBIN", "code")
	result("nvrtcGetProgramLogSize", "nvrtcGetProgramLog", "x.cu(1): error\n\x00")
	l, err := New(f, "/lib/libnvrtc.so.12")
	if err != nil {
		t.Fatal(err)
	}
	if major, minor := l.Version(); major != 12 || minor != 4 || l.Path() != "/lib/libnvrtc.so.12" {
		t.Errorf("version %d.%d of %s", major, minor, l.Path())
	}
	m.Calls = nil
	return m, l
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		major, minor int32
		result       Result
		err          string
	}{
		{12, 0, Success, ""},
		{13, 1, Success, ""},
		{11, 8, Success, "/lib/libnvrtc.so is NVRTC 11.8, but version 12 or newer is needed"},
		{12, 0, ErrorInvalidInput, "/lib/libnvrtc.so: nvrtcVersion: "},
	} {
		_, err := New(&Functions{
			Version:        func(major, minor *int32) Result { *major, *minor = c.major, c.minor; return c.result },
			GetErrorString: func(Result) *byte { return nil },
		}, "/lib/libnvrtc.so")
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestCompile(t *testing.T) {
	m, l := fakeLibrary(t)
	var source, name string
	var options []string
	m.Hooks["nvrtcCreateProgram"] = func(args []reflect.Value) {
		source, name = cstring.Copy(args[1].Interface().(*byte)), cstring.Copy(args[2].Interface().(*byte))
	}
	m.Hooks["nvrtcCompileProgram"] = func(args []reflect.Value) {
		options = nil
		for _, p := range unsafe.Slice(args[2].Interface().(**byte), args[1].Int()) {
			options = append(options, cstring.Copy(p))
		}
	}
	cubin, err := l.Compile("void f() {}", "x.cu", "-arch=sm_90", "-std=c++17")
	if err != nil || string(cubin) != "code" || source != "void f() {}" || name != "x.cu" || !slices.Equal(options, []string{"-arch=sm_90", "-std=c++17"}) {
		t.Errorf("%q of %q as %q with %q, error %v", cubin, source, name, options, err)
	}
	want := []string{
		"nvrtcCreateProgram(prog, src, name, numHeaders 0, headers, includeNames)",
		"nvrtcCompileProgram(prog 1, numOptions 2, options)",
		"nvrtcGetCUBINSize(prog 1, cubinSizeRet)",
		"nvrtcGetCUBIN(prog 1, cubin)",
		"nvrtcDestroyProgram(prog)",
	}
	if !slices.Equal(m.Calls, want) {
		t.Errorf("calls %q, want %q", m.Calls, want)
	}

	for _, bad := range [][]string{{"a\x00b", "x.cu"}, {"a", "x\x00"}, {"a", "x.cu", "-a", "\x00"}} {
		m.Calls = nil
		if _, err := l.Compile(bad[0], bad[1], bad[2:]...); err == nil || len(m.Calls) > 0 {
			t.Errorf("a zero byte in %q: calls %q, error %v", bad, m.Calls, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, function := range []string{"nvrtcCreateProgram", "nvrtcCompileProgram", "nvrtcGetCUBINSize", "nvrtcGetCUBIN", "nvrtcDestroyProgram"} {
		m, l := fakeLibrary(t)
		m.Texts["nvrtcGetErrorString"] = "NVRTC_ERROR_OUT_OF_MEMORY"
		m.Fail[function] = int32(ErrorOutOfMemory)
		cubin, err := l.Compile("x", "x.cu")
		if !errors.Is(err, ErrorOutOfMemory) || errors.Is(err, ErrorCompilation) || !strings.HasPrefix(err.Error(), function+"(x.cu): NVRTC_ERROR_OUT_OF_MEMORY (1)") {
			t.Errorf("%s fails: %v", function, err)
		}
		if cubin != nil && function != "nvrtcDestroyProgram" {
			t.Errorf("%s fails: %q", function, cubin)
		}
		if destroyed := slices.Contains(m.Calls, "nvrtcDestroyProgram(prog)"); destroyed == (function == "nvrtcCreateProgram") {
			t.Errorf("%s fails: calls %q", function, m.Calls)
		}
	}

	m, l := fakeLibrary(t)
	m.Fail["nvrtcCompileProgram"] = int32(ErrorCompilation)
	m.Texts["nvrtcGetErrorString"] = "NVRTC_ERROR_COMPILATION"
	_, err := l.Compile("x", "x.cu")
	var e *CompileError
	if !errors.As(err, &e) || e.Name != "x.cu" || e.Log != "x.cu(1): error\n" || e.Result != ErrorCompilation ||
		err.Error() != "nvrtcCompileProgram(x.cu): NVRTC_ERROR_COMPILATION (6):\nx.cu(1): error" {
		t.Errorf("program that does not compile: %+v, %v", e, err)
	}
	m.Fail["nvrtcGetProgramLog"] = int32(ErrorInvalidInput)
	if _, err = l.Compile("x", "x.cu"); !errors.Is(err, ErrorCompilation) || !errors.Is(err, ErrorInvalidInput) {
		t.Errorf("program that does not compile, without a log: %v", err)
	}

	m, l = fakeLibrary(t)
	m.Hooks["nvrtcGetCUBINSize"] = nil
	if _, err := l.Compile("x", "x.cu", "-arch=compute_90"); err == nil || !strings.Contains(err.Error(), "-arch=sm_NN") {
		t.Errorf("program for no GPU: %v", err)
	}
}

// NVRTC compiles without a GPU, so that the calls can be tried where it is
// installed. Here its version does not matter.
func TestWithTheLibrary(t *testing.T) {
	l := installed(t)
	major, minor := l.Version()
	t.Logf("NVRTC %d.%d, %s", major, minor, l.Path())
	const source = `extern "C" __global__ void twice(float *x, int n) {
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < n) x[i] *= SCALE;
}`
	cubin, err := l.Compile(source, "twice.cu", "-arch=sm_80", "-DSCALE=2")
	if err != nil {
		t.Fatal(err)
	}
	// An ELF file for CUDA, whose version is not ELF's: package debug/elf will not
	// read it.
	const machineCUDA = 190
	if len(cubin) < 64 || string(cubin[:4]) != elf.ELFMAG || binary.LittleEndian.Uint16(cubin[18:]) != machineCUDA || !bytes.Contains(cubin, []byte("\x00twice\x00")) {
		t.Errorf("%d bytes that are no code for a GPU with a kernel: %.64q", len(cubin), cubin)
	}

	_, err = l.Compile(source, "twice.cu", "-arch=sm_80")
	var e *CompileError
	if !errors.As(err, &e) || !errors.Is(err, ErrorCompilation) || !strings.Contains(e.Log, `twice.cu(3): error: identifier "SCALE" is undefined`) || e.Text != "NVRTC_ERROR_COMPILATION" {
		t.Errorf("program that does not compile: %v", err)
	}
	if _, err := l.Compile(source, "twice.cu", "-no-such-option"); !errors.As(err, &e) || e.Text != "NVRTC_ERROR_INVALID_OPTION" {
		t.Errorf("unknown option: %v", err)
	}
	if _, err := l.Compile(source, "twice.cu", "-arch=compute_80", "-DSCALE=2"); err == nil || !strings.Contains(err.Error(), "-arch=sm_NN") {
		t.Errorf("program for no GPU: %v", err)
	}
}

func installed(t *testing.T) *Library {
	t.Helper()
	if l, err := Open(); err == nil {
		return l
	}
	paths, err := filepath.Glob("/usr/lib/*-linux-gnu/libnvrtc.so.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		lib, err := native.Open([]string{path}, nil)
		if err != nil {
			continue
		}
		var f Functions
		if err := lib.Bind(f.Bindings()); err != nil {
			continue
		}
		l, err := library(&f, lib.Path)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	t.Skip("libnvrtc is not installed")
	return nil
}
