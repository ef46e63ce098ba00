package sim

import (
	"errors"
	"strings"
	"testing"

	"alexnet/dnn/cuda/kernels"
	"alexnet/dnn/cuda/nvrtc"
)

func TestCompile(t *testing.T) {
	l := newLab(t, Options{})
	rtc := l.libs.NVRTC
	const source = `// "not" a /* comment
#line 1 "one.cu"
__device__ inline float twice(float x) { return 2 * x; /* } */ }
extern "C" __global__ void scale(const float *x, float *y) { y[0] = ')'; const char *s = "(\""; }
extern "C" __global__ __launch_bounds__(256)
void slab(int n) {}
__global__ void mangled(int n) {}
// extern "C" __global__ void commented(int n) {}
`
	cubin, err := rtc.Compile(source, "all.cu", "--gpu-architecture=sm_90", "--std=c++17", "-DX=1", "-I/usr", "--fmad=false", "-default-device")
	check(t, err)
	code := own(l, l.ctx.LoadData)(cubin)
	for name, want := range map[string]bool{"scale": true, "slab": true, "mangled": false, "commented": false, "twice": false} {
		if _, err := code.Function(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, test := range map[string]struct {
		source  string
		options []string
		result  nvrtc.Result
		log     string
	}{
		"an error":                {"#line 5 \"two.cu\"\n#  error out of ideas", nil, nvrtc.ErrorCompilation, "two.cu(5): error: #error directive: out of ideas"},
		"a bracket too few":       {"void f() {\n\n(", nil, nvrtc.ErrorCompilation, "x.cu(3): error"},
		"a bracket too many":      {"\nvoid f() { ] }", nil, nvrtc.ErrorCompilation, "x.cu(2): error"},
		"a header not there":      {"#include <cuda_bf16.h>", nil, nvrtc.ErrorCompilation, `"cuda_bf16.h"`},
		"an unknown option":       {"", []string{"--fast"}, nvrtcInvalidOption, "unrecognized option --fast"},
		"a value not there":       {"", []string{"--std"}, nvrtcInvalidOption, "--std"},
		"an unknown GPU":          {"", []string{"-arch=sm_777"}, nvrtcInvalidOption, "--gpu-architecture"},
		"a language not there":    {"", []string{"-std=c++99"}, nvrtcInvalidOption, "--std"},
		"a value where none goes": {"", []string{"-G=yes"}, nvrtcInvalidOption, "-G=yes"},
	} {
		_, err := rtc.Compile(test.source, "x.cu", test.options...)
		var e *nvrtc.CompileError
		if !errors.As(err, &e) || e.Result != test.result || !strings.Contains(e.Log, test.log) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := rtc.Compile(source, "x.cu", "-arch=compute_90"); err == nil {
		t.Error("code for no GPU is a cubin")
	}
	other, err := rtc.Compile(source, "x.cu", "-arch=sm_80")
	check(t, err)
	if m, err := l.ctx.LoadData(other); err == nil {
		t.Error("code for another GPU is loaded")
		m.Close()
	}

	// The program's own kernels, and headers that are given.
	all := own(l, func(dir string) (*kernels.Module, error) { return kernels.Load(l.ctx, rtc, dir) })(t.TempDir())
	for _, name := range kernels.Names() {
		a, err := kernels.New(name)
		check(t, err)
		if _, err := all.Prepare(a); err != nil {
			t.Error(err)
		}
	}
	f := l.machine.NVRTC()
	var p nvrtc.RawProgram
	header, name := text("int x;"), text("x.h")
	if r := f.CreateProgram(&p, text(`#include "x.h"`), nil, 1, &header, &name); r != nvrtc.Success {
		t.Fatal(r)
	}
	if r := f.CompileProgram(p, 0, nil); r != nvrtc.Success {
		t.Errorf("a header that is there: %v", r)
	}
	q := p
	f.DestroyProgram(&p)
	if f.CompileProgram(q, 0, nil) != nvrtcInvalidProgram || f.DestroyProgram(&q) != nvrtcInvalidProgram || f.GetProgramLogSize(q, new(uintptr)) != nvrtcInvalidProgram {
		t.Error("a program goes on after its end")
	}
}
