package nvrtc

import (
	"errors"
	"fmt"
	"unsafe"

	"alexnet/dnn/cuda/internal/cstring"
)

// Compile compiles a program of CUDA C++ for the GPU that an option names
// (-arch=sm_90) and returns what cuModuleLoadData takes. name is what the
// compiler's messages call the source. If the compiler refuses the program, the
// error is a [CompileError].
func (l *Library) Compile(source, name string, options ...string) (cubin []byte, err error) {
	src, err := cstring.New("the source of "+name, source)
	if err != nil {
		return nil, err
	}
	file, err := cstring.New("the name of a program", name)
	if err != nil {
		return nil, err
	}
	args := make([]*byte, len(options))
	for i, o := range options {
		if args[i], err = cstring.New("an option for "+name, o); err != nil {
			return nil, err
		}
	}
	var p RawProgram
	if err := l.check(l.f.CreateProgram(&p, src, file, 0, nil, nil), "nvrtcCreateProgram(%s)", name); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, l.check(l.f.DestroyProgram(&p), "nvrtcDestroyProgram(%s)", name))
	}()
	if r := l.f.CompileProgram(p, int32(len(args)), unsafe.SliceData(args)); r != Success {
		log, err := l.log(p, name)
		return nil, errors.Join(&CompileError{Name: name, Result: r, Text: l.text(r), Log: log}, err)
	}
	var bytes uintptr
	if err := l.check(l.f.GetCUBINSize(p, &bytes), "nvrtcGetCUBINSize(%s)", name); err != nil {
		return nil, err
	}
	if bytes == 0 {
		return nil, fmt.Errorf("%s was not compiled for a GPU: an option -arch=sm_NN must name one; the options are %q", name, options)
	}
	cubin = make([]byte, bytes)
	if err := l.check(l.f.GetCUBIN(p, &cubin[0]), "nvrtcGetCUBIN(%s)", name); err != nil {
		return nil, err
	}
	return cubin, nil
}

// log returns what the compiler said.
func (l *Library) log(p RawProgram, name string) (string, error) {
	var bytes uintptr // with the zero at the end
	if err := l.check(l.f.GetProgramLogSize(p, &bytes), "nvrtcGetProgramLogSize(%s)", name); err != nil {
		return "", err
	}
	log := make([]byte, bytes+1)
	if err := l.check(l.f.GetProgramLog(p, &log[0]), "nvrtcGetProgramLog(%s)", name); err != nil {
		return "", err
	}
	return cstring.Copy(&log[0]), nil
}
