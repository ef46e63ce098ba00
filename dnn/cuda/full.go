package cuda

import (
	"errors"
	"fmt"
	"time"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/kernels"
)

// Fully connected layers. cuBLASLt sees matrices by columns: a tensor
// [rows, columns] is its matrix of columns x rows. So for one group
//
//	y [out, batch]  = wᵀ x + b     w [in, out], x [in, batch]
//	dx [in, batch]  = w dy
//	dw [in, out]    = x dyᵀ
//
// where the numbers of x and y of one image stand as far apart as those of all
// groups.

// full is a fully connected layer as cuBLASLt sees it.
type full struct {
	dnn.Full
	in, out int // of one group
	kind    cublaslt.DataType
	compute cublaslt.ComputeType
}

func (p *preparation) full(o dnn.Full) *full {
	f := &full{Full: o, in: o.In / o.Groups, out: o.Out / o.Groups, kind: cublaslt.Float32, compute: cublaslt.Compute32F}
	switch p.device.options.Precision {
	case TF32:
		f.compute = cublaslt.Compute32FFastTF32
	case BF16:
		f.kind = cublaslt.BFloat16
	}
	return f
}

// The factors of the products; results are float32.
func (f *full) w() cublaslt.Matrix {
	return cublaslt.Matrix{Type: f.kind, Rows: f.in, Cols: f.out, LD: f.in}
}
func (f *full) x() cublaslt.Matrix {
	return cublaslt.Matrix{Type: f.kind, Rows: f.in, Cols: f.Batch, LD: f.In}
}
func (f *full) y() cublaslt.Matrix {
	return cublaslt.Matrix{Type: f.kind, Rows: f.out, Cols: f.Batch, LD: f.Out}
}

func result(m cublaslt.Matrix) cublaslt.Matrix { m.Type = cublaslt.Float32; return m }

// factor returns n numbers as a product wants them: a tensor, or a copy of it in
// bfloat16.
func (f *full) factor(p *preparation, t dnn.Tensor, n int64) (operand, binding) {
	if f.kind == cublaslt.Float32 {
		return operand{ptr: p.at[t]}, nothing
	}
	return p.bfloat16(t, n)
}

// products returns the calls of a product for each group. strides count numbers
// from one group's matrix to the next. If cuBLASLt has no algorithm for it, the
// error is a cublaslt.NotSupported.
func (f *full) products(p *preparation, m cublaslt.Product, a, b operand, d cu.DevicePtr, strideA, strideB, strideD int, bias cu.DevicePtr) (binding, error) {
	size := cu.DevicePtr(4)
	if f.kind == cublaslt.BFloat16 {
		size = 2
	}
	m.A.Align = f.alignment(a.ptr, size*cu.DevicePtr(strideA))
	m.B.Align = f.alignment(b.ptr, size*cu.DevicePtr(strideB))
	m.D.Align = f.alignment(d, 4*cu.DevicePtr(strideD))
	limit := p.device.options.workspace()
	list := make([]*cublaslt.Matmul, f.Groups)
	for g := range list {
		product, err := p.device.blas.NewMatmul(m, limit)
		if err != nil {
			return nil, err
		}
		list[g] = own(p, product, nil)
		if bias != 0 {
			if err := product.SetBias(bias + cu.DevicePtr(4*g*f.out)); err != nil {
				return nil, err
			}
		}
	}
	if p.device.options.Autotune {
		if err := p.tune(list, m, limit); err != nil {
			return nil, fmt.Errorf("to measure products: %w", err)
		}
	}
	bytes := list[0].Workspace()
	space := cu.DevicePtr(p.reserve(bytes))
	return func(base cu.DevicePtr) ([]call, error) {
		calls := make([]call, len(list))
		for g, product := range list {
			a := a.in(base) + size*cu.DevicePtr(g*strideA)
			b := b.in(base) + size*cu.DevicePtr(g*strideB)
			d := d + 4*cu.DevicePtr(g*strideD)
			calls[g] = func(s *stream) error { return product.Run(1, a, b, 0, d, base+space, bytes, s.cu) }
		}
		return calls, nil
	}, nil
}

// alignment returns the largest power of two, up to 256, that divides the
// addresses of all groups, the first of which is at first.
func (f *full) alignment(first, stride cu.DevicePtr) int {
	all := 256 | first
	if f.Groups > 1 {
		all |= stride
	}
	return int(all & -all)
}

// tune gives the products, which are all alike, the algorithm that is fastest on
// the device.
func (p *preparation) tune(list []*cublaslt.Matmul, m cublaslt.Product, limit int64) error {
	size := func(m cublaslt.Matrix) int64 { return 4 * int64(m.LD) * int64(m.Cols) }
	return p.borrow([]int64{size(m.A), size(m.B), size(m.D), limit}, func(at []cu.DevicePtr) error {
		clock, err := p.device.newClock()
		if err != nil {
			return err
		}
		defer clock.close()
		best, fastest := -1, time.Duration(0)
		var failed error
		for i, algorithm := range list[0].Algorithms() {
			list[0].SetAlgorithm(algorithm)
			took, err := clock.time(func(s *cu.Stream) error {
				return list[0].Run(1, at[0], at[1], 0, at[2], at[3], limit, s)
			})
			switch {
			case errors.Is(err, cublaslt.NotSupported): // although it was offered
				failed = err
			case err != nil:
				return err
			case best < 0 || took < fastest:
				best, fastest = i, took
			}
		}
		if best < 0 {
			return failed
		}
		for _, product := range list {
			product.SetAlgorithm(list[0].Algorithms()[best])
		}
		return nil
	})
}

func (p *preparation) fullForward(o dnn.FullForward) (binding, error) {
	f := p.full(o.Full)
	x, makeX := f.factor(p, o.X, int64(f.Batch)*int64(f.In))
	w, makeW := f.factor(p, o.W, int64(f.in)*int64(f.Out))
	m := cublaslt.Product{A: f.w(), B: f.x(), D: result(f.y()), TransA: cublaslt.Trans, Compute: f.compute}
	if f.epilogue(p.at[o.B]) {
		fused := m
		fused.Epilogue, fused.BiasType = cublaslt.EpilogueBias, cublaslt.Float32
		if o.Relu {
			fused.Epilogue = cublaslt.EpilogueReLUBias
		}
		products, err := f.products(p, fused, w, x, p.at[o.Y], f.in*f.out, f.in, f.out, p.at[o.B])
		if !errors.Is(err, cublaslt.NotSupported) {
			return sequence(makeX, makeW, products), err
		}
	}
	products, err := f.products(p, m, w, x, p.at[o.Y], f.in*f.out, f.in, f.out, 0)
	if err != nil {
		return nil, err
	}
	bias := kernels.AddBias{B: p.at[o.B], Y: p.at[o.Y], Rows: p.i32(o.Batch), Width: p.i32(o.Out)}
	if o.Relu {
		bias.Relu = 1
	}
	after, err := p.fixed(bias)
	return sequence(makeX, makeW, products, after), err
}

// epilogue reports whether cuBLASLt's epilogue may add the bias. It has none for
// matrices with a side of 1, and some of its algorithms read four numbers of the
// bias at a time, wherever it starts.
func (f *full) epilogue(bias cu.DevicePtr) bool {
	return min(f.Batch, f.in, f.out) > 1 && f.alignment(bias, 4*cu.DevicePtr(f.out)) >= 16
}

func (p *preparation) fullBackwardData(o dnn.FullBackwardData) (binding, error) {
	f := p.full(o.Full)
	w, makeW := f.factor(p, o.W, int64(f.in)*int64(f.Out))
	dy, makeDY := f.factor(p, o.DY, int64(f.Batch)*int64(f.Out))
	products, err := f.products(p, cublaslt.Product{A: f.w(), B: f.y(), D: result(f.x()), Compute: f.compute,
		Epilogue: cublaslt.EpilogueDefault}, w, dy, p.at[o.DX], f.in*f.out, f.out, f.in, 0)
	return sequence(makeW, makeDY, products), err
}

func (p *preparation) fullBackwardWeights(o dnn.FullBackwardWeights) (binding, error) {
	f := p.full(o.Full)
	x, makeX := f.factor(p, o.X, int64(f.Batch)*int64(f.In))
	dy, makeDY := f.factor(p, o.DY, int64(f.Batch)*int64(f.Out))
	products, err := f.products(p, cublaslt.Product{A: f.x(), B: f.y(), D: result(f.w()), TransB: cublaslt.Trans, Compute: f.compute,
		Epilogue: cublaslt.EpilogueDefault}, x, dy, p.at[o.DW], f.in, f.out, f.in*f.out, 0)
	if err != nil {
		return nil, err
	}
	bias, err := p.fixed(kernels.SumRows{X: p.at[o.DY], Y: p.at[o.DB], Rows: p.i32(o.Batch), Width: p.i32(o.Out)})
	return sequence(makeX, makeDY, products, bias), err
}
