package sim

import (
	"errors"
	"fmt"

	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/nvrtc"
)

// Libraries opens the machine's libraries, as cuda.Open does those of a real
// one.
func (m *Machine) Libraries() (*cuda.Libraries, error) {
	var l cuda.Libraries
	var errs [4]error
	l.Driver, errs[0] = open(m, nameDriver, m.Driver(), cu.New)
	l.CuDNN, errs[1] = open(m, nameCuDNN, m.CuDNN(), cudnn.New)
	l.CuBLASLt, errs[2] = open(m, nameCuBLASLt, m.CuBLASLt(), cublaslt.New)
	l.NVRTC, errs[3] = open(m, nameNVRTC, m.NVRTC(), nvrtc.New)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return &l, nil
}

func open[F, L any](m *Machine, name string, f *F, open func(*F, string) (*L, error)) (*L, error) {
	path := name + ".so of the simulated machine"
	if m.options.Faults.Missing == name {
		return nil, fmt.Errorf("%s: it was not found", path)
	}
	return open(f, path)
}
