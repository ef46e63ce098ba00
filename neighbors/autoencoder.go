package neighbors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"alexnet/internal/philox"

	"gonum.org/v1/gonum/blas"
)

// An auto-encoder learns to say of a vector in Bits numbers between -1 and 1 what
// brings it back best:
//
//	h = W (x - mean)/deviation + b        [Bits]
//	z = tanh(h + noise)                   [Bits]
//	y = V z + c                           [dim]
//	loss = |y - (x - mean)/deviation|²/2
//
// with one deviation for all numbers, so that distances keep their meaning. The
// noise, normal of deviation Noise, makes small h worthless, so that z
// tends to -1 and 1, and the sign of h says nearly all of it (Salakhutdinov and
// Hinton, "Semantic Hashing", 2009). The signs are the code.
//
// Weights are learned by Adam (Kingma and Ba, 2014), its rate
// falling to 0 in a straight line.

// Learning says how an auto-encoder learns.
type Learning struct {
	Steps int     // updates of the weights
	Batch int     // vectors a step
	Rate  float64 // Adam's, at first
	Noise float64 // deviation of what is added to h
	Seed  uint64

	Progress func(step int, loss float64) // after each step; loss is the mean over the numbers of a batch
}

// DefaultLearning suits the last hidden layers of this program's networks.
func DefaultLearning(seed uint64) Learning {
	return Learning{Steps: 1000, Batch: 256, Rate: 0.01, Noise: 1, Seed: seed}
}

// Learn trains an auto-encoder on vectors that open starts from the front, over and
// over, and returns its encoder. Vectors should come in no order of their own, as
// those of a data set do.
func Learn(ctx context.Context, open func() Vectors, mean []float32, deviation float64, o Learning) (*Projection, error) {
	dim := len(mean)
	p, err := newProjection(dim)
	if err != nil {
		return nil, err
	}
	if o.Steps < 1 || o.Batch < 1 || !(o.Rate > 0) || !(o.Noise >= 0) {
		return nil, fmt.Errorf("auto-encoder: %d steps of %d vectors, rate %g, noise %g", o.Steps, o.Batch, o.Rate, o.Noise)
	}
	if !(deviation > 0) {
		return nil, errors.New("auto-encoder: all vectors are the same: there is nothing to learn")
	}
	a := newAutoEncoder(dim, o)
	scale := float32(1 / deviation)
	x := make([]float32, o.Batch*dim)
	source := open()
	for step := range o.Steps {
		if source, err = fill(ctx, source, open, x); err != nil {
			return nil, err
		}
		for i := range x {
			x[i] = (x[i] - mean[i%dim]) * scale
		}
		loss := a.step(x, step)
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, fmt.Errorf("auto-encoder: the loss of step %d is %g: the features have numbers that are not finite", step, loss)
		}
		if o.Progress != nil {
			o.Progress(step+1, loss)
		}
	}
	for i, w := range a.w.x {
		p.weights[i] = w * scale
	}
	copy(p.bias, a.b.x)
	p.centre(mean)
	return p, nil
}

// fill fills x with the next vectors, from the front again where there are no more.
func fill(ctx context.Context, source Vectors, open func() Vectors, x []float32) (Vectors, error) {
	fresh := false
	for len(x) > 0 {
		n, err := source.Next(ctx, x)
		if errors.Is(err, io.EOF) && !fresh {
			source, fresh = open(), true
			continue
		}
		if err != nil {
			return nil, err
		}
		fresh = false
		x = x[n*source.Dim():]
	}
	return source, nil
}

// autoEncoder is the network with room for a batch.
type autoEncoder struct {
	Learning
	dim        int
	w, b, v, c *parameter
	h, z, dh   []float32 // [batch, Bits]
	y          []float32 // [batch, dim], then the loss's gradient by it
}

func newAutoEncoder(dim int, o Learning) *autoEncoder {
	a := &autoEncoder{
		Learning: o, dim: dim,
		w: newParameter(Bits * dim), b: newParameter(Bits), v: newParameter(dim * Bits), c: newParameter(dim),
		h: make([]float32, o.Batch*Bits), z: make([]float32, o.Batch*Bits), dh: make([]float32, o.Batch*Bits), y: make([]float32, o.Batch*dim),
	}
	philox.Normals(a.w.x, 1/math.Sqrt(float64(dim)), o.Seed, philox.Code.Layer(0), 0)
	philox.Normals(a.v.x, 1/math.Sqrt(Bits), o.Seed, philox.Code.Layer(1), 0)
	return a
}

// step goes forward and backward with a batch x, [batch, dim], updates the weights,
// and returns the loss before.
func (a *autoEncoder) step(x []float32, step int) float64 {
	philox.Normals(a.dh, a.Noise, a.Seed, philox.Code.Layer(2), uint64(step)*uint64(len(a.dh)))
	loss := a.gradients(x, a.dh)
	rate := a.Rate * (1 - float64(step)/float64(a.Steps))
	for _, p := range []*parameter{a.w, a.b, a.v, a.c} {
		p.update(rate, step)
	}
	return loss
}

// gradients puts the loss's gradients by the parameters into them. noise is
// [batch, Bits].
func (a *autoEncoder) gradients(x, noise []float32) float64 {
	n := a.Batch
	product(blas.NoTrans, blas.Trans, n, Bits, a.dim, x, a.w.x, 0, a.h)
	for i := range a.z {
		a.z[i] = float32(math.Tanh(float64(a.h[i] + a.b.x[i%Bits] + noise[i])))
	}
	product(blas.NoTrans, blas.Trans, n, a.dim, Bits, a.z, a.v.x, 0, a.y)
	sum := 0.0
	for i := range a.y {
		d := a.y[i] + a.c.x[i%a.dim] - x[i]
		sum += float64(d) * float64(d) / 2
		a.y[i] = d / float32(n)
	}
	product(blas.Trans, blas.NoTrans, a.dim, Bits, n, a.y, a.z, 0, a.v.g)
	sumRows(a.y, a.c.g)
	product(blas.NoTrans, blas.NoTrans, n, Bits, a.dim, a.y, a.v.x, 0, a.dh)
	for i, z := range a.z {
		a.dh[i] *= 1 - z*z
	}
	product(blas.Trans, blas.NoTrans, Bits, a.dim, n, a.dh, x, 0, a.w.g)
	sumRows(a.dh, a.b.g)
	return sum / float64(n)
}

// sumRows sums up the rows of x, each as long as sum.
func sumRows(x, sum []float32) {
	clear(sum)
	for i, v := range x {
		sum[i%len(sum)] += v
	}
}

// parameter is weights, or biases, with what Adam keeps of them.
type parameter struct {
	x, g          []float32
	first, second []float32 // moments of the gradient
}

func newParameter(n int) *parameter {
	return &parameter{make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)}
}

func (p *parameter) update(rate float64, step int) {
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	t := float64(step + 1)
	rate *= math.Sqrt(1-math.Pow(beta2, t)) / (1 - math.Pow(beta1, t))
	for i, g := range p.g {
		p.first[i] = beta1*p.first[i] + (1-beta1)*g
		p.second[i] = beta2*p.second[i] + (1-beta2)*g*g
		p.x[i] -= float32(rate) * p.first[i] / (float32(math.Sqrt(float64(p.second[i]))) + epsilon)
	}
}
