package cudnn

import "fmt"

// DataType is cudnnDataType_t.
type DataType int32

// Types of numbers.
const (
	Float    DataType = 0 // CUDNN_DATA_FLOAT
	Double   DataType = 1 // CUDNN_DATA_DOUBLE
	Half     DataType = 2 // CUDNN_DATA_HALF
	BFloat16 DataType = 9 // CUDNN_DATA_BFLOAT16
)

func (t DataType) String() string {
	switch t {
	case Float:
		return "float32"
	case Double:
		return "float64"
	case Half:
		return "float16"
	case BFloat16:
		return "bfloat16"
	}
	return fmt.Sprintf("type %d", int32(t))
}

// TensorFormat is cudnnTensorFormat_t.
type TensorFormat int32

// Orders of a tensor's dimensions in memory.
const (
	NCHW TensorFormat = 0 // CUDNN_TENSOR_NCHW
	NHWC TensorFormat = 1 // CUDNN_TENSOR_NHWC
)

func (f TensorFormat) String() string {
	switch f {
	case NCHW:
		return "NCHW"
	case NHWC:
		return "NHWC"
	}
	return fmt.Sprintf("format %d", int32(f))
}

// ConvolutionMode is cudnnConvolutionMode_t.
type ConvolutionMode int32

// Kernels are turned around by a convolution, and not by what neural networks
// call one.
const (
	StandardConvolution ConvolutionMode = 0 // CUDNN_CONVOLUTION
	CrossCorrelation    ConvolutionMode = 1 // CUDNN_CROSS_CORRELATION
)

// MathType is cudnnMathType_t.
type MathType int32

// What a convolution may do with its numbers on the way.
const (
	DefaultMath                 MathType = 0 // CUDNN_DEFAULT_MATH: float32 may be rounded to TF32
	TensorOpMath                MathType = 1 // CUDNN_TENSOR_OP_MATH
	TensorOpMathAllowConversion MathType = 2 // CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION: float32 may be converted down to float16
	FmaMath                     MathType = 3 // CUDNN_FMA_MATH: float32 stays float32
)

// ActivationMode is cudnnActivationMode_t.
type ActivationMode int32

// Activations.
const (
	Sigmoid     ActivationMode = 0 // CUDNN_ACTIVATION_SIGMOID
	ReLU        ActivationMode = 1 // CUDNN_ACTIVATION_RELU
	Tanh        ActivationMode = 2 // CUDNN_ACTIVATION_TANH
	ClippedReLU ActivationMode = 3 // CUDNN_ACTIVATION_CLIPPED_RELU
	ELU         ActivationMode = 4 // CUDNN_ACTIVATION_ELU
	Identity    ActivationMode = 5 // CUDNN_ACTIVATION_IDENTITY
)

// NanPropagation is cudnnNanPropagation_t.
type NanPropagation int32

// Whether a NaN comes out where one went in.
const (
	NotPropagateNan NanPropagation = 0 // CUDNN_NOT_PROPAGATE_NAN
	PropagateNan    NanPropagation = 1 // CUDNN_PROPAGATE_NAN
)

// PoolingMode is cudnnPoolingMode_t.
type PoolingMode int32

// Kinds of pooling.
const (
	MaxPooling                 PoolingMode = 0 // CUDNN_POOLING_MAX
	AverageCountIncludePadding PoolingMode = 1 // CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING
	AverageCountExcludePadding PoolingMode = 2 // CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING
	MaxPoolingDeterministic    PoolingMode = 3 // CUDNN_POOLING_MAX_DETERMINISTIC
)

// LRNMode is cudnnLRNMode_t.
type LRNMode int32

// CrossChannelDim1 is CUDNN_LRN_CROSS_CHANNEL_DIM1, the only one.
const CrossChannelDim1 LRNMode = 0

// SoftmaxAlgorithm is cudnnSoftmaxAlgorithm_t.
type SoftmaxAlgorithm int32

// Ways to a softmax.
const (
	SoftmaxFast     SoftmaxAlgorithm = 0 // CUDNN_SOFTMAX_FAST: overflows
	SoftmaxAccurate SoftmaxAlgorithm = 1 // CUDNN_SOFTMAX_ACCURATE
	SoftmaxLog      SoftmaxAlgorithm = 2 // CUDNN_SOFTMAX_LOG
)

// SoftmaxMode is cudnnSoftmaxMode_t.
type SoftmaxMode int32

// Over what a softmax is taken.
const (
	SoftmaxInstance SoftmaxMode = 0 // CUDNN_SOFTMAX_MODE_INSTANCE: all of an image
	SoftmaxChannel  SoftmaxMode = 1 // CUDNN_SOFTMAX_MODE_CHANNEL: the channels of each pixel
)

// ConvFwdAlgo is cudnnConvolutionFwdAlgo_t.
type ConvFwdAlgo int32

// ConvBwdDataAlgo is cudnnConvolutionBwdDataAlgo_t.
type ConvBwdDataAlgo int32

// ConvBwdFilterAlgo is cudnnConvolutionBwdFilterAlgo_t.
type ConvBwdFilterAlgo int32

// Algorithms of convolutions. Number 0 of each needs no workspace. All but numbers
// 0 by data, and 0 and 3 by filter, give the same bits each time.
const (
	FwdImplicitGEMM        ConvFwdAlgo = 0 // CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM
	FwdImplicitPrecompGEMM ConvFwdAlgo = 1 // CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM
	FwdAlgoCount                       = 8 // CUDNN_CONVOLUTION_FWD_ALGO_COUNT

	BwdDataAlgo0     ConvBwdDataAlgo = 0 // CUDNN_CONVOLUTION_BWD_DATA_ALGO_0: not deterministic
	BwdDataAlgo1     ConvBwdDataAlgo = 1 // CUDNN_CONVOLUTION_BWD_DATA_ALGO_1
	BwdDataAlgoCount                 = 6 // CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT

	BwdFilterAlgo0     ConvBwdFilterAlgo = 0 // CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0: not deterministic
	BwdFilterAlgo1     ConvBwdFilterAlgo = 1 // CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1
	BwdFilterAlgoCount                   = 7 // CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT
)

// Status is cudnnStatus_t.
type Status int32

// Results that programs look at. cuDNN 9 has finer ones within each thousand.
const (
	Success         Status = 0    // CUDNN_STATUS_SUCCESS
	NotInitialized  Status = 1001 // CUDNN_STATUS_NOT_INITIALIZED
	BadParam        Status = 2000 // CUDNN_STATUS_BAD_PARAM
	NotSupported    Status = 3000 // CUDNN_STATUS_NOT_SUPPORTED
	InternalError   Status = 4000 // CUDNN_STATUS_INTERNAL_ERROR
	ExecutionFailed Status = 5000 // CUDNN_STATUS_EXECUTION_FAILED
)
