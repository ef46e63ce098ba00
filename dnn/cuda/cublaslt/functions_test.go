package cublaslt

import (
	"reflect"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/prototype"
)

var rules = prototype.Rules{
	Prefix: "cublasLt",
	Types: map[string]reflect.Type{
		"cudaStream_t":                         reflect.TypeFor[cu.CUStream](),
		"cudaDataType":                         reflect.TypeFor[DataType](),
		"cudaDataType_t":                       reflect.TypeFor[DataType](),
		"cublasStatus_t":                       reflect.TypeFor[Status](),
		"cublasComputeType_t":                  reflect.TypeFor[ComputeType](),
		"cublasLtHandle_t":                     reflect.TypeFor[RawHandle](),
		"cublasLtMatmulDesc_t":                 reflect.TypeFor[RawMatmul](),
		"cublasLtMatmulDescAttributes_t":       reflect.TypeFor[MatmulAttribute](),
		"cublasLtMatrixLayout_t":               reflect.TypeFor[RawLayout](),
		"cublasLtMatmulPreference_t":           reflect.TypeFor[RawPreference](),
		"cublasLtMatmulPreferenceAttributes_t": reflect.TypeFor[PreferenceAttribute](),
		"cublasLtMatmulHeuristicResult_t":      reflect.TypeFor[HeuristicResult](),
		"cublasLtMatmulAlgo_t":                 reflect.TypeFor[Algo](),
	},
	Device: reflect.TypeFor[cu.DevicePtr](),
	Host:   []string{"alpha", "beta", "buf"},
}

func TestFunctionsAreAsTheirPrototypes(t *testing.T) {
	var f Functions
	rules.Test(t, &f, f.Bindings())
}

func TestPrototypesAreAsInTheHeader(t *testing.T) {
	prototype.TestHeader(t, new(Functions).Bindings(), "/usr/include/cublasLt.h", "/usr/local/cuda/include/cublasLt.h")
}

// The sizes and offsets are those that a C compiler gives for cublasLt.h.
func TestResultsAreLaidOutAsInC(t *testing.T) {
	var r HeuristicResult
	got := []uintptr{unsafe.Sizeof(r.Algo), unsafe.Sizeof(r), unsafe.Offsetof(r.WorkspaceSize), unsafe.Offsetof(r.State), unsafe.Offsetof(r.WavesCount)}
	if want := []uintptr{64, 96, 64, 72, 76}; !reflect.DeepEqual(got, want) {
		t.Errorf("sizes and offsets %v, want %v", got, want)
	}
}
