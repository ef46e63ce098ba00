// Package cuda is an NVIDIA GPU behind the interfaces of package dnn.
//
// Convolutions, normalisation over maps and activations are cuDNN's, matrix
// products cuBLASLt's. What these lack, and what they have only in part (pools
// whose windows hang over the edge or that remember where the largest pixel
// was; dropout with the program's own random numbers), are the kernels of
// package kernels.
//
// All libraries are opened at run time; see [Open].
package cuda

import (
	"errors"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/nvrtc"
)

// Libraries are NVIDIA's libraries that a device needs.
type Libraries struct {
	Driver   *cu.Driver
	CuDNN    *cudnn.Library
	CuBLASLt *cublaslt.Library
	NVRTC    *nvrtc.Library
}

// Open finds and opens the libraries. The error tells of all that are missing.
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
	return &l, nil
}
