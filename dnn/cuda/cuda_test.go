package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/libraries"
	"alexnet/dnn/cuda/nvrtc"
	"alexnet/internal/native"
	"alexnet/internal/native/nativetest"
	"alexnet/internal/testenv"
)

func TestCuDNNSuits(t *testing.T) {
	const both = "libcublasLt.so.12 libcublasLt.so.13"
	for _, c := range []struct {
		driver, built, lt int    // CUDA's version: the driver's, cuDNN's, cuBLASLt's
		open              string // what the loader has
		want              []string
	}{
		{12040, 12090, 120501, "libcublasLt.so.12", nil},
		{13000, 13000, 130001, "libcublasLt.so.13", nil},
		{13000, 12090, 130001, both, nil},
		{13000, 13000, 120501, both, nil},
		{12040, 13000, 120501, both, []string{"/lib/libcudnn.so.9 is cuDNN 9.1.2 for CUDA 13.0", "driver can serve CUDA 12.4 at most", "pip install nvidia-cudnn-cu12)", "update the NVIDIA driver"}},
		{13000, 12090, 130001, "libcublasLt.so.13", []string{"/lib/libcudnn.so.9 is cuDNN 9.1.2 for CUDA 12.9", "needs libcublasLt.so.12,", "/lib/libcublasLt.so is cuBLASLt 13.0.1",
			"pip install nvidia-cublas-cu12)", "pip install nvidia-cudnn-cu13)", "no libcublasLt.so.12"}},
		{13000, 13000, 120501, "libcublasLt.so.12", []string{"for CUDA 13.0", "needs libcublasLt.so.13,", "cuBLASLt 12.5.1", "pip install nvidia-cublas)", "pip install nvidia-cudnn-cu12)"}},
	} {
		driver, err := cu.New(&cu.Functions{
			DriverGetVersion: func(v *int32) cu.Result { *v = int32(c.driver); return cu.Success },
			Init:             func(uint32) cu.Result { return cu.Success },
		}, "/lib/libcuda.so.1")
		if err != nil {
			t.Fatal(err)
		}
		dnn, err := cudnn.New(&cudnn.Functions{
			GetVersion:       func() uintptr { return 90102 },
			GetCudartVersion: func() uintptr { return uintptr(c.built) },
		}, "/lib/libcudnn.so.9")
		if err != nil {
			t.Fatal(err)
		}
		lt, err := cublaslt.New(&cublaslt.Functions{GetVersion: func() uintptr { return uintptr(c.lt) }}, "/lib/libcublasLt.so")
		if err != nil {
			t.Fatal(err)
		}
		l := &Libraries{Driver: driver, CuDNN: dnn, CuBLASLt: lt}
		err = l.suitCuDNN(func(soname string) error {
			if slices.Contains(strings.Fields(c.open), soname) {
				return nil
			}
			return errors.New("no " + soname)
		})
		if (err != nil) != (c.want != nil) {
			t.Errorf("%+v: error is %v", c, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error does not say %q:\n%v", c, want, err)
			}
		}
	}
}

// TestOpen opens libraries that have all functions, and do nothing but say their
// versions. cuDNN's is one for CUDA 7, whose cuBLASLt no machine has: there was
// none.
func TestOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs linux: NVIDIA's libraries are opened nowhere else")
	}
	dir := os.Getenv(libraries.Variable)
	if os.Getenv("ALEXNET_TEST_LIBRARIES") == "" {
		dir = t.TempDir()
		versions := map[string]string{
			"cuDriverGetVersion":    "int cuDriverGetVersion(int *v) { *v = 12040; return 0; }",
			"cudnnGetVersion":       "long cudnnGetVersion(void) { return 90102; }",
			"cudnnGetCudartVersion": "long cudnnGetCudartVersion(void) { return 7050; }",
			"cublasLtGetVersion":    "long cublasLtGetVersion(void) { return 120501; }",
			"nvrtcVersion":          "int nvrtcVersion(int *major, int *minor) { *major = 12; *minor = 4; return 0; }",
		}
		for file, functions := range map[string][]native.Binding{
			"libcuda.so.1":           new(cu.Functions).Bindings(),
			"libcudnn.so.9":          new(cudnn.Functions).Bindings(),
			"libcublasLt.so.12":      new(cublaslt.Functions).Bindings(),
			"libnvrtc.so.12":         new(nvrtc.Functions).Bindings(),
			"other/libcublasLt.so.7": nil,
			"libcublasLt.so.13":      nil, // newer than the driver: not opened
			"libnvrtc.so.13":         nil,
		} {
			var source strings.Builder
			for _, f := range functions {
				if v := versions[f.Name()]; v != "" {
					fmt.Fprintln(&source, v)
				} else {
					fmt.Fprintf(&source, "int %s(void) { return 0; }\n", f.Name())
				}
			}
			nativetest.Build(t, filepath.Join(dir, file), source.String())
		}
		t.Setenv(libraries.Variable, dir)
		t.Setenv("ALEXNET_TEST_LIBRARIES", dir)
	}
	if !testenv.InOwnProcess(t) { // where no other libraries are open
		return
	}
	_, err := Open()
	if err == nil || !strings.Contains(err.Error(), "cuDNN 9.1.2 for CUDA 7.5 and needs libcublasLt.so.7,") {
		t.Fatalf("error is %v, want one that names libcublasLt.so.7", err)
	}
	var tried *native.OpenError
	if !errors.As(err, &tried) {
		t.Errorf("error %v does not have the loader's", err)
	}
	// What is open already is found by its name.
	if _, err := native.Open([]string{filepath.Join(dir, "other/libcublasLt.so.7")}, nil); err != nil {
		t.Fatal(err)
	}
	l, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{l.Driver.Path(): "libcuda.so.1", l.CuDNN.Path(): "libcudnn.so.9", l.CuBLASLt.Path(): "libcublasLt.so.12", l.NVRTC.Path(): "libnvrtc.so.12"} {
		if got != filepath.Join(dir, want) {
			t.Errorf("opened %s, want %s of %s", got, want, dir)
		}
	}
	if v, major := l.Driver.Version(), l.Driver.CUDAMajor(); v != "12.4" || major != 12 {
		t.Errorf("the driver's CUDA is %s, major %d", v, major)
	}
}
