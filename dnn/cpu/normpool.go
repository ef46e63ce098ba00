package cpu

import "alexnet/dnn"

// Normalisation and max pool as one operation are what the two are one after the
// other, but for how the largest pixels are remembered.

func (p *preparation) normPoolForward(op dnn.NormPoolForward) []loop {
	between, where := p.temporary(4*op.LRN.Batch*op.LRN.Shape.Size()), p.temporary(4*op.Pool.Batch*op.Pool.Out.Size())
	loops := p.lrnForward(dnn.LRNForward{LRN: op.LRN, X: op.X, Y: between})
	loops = append(loops, p.largest(dnn.MaxPoolForward{Pool: op.Pool, X: between, Y: op.Y, Where: where})...)
	n := op.Pool.Batch * op.Pool.Out.Size()
	places := p.places(op.NormPool, op.Where)
	at := p.ints(where, n)
	return append(loops, blocks(n, func(from, to int) {
		for i := from; i < to; i++ {
			top, left := places.window(i)
			*places.of(i) = uint8((int(at[i])/op.Pool.In.W-top)*op.Pool.Window.W + int(at[i])%op.Pool.In.W - left)
		}
	})...)
}

func (p *preparation) normPoolBackward(op dnn.NormPoolBackward) []loop {
	in, out := op.LRN.Batch*op.LRN.Shape.Size(), op.Pool.Batch*op.Pool.Out.Size()
	y, dy, where := p.temporary(4*in), p.temporary(4*in), p.temporary(4*out)
	places, at := p.places(op.NormPool, op.Where), p.ints(where, out)
	loops := blocks(out, func(from, to int) {
		for i := from; i < to; i++ {
			top, left := places.window(i)
			w := int(*places.of(i))
			at[i] = int32((top+w/op.Pool.Window.W)*op.Pool.In.W + left + w%op.Pool.Window.W)
		}
	})
	loops = append(loops, p.lrnForward(dnn.LRNForward{LRN: op.LRN, X: op.X, Y: y})...)
	loops = append(loops, p.unpooled(dnn.MaxPoolBackward{Pool: op.Pool, Where: where, DY: op.DY, DX: dy})...)
	loops = append(loops, p.lrnBackward(dnn.LRNBackward{LRN: op.LRN, X: op.X, Y: y, DY: dy, DX: op.DX})...)
	if !op.Relu {
		return loops
	}
	return append(loops, p.activationBackward(dnn.ActivationBackward{Count: in, Func: dnn.Relu, Y: op.X, DY: op.DX, DX: op.DX})...)
}

// places finds what is remembered of each number of a pool's output, channels
// first.
type places struct {
	dnn.Pool
	last  bool // channels are, in memory
	where []byte
}

func (p *preparation) places(op dnn.NormPool, t dnn.Tensor) places {
	return places{op.Pool, p.last, p.bytes(t, op.Pool.Batch*op.Pool.Out.Size())}
}

// of returns number i's.
func (p places) of(i int) *uint8 {
	if p.last {
		i = channelsLast(i, p.Out.C, p.Out.H*p.Out.W)
	}
	return &p.where[i]
}

// window returns the place of the first pixel of number i's window, which may be
// outside.
func (p places) window(i int) (top, left int) {
	return i/p.Out.W%p.Out.H*p.Window.Stride - p.Window.Pad, i%p.Out.W*p.Window.Stride - p.Window.Pad
}
