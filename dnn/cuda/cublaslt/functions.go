package cublaslt

import (
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/internal/native"
)

// cuBLASLt's handles and descriptors as the library passes them.
type (
	RawHandle     uintptr // cublasLtHandle_t
	RawMatmul     uintptr // cublasLtMatmulDesc_t
	RawLayout     uintptr // cublasLtMatrixLayout_t
	RawPreference uintptr // cublasLtMatmulPreference_t
)

// Algo is cublasLtMatmulAlgo_t, which only the library can read.
type Algo [8]uint64

// HeuristicResult is cublasLtMatmulHeuristicResult_t.
type HeuristicResult struct {
	Algo          Algo
	WorkspaceSize uintptr // bytes
	State         Status
	WavesCount    float32
	_             [4]int32
}

// Functions are cuBLASLt's functions, as far as this package has them. [Open]
// makes them call libcublasLt; others may put functions of their own in their
// place.
type Functions struct {
	GetVersion                   func() uintptr
	GetStatusName                func(s Status) *byte
	GetStatusString              func(s Status) *byte
	Create                       func(h *RawHandle) Status
	Destroy                      func(h RawHandle) Status
	MatmulDescCreate             func(d *RawMatmul, compute ComputeType, scale DataType) Status
	MatmulDescDestroy            func(d RawMatmul) Status
	MatmulDescSetAttribute       func(d RawMatmul, a MatmulAttribute, value unsafe.Pointer, bytes uintptr) Status
	MatrixLayoutCreate           func(l *RawLayout, t DataType, rows, cols uint64, ld int64) Status
	MatrixLayoutDestroy          func(l RawLayout) Status
	MatmulPreferenceCreate       func(p *RawPreference) Status
	MatmulPreferenceDestroy      func(p RawPreference) Status
	MatmulPreferenceSetAttribute func(p RawPreference, a PreferenceAttribute, value unsafe.Pointer, bytes uintptr) Status
	MatmulAlgoGetHeuristic       func(h RawHandle, d RawMatmul, a, b, c, dst RawLayout, p RawPreference, requested int32, results *HeuristicResult, returned *int32) Status
	Matmul                       func(h RawHandle, desc RawMatmul, alpha unsafe.Pointer, a cu.DevicePtr, aLayout RawLayout, b cu.DevicePtr, bLayout RawLayout, beta unsafe.Pointer, c cu.DevicePtr, cLayout RawLayout, d cu.DevicePtr, dLayout RawLayout, algo *Algo, workspace cu.DevicePtr, workspaceBytes uintptr, s cu.CUStream) Status
}

// Bindings pairs each function with its prototype in cublasLt.h.
func (f *Functions) Bindings() []native.Binding {
	return []native.Binding{
		native.Func0(&f.GetVersion, "size_t cublasLtGetVersion(void)"),
		native.Func1(&f.GetStatusName, "const char *cublasLtGetStatusName(cublasStatus_t status)"),
		native.Func1(&f.GetStatusString, "const char *cublasLtGetStatusString(cublasStatus_t status)"),
		native.Func1(&f.Create, "cublasStatus_t cublasLtCreate(cublasLtHandle_t *lightHandle)"),
		native.Func1(&f.Destroy, "cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle)"),
		native.Func3(&f.MatmulDescCreate, "cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmulDesc, cublasComputeType_t computeType, cudaDataType_t scaleType)"),
		native.Func1(&f.MatmulDescDestroy, "cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc)"),
		native.Func4(&f.MatmulDescSetAttribute, "cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc, cublasLtMatmulDescAttributes_t attr, const void *buf, size_t sizeInBytes)"),
		native.Func5(&f.MatrixLayoutCreate, "cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *matLayout, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld)"),
		native.Func1(&f.MatrixLayoutDestroy, "cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout)"),
		native.Func1(&f.MatmulPreferenceCreate, "cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *pref)"),
		native.Func1(&f.MatmulPreferenceDestroy, "cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref)"),
		native.Func4(&f.MatmulPreferenceSetAttribute, "cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref, cublasLtMatmulPreferenceAttributes_t attr, const void *buf, size_t sizeInBytes)"),
		native.Func10(&f.MatmulAlgoGetHeuristic, "cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc, cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc, cublasLtMatmulPreference_t preference, int requestedAlgoCount, cublasLtMatmulHeuristicResult_t *heuristicResultsArray, int *returnAlgoCount)"),
		native.Func16(&f.Matmul, "cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc, const void *alpha, const void *A, cublasLtMatrixLayout_t Adesc, const void *B, cublasLtMatrixLayout_t Bdesc, const void *beta, const void *C, cublasLtMatrixLayout_t Cdesc, void *D, cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspaceSizeInBytes, cudaStream_t stream)"),
	}
}
