package plan

import "alexnet/dnn"

// ControlBytes returns the size of slot Control: a program that trains has a rate
// for each layer of the network, whether it learns or not.
func (p *Program) ControlBytes() int64 {
	if p.Mode == Test {
		return dnn.ControlBytes(0)
	}
	return dnn.ControlBytes(len(p.Net.Layers))
}

// Params returns the parameters on a device, and their momentum if the program
// trains, in the order of the layers.
func (p *Program) Params(device int) []Param {
	named := map[string]dnn.Tensor{}
	for t, tensor := range p.Devices[device].Tensors {
		if tensor.Segment == State {
			named[tensor.Name] = dnn.Tensor(t)
		}
	}
	var list []Param
	prefixes := []string{""}
	if p.Mode == Train {
		prefixes = append(prefixes, "momentum.")
	}
	for _, prefix := range prefixes {
		for i, l := range p.Net.Layers {
			weight, bias := p.Net.ParamShapes(i)
			if weight == nil {
				continue
			}
			list = append(list,
				p.param(device, i, prefix+l.Name+".weight", weight, named),
				p.param(device, i, prefix+l.Name+".bias", bias, named))
		}
	}
	return list
}

func (p *Program) param(device, layer int, name string, shape []int, named map[string]dnn.Tensor) Param {
	rows := shape[0] / p.Width()
	return Param{Name: name, Shape: shape, First: device % p.Width() * rows, Rows: rows, Layer: layer, Tensor: named[name]}
}
