// Package cuda is an NVIDIA GPU behind the interfaces of package dnn.
//
// Convolutions are cuDNN's, matrix products cuBLASLt's, and in float32 normalisation
// over maps and activations are cuDNN's, too. What these lack, and what they have only in part (pools
// whose windows hang over the edge or that remember where the largest pixel
// was; dropout with the program's own random numbers), are the kernels of
// package kernels.
//
// Joined tasks are CUDA graphs from their second launch on, unless
// [Options].NoGraphs says otherwise.
//
// All libraries are opened at run time; see [Open].
package cuda

import (
	"errors"
	"fmt"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/nvrtc"
	"alexnet/internal/native"
)

// Libraries are NVIDIA's libraries that a device needs.
type Libraries struct {
	Driver   *cu.Driver
	CuDNN    *cudnn.Library
	CuBLASLt *cublaslt.Library
	NVRTC    *nvrtc.Library
}

// Open finds and opens the libraries. The error tells of all that are missing, or
// of a cuDNN that cannot work with the others.
func Open() (*Libraries, error) {
	var l Libraries
	var errs [4]error
	l.Driver, errs[0] = cu.Open()
	l.CuDNN, errs[1] = cudnn.Open()
	l.CuBLASLt, errs[2] = cublaslt.Open()
	l.NVRTC, errs[3] = nvrtc.Open()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	err := l.suitCuDNN(func(soname string) error {
		_, err := native.Open([]string{soname}, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &l, nil
}

// suitCuDNN checks that the driver can serve the CUDA that cuDNN was built for, and
// that cuDNN will find the cuBLASLt of that CUDA: without it, its first convolution
// aborts the process. load asks the system's loader for a library by its name, as
// cuDNN does; that finds what is open already.
func (l *Libraries) suitCuDNN(load func(soname string) error) error {
	version := l.CuDNN.CudartVersion()
	built := version / 1000
	major, minor, patch := l.CuDNN.Version()
	name := fmt.Sprintf("%s is cuDNN %d.%d.%d for CUDA %d.%d", l.CuDNN.Path(), major, minor, patch, built, version%1000/10)
	if served := l.Driver.CUDAMajor(); built > served {
		return fmt.Errorf("%s, but the driver can serve CUDA %s at most: install cuDNN for CUDA %d (pip install nvidia-cudnn-cu%d) in its place, or put its folder first in ALEXNET_CUDA_PATH, or update the NVIDIA driver",
			name, l.Driver.Version(), served, served)
	}
	lt, ltMinor, ltPatch := l.CuBLASLt.Version()
	if built == lt {
		return nil
	}
	soname := fmt.Sprintf("libcublasLt.so.%d", built)
	err := load(soname)
	if err == nil {
		return nil
	}
	cuBLAS := "nvidia-cublas" // as pip's package has been called since CUDA 13
	if built < 13 {
		cuBLAS += fmt.Sprintf("-cu%d", built)
	}
	return fmt.Errorf("%s and needs %s, which cannot be opened; %s is cuBLASLt %d.%d.%d: install cuBLASLt for CUDA %d too (pip install %s), or cuDNN for CUDA %d (pip install nvidia-cudnn-cu%d) in the place of this one: %w",
		name, soname, l.CuBLASLt.Path(), lt, ltMinor, ltPatch, built, cuBLAS, lt, lt, err)
}
