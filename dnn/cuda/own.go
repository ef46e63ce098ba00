package cuda

import (
	"fmt"
	"math"
	"slices"

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
	switch {
	case o.Format == dnn.BFloat16:
		return nil, fmt.Errorf("images are made in %v or %v", dnn.Float32, dnn.BFloat16Last)
	case o.Format == dnn.Float32 && o.Fold != (dnn.Fold{}):
		return nil, fmt.Errorf("images are folded in %v alone", dnn.BFloat16Last)
	case o.Format == dnn.BFloat16Last:
		made, side := o.Out, 1
		if o.Fold != (dnn.Fold{}) {
			made, side = o.Folded, o.Fold.Side
		}
		return p.fixed(kernels.InputLast{Pixels: p.at[o.Pixels], Views: p.at[o.Views], Mean: p.at[o.Mean], Y: p.at[o.Y],
			Batch: p.i32(o.Batch), C: p.i32(o.Out.C), H: p.i32(o.Out.H), W: p.i32(o.Out.W), MeanH: p.i32(o.MeanH), MeanW: p.i32(o.MeanW),
			Side: p.i32(side), Pad: p.i32(o.Pad), Channels: p.i32(made.C), OutH: p.i32(made.H), OutW: p.i32(made.W)})
	}
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
	weights, err := p.fixed(kernels.LocalBackwardWeights{X: p.at[o.X], DY: p.at[o.DY], DW: p.at[o.DW],
		Batch: p.i32(o.Batch), Groups: p.i32(o.Groups), Geometry: p.geometry(o.In, o.Out, o.Window)})
	return sequence(weights, p.sumColumns(p.at[o.DY], p.at[o.DB], dnn.Float32, o.Batch, o.Out.Size())), err
}

// pool returns the count of maps and the geometry of one.
func (p *preparation) pool(o dnn.Pool) (int32, kernels.Geometry) {
	in, out := o.In, o.Out
	in.C, out.C = 1, 1
	return p.i32(o.Batch * o.In.C), p.geometry(in, out, o.Window)
}

func (p *preparation) maxPoolForward(o dnn.MaxPoolForward) (binding, error) {
	if o.Format == dnn.BFloat16Last {
		return p.fixed(kernels.MaxPoolForwardLast{X: p.at[o.X], Y: p.at[o.Y], Where: p.at[o.Where], Batch: p.i32(o.Batch), Geometry: p.geometry(o.In, o.Out, o.Window)})
	}
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.MaxPoolForward{X: p.at[o.X], Y: p.at[o.Y], Where: p.at[o.Where], Planes: planes, Geometry: g})
}

func (p *preparation) maxPoolBackward(o dnn.MaxPoolBackward) (binding, error) {
	if o.Format == dnn.BFloat16Last {
		return p.fixed(kernels.MaxPoolBackwardLast{Where: p.at[o.Where], DY: p.at[o.DY], DX: p.at[o.DX], Batch: p.i32(o.Batch), Geometry: p.geometry(o.In, o.Out, o.Window)})
	}
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.MaxPoolBackward{Where: p.at[o.Where], DY: p.at[o.DY], DX: p.at[o.DX], Planes: planes, Geometry: g})
}

func (p *preparation) avgPoolForward(o dnn.AvgPoolForward) (binding, error) {
	if o.Format == dnn.BFloat16Last {
		return p.fixed(kernels.AvgPoolForwardLast{X: p.at[o.X], Y: p.at[o.Y], Batch: p.i32(o.Batch), Geometry: p.geometry(o.In, o.Out, o.Window)})
	}
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.AvgPoolForward{X: p.at[o.X], Y: p.at[o.Y], Planes: planes, Geometry: g})
}

func (p *preparation) avgPoolBackward(o dnn.AvgPoolBackward) (binding, error) {
	if o.Format == dnn.BFloat16Last {
		return p.fixed(kernels.AvgPoolBackwardLast{DY: p.at[o.DY], DX: p.at[o.DX], Batch: p.i32(o.Batch), Geometry: p.geometry(o.In, o.Out, o.Window)})
	}
	planes, g := p.pool(o.Pool)
	return p.fixed(kernels.AvgPoolBackward{DY: p.at[o.DY], DX: p.at[o.DX], Planes: planes, Geometry: g})
}

func (p *preparation) dropout(o dnn.Dropout) (binding, error) {
	k := kernels.Dropout{Control: p.at[o.Control], X: p.at[o.X], Y: p.at[o.Y],
		Seed: o.Seed, Threshold: uint64(math.Round(o.Rate * (1 << 32))), // see dnn/cpu
		Batch: p.i32(o.Batch), Before: p.i32(o.Before), Count: p.i32(o.Count), First: p.i32(o.First), Features: p.i32(o.Features),
		Purpose: uint32(philox.Dropout.Layer(o.Layer))}
	if o.Format != dnn.Float32 {
		return p.fixed(kernels.DropoutHalf(k))
	}
	return p.fixed(k)
}

func (p *preparation) scale(o dnn.Scale) (binding, error) {
	k := kernels.Scale{X: p.at[o.X], Y: p.at[o.Y], Count: int64(o.Count), Factor: o.Factor}
	if o.Format != dnn.Float32 {
		return p.fixed(kernels.ScaleHalf(k))
	}
	return p.fixed(k)
}

func (p *preparation) narrow(o dnn.Narrow) (binding, error) {
	k := p.kernels(o.Kernels)
	return p.fixed(kernels.NarrowWeights{X: p.at[o.X], Y: p.at[o.Y], Count: p.i32(o.Count), C: k.C, H: k.H, W: k.Wide, Side: k.Side, Channels: k.Channels})
}

// kernels describes kernels and their copy.
func (p *preparation) kernels(k dnn.Kernels) kernels.Parameter {
	return kernels.Parameter{C: p.i32(k.C), H: p.i32(k.H), Wide: p.i32(k.W), Side: p.i32(max(k.Side, 1)), Channels: p.i32(k.Copied().C)}
}

// update launches as many kernels as it takes, nearly always one.
func (p *preparation) update(o dnn.Update) (binding, error) {
	var list []kernels.Args
	for params := range slices.Chunk(o.Params, kernels.MaxParams) {
		var all []kernels.Parameter
		for _, param := range params {
			k := p.kernels(param.Kernels)
			k.G, k.W, k.V, k.Copy = p.at[param.G], p.at[param.W], p.at[param.V], p.at[param.Copy]
			k.Count, k.Index, k.Decay, k.Rate = int64(param.Count), p.i32(param.Index), param.Decay, param.Rate
			if param.Narrow {
				k.Narrow = 1
			}
			all = append(all, k)
		}
		list = append(list, kernels.NewUpdate(p.at[o.Control], o.Momentum, all))
	}
	return p.fixed(list...)
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
	return p.fixed(kernels.SoftmaxBackward{Y: p.at[o.Y], Labels: p.at[o.Labels], DX: p.at[o.DX], Batch: p.i32(o.Batch), Images: p.i32(o.Images), Classes: p.i32(o.Classes)})
}

// sum copies the first slab, unless it lies where the sum will, and adds the others.
func (p *preparation) sum(o dnn.Sum) (binding, error) {
	var list []kernels.Args
	for i, x := range o.X {
		if i > 0 && p.at[x.T] == p.at[o.Y.T] {
			return nil, fmt.Errorf("operand X[%d] is Y: it would be overwritten before it is added; only X[0] may be", i)
		}
		if len(o.X) > 1 && x == o.Y {
			continue
		}
		k := kernels.Slab{X: p.at[x.T], Y: p.at[o.Y.T], Rows: p.i32(o.Rows), Width: p.i32(o.Width),
			XOffset: int64(x.Offset), XStride: int64(x.Stride), YOffset: int64(o.Y.Offset), YStride: int64(o.Y.Stride)}
		if i > 0 {
			k.Add = 1
		}
		if o.Format == dnn.Float32 {
			list = append(list, k)
		} else {
			list = append(list, kernels.SlabHalf(k))
		}
	}
	return p.fixed(list...)
}
