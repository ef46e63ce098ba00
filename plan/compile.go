package plan

import (
	"fmt"
	"slices"

	"alexnet/dnn"
	"alexnet/model"
)

// Options are what a program depends on besides the network and the devices.
type Options struct {
	Batch        int // of all replicas together
	Replicas     int // of the network, which share the batch; 0 is one
	Mode         Mode
	MeanH, MeanW int  // size of the stored images; 0 stands for the network's input
	KeepAll      bool // no memory is shared, so that every layer's output can be looked at afterwards; not with BFloat16

	// BFloat16 keeps maps, their gradients and a copy of the weights in bfloat16: see
	// format.go.
	BFloat16 bool

	// Keep is the name of a layer whose output can be looked at after a step (see
	// [Device.Outputs]), at the price of its memory alone; "" is none.
	Keep string
}

// Error says why a network cannot be planned as it was asked for.
type Error string

func (e Error) Error() string { return string(e) }

func errorf(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// Compile plans a step of net, whose shapes have been inferred without a
// problem, on the named devices: for each replica one, or one for each column. Its
// errors are of type [Error].
func Compile(net *model.Net, devices []string, o Options) (*Program, error) {
	o.Replicas = max(1, o.Replicas)
	if err := placeable(net, len(devices), o.Replicas); err != nil {
		return nil, err
	}
	if o.Batch < 1 || o.Batch > model.MaxBatch {
		return nil, errorf("batch %d, want 1 to %d", o.Batch, model.MaxBatch)
	}
	if o.Batch%o.Replicas != 0 {
		return nil, errorf("a batch of %d cannot be shared by %d replicas of %s: make it a multiple of %d",
			o.Batch, o.Replicas, net.Name, o.Replicas)
	}
	if net.Input.C != 3 {
		return nil, errorf("the input of %s is %v, but images are RGB: it needs 3 channels", net.Name, net.Input)
	}
	if o.MeanH == 0 && o.MeanW == 0 {
		o.MeanH, o.MeanW = net.Input.H, net.Input.W
	}
	if o.MeanH < net.Input.H || o.MeanW < net.Input.W {
		return nil, errorf("images of %dx%d are smaller than the input of %s, %v: pack them larger or make the input smaller",
			o.MeanH, o.MeanW, net.Name, net.Input)
	}
	if o.KeepAll && o.BFloat16 {
		return nil, errorf("every output of %s is kept in float32 alone", net.Name)
	}
	b := newBuilder(net, devices, o)
	if o.Keep != "" {
		var err error
		if b.keep, err = net.Index(o.Keep); err != nil {
			return nil, errorf("%v", err)
		}
	}
	b.feed()
	for i := range net.Layers {
		b.forward(i)
	}
	b.results()
	for part, d := range b.Devices {
		for i := range net.Layers {
			d.Outputs = append(d.Outputs, b.out[i][part])
		}
	}
	if b.keep >= 0 {
		for _, part := range b.runs(b.keep) {
			b.Devices[part].Outputs[b.keep] = b.pin(part, b.as(b.keep, part, dnn.Float32))
		}
	}
	b.Forward = len(b.Steps)
	if o.Mode == Train {
		for i := len(net.Layers) - 1; i >= 0; i-- {
			b.backward(i)
		}
	}
	b.Update = len(b.Steps)
	for part, params := range b.updates {
		if len(params) > 0 {
			b.launch(WholeNet, Update, part, dnn.Update{Momentum: float32(net.Train.Momentum), Control: b.control[part], Params: params})
		}
	}
	if err := b.layout(o.KeepAll); err != nil {
		return nil, err
	}
	b.order()
	return b.Program, nil
}

// builder collects tensors and steps. A part is what one device holds of a replica of
// the network: all columns, or one. Tensors that a part does not have are zero.
type builder struct {
	*Program
	o       Options
	batch   int              // images of a replica
	keep    int              // layer of Options.Keep, or -1
	readers [][]int          // of each layer's output
	logits  []bool           // whether no layer with weights stands between the layer and the softmax
	learns  []bool           // whether a gradient by the layer's output is needed
	input   []dnn.Tensor     // [part]
	in      [][]dnn.Tensor   // [layer][part] what the layer reads, joined
	alias   [][]bool         // [layer][part] whether that is one layer's whole output, perhaps in another format
	out     [][]dnn.Tensor   // [layer][part]
	where   [][]dnn.Tensor   // [layer][part] of max pools
	dIn     [][]dnn.Tensor   // [layer][part] gradient by in
	params  [][][]dnn.Tensor // [layer][part] weight, bias, and the momentum of each
	copies  [][][]dnn.Tensor // [layer][part] the bfloat16 copies of weight and bias, where there are any
	others  map[other]dnn.Tensor
	normed  []bool       // [layer] the normalisation is done by the pool that reads it
	masked  []bool       // [layer] the ReLU's gradient is done by the layer that reads it
	control []dnn.Tensor // [part]
	labels  []dnn.Tensor // [part], where the softmax is
	stats   []dnn.Tensor
	updates [][]dnn.Param // [part] to come after all others
}

func newBuilder(net *model.Net, devices []string, o Options) *builder {
	n, parts := len(net.Layers), len(devices)
	table := func() [][]dnn.Tensor {
		t := make([][]dnn.Tensor, n)
		for i := range t {
			t[i] = make([]dnn.Tensor, parts)
		}
		return t
	}
	b := &builder{
		Program: &Program{Net: net, Batch: o.Batch, Replicas: o.Replicas, Mode: o.Mode},
		o:       o,
		batch:   o.Batch / o.Replicas,
		keep:    -1,
		readers: make([][]int, n), logits: make([]bool, n), learns: make([]bool, n),
		input: make([]dnn.Tensor, parts), control: make([]dnn.Tensor, parts), labels: make([]dnn.Tensor, parts), stats: make([]dnn.Tensor, parts),
		in: table(), out: table(), where: table(), dIn: table(),
		alias: make([][]bool, n), params: make([][][]dnn.Tensor, n), copies: make([][][]dnn.Tensor, n), updates: make([][]dnn.Param, parts),
		others: map[other]dnn.Tensor{}, normed: make([]bool, n), masked: make([]bool, n),
	}
	for _, name := range devices {
		b.Devices = append(b.Devices, &Device{Name: name, Tensors: make([]Tensor, 1)})
	}
	for i, l := range net.Layers {
		b.learns[i] = l.Learns()
		for _, f := range l.From {
			if f != model.InputIndex {
				b.learns[i] = b.learns[i] || b.learns[f]
				if !slices.Contains(b.readers[f], i) {
					b.readers[f] = append(b.readers[f], i)
				}
			}
		}
		b.alias[i] = make([]bool, parts)
		b.params[i], b.copies[i] = make([][]dnn.Tensor, parts), make([][]dnn.Tensor, parts)
	}
	for i, l := range slices.Backward(net.Layers) {
		_, weights := l.Params()
		_, softmax := l.Spec.(model.Softmax)
		if softmax || b.logits[i] && !weights {
			for _, f := range l.From {
				if f != model.InputIndex {
					b.logits[f] = true
				}
			}
		}
	}
	return b
}

func (b *builder) parts() int { return len(b.Devices) }

// columns returns how many columns a part holds.
func (b *builder) columns() int { return b.Net.Columns / b.Width() }

// runs returns the parts that layer i runs on: all, but for the softmax, which runs on
// the first of each replica.
func (b *builder) runs(i int) []int {
	_, softmax := b.Net.Layers[i].Spec.(model.Softmax)
	var list []int
	for part := range b.parts() {
		if !softmax || part%b.Width() == 0 {
			list = append(list, part)
		}
	}
	return list
}

func (b *builder) tensor(part int, segment Segment, name string, shape ...int) dnn.Tensor {
	return b.tensorIn(dnn.Float32, part, segment, name, shape...)
}

// tensorIn makes a tensor of numbers in a format.
func (b *builder) tensorIn(f dnn.Format, part int, segment Segment, name string, shape ...int) dnn.Tensor {
	bytes := f.Bytes()
	for _, n := range shape {
		bytes *= int64(n)
	}
	d := b.Devices[part]
	d.Tensors = append(d.Tensors, Tensor{Name: name, Shape: shape, Bytes: bytes, Segment: segment, First: -1})
	return dnn.Tensor(len(d.Tensors) - 1)
}

// maps makes a tensor for a batch of maps, whose shape is named channels first in every
// format.
func (b *builder) maps(part int, name string, f dnn.Format, s dnn.Shape) dnn.Tensor {
	return b.tensorIn(f, part, Work, name, b.batch, s.C, s.H, s.W)
}

// pin keeps memory that the host writes or reads from being shared.
func (b *builder) pin(part int, t dnn.Tensor) dnn.Tensor {
	b.Devices[part].Tensors[t].pinned = true
	return t
}

func (b *builder) step(layer int, pass Pass, part int, s Stream, a Action) {
	b.Steps = append(b.Steps, Step{Layer: layer, Pass: pass, Device: part, Stream: s, Action: a})
}

// signal makes the step that was added last one that the host can wait for.
func (b *builder) signal() { b.Steps[len(b.Steps)-1].Signal = true }

// launch adds an operation to those of a device.
func (b *builder) launch(layer int, pass Pass, part int, op dnn.Op) {
	b.step(layer, pass, part, Compute, Launch{op})
}
