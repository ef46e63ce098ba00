package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// CuBLASLt returns the functions of libcublasLt.
func (m *Machine) CuBLASLt() *cublaslt.Functions {
	return &cublaslt.Functions{
		GetVersion: m.blasVersion, GetStatusName: blasStatus, GetStatusString: blasStatus,
		Create: m.blasCreate, Destroy: m.blasDestroy,
		MatmulDescCreate: m.matmulDesc, MatmulDescDestroy: func(d cublaslt.RawMatmul) cublaslt.Status { return endBLAS[*matmulDesc](m, d) },
		MatmulDescSetAttribute: m.setMatmul,
		MatrixLayoutCreate:     m.matrixLayout, MatrixLayoutDestroy: func(l cublaslt.RawLayout) cublaslt.Status { return endBLAS[*layout](m, l) },
		MatmulPreferenceCreate: m.preference, MatmulPreferenceDestroy: func(p cublaslt.RawPreference) cublaslt.Status { return endBLAS[*preference](m, p) },
		MatmulPreferenceSetAttribute: m.setPreference, MatmulAlgoGetHeuristic: m.heuristic, Matmul: m.matmul,
	}
}

func (m *Machine) blasVersion() uintptr {
	if m.isOld(nameCuBLASLt) {
		return 111103
	}
	return 120501
}

func blasStatus(s cublaslt.Status) *byte {
	names := map[cublaslt.Status]string{
		cublaslt.Success: "CUBLAS_STATUS_SUCCESS", cublaslt.NotInitialized: "CUBLAS_STATUS_NOT_INITIALIZED", cublaslt.AllocFailed: "CUBLAS_STATUS_ALLOC_FAILED",
		cublaslt.InvalidValue: "CUBLAS_STATUS_INVALID_VALUE", cublaslt.ExecutionFailed: "CUBLAS_STATUS_EXECUTION_FAILED", cublaslt.NotSupported: "CUBLAS_STATUS_NOT_SUPPORTED"}
	if name := names[s]; name != "" {
		return text(name)
	}
	return text("unknown status")
}

// blasHandle is a handle of cuBLASLt.
type blasHandle struct{ ctx *cudaContext }

func (m *Machine) blasCreate(h *cublaslt.RawHandle) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h == nil {
		return cublaslt.InvalidValue
	}
	c, r := m.entered()
	if r != cu.Success || c.failed != cu.Success {
		return cublaslt.NotInitialized
	}
	*h = cublaslt.RawHandle(m.issue(&blasHandle{c}, "cuBLASLt handle of GPU %d", c.gpu.ordinal))
	return cublaslt.Success
}

// blasDestroy waits for all work of the GPU.
func (m *Machine) blasDestroy(raw cublaslt.RawHandle) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := find[*blasHandle](m, uintptr(raw))
	if !ok {
		return cublaslt.NotInitialized
	}
	m.finish(h.ctx)
	drop[*blasHandle](m, uintptr(raw))
	if h.ctx.failed != cu.Success {
		return cublaslt.ExecutionFailed
	}
	return cublaslt.Success
}

// What a product is told by its descriptors. They hold nothing that cannot be
// compared.
type (
	matmulDesc struct {
		product
		bias cu.DevicePtr
	}
	// product is what an algorithm is chosen for.
	product struct {
		compute        cublaslt.ComputeType
		transA, transB cublaslt.Operation
		epilogue       cublaslt.Epilogue
		biasType       cublaslt.DataType // less than 0 if it is D's
	}
	// layout is a matrix by columns, which start ld numbers apart.
	layout struct {
		kind       cublaslt.DataType
		rows, cols uint64
		ld         int64
	}
	preference struct {
		workspace uint64
		align     [4]uint32 // of a, b, c, d
	}
)

func endBLAS[T any, H ~uintptr](m *Machine, h H) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !drop[T](m, uintptr(h)) {
		return cublaslt.InvalidValue
	}
	return cublaslt.Success
}

func (m *Machine) matmulDesc(d *cublaslt.RawMatmul, compute cublaslt.ComputeType, scale cublaslt.DataType) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d == nil || scale != cublaslt.Float32 || compute != cublaslt.Compute32F && compute != cublaslt.Compute32FFastTF32 {
		return cublaslt.InvalidValue
	}
	desc := &matmulDesc{product: product{compute: compute, epilogue: cublaslt.EpilogueDefault, biasType: -1}}
	*d = cublaslt.RawMatmul(m.issue(desc, "cuBLASLt matmul descriptor"))
	return cublaslt.Success
}

// attribute stores the value of an attribute if it has the right size.
func attribute[T any](to *T, value unsafe.Pointer, bytes uintptr) cublaslt.Status {
	if value == nil || bytes != unsafe.Sizeof(*to) {
		return cublaslt.InvalidValue
	}
	*to = *(*T)(value)
	return cublaslt.Success
}

func (m *Machine) setMatmul(raw cublaslt.RawMatmul, a cublaslt.MatmulAttribute, value unsafe.Pointer, bytes uintptr) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := find[*matmulDesc](m, uintptr(raw))
	if !ok {
		return cublaslt.InvalidValue
	}
	old, status := *d, cublaslt.InvalidValue
	switch a {
	case cublaslt.MatmulTransA:
		status = attribute(&d.transA, value, bytes)
	case cublaslt.MatmulTransB:
		status = attribute(&d.transB, value, bytes)
	case cublaslt.MatmulEpilogue:
		status = attribute(&d.epilogue, value, bytes)
	case cublaslt.MatmulBiasPointer:
		status = attribute(&d.bias, value, bytes)
	case cublaslt.MatmulBiasDataType:
		status = attribute(&d.biasType, value, bytes)
	}
	const conjugate = 2 // which for real numbers is to transpose, and which nobody needs
	if min(d.transA, d.transB) < 0 || max(d.transA, d.transB) >= conjugate {
		status = cublaslt.InvalidValue
	}
	if status != cublaslt.Success {
		*d = old
	}
	return status
}

func (m *Machine) matrixLayout(l *cublaslt.RawLayout, t cublaslt.DataType, rows, cols uint64, ld int64) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l == nil || t != cublaslt.Float32 && t != cublaslt.BFloat16 {
		return cublaslt.InvalidValue
	}
	*l = cublaslt.RawLayout(m.issue(&layout{t, rows, cols, ld}, "cuBLASLt matrix layout"))
	return cublaslt.Success
}

func (m *Machine) preference(p *cublaslt.RawPreference) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p == nil {
		return cublaslt.InvalidValue
	}
	const align = 256 // of all, unless something else is said
	*p = cublaslt.RawPreference(m.issue(&preference{align: [4]uint32{align, align, align, align}}, "cuBLASLt preference"))
	return cublaslt.Success
}

func (m *Machine) setPreference(raw cublaslt.RawPreference, a cublaslt.PreferenceAttribute, value unsafe.Pointer, bytes uintptr) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := find[*preference](m, uintptr(raw))
	switch {
	case !ok:
	case a == cublaslt.PreferenceMaxWorkspace:
		return attribute(&p.workspace, value, bytes)
	case a == cublaslt.PreferenceReductionSchemes: // of which the simulated ones need none
		const all = 7
		var mask uint32
		if status := attribute(&mask, value, bytes); status != cublaslt.Success || mask > all {
			return cublaslt.InvalidValue
		}
		return cublaslt.Success
	case a >= cublaslt.PreferenceAlignmentA && a <= cublaslt.PreferenceAlignmentD:
		var align uint32
		if status := attribute(&align, value, bytes); status != cublaslt.Success || align == 0 {
			return cublaslt.InvalidValue
		}
		p.align[a-cublaslt.PreferenceAlignmentA] = align
		return cublaslt.Success
	}
	return cublaslt.InvalidValue
}

// tensor returns a matrix as [columns, rows].
func (l layout) tensor() tensor {
	kind := cudnn.Float
	if l.kind == cublaslt.BFloat16 {
		kind = cudnn.BFloat16
	}
	return tensor{kind, [4]int{1, 1, int(l.cols), int(l.rows)}, [4]int{1, 1, int(l.ld), 1}}
}

// turned returns rows and columns of a factor as it is multiplied.
func (l layout) turned(op cublaslt.Operation) (rows, cols uint64) {
	if op == cublaslt.Trans {
		return l.cols, l.rows
	}
	return l.rows, l.cols
}

// matrices are a product whose descriptors agree.
type matrices struct {
	product
	a, b, d layout // c is like d
	m, n, k int
}

// matrices checks descriptors.
func (m *Machine) matrices(d cublaslt.RawMatmul, ra, rb, rc, rd cublaslt.RawLayout) (*matrices, cublaslt.Status) {
	desc, ok := find[*matmulDesc](m, uintptr(d))
	if !ok {
		return nil, cublaslt.InvalidValue
	}
	var l [4]layout
	for i, raw := range []cublaslt.RawLayout{ra, rb, rc, rd} {
		p, ok := find[*layout](m, uintptr(raw))
		if !ok || p.rows < 1 || p.cols < 1 || max(p.rows, p.cols) > maxElements || p.ld < int64(p.rows) || p.ld > maxElements {
			return nil, cublaslt.InvalidValue
		}
		l[i] = *p
	}
	a, b, c, dst := l[0], l[1], l[2], l[3]
	rows, inner := a.turned(desc.transA)
	inner2, cols := b.turned(desc.transB)
	biased := desc.epilogue == cublaslt.EpilogueBias || desc.epilogue == cublaslt.EpilogueReLUBias
	switch {
	case inner != inner2 || rows != dst.rows || cols != dst.cols || c != dst:
		return nil, cublaslt.InvalidValue
	case !biased && desc.epilogue != cublaslt.EpilogueDefault && desc.epilogue != cublaslt.EpilogueReLU,
		a.kind != b.kind,
		a.kind == cublaslt.Float32 && dst.kind != cublaslt.Float32,
		a.kind == cublaslt.BFloat16 && desc.compute != cublaslt.Compute32F,
		biased && (desc.biasType >= 0 && desc.biasType != dst.kind || min(rows, cols, inner) == 1):
		return nil, cublaslt.NotSupported
	}
	return &matrices{desc.product, a, b, dst, int(rows), int(cols), int(inner)}, cublaslt.Success
}

// An algorithm as the program sees it: a mark, the number, the workspace, what it
// is for, and the alignment of a and b, and of c and d.
const algoMark = 0x6d6c61

func (p *matrices) hash(number uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, *p, number)
	return h.Sum64()
}

func (p *matrices) algorithm(number, workspace uint64, align [4]uint32) cublaslt.Algo {
	return cublaslt.Algo{algoMark, number, workspace, p.hash(0),
		uint64(align[0])<<32 | uint64(align[1]), uint64(align[2])<<32 | uint64(align[3])}
}

// algorithms returns those that do with a workspace, the ones that seem fastest
// first, which follows from the sizes alone.
func (p *matrices) algorithms(limit uint64, align [4]uint32) []cublaslt.Algo {
	var list []cublaslt.Algo
	for number, workspace := range []uint64{0, 4 * uint64(p.m) * uint64(p.n), 4*uint64(p.m)*uint64(p.n) + 4096} {
		if workspace <= limit {
			list = append(list, p.algorithm(uint64(number), workspace, align))
		}
	}
	slices.SortFunc(list, func(a, b cublaslt.Algo) int { return cmp.Compare(p.hash(1+a[1]), p.hash(1+b[1])) })
	return list
}

func (m *Machine) heuristic(h cublaslt.RawHandle, d cublaslt.RawMatmul, a, b, c, dst cublaslt.RawLayout, raw cublaslt.RawPreference, requested int32, results *cublaslt.HeuristicResult, returned *int32) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := find[*blasHandle](m, uintptr(h))
	pref, ok2 := find[*preference](m, uintptr(raw))
	switch {
	case !ok:
		return cublaslt.NotInitialized
	case !ok2 || requested < 1 || results == nil || returned == nil:
		return cublaslt.InvalidValue
	}
	*returned = 0
	p, status := m.matrices(d, a, b, c, dst)
	if status != cublaslt.Success {
		return status
	}
	room := unsafe.Slice(results, requested)
	for i, algo := range p.algorithms(pref.workspace, pref.align) {
		if i == len(room) {
			break
		}
		room[i] = cublaslt.HeuristicResult{Algo: algo, WorkspaceSize: uintptr(algo[2]), WavesCount: 1}
		*returned++
	}
	return cublaslt.Success
}

// matmul: d = f(alpha op(a) op(b) + beta c + bias).
func (m *Machine) matmul(h cublaslt.RawHandle, raw cublaslt.RawMatmul, alpha unsafe.Pointer, a cu.DevicePtr, la cublaslt.RawLayout, b cu.DevicePtr, lb cublaslt.RawLayout,
	beta unsafe.Pointer, c cu.DevicePtr, lc cublaslt.RawLayout, d cu.DevicePtr, ld cublaslt.RawLayout, algo *cublaslt.Algo, workspace cu.DevicePtr, bytes uintptr, sh cu.CUStream) cublaslt.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	handle, ok := find[*blasHandle](m, uintptr(h))
	if !ok {
		return cublaslt.NotInitialized
	}
	p, status := m.matrices(raw, la, lb, lc, ld)
	if status != cublaslt.Success {
		return status
	}
	if alpha == nil || beta == nil {
		return cublaslt.InvalidValue
	}
	s := scales{*(*float32)(alpha), *(*float32)(beta)}
	if current, r := m.entered(); r != cu.Success || current != handle.ctx || current.failed != cu.Success {
		return cublaslt.ExecutionFailed
	}
	stream, r := m.stream(handle.ctx, sh)
	space, ok := size(bytes)
	if r != cu.Success || !ok || a == 0 || b == 0 || d == 0 || c == 0 && s.beta != 0 {
		return cublaslt.InvalidValue
	}
	if workspace == 0 {
		space = 0
	}
	const spaceAlign, anyAlign = 16, 1
	var chosen cublaslt.Algo // which is copied
	if algo != nil {
		chosen = *algo
	} else {
		chosen = p.algorithms(uint64(space), [4]uint32{anyAlign, anyAlign, anyAlign, anyAlign})[0]
	}
	if !p.fits(chosen, [4]cu.DevicePtr{a, b, c, d}) || uint64(space) < chosen[2] || workspace%spaceAlign != 0 {
		return cublaslt.InvalidValue
	}
	var bias cu.DevicePtr
	if p.epilogue == cublaslt.EpilogueBias || p.epilogue == cublaslt.EpilogueReLUBias {
		desc, _ := find[*matmulDesc](m, uintptr(raw))
		if bias = desc.bias; bias == 0 {
			return cublaslt.InvalidValue
		}
	}
	m.task(stream, "cublasLtMatmul", func(x *access) { p.run(x, s, a, b, c, d, bias, workspace, space, int64(chosen[2])) })
	return cublaslt.Success
}

// fits reports whether an algorithm was found for this product, and whether the
// addresses are aligned as was promised then.
func (p *matrices) fits(algo cublaslt.Algo, at [4]cu.DevicePtr) bool {
	if algo[0] != algoMark || algo[3] != p.hash(0) {
		return false
	}
	align := [4]uint64{algo[4] >> 32, algo[4] & (1<<32 - 1), algo[5] >> 32, algo[5] & (1<<32 - 1)}
	for i, a := range align {
		if a == 0 || uint64(at[i])%a != 0 {
			return false
		}
	}
	return true
}

// biasAlign is what some algorithms take for granted of a bias's address, though
// no preference tells of it.
const biasAlign = 16

func (p *matrices) run(x *access, s scales, a, b, c, d, bias, workspace cu.DevicePtr, space, need int64) {
	at, bt, dt := p.a.tensor(), p.b.tensor(), p.d.tensor()
	am, bm, dm := at.read(x, "a", a), bt.read(x, "b", b), dt.write(x, "d", d)
	biasTensor := packed(dt.kind, cudnn.NCHW, 1, 1, 1, p.m)
	var biasMem []byte
	if bias != 0 {
		biasMem = biasTensor.read(x, "bias", bias)
		if bias%biasAlign != 0 {
			x.fail(errorMisalignedAddress, "bias: %#x is not a multiple of %d", uintptr(bias), biasAlign)
		}
	}
	cm := dm // c may be d
	if c != d && s.beta != 0 {
		cm = dt.read(x, "c", c)
	}
	x.scratch(workspace, space, need, func() {
		if !x.ready(false) {
			return
		}
		factor := func(t tensor, mem []byte) []float32 {
			f := t.load(mem)
			if p.compute == cublaslt.Compute32FFastTF32 {
				f = roundTF32(f)
			}
			return f
		}
		// By rows, what cuBLASLt sees is dᵀ = op(b)ᵀ op(a)ᵀ.
		result := make([]float32, p.m*p.n)
		general := func(l layout, f []float32) blas32.General {
			return blas32.General{Rows: int(l.cols), Cols: int(l.rows), Stride: int(l.rows), Data: f}
		}
		blas32.Gemm(turn(p.transB), turn(p.transA), 1, general(p.b, factor(bt, bm)), general(p.a, factor(at, am)),
			0, blas32.General{Rows: p.n, Cols: p.m, Stride: p.m, Data: result})
		var old, biases []float32
		if s.beta != 0 {
			old = dt.load(cm)
		}
		if bias != 0 {
			biases = biasTensor.load(biasMem)
		}
		for i, v := range result {
			v *= s.alpha
			if s.beta != 0 {
				v += s.beta * old[i]
			}
			if bias != 0 {
				v += biases[i%p.m]
			}
			if p.epilogue == cublaslt.EpilogueReLU || p.epilogue == cublaslt.EpilogueReLUBias {
				v = max(v, 0)
			}
			result[i] = v
		}
		dt.store(dm, scales{alpha: 1}, result)
	})
}

func turn(op cublaslt.Operation) blas.Transpose {
	if op == cublaslt.Trans {
		return blas.Trans
	}
	return blas.NoTrans
}
