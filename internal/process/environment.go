package process

import (
	"os"
	"slices"
	"strings"
)

// disturbing are the beginnings of variables that change how fast a library or a
// runtime is, or which kernels it takes.
var disturbing = []string{
	"OPENBLAS_", "GOTO_", "BLIS_", "MKL_", "NVPL_", "VECLIB_", "ATLAS_", // products of matrices
	"DNNL_", "ONEDNN_", "ATEN_", "TORCH_", "PYTORCH_", "XNNPACK_",
	"OMP_", "KMP_", "GOMP_", // threads
	"MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "LD_BIND_NOW", "DYLD_INSERT_LIBRARIES", // memory
	"GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG",
	"NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "CUBLASLT_", "CUDA_LAUNCH_BLOCKING",
	"ALEXNET_BLAS", "ALEXNET_JPEG", "ALEXNET_SIM",
}

// CleanEnvironment unsets all disturbing variables for this program and whatever it
// starts, and returns their names in order.
func CleanEnvironment() (unset []string) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(disturbing, func(begin string) bool { return strings.HasPrefix(name, begin) }) {
			os.Unsetenv(name) // fails for names without meaning alone
			unset = append(unset, name)
		}
	}
	slices.Sort(unset)
	return unset
}
