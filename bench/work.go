package bench

import (
	"alexnet/dnn"
	"alexnet/plan"
)

// work returns the arithmetic and the memory traffic of a step of a program: what
// it has to do at least, each operand read or written once.
func work(p *plan.Program, i int) (flop, bytes float64) {
	s := &p.Steps[i]
	size := func(t dnn.Tensor) float64 { return float64(p.Devices[s.Device].Tensors[t].Bytes) }
	switch a := s.Action.(type) {
	case plan.Peer:
		return 0, 2 * float64(a.Bytes())
	case plan.Upload:
		return 0, size(a.Dst)
	case plan.Download:
		return 0, size(a.Src)
	case plan.Launch:
		if sum, ok := a.Op.(dnn.Sum); ok { // of parts of its operands
			return 0, float64(sum.Format.Bytes()) * float64(sum.Rows) * float64(sum.Width) * float64(len(sum.X)+1)
		}
		reads, writes := a.Op.Operands()
		for _, t := range append(reads, writes...) {
			bytes += size(t)
		}
		return arithmetic(a.Op), bytes
	}
	return 0, 0
}

// arithmetic returns the multiplications and additions of matrix products. Those
// of other operations are few beside their memory traffic.
func arithmetic(op dnn.Op) float64 {
	switch o := op.(type) {
	case dnn.ConvForward:
		return convolution(o.Conv)
	case dnn.ConvBackwardData:
		return convolution(o.Conv)
	case dnn.ConvBackwardWeights:
		return convolution(o.Conv)
	case dnn.LocalForward:
		return convolution(o.Conv)
	case dnn.LocalBackwardData:
		return convolution(o.Conv)
	case dnn.LocalBackwardWeights:
		return convolution(o.Conv)
	case dnn.FullForward:
		return full(o.Full)
	case dnn.FullBackwardData:
		return full(o.Full)
	case dnn.FullBackwardWeights:
		return full(o.Full)
	}
	return 0
}

func convolution(c dnn.Conv) float64 {
	return 2 * float64(c.Batch) * float64(c.Out.Size()) * float64(c.KernelSize())
}

func full(f dnn.Full) float64 {
	return 2 * float64(f.Batch) * float64(f.In) * float64(f.Out) / float64(f.Groups)
}
