package cuda_test

import (
	"testing"

	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/nvrtc"
	"alexnet/dnn/cuda/sim"
)

// each runs a test on simulated GPUs and, where there are enough, on real ones.
func each(t *testing.T, name string, gpus int, test func(*testing.T, *cuda.Libraries)) {
	t.Helper()
	t.Run(name+" sim", func(t *testing.T) {
		test(t, simulated(t, sim.Options{GPUs: gpus, Seed: 1}))
	})
	t.Run(name+" gpu", func(t *testing.T) { test(t, real(t, gpus)) })
}

// simulated returns the libraries of simulated GPUs. At the end of the test
// nothing of them may be left.
func simulated(t testing.TB, o sim.Options) *cuda.Libraries {
	t.Helper()
	m, err := sim.New(o)
	check(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	l, err := m.Libraries()
	check(t, err)
	return l
}

// tables are the function tables of simulated GPUs, of which a test may change some.
type tables struct {
	driver *cu.Functions
	dnn    *cudnn.Functions
	blas   *cublaslt.Functions
}

// tabled returns the libraries that changed tables make.
func tabled(t testing.TB, m *sim.Machine, change func(f *tables)) *cuda.Libraries {
	t.Helper()
	f := &tables{m.Driver(), m.CuDNN(), m.CuBLASLt()}
	change(f)
	var l cuda.Libraries
	var err error
	l.Driver, err = cu.New(f.driver, "sim")
	check(t, err)
	l.CuDNN, err = cudnn.New(f.dnn, "sim")
	check(t, err)
	l.CuBLASLt, err = cublaslt.New(f.blas, "sim")
	check(t, err)
	l.NVRTC, err = nvrtc.New(m.NVRTC(), "sim")
	check(t, err)
	return &l
}

// real returns the libraries of this machine, if it has as many GPUs.
func real(t testing.TB, gpus int) *cuda.Libraries {
	t.Helper()
	l, err := cuda.Open()
	if err != nil {
		t.Skipf("needs a GPU and its libraries: %.200v", err)
	}
	if n, err := l.Driver.NumDevices(); err != nil || n < gpus {
		t.Skipf("needs %d GPUs: there are %d (%v)", gpus, n, err)
	}
	return l
}
