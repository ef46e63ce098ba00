package model

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Problem is something wrong with a network. Layer is the index of the layer,
// or [NetProblem], [DataProblem] or [TrainProblem]; Field is the word of the
// language that the trouble is with ("kernels", "window", "from", ...), or ""
// for the whole line.
type Problem struct {
	Layer int
	Field string
	Index int // of the line, from 0, where a block can hold several that begin with Field
	Text  string
}

// The places of a problem outside the layers.
const (
	NetProblem   = -1 - iota // the net line, input or columns
	DataProblem              // the data block
	TrainProblem             // the train block
)

// Limits on what a network may ask for, so that a slip of the keyboard gives an
// error and not an attempt at it.
const (
	MaxTensor  = math.MaxInt32 // numbers in one layer's output for one image, or in its weights
	MaxColumns = 64
	MaxWindow  = 1 << 12 // window side, stride and pad
	MaxBatch   = 1 << 20
	MaxPasses  = 1 << 20
)

// Infer fills in the shapes of all layers and returns all problems, in the
// order of the lines. Layers that read from a layer with a problem are checked
// as far as that allows, without reporting the same trouble again.
func (n *Net) Infer() []Problem {
	c := checker{net: n, known: make([]bool, len(n.Layers))}
	c.head()
	names := map[string]bool{}
	for i, l := range n.Layers {
		if names[l.Name] {
			c.add(i, "name", "another layer is called %q already", l.Name)
		}
		names[l.Name] = true
		c.layer(i)
	}
	c.ending()
	c.data()
	c.train()
	return c.problems
}

type checker struct {
	net      *Net
	known    []bool // whether the layer's output shape could be found
	inputOK  bool
	problems []Problem
}

func (c *checker) add(layer int, field, format string, args ...any) {
	c.problems = append(c.problems, Problem{Layer: layer, Field: field, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) head() {
	n := c.net
	switch {
	case n.Input.C < 1 || n.Input.H < 1 || n.Input.W < 1:
		c.add(NetProblem, "input", "the input is %v, want at least 1 in each of channels, height and width", n.Input)
	case product(n.Input.C, n.Input.H, n.Input.W) > MaxTensor:
		c.add(NetProblem, "input", "the input %v has more than %d numbers", n.Input, MaxTensor)
	default:
		c.inputOK = true
	}
	if n.Columns < 1 || n.Columns > MaxColumns {
		c.add(NetProblem, "columns", "%d columns, want 1 to %d", n.Columns, MaxColumns)
		n.Columns = 1
	}
}

// layer checks layer i and infers its shapes.
func (c *checker) layer(i int) {
	l := c.net.Layers[i]
	before := len(c.problems)
	inputs := c.inputs(i)
	c.spec(i)
	if len(c.problems) == before && inputs {
		c.known[i] = c.shape(i)
	}
	if _, ok := l.Params(); l.Across && !ok && l.Spec != nil {
		c.add(i, "across", "%s cannot look across columns: only conv, local and full can", l.Spec.Kind())
	}
}

// inputs joins what layer i reads; false if that cannot be known.
func (c *checker) inputs(i int) bool {
	l := c.net.Layers[i]
	if len(l.From) == 0 {
		c.add(i, "from", "the layer reads from nothing")
		return false
	}
	divided := make([]bool, len(l.From))
	for j, f := range l.From {
		shape := c.net.Input
		if f != InputIndex {
			if f < 0 || f >= i {
				c.add(i, "from", "a layer can only read from a layer above it")
				return false
			}
			if !c.known[f] {
				return false // its trouble has been told
			}
			from := c.net.Layers[f]
			if _, ok := from.Spec.(Softmax); ok {
				return false // ending tells that it is not last
			}
			shape, divided[j] = from.Out, from.Divided
		} else if !c.inputOK {
			return false
		}
		if j == 0 {
			l.In = shape
			continue
		}
		if shape.H != l.In.H || shape.W != l.In.W {
			c.add(i, "from", "%s (%v) and %s (%v) differ in height or width, so they cannot be joined along the channels",
				c.name(l.From[0]), c.shapeOf(l.From[0]), c.name(f), shape)
			return false
		}
		if divided[j] != divided[0] && c.net.Columns > 1 {
			c.add(i, "from", "%s and %s cannot be joined: one is divided over the columns and the other is not",
				c.name(l.From[0]), c.name(f))
			return false
		}
		l.In.C += shape.C
	}
	l.Divided = divided[0]
	if product(l.In.C, l.In.H, l.In.W) > MaxTensor {
		c.add(i, "from", "what it reads, %v, has more than %d numbers", l.In, MaxTensor)
		return false
	}
	return true
}

func (c *checker) name(i int) string {
	if i == InputIndex {
		return "input"
	}
	return c.net.Layers[i].Name
}

func (c *checker) shapeOf(i int) Shape {
	if i == InputIndex {
		return c.net.Input
	}
	return c.net.Layers[i].Out
}

// spec checks the numbers of layer i that can be judged without its input.
func (c *checker) spec(i int) {
	switch s := c.net.Layers[i].Spec.(type) {
	case Conv:
		c.kernels(i, "kernels", s.Kernels, s.Groups)
		c.window(i, s.Window)
		c.params(i, s.Params)
	case Local:
		c.kernels(i, "kernels", s.Kernels, s.Groups)
		c.window(i, s.Window)
		c.params(i, s.Params)
	case Full:
		c.kernels(i, "outputs", s.Outputs, 1)
		c.params(i, s.Params)
	case Activation:
		if !slices.Contains([]Func{Relu, Tanh, Sigmoid}, s.Func) {
			c.add(i, "", "unknown function %q", s.Func)
		}
	case Pool:
		if s.Mode != Max && s.Mode != Avg {
			c.add(i, "", "unknown pooling %q", s.Mode)
		}
		c.window(i, s.Window)
	case LRN:
		if s.Size < 1 || s.Size > MaxWindow {
			c.add(i, "size", "size %d, want 1 to %d", s.Size, MaxWindow)
		}
		c.number(i, "alpha", s.Alpha, 0, math.MaxFloat32)
		c.number(i, "beta", s.Beta, 0, 100)
		if !(s.K > 0 && s.K <= math.MaxFloat32) {
			c.add(i, "k", "k is %g, want more than 0: the sum may be 0 and is divided by", s.K)
		}
	case Dropout:
		if !(s.Rate >= 0 && s.Rate < 1) {
			c.add(i, "probability", "probability %g, want at least 0 and less than 1", s.Rate)
		}
	case Softmax:
	default:
		c.add(i, "", "unknown kind of layer %T", s)
	}
}

func (c *checker) kernels(i int, field string, n, groups int) {
	if n < 1 || n > MaxTensor {
		c.add(i, field, "%d %s, want 1 to %d", n, field, MaxTensor)
		return
	}
	if n%c.net.Columns != 0 {
		c.add(i, field, "%d %s cannot be divided evenly over %d columns", n, field, c.net.Columns)
		return
	}
	if groups < 1 {
		c.add(i, "groups", "%d groups, want at least 1", groups)
	} else if groups > n/c.net.Columns || n/c.net.Columns%groups != 0 {
		c.add(i, "groups", "%d kernels a column cannot be divided evenly into %d groups", n/c.net.Columns, groups)
	}
}

func (c *checker) window(i int, w Window) {
	if w.H < 1 || w.W < 1 || w.H > MaxWindow || w.W > MaxWindow {
		c.add(i, "window", "window %dx%d, want sides of 1 to %d", w.H, w.W, MaxWindow)
	}
	if w.Stride < 1 || w.Stride > MaxWindow {
		c.add(i, "stride", "stride %d, want 1 to %d", w.Stride, MaxWindow)
	}
	if w.Pad < 0 || w.Pad >= min(w.H, w.W) && w.Pad > 0 {
		c.add(i, "pad", "pad %d, want at least 0 and less than the window %dx%d, or a window would see nothing but padding", w.Pad, w.H, w.W)
	}
}

func (c *checker) params(i int, p Params) {
	c.number(i, "init", p.Deviation, 0, math.MaxFloat32)
	c.number(i, "bias", p.Bias, -math.MaxFloat32, math.MaxFloat32)
	c.number(i, "rate", p.Rate, 0, math.MaxFloat32)
	c.number(i, "bias-rate", p.BiasRate, 0, math.MaxFloat32)
	c.number(i, "decay", p.Decay, 0, math.MaxFloat32)
	c.number(i, "bias-decay", p.BiasDecay, 0, math.MaxFloat32)
}

// number checks that v, which may be NaN, is in [low, high].
func (c *checker) number(place int, field string, v, low, high float64) {
	if !(v >= low && v <= high) {
		c.add(place, field, "%s is %g, want %g to %g", field, v, low, high)
	}
}

// shape infers what layer i makes; its input is known and its own numbers are
// sound.
func (c *checker) shape(i int) bool {
	l := c.net.Layers[i]
	before := len(c.problems)
	switch s := l.Spec.(type) {
	case Conv:
		l.Out = c.windowed(i, s.Window, s.Kernels)
		c.groups(i, s.Groups)
		l.Divided = true
	case Local:
		l.Out = c.windowed(i, s.Window, s.Kernels)
		c.groups(i, s.Groups)
		l.Divided = true
	case Full:
		l.Out = Shape{s.Outputs, 1, 1}
		l.Divided = true
	case Pool:
		l.Out = c.windowed(i, s.Window, l.In.C)
	case Softmax:
		l.Out = Shape{l.In.Size(), 1, 1}
		l.Divided = false
		if l.Out.C < 2 {
			c.add(i, "", "softmax over %v: it needs at least two classes", l.In)
		}
	default:
		l.Out = l.In
	}
	if len(c.problems) > before {
		return false
	}
	if product(l.Out.C, l.Out.H, l.Out.W) > MaxTensor {
		c.add(i, "", "from %v to %v: more than %d numbers for one image", l.In, l.Out, MaxTensor)
		return false
	}
	if weight, _ := c.net.ParamShapes(i); weight != nil && product(weight...) > MaxTensor {
		c.add(i, "", "from %v to %v: weights of %v are more than %d numbers", l.In, l.Out, weight, MaxTensor)
		return false
	}
	return true
}

func (c *checker) windowed(i int, w Window, channels int) Shape {
	l := c.net.Layers[i]
	out := Shape{channels, w.steps(l.In.H, w.H), w.steps(l.In.W, w.W)}
	if out.H < 1 || out.W < 1 {
		c.add(i, "window", "a window of %dx%d with pad %d does not fit into %v", w.H, w.W, w.Pad, l.In)
	}
	return out
}

func (c *checker) groups(i, groups int) {
	l := c.net.Layers[i]
	if groups == 1 {
		return
	}
	if c.net.Columns > 1 && (l.Across || !l.Divided) {
		c.add(i, "groups", "groups divide what one column sees, but this layer sees every column")
		return
	}
	if view := c.net.View(l); view.C%groups != 0 {
		c.add(i, "groups", "%d channels a column cannot be divided evenly into %d groups", view.C, groups)
	}
}

// ending checks that the network ends in its only softmax.
func (c *checker) ending() {
	n := len(c.net.Layers)
	if n == 0 {
		c.add(NetProblem, "", "the network has no layers")
		return
	}
	found := false
	for i, l := range c.net.Layers {
		if _, ok := l.Spec.(Softmax); ok {
			found = true
			if i < n-1 {
				c.add(i, "", "softmax ends a network, so it must be the last layer")
			}
		}
	}
	if !found {
		c.add(n-1, "", "the last layer must be softmax")
	}
	if len(c.problems) > 0 {
		return
	}
	read := make([]bool, n)
	for _, l := range c.net.Layers {
		for _, f := range l.From {
			if f != InputIndex {
				read[f] = true
			}
		}
	}
	for i, l := range c.net.Layers[:n-1] {
		if !read[i] {
			c.add(i, "", "nothing reads from %s", l.Name)
		}
	}
}

func (c *checker) data() {
	d := c.net.Data
	if !slices.Contains([]Mean{MeanPixel, MeanChannel, MeanNone}, d.Mean) {
		c.add(DataProblem, "mean", "mean %q, want pixel, channel or none", d.Mean)
	}
	if in := c.net.Input; c.inputOK && d.Crop != 0 && (d.Crop != in.H || d.Crop != in.W) {
		c.add(DataProblem, "crop", "crop %d gives patches of %dx%d, but the input is %v", d.Crop, d.Crop, d.Crop, in)
	}
	c.number(DataProblem, "color", d.Color, 0, 100)
	if c.inputOK && d.Color > 0 && c.net.Input.C != 3 {
		c.add(DataProblem, "color", "colour noise is for images of 3 channels, and the input is %v", c.net.Input)
	}
	if d.Until < 0 || d.Until > MaxPasses {
		c.add(DataProblem, "color", "colour noise until pass %d, want 1 to %d", d.Until, MaxPasses)
	}
	if d.Views != 1 && d.Views != 10 {
		c.add(DataProblem, "views", "%d views, want 1 (centre) or 10 (corners, centre and their mirrors)", d.Views)
	}
}

func (c *checker) train() {
	t := c.net.Train
	if t.Batch < 1 || t.Batch > MaxBatch {
		c.add(TrainProblem, "batch", "batch %d, want 1 to %d", t.Batch, MaxBatch)
	}
	if t.Passes < 1 || t.Passes > MaxPasses {
		c.add(TrainProblem, "passes", "%d passes, want 1 to %d", t.Passes, MaxPasses)
	}
	c.number(TrainProblem, "rate", t.Rate, 0, math.MaxFloat32)
	if vanishes(t.Rate) {
		c.add(TrainProblem, "rate", "rate %g is 0 in float32, in which weights learn: want at least %g, or 0", t.Rate, math.SmallestNonzeroFloat32)
	}
	if !(t.Momentum >= 0 && t.Momentum < 1) {
		c.add(TrainProblem, "momentum", "momentum %g, want at least 0 and less than 1", t.Momentum)
	}
	c.number(TrainProblem, "decay", t.Decay, 0, math.MaxFloat32)
	c.at()
	d := t.Divide
	if d.By == 0 {
		return
	}
	if !(d.By > 1 && d.By <= math.MaxFloat32) {
		c.add(TrainProblem, "divide", "the rate is divided by %g, want more than 1", d.By)
	}
	if len(d.At) > 0 {
		for i, at := range d.At {
			if at < 1 || i > 0 && at <= d.At[i-1] {
				c.add(TrainProblem, "divide", "passes %v, want positive numbers in ascending order", d.At)
				break
			}
		}
	} else if d.Plateau < 1 || d.Plateau > MaxPasses || d.Times < 1 || d.Times > 1000 {
		c.add(TrainProblem, "divide", "plateau %d times %d, want at least 1 pass and 1 to 1000 times", d.Plateau, d.Times)
	}
}

// vanishes reports whether a rate is 0 only in float32.
func vanishes(rate float64) bool { return rate > 0 && float32(rate) == 0 }

// at checks the rates that are set after some passes.
func (c *checker) at() {
	list := c.net.Train.At
	for i, a := range list {
		add := func(format string, args ...any) {
			c.problems = append(c.problems, Problem{TrainProblem, "at", i, fmt.Sprintf(format, args...)})
		}
		switch l := c.net.Named(a.Layer); {
		case a.Passes < 1 || a.Passes > MaxPasses:
			add("after %d passes, want 1 to %d", a.Passes, MaxPasses)
		case i > 0 && a.Passes < list[i-1].Passes:
			add("after %d passes comes below after %d: put them in order", a.Passes, list[i-1].Passes)
		case i > 0 && slices.ContainsFunc(list[:i], func(b At) bool { return a.Passes == b.Passes && a.Layer == b.Layer }):
			add("the same rate is set twice after %d passes", a.Passes)
		case a.Layer == "" && c.net.Train.Divide.Plateau > 0:
			add("rates are set after given passes or divided on a plateau, not both; a layer's own may be set")
		case !(a.Rate >= 0 && a.Rate <= math.MaxFloat32):
			add("rate %g, want 0 to %g", a.Rate, math.MaxFloat32)
		case vanishes(a.Rate):
			add("rate %g is 0 in float32, in which weights learn: want at least %g, or 0", a.Rate, math.SmallestNonzeroFloat32)
		case a.Layer != "" && l == nil:
			add("no layer is named %q", a.Layer)
		case a.Layer != "" && !l.Learns():
			add("%s has nothing to learn, so its rate is of no use", a.Layer)
		}
	}
}

// product multiplies non-negative factors and stops at the largest int.
func product(factors ...int) int {
	p := uint64(1)
	for _, f := range factors {
		hi, lo := bits.Mul64(p, uint64(f))
		if hi != 0 || lo > math.MaxInt {
			return math.MaxInt
		}
		p = lo
	}
	return int(p)
}
