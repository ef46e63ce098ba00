package cudnn

import (
	"reflect"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/prototype"
)

var rules = prototype.Rules{
	Prefix: "cudnn",
	Types: map[string]reflect.Type{
		"cudaStream_t":                        reflect.TypeFor[cu.CUStream](),
		"cudnnHandle_t":                       reflect.TypeFor[RawHandle](),
		"cudnnTensorDescriptor_t":             reflect.TypeFor[RawTensor](),
		"cudnnFilterDescriptor_t":             reflect.TypeFor[RawFilter](),
		"cudnnConvolutionDescriptor_t":        reflect.TypeFor[RawConvolution](),
		"cudnnActivationDescriptor_t":         reflect.TypeFor[RawActivation](),
		"cudnnPoolingDescriptor_t":            reflect.TypeFor[RawPooling](),
		"cudnnLRNDescriptor_t":                reflect.TypeFor[RawLRN](),
		"cudnnStatus_t":                       reflect.TypeFor[Status](),
		"cudnnDataType_t":                     reflect.TypeFor[DataType](),
		"cudnnTensorFormat_t":                 reflect.TypeFor[TensorFormat](),
		"cudnnConvolutionMode_t":              reflect.TypeFor[ConvolutionMode](),
		"cudnnMathType_t":                     reflect.TypeFor[MathType](),
		"cudnnActivationMode_t":               reflect.TypeFor[ActivationMode](),
		"cudnnNanPropagation_t":               reflect.TypeFor[NanPropagation](),
		"cudnnPoolingMode_t":                  reflect.TypeFor[PoolingMode](),
		"cudnnLRNMode_t":                      reflect.TypeFor[LRNMode](),
		"cudnnSoftmaxAlgorithm_t":             reflect.TypeFor[SoftmaxAlgorithm](),
		"cudnnSoftmaxMode_t":                  reflect.TypeFor[SoftmaxMode](),
		"cudnnConvolutionFwdAlgo_t":           reflect.TypeFor[ConvFwdAlgo](),
		"cudnnConvolutionBwdDataAlgo_t":       reflect.TypeFor[ConvBwdDataAlgo](),
		"cudnnConvolutionBwdFilterAlgo_t":     reflect.TypeFor[ConvBwdFilterAlgo](),
		"cudnnConvolutionFwdAlgoPerf_t":       reflect.TypeFor[Perf](),
		"cudnnConvolutionBwdDataAlgoPerf_t":   reflect.TypeFor[Perf](),
		"cudnnConvolutionBwdFilterAlgoPerf_t": reflect.TypeFor[Perf](),
	},
	Device: reflect.TypeFor[cu.DevicePtr](),
	Host:   []string{"alpha", "beta", "alpha1", "alpha2"},
}

func TestFunctionsAreAsTheirPrototypes(t *testing.T) {
	var f Functions
	rules.Test(t, &f, f.Bindings())
}

func TestPrototypesAreAsInTheHeader(t *testing.T) {
	var headers []string
	for _, dir := range []string{"/usr/include/", "/usr/include/x86_64-linux-gnu/", "/usr/local/cuda/include/"} {
		headers = append(headers, dir+"cudnn_graph.h", dir+"cudnn_ops.h", dir+"cudnn_cnn.h")
	}
	prototype.TestHeader(t, new(Functions).Bindings(), headers...)
}

// cudnnConvolutionFwdAlgoPerf_t is two enumerations, a float, a size_t, two
// enumerations and three ints.
func TestPerfIsLaidOutAsInC(t *testing.T) {
	var p Perf
	got := []uintptr{unsafe.Sizeof(p), unsafe.Offsetof(p.Status), unsafe.Offsetof(p.Time), unsafe.Offsetof(p.Memory),
		unsafe.Offsetof(p.Determinism), unsafe.Offsetof(p.Math)}
	if want := []uintptr{48, 4, 8, 16, 24, 28}; !reflect.DeepEqual(got, want) {
		t.Errorf("size and offsets %v, want %v", got, want)
	}
}
