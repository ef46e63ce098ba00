package main

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
	"ALEXNET_BLAS", "ALEXNET_JPEG", "ALEXNET_SIM",
}

// cleanEnvironment unsets all disturbing variables for this program and whatever it
// starts, and returns their names in order.
func cleanEnvironment() (unset []string) {
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

// torchVariables suit PyTorch: by default the C library gives large blocks back to the
// system after each operation, and takes them, page by page, again.
var torchVariables = []string{"MALLOC_TRIM_THRESHOLD_=4294967296", "MALLOC_MMAP_THRESHOLD_=4294967296"}
