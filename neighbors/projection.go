package neighbors

import (
	"fmt"

	"alexnet/internal/philox"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Projection is an encoder: bit i says on which side of a plane a vector lies.
type Projection struct {
	dim     int
	weights []float32 // [Bits, dim], normals of the planes
	bias    []float32 // [Bits]
	sums    []float32 // [vectors, Bits], of Encode
}

// RandomProjection returns planes through the mean of the vectors in directions
// that the seed chooses: what codes cost nothing to learn.
func RandomProjection(mean []float32, seed uint64) (*Projection, error) {
	p, err := newProjection(len(mean))
	if err != nil {
		return nil, err
	}
	philox.Normals(p.weights, 1, seed, philox.Code, 0)
	p.centre(mean)
	return p, nil
}

func newProjection(dim int) (*Projection, error) {
	if dim < 1 || dim > maxDim {
		return nil, fmt.Errorf("codes of vectors of %d numbers, want 1 to %d", dim, maxDim)
	}
	return &Projection{dim: dim, weights: make([]float32, Bits*dim), bias: make([]float32, Bits)}, nil
}

// centre moves the planes along by mean.
func (p *Projection) centre(mean []float32) {
	for i := range p.bias {
		p.bias[i] -= blas32.Dot(blas32.Vector{N: p.dim, Inc: 1, Data: mean}, blas32.Vector{N: p.dim, Inc: 1, Data: p.weights[i*p.dim:]})
	}
}

// Encode is that of [Encoder].
func (p *Projection) Encode(x []float32, codes []Code) {
	if len(codes) == 0 {
		return
	}
	if n := len(codes) * Bits; len(p.sums) < n {
		p.sums = make([]float32, n)
	}
	product(blas.NoTrans, blas.Trans, len(codes), Bits, p.dim, x, p.weights, 0, p.sums)
	for i := range codes {
		codes[i] = Code{}
		for j, v := range p.sums[i*Bits:][:Bits] {
			if v+p.bias[j] > 0 {
				codes[i][j/64] |= 1 << (j % 64)
			}
		}
	}
}

// product is c = op(a) op(b) + beta c, row-major: op(a) is m x k, op(b) k x n, and
// op transposes if t is blas.Trans.
func product(ta, tb blas.Transpose, m, n, k int, a, b []float32, beta float32, c []float32) {
	shape := func(t blas.Transpose, rows, columns int, data []float32) blas32.General {
		if t == blas.Trans {
			rows, columns = columns, rows
		}
		return blas32.General{Rows: rows, Cols: columns, Stride: columns, Data: data}
	}
	blas32.Gemm(ta, tb, 1, shape(ta, m, k, a), shape(tb, k, n, b), beta, shape(blas.NoTrans, m, n, c))
}
