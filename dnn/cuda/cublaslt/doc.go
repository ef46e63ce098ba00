// Package cublaslt binds NVIDIA's cuBLASLt at run time: matrix products on a GPU,
// with a bias and a ReLU on the way. A program that imports it builds without cgo
// and CUDA, and runs, and says what is missing, where there is none.
//
// It needs libcublasLt of CUDA 12 or 13, and what package cu needs. Its levels,
// lifetimes and errors are those of package cudnn: [Functions], [Error], and
// [Library], [Handle] and [Matmul], of which a [Handle] is for all goroutines and
// a Matmul for one at a time. Matrices are stored by columns.
//
//	lib, err := cublaslt.Open()
//	h, err := lib.NewHandle(ctx)
//	defer h.Close()
//	m, err := h.NewMatmul(cublaslt.Product{
//		A: cublaslt.Matrix{Rows: 64, Cols: 32}, B: cublaslt.Matrix{Rows: 32, Cols: 16}, D: cublaslt.Matrix{Rows: 64, Cols: 16},
//		Compute: cublaslt.Compute32F,
//	}, 1<<20)
//	defer m.Close()
//	space, err := ctx.MemAlloc(m.Workspace())
//	err = m.Run(1, a, b, 0, d, space.Ptr(), space.Bytes(), stream)
//	err = stream.Synchronize()
package cublaslt
