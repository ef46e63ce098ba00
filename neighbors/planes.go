package neighbors

import (
	"alexnet/internal/philox"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Planes are planes in random directions through the mean of the rows. Each bit of
// a code says on which side of one a vector lies (Charikar 2002): the share of bits
// in which two codes differ tells the angle between them. Nothing is learned.
type Planes struct {
	layer
	mean []float32
}

// NewPlanes draws bits planes from a seed, through the mean of a sample,
// [n, width].
func NewPlanes(sample []float32, width, bits int, seed uint64) *Planes {
	p := &Planes{layer: newLayer(width, bits), mean: means(sample, width)}
	philox.Normals(p.w, 1, seed, philox.Init.Layer(2), 0) // an auto-encoder takes 0 and 1
	for b := range bits {
		p.b[b] = -float32(dot(p.w[b*width:][:width], p.mean))
	}
	return p
}

// Bits returns the count of planes.
func (p *Planes) Bits() int { return p.out }

// Activations sets dst, [n, Bits()], to the distances of x, [n, width], from the
// planes, in some unit.
func (p *Planes) Activations(x, dst []float32) { p.forward(x, dst) }

// means returns the mean of the rows of x, [n, width].
func means(x []float32, width int) []float32 {
	sums := make([]float64, width)
	for i, v := range x {
		sums[i%width] += float64(v)
	}
	mean := make([]float32, width)
	for i, s := range sums {
		mean[i] = float32(s * float64(width) / float64(len(x)))
	}
	return mean
}

// layer is a fully connected layer: y = w x + b.
type layer struct {
	in, out int
	w, b    []float32 // [out, in], [out]
}

func newLayer(in, out int) layer {
	return layer{in, out, make([]float32, out*in), make([]float32, out)}
}

// forward sets y, [n, out], for x, [n, in].
func (l *layer) forward(x, y []float32) {
	n := len(x) / l.in
	for i := range n {
		copy(y[i*l.out:], l.b)
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrix(n, l.in, x), matrix(l.out, l.in, l.w), 1, matrix(n, l.out, y))
}

// matrix returns the first rows x cols numbers of x as a matrix.
func matrix(rows, cols int, x []float32) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: x[:rows*cols]}
}
