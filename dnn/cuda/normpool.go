package cuda

import (
	"errors"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
)

// Normalisation and max pool in one are kernels of bfloat16 with channels last alone:
// in float32 the two are cuDNN's and this program's.

var errNotFused = errors.New("normalisation and pool in one are done in " + dnn.BFloat16Last.String() + " alone")

func (p *preparation) normPoolForward(o dnn.NormPoolForward) (binding, error) {
	if o.LRN.Format != dnn.BFloat16Last {
		return nil, errNotFused
	}
	return p.fixed(p.normPoolForwardArgs(o.NormPool, p.at[o.X], p.at[o.Y], p.at[o.Where]))
}

func (p *preparation) normPoolBackward(o dnn.NormPoolBackward) (binding, error) {
	if o.LRN.Format != dnn.BFloat16Last {
		return nil, errNotFused
	}
	return p.fixed(p.normPoolBackwardArgs(o.NormPool, o.Relu, p.at[o.X], p.at[o.Where], p.at[o.DY], p.at[o.DX]))
}

// alone is a normalisation whose pool does nothing.
func alone(o dnn.LRN) dnn.NormPool {
	return dnn.NormPool{LRN: o, Pool: dnn.Pool{Batch: o.Batch, Format: o.Format, In: o.Shape, Out: o.Shape, Window: dnn.Window{H: 1, W: 1, Stride: 1}}}
}

func (p *preparation) normPoolForwardArgs(o dnn.NormPool, x, y, where cu.DevicePtr) kernels.Args {
	l := o.LRN
	return kernels.NormPoolForward{X: x, Y: y, Where: where, Batch: p.i32(l.Batch), Groups: p.i32(l.Groups), Size: p.i32(l.Size),
		Alpha: float32(l.Alpha), Beta: float32(l.Beta), K: float32(l.K), Geometry: p.geometry(o.Pool.In, o.Pool.Out, o.Pool.Window)}
}

func (p *preparation) normPoolBackwardArgs(o dnn.NormPool, relu bool, x, where, dy, dx cu.DevicePtr) kernels.Args {
	l := o.LRN
	k := kernels.NormPoolBackward{X: x, Where: where, DY: dy, DX: dx, Batch: p.i32(l.Batch), Groups: p.i32(l.Groups), Size: p.i32(l.Size),
		Alpha: float32(l.Alpha), Beta: float32(l.Beta), K: float32(l.K), Geometry: p.geometry(o.Pool.In, o.Pool.Out, o.Pool.Window)}
	if relu {
		k.Relu = 1
	}
	return k
}
