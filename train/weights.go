package train

import (
	"context"
	"fmt"
	"slices"

	"alexnet/checkpoint"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
	"alexnet/model"
	"alexnet/plan"
)

// meanName is the name of the tensor in a checkpoint that is subtracted from
// images: [height, width, channels], 0 to 255.
const meanName = "mean"

// initial returns the tensors that training starts from: weights from a normal
// distribution, biases constant (section 5), momentum 0.
func initial(p *plan.Program, mean checkpoint.Tensor) []checkpoint.Tensor {
	tensors := []checkpoint.Tensor{mean}
	net := p.Net
	for i, l := range net.Layers {
		params, ok := l.Params()
		if !ok {
			continue
		}
		weight, bias := net.ParamShapes(i)
		w, b := zeros(l.Name+".weight", weight), zeros(l.Name+".bias", bias)
		philox.Normals(w.Data, params.Deviation, net.Train.Seed, philox.Init.Layer(i), 0)
		for j := range b.Data {
			b.Data[j] = float32(params.Bias)
		}
		tensors = append(tensors, w, b)
	}
	for _, param := range p.Params(0)[len(tensors)-1:] { // after the weights: momentum
		tensors = append(tensors, zeros(param.Name, param.Shape))
	}
	return tensors
}

func zeros(name string, shape []int) checkpoint.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return checkpoint.Tensor{Name: name, Shape: slices.Clone(shape), Data: make([]float32, n)}
}

// meanOf returns what to subtract from stored images of height x width: the
// mean image, one mean a channel, or nothing.
func meanOf(how model.Mean, image []float32, rgb [3]float64, height, width int) checkpoint.Tensor {
	mean := zeros(meanName, []int{height, width, 3})
	switch how {
	case model.MeanPixel:
		copy(mean.Data, image)
	case model.MeanChannel:
		for i := range mean.Data {
			mean.Data[i] = float32(rgb[i%3])
		}
	}
	return mean
}

// load writes a checkpoint's tensors to the devices. All that program p has must
// be there in the right shape; others (momentum, where p only tests) are passed
// over.
func load(ctx context.Context, r *plan.Runner, p *plan.Program, tensors []checkpoint.Tensor) error {
	named := byName(tensors)
	for device, d := range p.Devices {
		mean, err := find(p.Net, named, meanName, d.Tensors[d.Mean].Shape)
		if err != nil {
			return err
		}
		if err := r.Write(ctx, p, device, d.Mean, raw.Bytes(mean.Data)); err != nil {
			return err
		}
		for _, param := range p.Params(device) {
			t, err := find(p.Net, named, param.Name, param.Shape)
			if err != nil {
				return err
			}
			if err := r.Write(ctx, p, device, param.Tensor, raw.Bytes(rows(t, param))); err != nil {
				return err
			}
		}
	}
	return nil
}

// find returns the tensor of a name, which must have the shape that net needs.
func find(net *model.Net, named map[string]*checkpoint.Tensor, name string, shape []int) (*checkpoint.Tensor, error) {
	t := named[name]
	if t == nil {
		return nil, fmt.Errorf("it has no tensor %s, which the network %s needs: it belongs to another network", name, net.Name)
	}
	return t, hasShape(net, t, shape)
}

// hasShape returns an error if a tensor has another shape than net needs.
func hasShape(net *model.Net, t *checkpoint.Tensor, shape []int) error {
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("its tensor %s has shape %v, but the network %s needs %v: it belongs to another network", t.Name, t.Shape, net.Name, shape)
	}
	return nil
}

// save reads the devices' tensors back into tensors, which have the names and
// shapes that [initial] gave or a checkpoint that was loaded. All replicas have the
// same: the first is read.
func save(ctx context.Context, r *plan.Runner, p *plan.Program, tensors []checkpoint.Tensor) error {
	named := byName(tensors)
	for device := range p.Width() {
		for _, param := range p.Params(device) {
			if err := r.Read(ctx, p, device, param.Tensor, raw.Bytes(rows(named[param.Name], param))); err != nil {
				return err
			}
		}
	}
	return nil
}

func byName(tensors []checkpoint.Tensor) map[string]*checkpoint.Tensor {
	named := map[string]*checkpoint.Tensor{}
	for i := range tensors {
		named[tensors[i].Name] = &tensors[i]
	}
	return named
}

// rows returns the part of t that stands on one device.
func rows(t *checkpoint.Tensor, p plan.Param) []float32 {
	row := len(t.Data) / p.Shape[0]
	return t.Data[p.First*row : (p.First+p.Rows)*row]
}
