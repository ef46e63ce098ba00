package cublaslt

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/internal/handle"
)

// offers is the largest count of algorithms that the library is asked for.
const offers = 16

// Matmul is a product of matrices that is ready to run. Its methods may be
// called from one goroutine at a time, of any thread.
type Matmul struct {
	h       *Handle
	product Product
	desc    RawMatmul
	a, b, d RawLayout
	offers  []HeuristicResult
	life    *handle.Life

	// Of the call in hand, where C can read them.
	algo        HeuristicResult
	alpha, beta float32
	bias        cu.DevicePtr
}

// NewMatmul prepares a product, with the algorithm that cuBLASLt expects to be
// the fastest of those that do with workspace bytes. Factors alpha and beta, and
// sums, are float32 (cublasLtMatmulDescCreate, cublasLtMatrixLayoutCreate,
// cublasLtMatmulAlgoGetHeuristic).
func (h *Handle) NewMatmul(p Product, workspace int64) (*Matmul, error) {
	p.fill()
	m := &Matmul{h: h, product: p}
	if err := m.make(workspace); err != nil {
		return nil, fmt.Errorf("product %v: %w", p, err)
	}
	return m, nil
}

func (m *Matmul) make(workspace int64) (err error) {
	p, lib := m.product, m.h.lib
	if err := p.check(); err != nil {
		return err
	}
	if err := m.h.life.Use(); err != nil {
		return err
	}
	if err := m.h.ctx.Enter(); err != nil {
		return err
	}
	defer m.h.ctx.Leave()

	// Descriptors are of the host alone and are given back in any thread.
	var undo []func() error
	release := func() error {
		var errs []error
		for _, f := range slices.Backward(undo) {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	if m.life, err = handle.New("a product of matrices", func() error { return release() }, m.h.life); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.life.Close())
		}
	}()

	if err := lib.check(lib.f.MatmulDescCreate(&m.desc, p.Compute, Float32), "cublasLtMatmulDescCreate"); err != nil {
		return err
	}
	undo = append(undo, func() error {
		return lib.check(lib.f.MatmulDescDestroy(m.desc), "cublasLtMatmulDescDestroy")
	})
	attributes := []func() error{
		func() error { return attribute(m, MatmulTransA, p.TransA) },
		func() error { return attribute(m, MatmulTransB, p.TransB) },
		func() error { return attribute(m, MatmulEpilogue, p.Epilogue) },
	}
	if p.bias() {
		attributes = append(attributes, func() error { return attribute(m, MatmulBiasDataType, p.BiasType) })
	}
	for _, set := range attributes {
		if err := set(); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		raw *RawLayout
		of  Matrix
	}{{&m.a, p.A}, {&m.b, p.B}, {&m.d, p.D}} {
		if err := lib.check(lib.f.MatrixLayoutCreate(l.raw, l.of.Type, uint64(l.of.Rows), uint64(l.of.Cols), int64(l.of.LD)),
			"cublasLtMatrixLayoutCreate(%v)", l.of); err != nil {
			return err
		}
		undo = append(undo, func() error {
			return lib.check(lib.f.MatrixLayoutDestroy(*l.raw), "cublasLtMatrixLayoutDestroy")
		})
	}
	return m.ask(workspace)
}

func attribute[T any](m *Matmul, a MatmulAttribute, value T) error {
	s := m.h.lib.f.MatmulDescSetAttribute(m.desc, a, unsafe.Pointer(&value), unsafe.Sizeof(value))
	return m.h.lib.check(s, "cublasLtMatmulDescSetAttribute(%d, %v)", a, value)
}

// ask asks for algorithms.
func (m *Matmul) ask(workspace int64) (err error) {
	lib := m.h.lib
	var pref RawPreference
	if err := lib.check(lib.f.MatmulPreferenceCreate(&pref), "cublasLtMatmulPreferenceCreate"); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, lib.check(lib.f.MatmulPreferenceDestroy(pref), "cublasLtMatmulPreferenceDestroy"))
	}()
	if err := prefer(m, pref, PreferenceMaxWorkspace, uint64(max(workspace, 0))); err != nil {
		return err
	}
	if err := prefer(m, pref, PreferenceReductionSchemes, ReductionComputeType); err != nil {
		return err
	}
	p := &m.product
	for i, align := range []int{p.A.Align, p.B.Align, p.D.Align, p.D.Align} { // of A, B, C, D
		if err := prefer(m, pref, PreferenceAlignmentA+PreferenceAttribute(i), uint32(align)); err != nil {
			return err
		}
	}
	list, got := make([]HeuristicResult, offers), int32(0)
	s := lib.f.MatmulAlgoGetHeuristic(m.h.raw, m.desc, m.a, m.b, m.d, m.d, pref, offers, &list[0], &got)
	list = list[:max(0, min(got, offers))]
	m.offers = slices.DeleteFunc(list, func(r HeuristicResult) bool { return r.State != Success })
	if s == Success && len(m.offers) == 0 {
		s = NotSupported
	}
	if s != Success {
		return lib.failure(s, "cublasLtMatmulAlgoGetHeuristic, within a workspace of %d bytes", workspace)
	}
	m.algo = m.offers[0]
	return nil
}

func prefer[T any](m *Matmul, pref RawPreference, a PreferenceAttribute, value T) error {
	s := m.h.lib.f.MatmulPreferenceSetAttribute(pref, a, unsafe.Pointer(&value), unsafe.Sizeof(value))
	return m.h.lib.check(s, "cublasLtMatmulPreferenceSetAttribute(%d, %v)", a, value)
}

// String says what is multiplied.
func (m *Matmul) String() string { return m.product.String() }

// Close gives the descriptors back.
func (m *Matmul) Close() error { return m.life.Close() }

// Algorithms returns what cuBLASLt offers for the product, the one that it
// expects to be the fastest first.
func (m *Matmul) Algorithms() []HeuristicResult { return slices.Clone(m.offers) }

// SetAlgorithm makes Run use r, one of Algorithms of a product like this one.
func (m *Matmul) SetAlgorithm(r HeuristicResult) { m.algo = r }

// Workspace returns the bytes that the algorithm needs.
func (m *Matmul) Workspace() int64 { return int64(m.algo.WorkspaceSize) }

// SetBias says where on the device the bias is that the epilogue adds: as many
// numbers as d has rows (CUBLASLT_MATMUL_DESC_BIAS_POINTER).
func (m *Matmul) SetBias(bias cu.DevicePtr) error {
	if !m.product.bias() {
		return fmt.Errorf("product %v: its epilogue adds no bias", m.product)
	}
	if err := m.life.Use(); err != nil {
		return err
	}
	m.bias = bias
	if s := m.h.lib.f.MatmulDescSetAttribute(m.desc, MatmulBiasPointer, unsafe.Pointer(&m.bias), unsafe.Sizeof(m.bias)); s != Success {
		return m.h.lib.failure(s, "cublasLtMatmulDescSetAttribute(bias)")
	}
	return nil
}

// Run queues d = alpha·op(a)·op(b) + beta·d, and the epilogue, in s; in the
// context's default stream if s is nil. d is not read if beta is 0. bytes is the
// size of the workspace. Run takes no memory of the host (cublasLtMatmul).
func (m *Matmul) Run(alpha float32, a, b cu.DevicePtr, beta float32, d cu.DevicePtr, workspace cu.DevicePtr, bytes int64, s *cu.Stream) error {
	if err := m.ready(a, b, d, bytes, s); err != nil {
		return fmt.Errorf("product %v: %w", m.product, err)
	}
	if err := m.h.ctx.Enter(); err != nil {
		return fmt.Errorf("product %v: %w", m.product, err)
	}
	defer m.h.ctx.Leave()
	var stream cu.CUStream
	if s != nil {
		stream = s.Handle()
	}
	m.alpha, m.beta = alpha, beta
	if s := m.h.lib.f.Matmul(m.h.raw, m.desc, unsafe.Pointer(&m.alpha), a, m.a, b, m.b, unsafe.Pointer(&m.beta), d, m.d, d, m.d,
		&m.algo.Algo, workspace, uintptr(bytes), stream); s != Success {
		return m.h.lib.failure(s, "cublasLtMatmul(%v, workspace of %d bytes)", m.product, bytes)
	}
	return nil
}

// ready returns an error if the product cannot run.
func (m *Matmul) ready(a, b, d cu.DevicePtr, bytes int64, s *cu.Stream) error {
	if err := m.life.Use(); err != nil {
		return err
	}
	if s != nil {
		if err := s.Life().Use(); err != nil {
			return err
		}
		if s.Context().Handle() != m.h.ctx.Handle() {
			return fmt.Errorf("the stream is of device %d and another context than the handle, of device %d", s.Context().Device(), m.h.ctx.Device())
		}
	}
	p := &m.product
	if a&cu.DevicePtr(p.A.Align-1) != 0 || b&cu.DevicePtr(p.B.Align-1) != 0 || d&cu.DevicePtr(p.D.Align-1) != 0 {
		return errors.New("an address is not the multiple that Align promises")
	}
	if bytes < m.Workspace() {
		return fmt.Errorf("the workspace has %d bytes; the algorithm needs %d", bytes, m.Workspace())
	}
	if m.product.bias() && m.bias == 0 {
		return errors.New("the epilogue adds a bias, but SetBias did not say where it is")
	}
	return nil
}
