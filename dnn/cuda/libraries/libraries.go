// Package libraries finds and opens NVIDIA's libraries where they usually are: a
// folder that the user names, what the system's loader knows, and the folders of
// the CUDA toolkit, conda and pip.
//
// cuDNN is many files of one version: where one of its errors has SUBLIBRARY in it,
// some are missing or were found in another cuDNN, and setting ALEXNET_CUDA_PATH to
// the folder of one complete cuDNN helps.
package libraries

import (
	"fmt"
	"os"
	"sync"

	"alexnet/internal/native"
)

// Kind is one of NVIDIA's libraries.
type Kind int

// The libraries.
const (
	Driver   Kind = iota // libcuda, which comes with the GPU's driver
	CuDNN                // libcudnn 9
	CuBLASLt             // libcublasLt of CUDA 12 and 13
	NVRTC                // libnvrtc of CUDA 12 and 13
)

// String returns the library's usual name.
func (k Kind) String() string {
	if l := k.library(); l != nil {
		return l.name
	}
	return fmt.Sprintf("library %d", int(k))
}

// Open opens a library and those that it will ask the loader for. The error is a
// [NotFoundError] if there is none that can be opened. Which version it is, is
// not looked at beyond the file's name. Looked at are, in this order,
//
//   - the folders of ALEXNET_CUDA_PATH, separated by colons, and the folders for
//     libraries below them, which toolkits, tarballs and pip make;
//   - the system's loader: LD_LIBRARY_PATH and the cache of ldconfig;
//   - CUDA toolkits: CUDA_HOME, CUDA_PATH, /usr/local/cuda, the newest of
//     /usr/local/cuda-*, /opt/cuda;
//   - folders of the system, which drivers are installed or mounted in;
//   - CONDA_PREFIX;
//   - pip's packages, and what PyTorch brings: in VIRTUAL_ENV, where the python3 on
//     PATH is, CONDA_PREFIX, ~/.local, /usr/local, /usr,
//     /opt/*, /opt/*/.venv and pyenv's versions, for the newest Python first.
//
// Libraries of a CUDA with a newer major version than the driver can serve are passed
// over. The driver is asked once; where there is none, all will do.
//
// A driver is part of the system, and not looked for in the last two or in toolkits,
// which have a libcuda that does nothing, for linkers.
func Open(k Kind) (*native.Library, error) {
	l := k.library()
	if l == nil {
		return nil, fmt.Errorf("libraries: there is no %v", k)
	}
	s := search{env: os.Getenv}
	if k != Driver {
		s.newest = driverCUDA()
	}
	return s.open(l)
}

// driverCUDA returns the newest major version of CUDA that the driver can serve, or
// 0 if there is no driver that says so. Package cu has the same function, but it
// gets its library here.
var driverCUDA = sync.OnceValue(func() int {
	l, err := search{env: os.Getenv}.open(driver)
	if err != nil {
		return 0
	}
	var get func(version *int32) int32
	if err := l.Bind([]native.Binding{native.Func1(&get, "CUresult cuDriverGetVersion(int *driverVersion)")}); err != nil {
		return 0
	}
	var version int32 // 12040 for 12.4
	if get(&version) != 0 {
		return 0
	}
	return int(version) / 1000
})

// library is what there is to know of one.
type library struct {
	name    string
	purpose string // what this program has it for
	get     string // how to get it
	driver  bool   // part of the system, not of CUDA

	// files are the names to look for, the newest first. Each has a version that the
	// program works with: libcublasLt.so may be that of CUDA 11, libcudnn.so that of
	// cuDNN 8, so they are not among them.
	files []string

	// ofCUDA says that the versions in the names are those of CUDA.
	ofCUDA bool

	// beside is the pattern of files in the same folder that the library opens when
	// it first needs them, by their bare names; %s stands for its major version.
	beside string

	// needs are libraries that it opens in the same way.
	needs []*library
}

func (k Kind) library() *library {
	switch k {
	case Driver:
		return driver
	case CuDNN:
		return cuDNN
	case CuBLASLt:
		return cuBLASLt
	case NVRTC:
		return nvrtc
	}
	return nil
}

// Names of pip's packages: those for CUDA 12 end in -cu12, those for CUDA 13 have
// no ending, but for cuDNN, which goes by its own versions (pypi.org).
var (
	driver = &library{
		name:    "the CUDA driver",
		purpose: "to use an NVIDIA GPU",
		get:     "install the distribution's package of NVIDIA's driver (Debian: nvidia-driver; Ubuntu: ubuntu-drivers install); in a container, give it the GPUs (docker run --gpus all, with nvidia-container-toolkit on the host)",
		driver:  true,
		files:   []string{"libcuda.so.1"},
	}
	nvrtc = &library{
		name:    "NVRTC",
		purpose: "to compile kernels for the GPU at hand",
		get:     "pip install nvidia-cuda-nvrtc-cu12 (for CUDA 13: nvidia-cuda-nvrtc), or conda install -c conda-forge cuda-nvrtc, or the CUDA toolkit from https://developer.nvidia.com/cuda-downloads",
		files:   []string{"libnvrtc.so.13", "libnvrtc.so.12"},
		ofCUDA:  true,
		beside:  "libnvrtc-builtins.so.%s*",
	}
	cuBLASLt = &library{
		name:    "cuBLASLt",
		purpose: "for matrix products",
		get:     "pip install nvidia-cublas-cu12 (for CUDA 13: nvidia-cublas), or conda install -c conda-forge libcublas, or the CUDA toolkit from https://developer.nvidia.com/cuda-downloads",
		files:   []string{"libcublasLt.so.13", "libcublasLt.so.12"},
		ofCUDA:  true,
		needs:   []*library{nvrtc},
	}
	cuDNN = &library{
		name:    "cuDNN 9",
		purpose: "for convolutions and other layers",
		get:     "pip install nvidia-cudnn-cu12 (for CUDA 13: nvidia-cudnn-cu13), or conda install -c conda-forge cudnn, or a package from https://developer.nvidia.com/cudnn-downloads",
		files:   []string{"libcudnn.so.9"},
		beside:  "libcudnn_*.so.%s",
		needs:   []*library{cuBLASLt, nvrtc},
	}
)
