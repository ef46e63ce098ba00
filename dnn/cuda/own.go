package cuda

import (
	"fmt"
	"math"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/philox"
)

// The operations that are kernels of this program. cuDNN has pools, but none
// whose windows hang over the right and bottom edge alone, and none that
// remembers which pixel was the largest; it has a softmax, but no loss; its
// dropout has its own random numbers; unshared convolutions it has none.

func (p *preparation) input(o dnn.Input) (binding, error) {
	return p.fixed(kernels.Input{Pixels: p.at[o.Pixels], Views: p.at[o.Views], Mean: p.at[o.Mean], Y: p.at[o.Y],
		Batch: p.i32(o.Batch), C: p.i32(o.Out.C), H: p.i32(o.Out.H), W: p.i32(o.Out.W), MeanH: p.i32(o.MeanH), MeanW: p.i32(o.MeanW)})
}

func (p *preparation) geometry(in, out dnn.Shape, w dnn.Window) kernels.Geometry {
	return kernels.Geometry{
		InC: p.i32(in.C), InH: p.i32(in.H), InW: p.i32(in.W), OutC: p.i32(out.C), OutH: p.i32(out.H), OutW: p.i32(out.W),
		KH: p.i32(w.H), KW: p.i32(w.W), Stride: p.i32(w.Stride), Pad: p.i32(w.Pad)}
}

func (p *preparation) localForward(o dnn.LocalForward) (binding, error) {
	return p.fixed(kernels.LocalForward{X: p.at[o.X], W: p.at[o.W], B: p.at[o.B], Y: p.at[o.Y],
		Batch: p.i32(o.Batch), Groups: p.i32(o.Groups), Geometry: p.geometry(o.In, o.Out, o.Window)})
}

func (p *preparation) localBackwardData(o dnn.LocalBackwardData) (binding, error) {
	return p.fixed(kernels.LocalBackwardData{W: p.at[o.W], DY: p.at[o.DY], DX: p.at[o.DX],
		Batch: p.i32(o.Batch), Groups: p.i32(o.Groups), Geometry: p.geometry(o.In, o.Out, o.Window)})
}

func (p *preparation) localBackwardWeights(o dnn.LocalBackwardWeights) (binding, error) {
	return p.fixed(
		kernels.LocalBackwardWeights{X: p.at[o.X], DY: p.at[o.DY], DW: p.at[o.DW],
			Batch: p.i32(o.Batch), Groups: p.i32(o.Groups), Geometry: p.geometry(o.In, o.Out, o.Window)},
		kernels.SumRows{X: p.at[o.DY], Y: p.at[o.DB], Rows: p.i32(o.Batch), Width: p.i32(o.Out.Size())})
}

// pool returns the count of maps and the geometry of one.
func (p *preparation) pool(o dnn.Pool) (int32, kernels.Geometry) {
	in, out := o.In, o.Out
	in.C, out.C = 1, 1
	return p.i32(o.Batch * o.In.C), p.geometry(in, out, o.Window)
}

func (p *preparation) maxPoolForward(o dnn.MaxPoolForward) (binding, error) {
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.MaxPoolForward{X: p.at[o.X], Y: p.at[o.Y], Where: p.at[o.Where], Planes: planes, Geometry: g})
}

func (p *preparation) maxPoolBackward(o dnn.MaxPoolBackward) (binding, error) {
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.MaxPoolBackward{Where: p.at[o.Where], DY: p.at[o.DY], DX: p.at[o.DX], Planes: planes, Geometry: g})
}

func (p *preparation) avgPoolForward(o dnn.AvgPoolForward) (binding, error) {
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.AvgPoolForward{X: p.at[o.X], Y: p.at[o.Y], Planes: planes, Geometry: g})
}

func (p *preparation) avgPoolBackward(o dnn.AvgPoolBackward) (binding, error) {
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.AvgPoolBackward{DY: p.at[o.DY], DX: p.at[o.DX], Planes: planes, Geometry: g})
}

func (p *preparation) dropout(o dnn.Dropout) (binding, error) {
	return p.fixed(kernels.Dropout{Control: p.at[o.Control], X: p.at[o.X], Y: p.at[o.Y],
		Seed: o.Seed, Threshold: uint64(math.Round(o.Rate * (1 << 32))), // see dnn/cpu
		Batch: p.i32(o.Batch), Count: p.i32(o.Count), First: p.i32(o.First), Features: p.i32(o.Features),
		Purpose: uint32(philox.Dropout.Layer(o.Layer))})
}

func (p *preparation) softmaxForward(o dnn.SoftmaxForward) (binding, error) {
	batch, classes := p.i32(o.Batch), p.i32(o.Classes)
	each := p.reserve(4 * dnn.StatFloats * int64(o.Batch))
	return func(base cu.DevicePtr) ([]call, error) {
		each := base + cu.DevicePtr(each)
		return p.runs(
			kernels.SoftmaxForward{X: p.at[o.X], Y: p.at[o.Y], Labels: p.at[o.Labels], Each: each, Batch: batch, Classes: classes},
			kernels.SoftmaxStats{Each: each, Stats: p.at[o.Stats], Batch: batch})
	}, nil
}

func (p *preparation) softmaxBackward(o dnn.SoftmaxBackward) (binding, error) {
	return p.fixed(kernels.SoftmaxBackward{Y: p.at[o.Y], Labels: p.at[o.Labels], DX: p.at[o.DX], Batch: p.i32(o.Batch), Classes: p.i32(o.Classes)})
}

// sum copies the first slab and adds the others.
func (p *preparation) sum(o dnn.Sum) (binding, error) {
	var list []kernels.Args
	for i, x := range o.X {
		if i > 0 && p.at[x.T] == p.at[o.Y.T] {
			return nil, fmt.Errorf("operand X[%d] is Y: it would be overwritten before it is added; only X[0] may be", i)
		}
		k := kernels.Slab{X: p.at[x.T], Y: p.at[o.Y.T], Rows: p.i32(o.Rows), Width: p.i32(o.Width),
			XOffset: int64(x.Offset), XStride: int64(x.Stride), YOffset: int64(o.Y.Offset), YStride: int64(o.Y.Stride)}
		if i > 0 {
			k.Add = 1
		}
		list = append(list, k)
	}
	return p.fixed(list...)
}
