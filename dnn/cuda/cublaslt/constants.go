package cublaslt

import "fmt"

// DataType is cudaDataType_t.
type DataType int32

// Types of numbers.
const (
	Float32  DataType = 0  // CUDA_R_32F
	BFloat16 DataType = 14 // CUDA_R_16BF
)

func (t DataType) String() string {
	switch t {
	case Float32:
		return "float32"
	case BFloat16:
		return "bfloat16"
	}
	return fmt.Sprintf("type %d", int32(t))
}

// ComputeType is cublasComputeType_t.
type ComputeType int32

// How products are summed.
const (
	Compute32F         ComputeType = 68 // CUBLAS_COMPUTE_32F
	Compute32FFastTF32 ComputeType = 77 // CUBLAS_COMPUTE_32F_FAST_TF32: factors rounded to TF32
)

// MatmulAttribute is cublasLtMatmulDescAttributes_t.
type MatmulAttribute int32

// Attributes of a product.
const (
	MatmulTransA       MatmulAttribute = 3  // CUBLASLT_MATMUL_DESC_TRANSA: Operation
	MatmulTransB       MatmulAttribute = 4  // CUBLASLT_MATMUL_DESC_TRANSB: Operation
	MatmulEpilogue     MatmulAttribute = 7  // CUBLASLT_MATMUL_DESC_EPILOGUE: Epilogue
	MatmulBiasPointer  MatmulAttribute = 8  // CUBLASLT_MATMUL_DESC_BIAS_POINTER: address on the device
	MatmulBiasDataType MatmulAttribute = 26 // CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: DataType, if not that of D
)

// PreferenceAttribute is cublasLtMatmulPreferenceAttributes_t.
type PreferenceAttribute int32

// PreferenceMaxWorkspace is CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: uint64.
const PreferenceMaxWorkspace PreferenceAttribute = 1

// PreferenceReductionSchemes is CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: a uint32 of
// the ways in which parts of a sum may be joined; none is always allowed.
const PreferenceReductionSchemes PreferenceAttribute = 3

// ReductionComputeType is CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE: parts are kept in the
// workspace in the type of the sums, and joined in one order. The others are
// INPLACE, 1, in whatever order they come, and OUTPUT_TYPE, 4, rounded in between.
const ReductionComputeType uint32 = 2

// The alignment in bytes that an algorithm may rely on: uint32, 256 if unset.
const (
	PreferenceAlignmentA PreferenceAttribute = 5 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES
	PreferenceAlignmentB PreferenceAttribute = 6 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES
	PreferenceAlignmentC PreferenceAttribute = 7 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES
	PreferenceAlignmentD PreferenceAttribute = 8 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
)

// Operation is cublasOperation_t.
type Operation int32

// Whether a matrix is turned before it is multiplied.
const (
	NoTrans Operation = 0 // CUBLAS_OP_N
	Trans   Operation = 1 // CUBLAS_OP_T
)

// Epilogue is cublasLtEpilogue_t: what is done to a product before it is stored.
type Epilogue uint32

// Epilogues. The bias has one number for each row of the result (in the order of
// columns, in which cuBLASLt sees matrices).
const (
	EpilogueDefault  Epilogue = 1 // CUBLASLT_EPILOGUE_DEFAULT
	EpilogueReLU     Epilogue = 2 // CUBLASLT_EPILOGUE_RELU
	EpilogueBias     Epilogue = 4 // CUBLASLT_EPILOGUE_BIAS
	EpilogueReLUBias Epilogue = 6 // CUBLASLT_EPILOGUE_RELU_BIAS
)

// Status is cublasStatus_t.
type Status int32

// Results that programs look at.
const (
	Success         Status = 0  // CUBLAS_STATUS_SUCCESS
	NotInitialized  Status = 1  // CUBLAS_STATUS_NOT_INITIALIZED
	AllocFailed     Status = 3  // CUBLAS_STATUS_ALLOC_FAILED
	InvalidValue    Status = 7  // CUBLAS_STATUS_INVALID_VALUE
	ExecutionFailed Status = 13 // CUBLAS_STATUS_EXECUTION_FAILED
	NotSupported    Status = 15 // CUBLAS_STATUS_NOT_SUPPORTED
)
