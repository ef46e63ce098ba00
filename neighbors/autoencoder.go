package neighbors

import (
	"context"
	"errors"
	"fmt"
	"math"

	"alexnet/internal/philox"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Autoencoder is a network that learns to give back the vectors that it reads
// through a bottleneck of a few numbers, each of which is 1 or -1 (section 6.1):
//
//	x     (vector - mean) / scale, so that its numbers have deviation 1 on average
//	h     W x + b
//	code  sign(h)
//	y     Wᵀ code + c
//	loss  |y - x|²/2, mean over a batch
//
// Encoder and decoder share their weights. So each bit adds or takes away the very
// direction that it was read along, and codes that differ in few bits are of vectors
// that lie near to each other; with weights of its own a decoder gives back as much,
// but from codes whose distances say less.
//
// A sign has no slope to learn by. Backwards, it passes for tanh: a bit learns where
// h is near 0, and is let alone where it is decided.
type Autoencoder struct {
	mean  []float32 // [width]
	scale float32
	layer           // W and b
	c     []float32 // [width]
}

// AutoencoderOptions say how an auto-encoder learns: down the slope, a batch at a
// time, with momentum. The rate falls to nothing along a line.
type AutoencoderOptions struct {
	Bits   int
	Passes int // over the sample
	Seed   uint64

	Progress func(done, total int64) // steps
}

const (
	codeBatch    = 128
	codeRate     = 0.005
	codeMomentum = 0.9
)

// TrainAutoencoder trains on a sample of vectors, [n, width], which it leaves
// scaled. The same sample and seed give the same codes.
func TrainAutoencoder(ctx context.Context, sample []float32, width int, o AutoencoderOptions) (*Autoencoder, error) {
	a, err := newAutoencoder(sample, width, o)
	if err != nil {
		return nil, err
	}
	n := len(sample) / width
	a.normalise(sample, sample)
	t := newDescent(a, min(codeBatch, n))
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	steps, done := o.Passes*(n/t.batch), 0
	for pass := range o.Passes {
		s := philox.NewStream(o.Seed, philox.Order, uint32(pass), 0)
		philox.Shuffle(&s, order)
		for first := 0; first+t.batch <= n; first += t.batch {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			for i, row := range order[first : first+t.batch] {
				copy(t.x[i*width:][:width], sample[int(row)*width:])
			}
			if loss := t.gradients(); !finite(loss) {
				return nil, fmt.Errorf("the auto-encoder has diverged in step %d of %d", done+1, steps)
			}
			t.step(float32(codeRate * (1 - float64(done)/float64(steps))))
			done++
			o.Progress(int64(done), int64(steps))
		}
	}
	return a, nil
}

// newAutoencoder returns one that has learned nothing but the mean and the scale of
// a sample.
func newAutoencoder(sample []float32, width int, o AutoencoderOptions) (*Autoencoder, error) {
	if len(sample) == 0 || o.Bits < 1 {
		return nil, fmt.Errorf("an auto-encoder of %d bits and %d vectors: there must be at least one of each", o.Bits, len(sample)/width)
	}
	a := &Autoencoder{mean: means(sample, width), layer: newLayer(width, o.Bits), c: make([]float32, width)}
	sum := 0.0
	for i, v := range sample {
		d := float64(v - a.mean[i%width])
		sum += d * d
	}
	if !finite(sum) {
		return nil, errors.New("the vectors have numbers that are not finite: the network has diverged, or their file is damaged")
	}
	if sum == 0 {
		return nil, errors.New("all vectors are the same: there is nothing to tell apart")
	}
	a.scale = float32(math.Sqrt(sum / float64(len(sample))))
	// For x of a normal distribution, Wᵀ sign(W x) then is as long as x.
	philox.Normals(a.w, math.Sqrt(math.Pi/2)/float64(o.Bits), o.Seed, philox.Init.Layer(0), 0)
	return a, nil
}

// Bits returns the size of a code.
func (a *Autoencoder) Bits() int { return a.out }

// Activations sets dst, [n, Bits()], to h of x, [n, width].
func (a *Autoencoder) Activations(x, dst []float32) {
	scaled := make([]float32, len(x))
	a.normalise(x, scaled)
	a.forward(scaled, dst)
}

// normalise sets to to x, scaled.
func (a *Autoencoder) normalise(x, to []float32) {
	width := len(a.mean)
	for i, v := range x {
		to[i] = (v - a.mean[i%width]) / a.scale
	}
}

// descent is a training: a batch, the slopes there, and momentum.
type descent struct {
	*Autoencoder
	batch       int
	sign        func(h float32) float32 // of the bottleneck; tests put tanh in its place
	x, e        []float32               // [batch, width]; e is (y - x)/batch
	h, code, dh []float32               // [batch, bits]
	dw, db, dc  []float32
	vw, vb, vc  []float32
}

func newDescent(a *Autoencoder, batch int) *descent {
	numbers := func(n int) []float32 { return make([]float32, n) }
	wide, narrow := batch*a.in, batch*a.out
	return &descent{
		Autoencoder: a, batch: batch, sign: sign,
		x: numbers(wide), e: numbers(wide),
		h: numbers(narrow), code: numbers(narrow), dh: numbers(narrow),
		dw: numbers(len(a.w)), db: numbers(a.out), dc: numbers(a.in),
		vw: numbers(len(a.w)), vb: numbers(a.out), vc: numbers(a.in),
	}
}

func sign(h float32) float32 {
	if h > 0 {
		return 1
	}
	return -1
}

// gradients computes the loss of the batch in x, and its slopes.
func (t *descent) gradients() (loss float64) {
	x, e := matrix(t.batch, t.in, t.x), matrix(t.batch, t.in, t.e)
	code, dh := matrix(t.batch, t.out, t.code), matrix(t.batch, t.out, t.dh)
	w, dw := matrix(t.out, t.in, t.w), matrix(t.out, t.in, t.dw)

	t.forward(t.x, t.h)
	for i, h := range t.h {
		t.code[i] = t.sign(h)
	}
	for i := range t.batch {
		copy(t.e[i*t.in:], t.c)
	}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, code, w, 1, e) // y
	for i, y := range t.e {
		d := y - t.x[i]
		loss += float64(d) * float64(d) / 2 / float64(t.batch)
		t.e[i] = d / float32(t.batch)
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, e, w, 0, dh)
	for i, h := range t.h {
		y := float32(math.Tanh(float64(h)))
		t.dh[i] *= 1 - y*y
	}
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, code, e, 0, dw) // as the decoder
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, dh, x, 1, dw)   // as the encoder
	columnSums(t.dh, t.db)
	columnSums(t.e, t.dc)
	return loss
}

// columnSums sets to to the sums over the rows of x, [n, len(to)].
func columnSums(x, to []float32) {
	clear(to)
	for i, v := range x {
		to[i%len(to)] += v
	}
}

// step goes down the slopes.
func (t *descent) step(rate float32) {
	descend(t.w, t.vw, t.dw, rate)
	descend(t.b, t.vb, t.db, rate)
	descend(t.c, t.vc, t.dc, rate)
}

func descend(w, v, slope []float32, rate float32) {
	for i := range w {
		v[i] = codeMomentum*v[i] - rate*slope[i]
		w[i] += v[i]
	}
}
