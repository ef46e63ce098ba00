package cpu

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"alexnet/internal/native"

	"github.com/ebitengine/purego"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var openBLASNames = []string{"libopenblas.so.0", "libopenblas.so", "libopenblas.0.dylib", "libopenblas.dylib", "libopenblas.dll"}

// openBLASDirs are folders that a loader may not know.
var openBLASDirs = []string{
	"/usr/lib/x86_64-linux-gnu/openblas-pthread",
	"/usr/lib/aarch64-linux-gnu/openblas-pthread",
	"/usr/lib64", "/usr/local/lib", "/opt/OpenBLAS/lib",
	"/opt/homebrew/opt/openblas/lib", "/usr/local/opt/openblas/lib",
}

// openBLAS is gonum's implementation with OpenBLAS's matrix product.
type openBLAS struct {
	gonum.Implementation
	sgemm uintptr // of sgemm_
	core  string  // that it has kernels for, of those that it knows
}

// coreVectors are the vectors that OpenBLAS's kernels for x86 processors use, by
// its names of those. It may choose kernels for an older processor than there is:
// OPENBLAS_CORETYPE can ask for them, and a library that is older than the processor
// may not know it.
var coreVectors = map[string]string{
	"haswell": "AVX2", "zen": "AVX2", "excavator": "AVX2",
	"skylakex": "AVX-512", "cooperlake": "AVX-512", "sapphirerapids": "AVX-512",
}

// uses reports whether the library uses vectors of that name, as package tile has it.
// All of its kernels for ARM use NEON.
func (o openBLAS) uses(vectors string) bool {
	return vectors == "NEON" || coreVectors[strings.ToLower(o.core)] == vectors
}

// openOpenBLAS opens the library and sets it to one thread, since the team is
// what works in parallel. The name says where it lies and what it calls itself.
func openOpenBLAS(names []string) (b openBLAS, name string, err error) {
	lib, err := native.Open(names, openBLASDirs)
	if err != nil {
		return b, "", fmt.Errorf("OpenBLAS: %w", err)
	}
	// void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k, const float *alpha,
	//             const float *a, const int *lda, const float *b, const int *ldb, const float *beta, float *c, const int *ldc)
	if b.sgemm, err = lib.Symbol("sgemm_"); err != nil {
		return b, "", err
	}
	// void openblas_set_num_threads(int num_threads)
	threads, err := lib.Symbol("openblas_set_num_threads")
	if err != nil {
		return b, "", err
	}
	// char *openblas_get_config(void)
	config, err := lib.Symbol("openblas_get_config")
	if err != nil {
		return b, "", err
	}
	// char *openblas_get_corename(void)
	corename, err := lib.Symbol("openblas_get_corename")
	if err != nil {
		return b, "", err
	}
	purego.SyscallN(threads, 1)
	var core func() string
	purego.RegisterFunc(&core, corename)
	b.core = core()
	var get func() string
	purego.RegisterFunc(&get, config)
	return b, fmt.Sprintf("openblas %s, %s", lib.Path, get()), nil
}

// sgemmArgs are the arguments of sgemm_, all of which are given by address, and
// those addresses. They lie on the heap, where nothing moves.
type sgemmArgs struct {
	ta, tb                 byte
	m, n, k, lda, ldb, ldc int32
	alpha, beta            float32
	list                   [13]uintptr
}

var sgemmPool = sync.Pool{New: func() any { return new(sgemmArgs) }}

// Sgemm calls sgemm_, which takes matrices by columns. A matrix by rows is its
// transpose by columns, and cᵀ = op(b)ᵀ op(a)ᵀ: the operands change places.
//
// Like every implementation it is called through blas.Float32, so the compiler
// puts what a, b and c point to on the heap, where their addresses stay good.
func (o openBLAS) Sgemm(ta, tb blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	const limit = 1<<31 - 1
	if max(m, n, k, lda, ldb, ldc) > limit {
		panic(fmt.Sprintf("cpu: a matrix product of %d x %d x %d, strides %d, %d, %d: more than OpenBLAS can count", m, n, k, lda, ldb, ldc))
	}
	if k == 0 { // a and b may be empty
		o.Implementation.Sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	// OpenBLAS does not know where the memory ends.
	mustHold("a", a, ta, m, k, lda)
	mustHold("b", b, tb, k, n, ldb)
	mustHold("c", c, blas.NoTrans, m, n, ldc)
	x := sgemmPool.Get().(*sgemmArgs)
	x.ta, x.tb = byte(ta), byte(tb)
	x.m, x.n, x.k, x.lda, x.ldb, x.ldc = int32(m), int32(n), int32(k), int32(lda), int32(ldb), int32(ldc)
	x.alpha, x.beta = alpha, beta
	x.list = [...]uintptr{address(&x.tb), address(&x.ta), address(&x.n), address(&x.m), address(&x.k), address(&x.alpha),
		address(unsafe.SliceData(b)), address(&x.ldb), address(unsafe.SliceData(a)), address(&x.lda), address(&x.beta),
		address(unsafe.SliceData(c)), address(&x.ldc)}
	purego.SyscallN(o.sgemm, x.list[:]...) // a list made by the call would be on the heap, each time
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	runtime.KeepAlive(c)
	runtime.KeepAlive(x)
	sgemmPool.Put(x)
}

func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

func mustHold(name string, x []float32, t blas.Transpose, rows, cols, ld int) {
	if t != blas.NoTrans {
		rows, cols = cols, rows
	}
	if rows < 1 || cols < 1 || ld < cols || len(x) < (rows-1)*ld+cols {
		panic(fmt.Sprintf("cpu: matrix product: %s has %d numbers, not %d x %d, rows %d apart", name, len(x), rows, cols, ld))
	}
}
