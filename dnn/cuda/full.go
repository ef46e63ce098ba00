package cuda

import (
	"errors"
	"fmt"
	"slices"
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
	switch {
	case o.Format == dnn.BFloat16:
		f.kind = cublaslt.BFloat16
	case p.device.options.Precision != FP32:
		f.compute = cublaslt.Compute32FFastTF32
	}
	return f
}

// size returns the bytes of a number.
func (f *full) size() cu.DevicePtr { return cu.DevicePtr(f.Format.Bytes()) }

// The matrices of the products.
func (f *full) w() cublaslt.Matrix {
	return cublaslt.Matrix{Type: f.kind, Rows: f.in, Cols: f.out, LD: f.in}
}
func (f *full) x() cublaslt.Matrix {
	return cublaslt.Matrix{Type: f.kind, Rows: f.in, Cols: f.Batch, LD: f.In}
}
func (f *full) y() cublaslt.Matrix {
	return cublaslt.Matrix{Type: f.kind, Rows: f.out, Cols: f.Batch, LD: f.Out}
}

// products returns the calls of a product for each group. strides count numbers
// from one group's matrix to the next. If cuBLASLt has no algorithm for it, the
// error is a cublaslt.NotSupported.
func (f *full) products(p *preparation, m cublaslt.Product, a, b, d cu.DevicePtr, strideA, strideB, strideD int, bias cu.DevicePtr) (binding, error) {
	size := f.size()
	m.A.Align = f.alignment(a, size*cu.DevicePtr(strideA))
	m.B.Align = f.alignment(b, size*cu.DevicePtr(strideB))
	m.D.Align = f.alignment(d, size*cu.DevicePtr(strideD))
	limit := p.device.options.workspace()
	list := make([]*cublaslt.Matmul, f.Groups)
	for g := range list {
		product, err := p.device.blas.NewMatmul(m, limit)
		if err != nil {
			return nil, err
		}
		list[g] = own(p, product, nil)
		if bias != 0 {
			if err := product.SetBias(bias + size*cu.DevicePtr(g*f.out)); err != nil {
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
			a, b, d := a+size*cu.DevicePtr(g*strideA), b+size*cu.DevicePtr(g*strideB), d+size*cu.DevicePtr(g*strideD)
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
// the device, or was when it was measured.
func (p *preparation) tune(list []*cublaslt.Matmul, m cublaslt.Product, limit int64) error {
	key := fmt.Sprintf("%v, workspace %d", m, limit)
	offers := list[0].Algorithms()
	known, ok := p.device.tuned.Products[key]
	best := slices.IndexFunc(offers, func(o cublaslt.HeuristicResult) bool { return ok && o.Algo == known })
	if best < 0 {
		var err error
		if best, err = p.fastest(list[0], m, limit); err != nil {
			return err
		}
		p.device.tuned.Products[key] = offers[best].Algo
		p.device.tuned.write()
	}
	for _, product := range list {
		product.SetAlgorithm(offers[best])
	}
	return nil
}

// fastest measures the algorithms of a product and returns which is the fastest.
func (p *preparation) fastest(product *cublaslt.Matmul, m cublaslt.Product, limit int64) (best int, err error) {
	size := func(m cublaslt.Matrix) int64 { return 4 * int64(m.LD) * int64(m.Cols) }
	best = -1
	err = p.borrow([]int64{size(m.A), size(m.B), size(m.D), limit}, func(at []cu.DevicePtr) error {
		clock, err := p.device.newClock()
		if err != nil {
			return err
		}
		defer clock.close()
		fastest := time.Duration(0)
		var failed error
		for i, algorithm := range product.Algorithms() {
			product.SetAlgorithm(algorithm)
			took, err := clock.time(func(s *cu.Stream) error {
				return product.Run(1, at[0], at[1], 0, at[2], at[3], limit, s)
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
		return nil
	})
	return best, err
}

func (p *preparation) fullForward(o dnn.FullForward) (binding, error) {
	f := p.full(o.Full)
	w, x, b, y := p.at[o.W], p.at[o.X], p.at[o.B], p.at[o.Y]
	m := cublaslt.Product{A: f.w(), B: f.x(), D: f.y(), TransA: cublaslt.Trans, Compute: f.compute}
	if f.epilogue(b) {
		fused := m
		fused.Epilogue, fused.BiasType = cublaslt.EpilogueBias, f.kind
		if o.Relu {
			fused.Epilogue = cublaslt.EpilogueReLUBias
		}
		products, err := f.products(p, fused, w, x, y, f.in*f.out, f.in, f.out, b)
		if !errors.Is(err, cublaslt.NotSupported) {
			return products, err
		}
	}
	products, err := f.products(p, m, w, x, y, f.in*f.out, f.in, f.out, 0)
	if err != nil {
		return nil, err
	}
	bias := kernels.AddBias{B: b, Y: y, Rows: p.i32(o.Batch), Width: p.i32(o.Out)}
	if o.Relu {
		bias.Relu = 1
	}
	var add kernels.Args = bias
	if o.Format == dnn.BFloat16 {
		add = kernels.AddBiasHalf(bias)
	}
	after, err := p.fixed(add)
	return sequence(products, after), err
}

// epilogue reports whether cuBLASLt's epilogue may add the bias. It has none for
// matrices with a side of 1, and some of its algorithms read four numbers of the
// bias at a time, wherever it starts.
func (f *full) epilogue(bias cu.DevicePtr) bool {
	return min(f.Batch, f.in, f.out) > 1 && f.alignment(bias, f.size()*cu.DevicePtr(f.out)) >= 16
}

func (p *preparation) fullBackwardData(o dnn.FullBackwardData) (binding, error) {
	f := p.full(o.Full)
	return f.products(p, cublaslt.Product{A: f.w(), B: f.y(), D: f.x(), Compute: f.compute, Epilogue: cublaslt.EpilogueDefault},
		p.at[o.W], p.at[o.DY], p.at[o.DX], f.in*f.out, f.out, f.in, 0)
}

func (p *preparation) fullBackwardWeights(o dnn.FullBackwardWeights) (binding, error) {
	f := p.full(o.Full)
	products, err := f.products(p, cublaslt.Product{A: f.x(), B: f.y(), D: f.w(), TransB: cublaslt.Trans, Compute: f.compute, Epilogue: cublaslt.EpilogueDefault},
		p.at[o.X], p.at[o.DY], p.at[o.DW], f.in, f.out, f.in*f.out, 0)
	if err != nil {
		return nil, err
	}
	return sequence(products, p.sumColumns(p.at[o.DY], p.at[o.DB], o.Format, o.Batch, o.Out)), p.err
}
