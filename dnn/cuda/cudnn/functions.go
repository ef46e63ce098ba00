package cudnn

import (
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/internal/native"
)

// cuDNN's handles and descriptors as the library passes them.
type (
	RawHandle      uintptr // cudnnHandle_t
	RawTensor      uintptr // cudnnTensorDescriptor_t
	RawFilter      uintptr // cudnnFilterDescriptor_t
	RawConvolution uintptr // cudnnConvolutionDescriptor_t
	RawActivation  uintptr // cudnnActivationDescriptor_t
	RawPooling     uintptr // cudnnPoolingDescriptor_t
	RawLRN         uintptr // cudnnLRNDescriptor_t
)

// Perf is cudnnConvolutionFwdAlgoPerf_t and its two like: what cuDNN knows of an
// algorithm for a convolution.
type Perf struct {
	Algo        int32 // a ConvFwdAlgo, ConvBwdDataAlgo or ConvBwdFilterAlgo
	Status      Status
	Time        float32 // milliseconds; negative if not measured
	Memory      uintptr // bytes of workspace
	Determinism int32
	Math        MathType
	_           [3]int32
}

// Functions are cuDNN's functions, as far as this package has them. [Open] makes
// them call libcudnn; others may put functions of their own in their place.
// Scaling factors (alpha, beta) are addresses of a float32 of the host, all
// other data is on the device.
type Functions struct {
	GetVersion                               func() uintptr
	GetCudartVersion                         func() uintptr
	GetErrorString                           func(status Status) *byte
	GetLastErrorString                       func(message *byte, maxSize uintptr) native.None
	Create                                   func(handle *RawHandle) Status
	Destroy                                  func(handle RawHandle) Status
	SetStream                                func(handle RawHandle, streamId cu.CUStream) Status
	CreateTensorDescriptor                   func(tensorDesc *RawTensor) Status
	DestroyTensorDescriptor                  func(tensorDesc RawTensor) Status
	SetTensor4dDescriptorEx                  func(tensorDesc RawTensor, dataType DataType, n, c, h, w, nStride, cStride, hStride, wStride int32) Status
	CreateFilterDescriptor                   func(filterDesc *RawFilter) Status
	DestroyFilterDescriptor                  func(filterDesc RawFilter) Status
	SetFilter4dDescriptor                    func(filterDesc RawFilter, dataType DataType, format TensorFormat, k, c, h, w int32) Status
	CreateConvolutionDescriptor              func(convDesc *RawConvolution) Status
	DestroyConvolutionDescriptor             func(convDesc RawConvolution) Status
	SetConvolution2dDescriptor               func(convDesc RawConvolution, padH, padW, u, v, dilationH, dilationW int32, mode ConvolutionMode, computeType DataType) Status
	SetConvolutionGroupCount                 func(convDesc RawConvolution, groupCount int32) Status
	SetConvolutionMathType                   func(convDesc RawConvolution, mathType MathType) Status
	GetConvolution2dForwardOutputDim         func(convDesc RawConvolution, inputTensorDesc RawTensor, filterDesc RawFilter, n, c, h, w *int32) Status
	GetConvolutionForwardAlgorithm           func(handle RawHandle, srcDesc RawTensor, filterDesc RawFilter, convDesc RawConvolution, destDesc RawTensor, requestedAlgoCount int32, returnedAlgoCount *int32, perfResults *Perf) Status
	GetConvolutionBackwardDataAlgorithm      func(handle RawHandle, filterDesc RawFilter, diffDesc RawTensor, convDesc RawConvolution, gradDesc RawTensor, requestedAlgoCount int32, returnedAlgoCount *int32, perfResults *Perf) Status
	GetConvolutionBackwardFilterAlgorithm    func(handle RawHandle, srcDesc, diffDesc RawTensor, convDesc RawConvolution, gradDesc RawFilter, requestedAlgoCount int32, returnedAlgoCount *int32, perfResults *Perf) Status
	FindConvolutionForwardAlgorithmEx        func(handle RawHandle, xDesc RawTensor, x cu.DevicePtr, wDesc RawFilter, w cu.DevicePtr, convDesc RawConvolution, yDesc RawTensor, y cu.DevicePtr, requestedAlgoCount int32, returnedAlgoCount *int32, perfResults *Perf, workSpace cu.DevicePtr, workSpaceSizeInBytes uintptr) Status
	FindConvolutionBackwardDataAlgorithmEx   func(handle RawHandle, wDesc RawFilter, w cu.DevicePtr, dyDesc RawTensor, dy cu.DevicePtr, convDesc RawConvolution, dxDesc RawTensor, dx cu.DevicePtr, requestedAlgoCount int32, returnedAlgoCount *int32, perfResults *Perf, workSpace cu.DevicePtr, workSpaceSizeInBytes uintptr) Status
	FindConvolutionBackwardFilterAlgorithmEx func(handle RawHandle, xDesc RawTensor, x cu.DevicePtr, dyDesc RawTensor, y cu.DevicePtr, convDesc RawConvolution, dwDesc RawFilter, dw cu.DevicePtr, requestedAlgoCount int32, returnedAlgoCount *int32, perfResults *Perf, workSpace cu.DevicePtr, workSpaceSizeInBytes uintptr) Status
	ConvolutionForward                       func(handle RawHandle, alpha unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, wDesc RawFilter, w cu.DevicePtr, convDesc RawConvolution, algo ConvFwdAlgo, workSpace cu.DevicePtr, workSpaceSizeInBytes uintptr, beta unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr) Status
	ConvolutionBackwardData                  func(handle RawHandle, alpha unsafe.Pointer, wDesc RawFilter, w cu.DevicePtr, dyDesc RawTensor, dy cu.DevicePtr, convDesc RawConvolution, algo ConvBwdDataAlgo, workSpace cu.DevicePtr, workSpaceSizeInBytes uintptr, beta unsafe.Pointer, dxDesc RawTensor, dx cu.DevicePtr) Status
	ConvolutionBackwardFilter                func(handle RawHandle, alpha unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, dyDesc RawTensor, dy cu.DevicePtr, convDesc RawConvolution, algo ConvBwdFilterAlgo, workSpace cu.DevicePtr, workSpaceSizeInBytes uintptr, beta unsafe.Pointer, dwDesc RawFilter, dw cu.DevicePtr) Status
	ConvolutionBackwardBias                  func(handle RawHandle, alpha unsafe.Pointer, dyDesc RawTensor, dy cu.DevicePtr, beta unsafe.Pointer, dbDesc RawTensor, db cu.DevicePtr) Status
	ConvolutionBiasActivationForward         func(handle RawHandle, alpha1 unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, wDesc RawFilter, w cu.DevicePtr, convDesc RawConvolution, algo ConvFwdAlgo, workSpace cu.DevicePtr, workSpaceSizeInBytes uintptr, alpha2 unsafe.Pointer, zDesc RawTensor, z cu.DevicePtr, biasDesc RawTensor, bias cu.DevicePtr, activationDesc RawActivation, yDesc RawTensor, y cu.DevicePtr) Status
	AddTensor                                func(handle RawHandle, alpha unsafe.Pointer, aDesc RawTensor, a cu.DevicePtr, beta unsafe.Pointer, cDesc RawTensor, c cu.DevicePtr) Status
	TransformTensor                          func(handle RawHandle, alpha unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr) Status
	CreateActivationDescriptor               func(activationDesc *RawActivation) Status
	DestroyActivationDescriptor              func(activationDesc RawActivation) Status
	SetActivationDescriptor                  func(activationDesc RawActivation, mode ActivationMode, reluNanOpt NanPropagation, coef float64) Status
	ActivationForward                        func(handle RawHandle, activationDesc RawActivation, alpha unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr) Status
	ActivationBackward                       func(handle RawHandle, activationDesc RawActivation, alpha unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr, dyDesc RawTensor, dy cu.DevicePtr, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, dxDesc RawTensor, dx cu.DevicePtr) Status
	CreatePoolingDescriptor                  func(poolingDesc *RawPooling) Status
	DestroyPoolingDescriptor                 func(poolingDesc RawPooling) Status
	SetPooling2dDescriptor                   func(poolingDesc RawPooling, mode PoolingMode, maxpoolingNanOpt NanPropagation, windowHeight, windowWidth, verticalPadding, horizontalPadding, verticalStride, horizontalStride int32) Status
	PoolingForward                           func(handle RawHandle, poolingDesc RawPooling, alpha unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr) Status
	PoolingBackward                          func(handle RawHandle, poolingDesc RawPooling, alpha unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr, dyDesc RawTensor, dy cu.DevicePtr, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, dxDesc RawTensor, dx cu.DevicePtr) Status
	CreateLRNDescriptor                      func(normDesc *RawLRN) Status
	DestroyLRNDescriptor                     func(lrnDesc RawLRN) Status
	SetLRNDescriptor                         func(normDesc RawLRN, lrnN uint32, lrnAlpha, lrnBeta, lrnK float64) Status
	LRNCrossChannelForward                   func(handle RawHandle, normDesc RawLRN, lrnMode LRNMode, alpha unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr) Status
	LRNCrossChannelBackward                  func(handle RawHandle, normDesc RawLRN, lrnMode LRNMode, alpha unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr, dyDesc RawTensor, dy cu.DevicePtr, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, dxDesc RawTensor, dx cu.DevicePtr) Status
	SoftmaxForward                           func(handle RawHandle, algo SoftmaxAlgorithm, mode SoftmaxMode, alpha unsafe.Pointer, xDesc RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr) Status
	SoftmaxBackward                          func(handle RawHandle, algo SoftmaxAlgorithm, mode SoftmaxMode, alpha unsafe.Pointer, yDesc RawTensor, y cu.DevicePtr, dyDesc RawTensor, dy cu.DevicePtr, beta unsafe.Pointer, dxDesc RawTensor, dx cu.DevicePtr) Status
}

// Bindings pairs each function with its prototype in cudnn.h.
func (f *Functions) Bindings() []native.Binding {
	return []native.Binding{
		native.Func0(&f.GetVersion, "size_t cudnnGetVersion(void)"),
		native.Func0(&f.GetCudartVersion, "size_t cudnnGetCudartVersion(void)"),
		native.Func1(&f.GetErrorString, "const char *cudnnGetErrorString(cudnnStatus_t status)"),
		native.Func2(&f.GetLastErrorString, "void cudnnGetLastErrorString(char *message, size_t max_size)"),
		native.Func1(&f.Create, "cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)"),
		native.Func1(&f.Destroy, "cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)"),
		native.Func2(&f.SetStream, "cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t streamId)"),
		native.Func1(&f.CreateTensorDescriptor, "cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *tensorDesc)"),
		native.Func1(&f.DestroyTensorDescriptor, "cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensorDesc)"),
		native.Func10(&f.SetTensor4dDescriptorEx, "cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t tensorDesc, cudnnDataType_t dataType, int n, int c, int h, int w, int nStride, int cStride, int hStride, int wStride)"),
		native.Func1(&f.CreateFilterDescriptor, "cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *filterDesc)"),
		native.Func1(&f.DestroyFilterDescriptor, "cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filterDesc)"),
		native.Func7(&f.SetFilter4dDescriptor, "cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filterDesc, cudnnDataType_t dataType, cudnnTensorFormat_t format, int k, int c, int h, int w)"),
		native.Func1(&f.CreateConvolutionDescriptor, "cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *convDesc)"),
		native.Func1(&f.DestroyConvolutionDescriptor, "cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t convDesc)"),
		native.Func9(&f.SetConvolution2dDescriptor, "cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convDesc, int pad_h, int pad_w, int u, int v, int dilation_h, int dilation_w, cudnnConvolutionMode_t mode, cudnnDataType_t computeType)"),
		native.Func2(&f.SetConvolutionGroupCount, "cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t convDesc, int groupCount)"),
		native.Func2(&f.SetConvolutionMathType, "cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convDesc, cudnnMathType_t mathType)"),
		native.Func7(&f.GetConvolution2dForwardOutputDim, "cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(cudnnConvolutionDescriptor_t convDesc, cudnnTensorDescriptor_t inputTensorDesc, cudnnFilterDescriptor_t filterDesc, int *n, int *c, int *h, int *w)"),
		native.Func8(&f.GetConvolutionForwardAlgorithm, "cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, cudnnTensorDescriptor_t srcDesc, cudnnFilterDescriptor_t filterDesc, cudnnConvolutionDescriptor_t convDesc, cudnnTensorDescriptor_t destDesc, int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionFwdAlgoPerf_t *perfResults)"),
		native.Func8(&f.GetConvolutionBackwardDataAlgorithm, "cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t handle, cudnnFilterDescriptor_t filterDesc, cudnnTensorDescriptor_t diffDesc, cudnnConvolutionDescriptor_t convDesc, cudnnTensorDescriptor_t gradDesc, int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdDataAlgoPerf_t *perfResults)"),
		native.Func8(&f.GetConvolutionBackwardFilterAlgorithm, "cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t handle, cudnnTensorDescriptor_t srcDesc, cudnnTensorDescriptor_t diffDesc, cudnnConvolutionDescriptor_t convDesc, cudnnFilterDescriptor_t gradDesc, int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdFilterAlgoPerf_t *perfResults)"),
		native.Func13(&f.FindConvolutionForwardAlgorithmEx, "cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(cudnnHandle_t handle, cudnnTensorDescriptor_t xDesc, const void *x, cudnnFilterDescriptor_t wDesc, const void *w, cudnnConvolutionDescriptor_t convDesc, cudnnTensorDescriptor_t yDesc, void *y, int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionFwdAlgoPerf_t *perfResults, void *workSpace, size_t workSpaceSizeInBytes)"),
		native.Func13(&f.FindConvolutionBackwardDataAlgorithmEx, "cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(cudnnHandle_t handle, cudnnFilterDescriptor_t wDesc, const void *w, cudnnTensorDescriptor_t dyDesc, const void *dy, cudnnConvolutionDescriptor_t convDesc, cudnnTensorDescriptor_t dxDesc, void *dx, int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdDataAlgoPerf_t *perfResults, void *workSpace, size_t workSpaceSizeInBytes)"),
		native.Func13(&f.FindConvolutionBackwardFilterAlgorithmEx, "cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(cudnnHandle_t handle, cudnnTensorDescriptor_t xDesc, const void *x, cudnnTensorDescriptor_t dyDesc, const void *y, cudnnConvolutionDescriptor_t convDesc, cudnnFilterDescriptor_t dwDesc, void *dw, int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdFilterAlgoPerf_t *perfResults, void *workSpace, size_t workSpaceSizeInBytes)"),
		native.Func13(&f.ConvolutionForward, "cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x, const cudnnFilterDescriptor_t wDesc, const void *w, const cudnnConvolutionDescriptor_t convDesc, cudnnConvolutionFwdAlgo_t algo, void *workSpace, size_t workSpaceSizeInBytes, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y)"),
		native.Func13(&f.ConvolutionBackwardData, "cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t wDesc, const void *w, const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnConvolutionDescriptor_t convDesc, cudnnConvolutionBwdDataAlgo_t algo, void *workSpace, size_t workSpaceSizeInBytes, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx)"),
		native.Func13(&f.ConvolutionBackwardFilter, "cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x, const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnConvolutionDescriptor_t convDesc, cudnnConvolutionBwdFilterAlgo_t algo, void *workSpace, size_t workSpaceSizeInBytes, const void *beta, const cudnnFilterDescriptor_t dwDesc, void *dw)"),
		native.Func7(&f.ConvolutionBackwardBias, "cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t dyDesc, const void *dy, const void *beta, const cudnnTensorDescriptor_t dbDesc, void *db)"),
		native.Func18(&f.ConvolutionBiasActivationForward, "cudnnStatus_t cudnnConvolutionBiasActivationForward(cudnnHandle_t handle, const void *alpha1, const cudnnTensorDescriptor_t xDesc, const void *x, const cudnnFilterDescriptor_t wDesc, const void *w, const cudnnConvolutionDescriptor_t convDesc, cudnnConvolutionFwdAlgo_t algo, void *workSpace, size_t workSpaceSizeInBytes, const void *alpha2, const cudnnTensorDescriptor_t zDesc, const void *z, const cudnnTensorDescriptor_t biasDesc, const void *bias, const cudnnActivationDescriptor_t activationDesc, const cudnnTensorDescriptor_t yDesc, void *y)"),
		native.Func7(&f.AddTensor, "cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t aDesc, const void *A, const void *beta, const cudnnTensorDescriptor_t cDesc, void *C)"),
		native.Func7(&f.TransformTensor, "cudnnStatus_t cudnnTransformTensor(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y)"),
		native.Func1(&f.CreateActivationDescriptor, "cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t *activationDesc)"),
		native.Func1(&f.DestroyActivationDescriptor, "cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t activationDesc)"),
		native.FuncFloat(&f.SetActivationDescriptor, "cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t activationDesc, cudnnActivationMode_t mode, cudnnNanPropagation_t reluNanOpt, double coef)"),
		native.Func8(&f.ActivationForward, "cudnnStatus_t cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t activationDesc, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y)"),
		native.Func12(&f.ActivationBackward, "cudnnStatus_t cudnnActivationBackward(cudnnHandle_t handle, cudnnActivationDescriptor_t activationDesc, const void *alpha, const cudnnTensorDescriptor_t yDesc, const void *y, const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx)"),
		native.Func1(&f.CreatePoolingDescriptor, "cudnnStatus_t cudnnCreatePoolingDescriptor(cudnnPoolingDescriptor_t *poolingDesc)"),
		native.Func1(&f.DestroyPoolingDescriptor, "cudnnStatus_t cudnnDestroyPoolingDescriptor(cudnnPoolingDescriptor_t poolingDesc)"),
		native.Func9(&f.SetPooling2dDescriptor, "cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t poolingDesc, cudnnPoolingMode_t mode, cudnnNanPropagation_t maxpoolingNanOpt, int windowHeight, int windowWidth, int verticalPadding, int horizontalPadding, int verticalStride, int horizontalStride)"),
		native.Func8(&f.PoolingForward, "cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t poolingDesc, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y)"),
		native.Func12(&f.PoolingBackward, "cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t poolingDesc, const void *alpha, const cudnnTensorDescriptor_t yDesc, const void *y, const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx)"),
		native.Func1(&f.CreateLRNDescriptor, "cudnnStatus_t cudnnCreateLRNDescriptor(cudnnLRNDescriptor_t *normDesc)"),
		native.Func1(&f.DestroyLRNDescriptor, "cudnnStatus_t cudnnDestroyLRNDescriptor(cudnnLRNDescriptor_t lrnDesc)"),
		native.FuncFloat(&f.SetLRNDescriptor, "cudnnStatus_t cudnnSetLRNDescriptor(cudnnLRNDescriptor_t normDesc, unsigned lrnN, double lrnAlpha, double lrnBeta, double lrnK)"),
		native.Func9(&f.LRNCrossChannelForward, "cudnnStatus_t cudnnLRNCrossChannelForward(cudnnHandle_t handle, cudnnLRNDescriptor_t normDesc, cudnnLRNMode_t lrnMode, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y)"),
		native.Func13(&f.LRNCrossChannelBackward, "cudnnStatus_t cudnnLRNCrossChannelBackward(cudnnHandle_t handle, cudnnLRNDescriptor_t normDesc, cudnnLRNMode_t lrnMode, const void *alpha, const cudnnTensorDescriptor_t yDesc, const void *y, const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx)"),
		native.Func9(&f.SoftmaxForward, "cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y)"),
		native.Func11(&f.SoftmaxBackward, "cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode, const void *alpha, const cudnnTensorDescriptor_t yDesc, const void *y, const cudnnTensorDescriptor_t dyDesc, const void *dy, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx)"),
	}
}
