package model

import (
	"fmt"
	"strings"
)

// View returns the shape of what one kernel or neuron of l sees before groups
// divide it: everything if l is Across or reads what is not divided, else its
// column's part.
func (n *Net) View(l *Layer) Shape {
	if !l.Across && n.readsDivided(l) {
		return Shape{l.In.C / n.Columns, l.In.H, l.In.W}
	}
	return l.In
}

// readsDivided reports whether what l reads is divided over the columns. All
// that is joined agrees in this.
func (n *Net) readsDivided(l *Layer) bool {
	f := l.From[0]
	return f != InputIndex && n.Layers[f].Divided
}

// Gathers reports whether l needs every column's part of what it reads: an
// Across layer, or the softmax.
func (n *Net) Gathers(l *Layer) bool {
	_, softmax := l.Spec.(Softmax)
	return n.Columns > 1 && n.readsDivided(l) && (l.Across || softmax)
}

// ParamShapes returns the shapes of layer i's weight and bias over all columns,
// which stand one after the other along the first axis, or nil if it has none:
//
//	Conv   weight [kernels, channels/groups, height, width]            bias [kernels]
//	Local  weight [kernels, out height, out width, channels/groups*height*width]  bias [kernels, out height, out width]
//	Full   weight [outputs, inputs]                                    bias [outputs]
//
// channels and inputs are those that one kernel or neuron sees.
func (n *Net) ParamShapes(i int) (weight, bias []int) {
	l := n.Layers[i]
	view := n.View(l)
	switch s := l.Spec.(type) {
	case Conv:
		return []int{s.Kernels, view.C / s.Groups, s.Window.H, s.Window.W}, []int{s.Kernels}
	case Local:
		out := l.Out
		return []int{s.Kernels, out.H, out.W, product(view.C/s.Groups, s.Window.H, s.Window.W)}, []int{s.Kernels, out.H, out.W}
	case Full:
		return []int{s.Outputs, view.Size()}, []int{s.Outputs}
	}
	return nil, nil
}

// Parameters returns the count of layer i's weights and biases.
func (n *Net) Parameters(i int) int64 {
	weight, bias := n.ParamShapes(i)
	if weight == nil {
		return 0
	}
	return int64(product(weight...)) + int64(product(bias...))
}

// Neurons returns the count of layer i's neurons as the paper counts them: the
// outputs of layers that have weights.
func (n *Net) Neurons(i int) int64 {
	l := n.Layers[i]
	if _, ok := l.Params(); !ok {
		return 0
	}
	return int64(l.Out.Size())
}

// Work returns the multiply-adds of layer i's matrix products, forward, for one
// image.
func (n *Net) Work(i int) int64 {
	l := n.Layers[i]
	weight, _ := n.ParamShapes(i)
	switch l.Spec.(type) {
	case Conv:
		return int64(product(weight...)) * int64(l.Out.H*l.Out.W)
	case Local, Full:
		return int64(product(weight...))
	}
	return 0
}

// Totals returns the sums over all layers of [Net.Parameters], [Net.Neurons]
// and [Net.Work].
func (n *Net) Totals() (parameters, neurons, work int64) {
	for i := range n.Layers {
		parameters += n.Parameters(i)
		neurons += n.Neurons(i)
		work += n.Work(i)
	}
	return parameters, neurons, work
}

// Classes returns the count of classes that the network tells apart.
func (n *Net) Classes() int { return n.Layers[len(n.Layers)-1].Out.C }

// Index returns the place of the layer of a name.
func (n *Net) Index(name string) (int, error) {
	var names []string
	for i, l := range n.Layers {
		if l.Name == name {
			return i, nil
		}
		names = append(names, l.Name)
	}
	return 0, fmt.Errorf("the network %s has no layer %q; it has %s", n.Name, name, strings.Join(names, ", "))
}

// LastHidden returns the place of the layer that the last full layer reads: at
// test time its output is what the network knows of an image before it decides on
// a class (section 6: the 4096 numbers of the last hidden layer).
func (n *Net) LastHidden() (int, error) {
	for i := len(n.Layers) - 1; i >= 0; i-- {
		l := n.Layers[i]
		if _, full := l.Spec.(Full); !full {
			continue
		}
		if len(l.From) != 1 || l.From[0] == InputIndex {
			return 0, fmt.Errorf("the last full layer of the network %s, %s, does not read one layer alone: name the layer that is meant", n.Name, l.Name)
		}
		return l.From[0], nil
	}
	return 0, fmt.Errorf("the network %s has no full layer: name the layer that is meant", n.Name)
}
