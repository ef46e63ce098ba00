package reference

import (
	"fmt"
	"math"

	"alexnet/dnn"
	"alexnet/internal/philox"
	"alexnet/plan"
)

// Machine runs programs in float64, step after step in the order of the plan. A
// tensor is a slice of its own, whatever memory the plan gives it, so mistakes
// in sharing and waiting do not show here.
type Machine struct {
	p   *plan.Program
	mem [][][]float64 // [device][tensor]
	// Host holds what the slots upload and take back, as numbers: control is the
	// step and the rate.
	Host [plan.Slots][]float64
}

// NewMachine takes memory for p.
func NewMachine(p *plan.Program) *Machine {
	m := &Machine{p: p}
	for _, d := range p.Devices {
		tensors := make([][]float64, len(d.Tensors))
		for i, t := range d.Tensors {
			n := 1
			for _, s := range t.Shape {
				n *= s
			}
			tensors[i] = make([]float64, n)
		}
		m.mem = append(m.mem, tensors)
	}
	return m
}

// Tensor returns the numbers of a tensor, which may be changed.
func (m *Machine) Tensor(device int, t dnn.Tensor) []float64 { return m.mem[device][t] }

// Run does all steps once, in the order of the plan.
func (m *Machine) Run() {
	for i := range m.p.Steps {
		m.step(i)
	}
}

// RunAhead does all steps once, the operations of one device as early as the
// waits allow: what is on other streams comes only when a step waits for it. If
// nothing is missing from the waits, that makes no difference.
func (m *Machine) RunAhead(device int) {
	done := make([]bool, len(m.p.Steps))
	var reach func(i int)
	reach = func(i int) { // does step i, what stands before it on its stream, and what they wait for
		if done[i] {
			return
		}
		s := &m.p.Steps[i]
		for before := range i {
			if b := &m.p.Steps[before]; b.Device == s.Device && b.Stream == s.Stream {
				reach(before)
			}
		}
		for _, wait := range s.Waits {
			if wait < i { // the others are of the run before, which has ended
				reach(wait)
			}
		}
		done[i] = true
		m.step(i)
	}
	for i := range m.p.Steps {
		if s := &m.p.Steps[i]; s.Device == device && s.Stream == plan.Compute {
			reach(i)
		}
	}
	for i := range m.p.Steps {
		reach(i)
	}
}

func (m *Machine) step(i int) {
	s := &m.p.Steps[i]
	at := func(t dnn.Tensor) []float64 { return m.mem[s.Device][t] }
	switch a := s.Action.(type) {
	case plan.Upload:
		from, to := m.p.Share(a.Slot, s.Device, len(m.Host[a.Slot]))
		copy(at(a.Dst), m.Host[a.Slot][from:to])
	case plan.Download:
		if n := len(at(a.Src)) * m.p.Replicas; len(m.Host[a.Slot]) != n {
			m.Host[a.Slot] = make([]float64, n)
		}
		from, to := m.p.Share(a.Slot, s.Device, len(m.Host[a.Slot]))
		copy(m.Host[a.Slot][from:to], at(a.Src))
	case plan.Peer:
		for row := range a.Rows.Count {
			copy(m.mem[a.To][a.Dst][a.Rows.DstOffset+row*a.Rows.DstStride:][:a.Rows.Width],
				at(a.From)[a.Rows.SrcOffset+row*a.Rows.SrcStride:])
		}
	case plan.Launch:
		do(a.Op, at)
	}
}

// rectified is y or, if relu, max(y, 0).
func rectified(relu bool, y []float64) []float64 {
	if relu {
		return Activation(dnn.Relu, y)
	}
	return y
}

// do is one operation. Results are computed before any is written, so operands
// may be the same.
func do(op dnn.Op, at func(dnn.Tensor) []float64) {
	switch o := op.(type) {
	case dnn.Input:
		copy(at(o.Y), input(o, at(o.Pixels), at(o.Views), at(o.Mean)))
	case dnn.ConvForward:
		copy(at(o.Y), rectified(o.Relu, Conv(o.Conv, false, at(o.X), at(o.W), at(o.B))))
	case dnn.ConvBackwardData:
		copy(at(o.DX), ConvData(o.Conv, false, at(o.W), at(o.DY)))
	case dnn.ConvBackwardWeights:
		dw, db := ConvWeights(o.Conv, false, at(o.X), at(o.DY))
		copy(at(o.DW), dw)
		copy(at(o.DB), db)
	case dnn.LocalForward:
		copy(at(o.Y), Conv(o.Conv, true, at(o.X), at(o.W), at(o.B)))
	case dnn.LocalBackwardData:
		copy(at(o.DX), ConvData(o.Conv, true, at(o.W), at(o.DY)))
	case dnn.LocalBackwardWeights:
		dw, db := ConvWeights(o.Conv, true, at(o.X), at(o.DY))
		copy(at(o.DW), dw)
		copy(at(o.DB), db)
	case dnn.FullForward:
		copy(at(o.Y), rectified(o.Relu, Conv(FullAsConv(o.Full), false, at(o.X), at(o.W), at(o.B))))
	case dnn.FullBackwardData:
		copy(at(o.DX), ConvData(FullAsConv(o.Full), false, at(o.W), at(o.DY)))
	case dnn.FullBackwardWeights:
		dw, db := ConvWeights(FullAsConv(o.Full), false, at(o.X), at(o.DY))
		copy(at(o.DW), dw)
		copy(at(o.DB), db)
	case dnn.ActivationForward:
		copy(at(o.Y), Activation(o.Func, at(o.X)))
	case dnn.ActivationBackward:
		copy(at(o.DX), ActivationData(o.Func, at(o.Y), at(o.DY)))
	case dnn.MaxPoolForward:
		y, where := MaxPool(o.Pool, at(o.X))
		copy(at(o.Y), y)
		for i, w := range where {
			at(o.Where)[i] = float64(w)
		}
	case dnn.MaxPoolBackward:
		copy(at(o.DX), MaxPoolData(o.Pool, ints(at(o.Where)), at(o.DY)))
	case dnn.AvgPoolForward:
		copy(at(o.Y), AvgPool(o.Pool, at(o.X)))
	case dnn.AvgPoolBackward:
		copy(at(o.DX), AvgPoolData(o.Pool, at(o.DY)))
	case dnn.LRNForward:
		copy(at(o.Y), LRN(o.LRN, at(o.X)))
	case dnn.LRNBackward:
		copy(at(o.DX), LRNData(o.LRN, at(o.X), at(o.DY)))
	case dnn.Dropout:
		copy(at(o.Y), dropout(o, uint32(at(o.Control)[0]), at(o.X)))
	case dnn.Scale:
		copy(at(o.Y), apply(at(o.X), func(v float64) float64 { return v * float64(o.Factor) }))
	case dnn.SoftmaxForward:
		y, stats := Softmax(o.Classes, at(o.X), ints(at(o.Labels)))
		copy(at(o.Y), y)
		copy(at(o.Stats), stats)
	case dnn.SoftmaxBackward:
		copy(at(o.DX), SoftmaxData(o.Images, o.Classes, at(o.Y), ints(at(o.Labels))))
	case dnn.Sum:
		sum(o, at)
	case dnn.Update:
		for _, p := range o.Params {
			w, v, g := at(p.W), at(p.V), at(p.G)
			rate := at(o.Control)[1+p.Index] * float64(p.Rate)
			for i := range w {
				v[i] = float64(o.Momentum)*v[i] - float64(p.Decay)*rate*w[i] - rate*g[i]
				w[i] += v[i]
			}
		}
	default:
		panic(fmt.Sprintf("reference: no %T", op))
	}
}

func ints(x []float64) []int32 {
	out := make([]int32, len(x))
	for i, v := range x {
		out[i] = int32(v)
	}
	return out
}

func input(o dnn.Input, pixels, views, mean []float64) []float64 {
	y := make([]float64, o.Batch*o.Out.Size())
	for n := range o.Batch {
		view := views[n*dnn.ViewFloats:]
		for c := range o.Out.C {
			for i := range o.Out.H {
				for j := range o.Out.W {
					column := j // of the patch in the stored image
					if view[2] != 0 {
						column = o.Out.W - 1 - j
					}
					stored := (int(view[0])+i)*o.MeanW + int(view[1]) + column
					y[((n*o.Out.C+c)*o.Out.H+i)*o.Out.W+j] =
						pixels[((n*o.Out.H+i)*o.Out.W+j)*o.Out.C+c] - mean[stored*o.Out.C+c] + view[3+c]
				}
			}
		}
	}
	return y
}

func dropout(o dnn.Dropout, step uint32, x []float64) []float64 {
	y := make([]float64, len(x))
	limit := uint64(math.Round(o.Rate * (1 << 32)))
	for n := range o.Batch {
		for f := range o.Count {
			i := uint64((o.Before+n)*o.Features + o.First + f)
			if uint64(philox.At(o.Seed, philox.Dropout.Layer(o.Layer), step, i/4)[i%4]) >= limit {
				y[n*o.Count+f] = x[n*o.Count+f]
			}
		}
	}
	return y
}

func sum(o dnn.Sum, at func(dnn.Tensor) []float64) {
	for row := range o.Rows {
		total := make([]float64, o.Width)
		for _, x := range o.X {
			for i := range total {
				total[i] += at(x.T)[x.Offset+row*x.Stride+i]
			}
		}
		copy(at(o.Y.T)[o.Y.Offset+row*o.Y.Stride:], total)
	}
}
