package process

import (
	"os"
	"slices"
	"testing"
)

// TestCleanEnvironment: what changes a library is unset for whatever is started, and
// named; the rest stays.
func TestCleanEnvironment(t *testing.T) {
	disturbs := []string{"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY",
		"MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD", "GOMAXPROCS", "ALEXNET_BLAS", "ALEXNET_JPEG", "NVIDIA_TF32_OVERRIDE"}
	stays := []string{"PATH", "HOME", "LD_LIBRARY_PATH", "ALEXNET_CUDA_PATH", "GOFLAGS", "PYTHONPATH", "MY_OPENBLAS_CORETYPE"}
	for _, name := range append(slices.Clone(disturbs), stays...) {
		if os.Getenv(name) == "" || slices.Contains(disturbs, name) {
			t.Setenv(name, "")
		}
	}
	unset := CleanEnvironment()
	if !slices.IsSorted(unset) {
		t.Error(unset)
	}
	for _, name := range disturbs {
		if _, there := os.LookupEnv(name); there || !slices.Contains(unset, name) {
			t.Errorf("%s is there, or not named among %v", name, unset)
		}
	}
	for _, name := range stays {
		if _, there := os.LookupEnv(name); !there || slices.Contains(unset, name) {
			t.Errorf("%s is gone, or named among %v", name, unset)
		}
	}
	if again := CleanEnvironment(); len(again) > 0 {
		t.Error(again)
	}
}
