package plan

import (
	"fmt"
	"slices"

	"alexnet/dnn"
	"alexnet/model"
)

// Options are what a program depends on besides the network and the devices.
type Options struct {
	Batch        int
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
// problem, on the named devices: one, or one for each column. Its errors are of type
// [Error].
func Compile(net *model.Net, devices []string, o Options) (*Program, error) {
	if len(devices) != 1 && len(devices) != net.Columns {
		return nil, errorf("cannot place %s on %d devices: it has %d columns, so give 1 device or one for each column",
			net.Name, len(devices), net.Columns)
	}
	if o.Batch < 1 || o.Batch > model.MaxBatch {
		return nil, errorf("batch %d, want 1 to %d", o.Batch, model.MaxBatch)
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
		for part := range b.runs(b.keep) {
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

// builder collects tensors and steps. A part is the share of the network that
// one device holds: all columns, or one. Tensors that a part does not have are
// zero.
type builder struct {
	*Program
	o       Options
	keep    int              // layer of Options.Keep, or -1
	readers [][]int          // of each layer's output
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
	labels  dnn.Tensor
	stats   dnn.Tensor
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
		Program: &Program{Net: net, Batch: o.Batch, Mode: o.Mode},
		o:       o,
		keep:    -1,
		readers: make([][]int, n), learns: make([]bool, n),
		input: make([]dnn.Tensor, parts), control: make([]dnn.Tensor, parts),
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
	return b
}

func (b *builder) parts() int { return len(b.Devices) }

// columns returns how many columns a part holds.
func (b *builder) columns() int { return b.Net.Columns / b.parts() }

// runs returns the parts that layer i runs on: all, but for the softmax.
func (b *builder) runs(i int) int {
	if _, ok := b.Net.Layers[i].Spec.(model.Softmax); ok {
		return 1
	}
	return b.parts()
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
	return b.tensorIn(f, part, Work, name, b.Batch, s.C, s.H, s.W)
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

func (b *builder) launch(layer int, pass Pass, part int, op dnn.Op) {
	b.step(layer, pass, part, Compute, Launch{op})
}

// feed brings a batch to every device and makes the network's input of it.
// Weights come first in memory, then their copies and the mean, then momentum: so
// programs that train and programs that test find the same weights at the same place.
func (b *builder) feed() {
	in := b.Net.Input
	momentum := make([]func(), 0, len(b.Net.Layers))
	for part := range b.parts() {
		for i, l := range b.Net.Layers {
			weight, bias := b.Net.ParamShapes(i)
			if weight == nil {
				continue
			}
			weight, bias = slices.Clone(weight), slices.Clone(bias)
			weight[0] /= b.parts()
			bias[0] /= b.parts()
			b.params[i][part] = []dnn.Tensor{
				b.tensor(part, State, l.Name+".weight", weight...),
				b.tensor(part, State, l.Name+".bias", bias...),
			}
			b.copy(i, part)
			momentum = append(momentum, func() {
				b.params[i][part] = append(b.params[i][part],
					b.tensor(part, State, "momentum."+l.Name+".weight", weight...),
					b.tensor(part, State, "momentum."+l.Name+".bias", bias...))
			})
		}
	}
	for part := range b.parts() {
		mean := b.tensor(part, State, "mean", b.o.MeanH, b.o.MeanW, in.C)
		b.Devices[part].Mean = mean
		pixels := b.pin(part, b.tensor(part, Work, "pixels", b.Batch, in.H, in.W, in.C))
		b.Devices[part].Tensors[pixels].Bytes /= 4 // uint8
		views := b.pin(part, b.tensor(part, Work, "views", b.Batch, dnn.ViewFloats))
		b.control[part] = b.pin(part, b.tensor(part, Work, "control", int(b.ControlBytes()/4)))
		op := dnn.Input{Batch: b.Batch, Format: b.format(model.InputIndex), Out: dnn.Shape(in), MeanH: b.o.MeanH, MeanW: b.o.MeanW,
			Pixels: pixels, Views: views, Mean: mean}
		made := op.Out
		if i, fold, ok := b.folding(); ok {
			op.Fold, op.Folded, op.Pad = fold, b.folded(i, fold), b.Net.Layers[i].Spec.(model.Conv).Window.Pad
			made = op.Folded
		}
		b.input[part] = b.maps(part, "input", op.Format, made)
		op.Y = b.input[part]
		b.step(model.InputIndex, Feed, part, Copy, Upload{Pixels, pixels})
		b.step(model.InputIndex, Feed, part, Copy, Upload{Views, views})
		b.launch(model.InputIndex, Forward, part, op)
	}
	b.labels = b.pin(0, b.tensor(0, Work, "labels", b.Batch))
	b.step(model.InputIndex, Feed, 0, Copy, Upload{Labels, b.labels})
	for part, control := range b.control {
		b.step(model.InputIndex, Feed, part, Copy, Upload{Control, control})
		b.signal()
	}
	if b.Mode == Train {
		for _, add := range momentum {
			add()
		}
	}
}

// results brings what the softmax made to the host.
func (b *builder) results() {
	last := len(b.Net.Layers) - 1
	b.step(last, Result, 0, Copy, Download{Stats, b.stats})
	b.signal()
	if b.Mode == Test {
		b.step(last, Result, 0, Copy, Download{Probabilities, b.out[last][0]})
		b.signal()
	}
}

// piece is one column's share of one source of a layer. Offsets and width count
// numbers of one image.
type piece struct {
	source int // layer, or model.InputIndex
	part   int // that holds it
	src    int // where it starts there
	dst    int // where it starts in what the layer reads
	width  int
}

// pieces returns what layer i on part reads, in order: column by column, and in
// each column source by source.
func (b *builder) pieces(i, part int) []piece {
	l := b.Net.Layers[i]
	first, last := part*b.columns(), (part+1)*b.columns()
	if b.Net.Gathers(l) {
		first, last = 0, b.Net.Columns
	}
	if !b.divided(l.From[0]) {
		first, last = 0, 1
	}
	var list []piece
	at := 0
	for c := first; c < last; c++ {
		for _, f := range l.From {
			p := piece{source: f, part: part, dst: at, width: b.shapeOf(f).Size()}
			if b.divided(f) {
				p.width /= b.Net.Columns
				p.part = c / b.columns()
				p.src = c % b.columns() * p.width
			}
			list = append(list, p)
			at += p.width
		}
	}
	return list
}

func (b *builder) divided(i int) bool {
	return i != model.InputIndex && b.Net.Layers[i].Divided && b.Net.Columns > 1
}

func (b *builder) shapeOf(i int) model.Shape {
	if i == model.InputIndex {
		return b.Net.Input
	}
	return b.Net.Layers[i].Out
}

func (b *builder) output(i, part int) dnn.Tensor {
	if i == model.InputIndex {
		return b.input[part]
	}
	return b.out[i][part]
}

// outShape returns the shape of layer i's output on one part.
func (b *builder) outShape(i int) dnn.Shape {
	s := dnn.Shape(b.shapeOf(i))
	if b.divided(i) {
		s.C /= b.parts()
	}
	return s
}

// inShape returns the shape of what layer i reads on one part.
func (b *builder) inShape(i int) dnn.Shape {
	l := b.Net.Layers[i]
	s := dnn.Shape(l.In)
	if b.divided(l.From[0]) && !b.Net.Gathers(l) {
		s.C /= b.parts()
	}
	return s
}

// groups returns into how many groups that do not see each other the operation
// of layer i falls on one part.
func (b *builder) groups(i, inColumn int) int {
	l := b.Net.Layers[i]
	if b.divided(l.From[0]) && !l.Across {
		return inColumn * b.columns()
	}
	return inColumn
}

// gather brings together what layer i reads on part, in the format in which it reads.
func (b *builder) gather(i, part int) {
	list, f := b.pieces(i, part), b.reads(i)
	elsewhere := func(p piece) bool { return p.part != part }
	if len(b.Net.Layers[i].From) == 1 && !slices.ContainsFunc(list, elsewhere) {
		b.in[i][part] = b.as(list[0].source, part, f)
		b.alias[i][part] = true
		return
	}
	whole := b.inShape(i)
	joined := b.maps(part, "input of "+b.Net.Layers[i].Name, f, whole)
	b.in[i][part] = joined
	rows, each := b.rows(f, whole)
	for _, p := range list {
		width := p.width / each
		from := dnn.Slab{T: b.as(p.source, p.part, f), Offset: p.src / each, Stride: b.stride(p) / each}
		to := dnn.Slab{T: joined, Offset: p.dst / each, Stride: whole.Size() / each}
		if p.part != part && each == 1 {
			b.peer(i, Forward, p.part, part, f, rows, width, from, to)
			continue
		}
		if p.part != part {
			from = b.bring(i, Forward, p.part, part, f, rows, width, from, fmt.Sprintf("%s from %s", b.LayerName(p.source), b.Devices[p.part].Name))
		}
		b.launch(i, Forward, part, dnn.Sum{Rows: rows, Width: width, Format: f, X: []dnn.Slab{from}, Y: to})
	}
}

// peer copies a slab of one part to another's.
func (b *builder) peer(i int, pass Pass, part, to int, f dnn.Format, rows, width int, x, y dnn.Slab) {
	b.step(i, pass, part, Copy, Peer{From: x.T, To: to, Dst: y.T, Rows: dnn.Rows{
		Format: f, Count: rows, Width: width, SrcOffset: x.Offset, SrcStride: x.Stride, DstOffset: y.Offset, DstStride: y.Stride}})
}

// bring copies a slab of one part to a tensor of another. With channels last its rows
// are short, a few hundred bytes, which engines that copy are slow at: they are put
// together first, and the copy is of one piece.
func (b *builder) bring(i int, pass Pass, part, to int, f dnn.Format, rows, width int, x dnn.Slab, name string) dnn.Slab {
	if f == dnn.BFloat16Last && x.Stride != width {
		together := dnn.Slab{T: b.tensorIn(f, part, Work, name+" put together", rows, width), Stride: width}
		b.launch(i, pass, part, dnn.Sum{Rows: rows, Width: width, Format: f, X: []dnn.Slab{x}, Y: together})
		x = together
	}
	y := dnn.Slab{T: b.tensorIn(f, to, Work, name, rows, width), Stride: width}
	b.peer(i, pass, part, to, f, rows, width, x, y)
	return y
}

// stride returns the count of numbers of one image in the tensor that p is a
// share of.
func (b *builder) stride(p piece) int { return b.outShape(p.source).Size() }

func (b *builder) forward(i int) {
	b.normed[i] = b.poolNormalises(i)
	for part := range b.runs(i) {
		b.gather(i, part)
	}
	for part := range b.runs(i) {
		b.forwardOn(i, part)
	}
}

func (b *builder) forwardOn(i, part int) {
	l := b.Net.Layers[i]
	if b.normed[i] {
		b.out[i][part] = b.in[i][part] // as far as the pool is concerned, which does the rest
		return
	}
	out := b.outShape(i)
	x := b.in[i][part]
	if b.inPlace(i) {
		b.out[i][part] = x
	} else {
		b.out[i][part] = b.maps(part, l.Name, b.format(i), out)
	}
	y, f := b.out[i][part], b.format(i)
	var op dnn.Op
	switch s := l.Spec.(type) {
	case model.Conv:
		p := b.used(i, part)
		op = dnn.ConvForward{Conv: b.conv(i, s.Window, s.Groups), X: x, W: p[0], B: p[1], Y: y}
	case model.Local:
		p := b.params[i][part]
		op = dnn.LocalForward{Conv: b.conv(i, s.Window, s.Groups), X: x, W: p[0], B: p[1], Y: y}
	case model.Full:
		p := b.used(i, part)
		op = dnn.FullForward{Full: b.full(i), X: x, W: p[0], B: p[1], Y: y}
	case model.Activation:
		if s.Func == model.Relu && b.inPlace(i) && b.fuse(l.From[0], part) {
			return
		}
		op = dnn.ActivationForward{Count: b.Batch * out.Size(), Format: f, Func: function(s.Func), X: x, Y: y}
	case model.Pool:
		pool := b.pool(i, s)
		if s.Mode == model.Avg {
			op = dnn.AvgPoolForward{Pool: pool, X: x, Y: y}
			break
		}
		b.where[i][part] = b.tensor(part, Work, "largest of "+l.Name, b.Batch, out.C, out.H, out.W)
		op = dnn.MaxPoolForward{Pool: pool, X: x, Y: y, Where: b.where[i][part]}
		if norm := l.From[0]; b.normalises(norm) {
			b.Devices[part].Tensors[b.where[i][part]].Bytes /= 4 // uint8
			op = dnn.NormPoolForward{NormPool: b.normPool(i), X: x, Y: y, Where: b.where[i][part]}
		}
	case model.LRN:
		op = dnn.LRNForward{LRN: b.lrn(i, s), X: x, Y: y}
	case model.Dropout:
		if b.Mode == Test {
			op = dnn.Scale{Count: b.Batch * out.Size(), Format: f, Factor: float32(1 - s.Rate), X: x, Y: y}
			break
		}
		op = b.dropout(i, part, s, x, y)
	case model.Softmax:
		b.stats = b.pin(part, b.tensor(part, Work, "stats", dnn.StatFloats))
		op = dnn.SoftmaxForward{Batch: b.Batch, Classes: out.C, X: x, Y: y, Labels: b.labels, Stats: b.stats}
	}
	b.launch(i, Forward, part, op)
}

// fuse has layer i's operation on part, if it can, do the ReLU after it as well.
func (b *builder) fuse(i, part int) bool {
	for s := len(b.Steps) - 1; s >= 0 && b.Steps[s].Layer >= i; s-- {
		launch, ok := b.Steps[s].Action.(Launch)
		if !ok || b.Steps[s].Layer != i || b.Steps[s].Device != part {
			continue
		}
		switch op := launch.Op.(type) {
		case dnn.ConvForward:
			op.Relu = true
			b.Steps[s].Action = Launch{op}
			return true
		case dnn.FullForward:
			op.Relu = true
			b.Steps[s].Action = Launch{op}
			return true
		}
	}
	return false
}

// inPlace reports whether layer i may write over what it reads: an activation
// that alone reads the output of a layer whose own backward pass does not need
// it.
func (b *builder) inPlace(i int) bool {
	l := b.Net.Layers[i]
	if _, ok := l.Spec.(model.Activation); !ok || b.o.KeepAll {
		return false
	}
	f := l.From[0]
	if len(l.From) > 1 || f == model.InputIndex || f == b.keep || len(b.readers[f]) > 1 {
		return false
	}
	switch b.Net.Layers[f].Spec.(type) {
	case model.Conv, model.Local, model.Full, model.Pool:
		return true
	}
	return false
}

func (b *builder) conv(i int, w model.Window, groups int) dnn.Conv {
	c := dnn.Conv{Batch: b.Batch, Groups: b.groups(i, groups), Format: b.format(i), In: b.inShape(i), Out: b.outShape(i), Window: window(w)}
	if first, fold, ok := b.folding(); ok && i == first {
		c.In, c.Window = b.folded(i, fold), dnn.Window{H: ceil(w.H, fold.Side), W: ceil(w.W, fold.Side), Stride: 1}
	}
	return c
}

func (b *builder) full(i int) dnn.Full {
	return dnn.Full{Batch: b.Batch, Groups: b.groups(i, 1), Format: b.format(i), In: b.inShape(i).Size(), Out: b.outShape(i).Size()}
}

func (b *builder) pool(i int, s model.Pool) dnn.Pool {
	return dnn.Pool{Batch: b.Batch, Format: b.format(i), In: b.inShape(i), Out: b.outShape(i), Window: window(s.Window)}
}

func (b *builder) lrn(i int, s model.LRN) dnn.LRN {
	return dnn.LRN{Batch: b.Batch, Groups: b.groups(i, 1), Format: b.format(i), Shape: b.inShape(i),
		Size: s.Size, Alpha: s.Alpha, Beta: s.Beta, K: s.K, Within: s.Within}
}

func (b *builder) dropout(i, part int, s model.Dropout, x, y dnn.Tensor) dnn.Dropout {
	whole, count := b.Net.Layers[i].Out.Size(), b.outShape(i).Size()
	first := 0
	if b.divided(i) {
		first = part * count
	}
	return dnn.Dropout{Batch: b.Batch, Count: count, Format: b.format(i), First: first, Features: whole,
		Rate: s.Rate, Seed: b.Net.Train.Seed, Layer: i, Control: b.control[part], X: x, Y: y}
}

func window(w model.Window) dnn.Window {
	return dnn.Window{H: w.H, W: w.W, Stride: w.Stride, Pad: w.Pad}
}

func function(f model.Func) dnn.Func {
	return map[model.Func]dnn.Func{model.Relu: dnn.Relu, model.Tanh: dnn.Tanh, model.Sigmoid: dnn.Sigmoid}[f]
}

// backward plans the gradients of layer i, and its update for later, if anything
// at or below it learns.
func (b *builder) backward(i int) {
	if !b.learns[i] || b.normed[i] {
		return
	}
	grads := make([]dnn.Tensor, b.runs(i))
	if len(b.readers[i]) > 0 {
		for part := range grads {
			grads[part] = b.gradient(i, part)
		}
	}
	for part, dy := range grads {
		b.backwardOn(i, part, dy)
	}
}

// gradient returns the gradient by layer i's output on part: the sum over all
// that read it.
func (b *builder) gradient(i, part int) dnn.Tensor {
	f, shape, name := b.format(i), b.outShape(i), "gradient of "+b.Net.Layers[i].Name
	if r := b.readers[i]; len(r) == 1 && b.alias[r[0]][part] {
		return b.convert(i, Backward, part, b.dIn[r[0]][part], shape, b.reads(r[0]), f, name)
	}
	var formats []dnn.Format // in which it is read, which need not be one
	for _, r := range b.readers[i] {
		if !slices.Contains(formats, b.reads(r)) {
			formats = append(formats, b.reads(r))
		}
	}
	whole := dnn.Sum{Rows: 1, Width: b.Batch * shape.Size(), Format: f}
	for _, read := range formats {
		t := b.convert(i, Backward, part, b.gradientIn(i, part, read, name), shape, read, f, name)
		whole.X = append(whole.X, dnn.Slab{T: t})
	}
	if len(whole.X) == 1 {
		return whole.X[0].T
	}
	whole.Y.T = b.maps(part, name, f, shape)
	b.launch(i, Backward, part, whole)
	return whole.Y.T
}

// gradientIn is the sum over those that read layer i's output in format f.
func (b *builder) gradientIn(i, part int, f dnn.Format, name string) dnn.Tensor {
	shape := b.outShape(i)
	rows, each := b.rows(f, shape)
	slabs := map[int][]dnn.Slab{} // by where in the layer's output they start
	var starts []int
	width := 0
	for _, r := range b.readers[i] {
		if b.reads(r) != f {
			continue
		}
		for from := range b.runs(r) {
			stride := b.inShape(r).Size() / each
			for _, p := range b.pieces(r, from) {
				if p.source != i || p.part != part {
					continue
				}
				slab := dnn.Slab{T: b.dIn[r][from], Offset: p.dst / each, Stride: stride}
				width = p.width / each
				if from != part {
					slab = b.bring(i, Backward, from, part, f, rows, width, slab, fmt.Sprintf("%s from %s on %s", name, b.Net.Layers[r].Name, b.Devices[from].Name))
					if len(b.readers[i]) == 1 && b.runs(r) == 1 && p.width == shape.Size() {
						return slab.T // there is nothing to add to it
					}
				}
				if slabs[p.src] == nil {
					starts = append(starts, p.src)
				}
				slabs[p.src] = append(slabs[p.src], slab)
			}
		}
	}
	sum := b.maps(part, name, f, shape)
	for _, start := range starts {
		b.launch(i, Backward, part, dnn.Sum{Rows: rows, Width: width, Format: f, X: slabs[start],
			Y: dnn.Slab{T: sum, Offset: start / each, Stride: shape.Size() / each}})
	}
	return sum
}

func (b *builder) backwardOn(i, part int, dy dnn.Tensor) {
	l := b.Net.Layers[i]
	in, out := b.inShape(i), b.outShape(i)
	below := slices.ContainsFunc(l.From, func(f int) bool { return f != model.InputIndex && b.learns[f] })
	newDX := func() dnn.Tensor {
		b.dIn[i][part] = b.maps(part, "gradient of input of "+l.Name, b.reads(i), in)
		return b.dIn[i][part]
	}
	x, y := b.in[i][part], b.out[i][part]
	switch s := l.Spec.(type) {
	case model.Conv:
		conv := b.conv(i, s.Window, s.Groups)
		if below {
			b.launch(i, Backward, part, dnn.ConvBackwardData{Conv: conv, W: b.used(i, part)[0], DY: dy, DX: newDX()})
		}
		b.learn(i, part, func(dw, db dnn.Tensor) dnn.Op {
			return dnn.ConvBackwardWeights{Conv: conv, X: x, DY: dy, DW: dw, DB: db}
		})
	case model.Local:
		conv := b.conv(i, s.Window, s.Groups)
		if below {
			b.launch(i, Backward, part, dnn.LocalBackwardData{Conv: conv, W: b.params[i][part][0], DY: dy, DX: newDX()})
		}
		b.learn(i, part, func(dw, db dnn.Tensor) dnn.Op {
			return dnn.LocalBackwardWeights{Conv: conv, X: x, DY: dy, DW: dw, DB: db}
		})
	case model.Full:
		full := b.full(i)
		if below {
			b.launch(i, Backward, part, dnn.FullBackwardData{Full: full, W: b.used(i, part)[0], DY: dy, DX: newDX()})
		}
		b.learn(i, part, func(dw, db dnn.Tensor) dnn.Op {
			return dnn.FullBackwardWeights{Full: full, X: x, DY: dy, DW: dw, DB: db}
		})
	case model.Activation:
		b.dIn[i][part] = dy // nobody else needs it
		if b.masked[i] {
			break
		}
		b.launch(i, Backward, part, dnn.ActivationBackward{Count: b.Batch * out.Size(), Format: b.format(i), Func: function(s.Func), Y: y, DY: dy, DX: dy})
	case model.Pool:
		pool := b.pool(i, s)
		switch norm := l.From[0]; {
		case b.normalises(norm):
			relu := b.rectified(norm)
			b.launch(i, Backward, part, dnn.NormPoolBackward{NormPool: b.normPool(i), Relu: relu, X: x, Where: b.where[i][part], DY: dy, DX: newDX()})
			b.dIn[norm][part] = b.dIn[i][part]
			if relu {
				b.masked[b.Net.Layers[norm].From[0]] = true
			}
		case s.Mode == model.Avg:
			b.launch(i, Backward, part, dnn.AvgPoolBackward{Pool: pool, DY: dy, DX: newDX()})
		default:
			b.launch(i, Backward, part, dnn.MaxPoolBackward{Pool: pool, Where: b.where[i][part], DY: dy, DX: newDX()})
		}
	case model.LRN:
		b.launch(i, Backward, part, dnn.LRNBackward{LRN: b.lrn(i, s), X: x, Y: y, DY: dy, DX: newDX()})
	case model.Dropout:
		b.launch(i, Backward, part, b.dropout(i, part, s, dy, newDX()))
	case model.Softmax:
		b.launch(i, Backward, part, dnn.SoftmaxBackward{Batch: b.Batch, Classes: out.C, Y: y, Labels: b.labels, DX: newDX()})
	}
}

// learn plans the gradients by layer i's parameters, made by op, and for later
// their updates, unless they stand still.
func (b *builder) learn(i, part int, op func(dw, db dnn.Tensor) dnn.Op) {
	l := b.Net.Layers[i]
	p, _ := l.Params()
	if p.Rate == 0 && p.BiasRate == 0 {
		return
	}
	tensors := b.params[i][part] // weight, bias, momentum of weight, of bias
	weight, bias := b.param(i, part, 0), b.param(i, part, 1)
	weight.G, bias.G = b.weightGradient(i, part, weight), b.biasGradient(part, tensors[1])
	b.launch(i, Backward, part, op(weight.G, bias.G))
	update := func(param dnn.Param, t, v dnn.Tensor, rate, decay float64) {
		if rate == 0 {
			return
		}
		param.W, param.V, param.Index = t, v, i
		param.Rate, param.Decay = float32(rate), float32(b.Net.Train.Decay*decay)
		b.updates[part] = append(b.updates[part], param)
	}
	update(weight, tensors[0], tensors[2], p.Rate, p.Decay)
	update(bias, tensors[1], tensors[3], p.BiasRate, p.BiasDecay)
}

// biasGradient makes the tensor of the gradient by a bias, which is float32.
func (b *builder) biasGradient(part int, bias dnn.Tensor) dnn.Tensor {
	t := b.Devices[part].Tensors[bias]
	return b.tensor(part, Work, "gradient of "+t.Name, t.Shape...)
}

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
	rows := shape[0] / len(p.Devices)
	return Param{Name: name, Shape: shape, First: device * rows, Rows: rows, Layer: layer, Tensor: named[name]}
}
