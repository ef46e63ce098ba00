// Package model is a network as typed layers: what each computes, the shapes
// between them, the parameters and the work. It knows no syntax and no device:
// front ends (package dsl) build a Net and call [Net.Infer]; back ends (package
// plan) read it.
//
// # Columns
//
// A network of N columns (N = 2 in the paper, section 3.2) has its layers
// divided over N devices. Conv, Local and Full divide their kernels: column c
// holds the c-th part of them, the parts standing one after the other along the
// channel axis. Every other layer works on the channels of its own column.
// A layer sees only its own column's part of what it reads, unless it is
// Across. The network's input is not divided: every column sees it whole.
package model

import (
	"fmt"
	"strings"
)

// Shape is the shape of one image's activations: channels (maps), height and
// width. A full layer's output has height and width 1.
type Shape struct{ C, H, W int }

// Size returns the count of numbers.
func (s Shape) Size() int { return s.C * s.H * s.W }

// String returns the shape as the language writes it: 96x55x55.
func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.C, s.H, s.W) }

// Net is a network with what its training needs to know.
type Net struct {
	Name    string
	Input   Shape
	Columns int // 1 or more
	Layers  []*Layer
	Data    Data
	Train   Train
}

// InputIndex stands in [Layer.From] for the network's input.
const InputIndex = -1

// Layer is one line of the network.
type Layer struct {
	Name   string // unique in the network
	Spec   Spec
	From   []int // layers read, by index, each before this one, or InputIndex; several are joined along the channels, column by column
	Across bool  // sees every column of what it reads

	// What follows is set by [Net.Infer].

	In      Shape // what it reads, all columns, joined
	Out     Shape // what it makes, all columns
	Divided bool  // whether Out is divided over the columns
}

// Spec says what a layer computes. It is one of [Conv], [Local], [Full],
// [Activation], [Pool], [LRN], [Dropout] and [Softmax].
type Spec interface {
	// Kind is the word of the language for it.
	Kind() string
}

// Window is the sliding window of a Conv, Local or Pool.
type Window struct {
	H, W   int
	Stride int
	Pad    int  // zeros added on each of the four sides; for pools, pixels that do not exist
	Ceil   bool // round the output size up: the last window may hang over the right and bottom edge
}

// steps returns how many places the window takes along an axis of the given
// length, or 0 if there is none.
func (w Window) steps(length, window int) int {
	room := length + 2*w.Pad - window
	if !w.Ceil {
		if room < 0 {
			return 0
		}
		return room/w.Stride + 1
	}
	n := (max(room, 0)+w.Stride-1)/w.Stride + 1
	if (n-1)*w.Stride >= length+w.Pad { // the last one would start past the edge
		n--
	}
	return n
}

// Params says how the weights and biases of a layer start and learn.
type Params struct {
	Deviation float64 // of the normal distribution that weights start from (section 5: 0.01)
	Bias      float64 // what biases start at (section 5: 0, or 1 in conv2, conv4, conv5, fc6, fc7)
	Rate      float64 // factor on the learning rate, weights
	BiasRate  float64 // factor on the learning rate, biases
	Decay     float64 // factor on the weight decay, weights
	BiasDecay float64 // factor on the weight decay, biases
}

// DefaultParams are the values of section 5: deviation 0.01, biases at 0, the
// same rate and decay everywhere.
func DefaultParams() Params {
	return Params{Deviation: 0.01, Rate: 1, BiasRate: 1, Decay: 1, BiasDecay: 1}
}

// Conv is a convolution with a bias for each kernel. Groups divides the kernels
// and the channels of one column into that many parts which do not see each
// other.
type Conv struct {
	Kernels int
	Window  Window
	Groups  int
	Params  Params
}

// Local is a convolution whose kernels are not shared between places.
// Its weight is [kernels, height, width, channels/groups * window], its bias
// [kernels, height, width].
type Local struct {
	Kernels int
	Window  Window
	Groups  int
	Params  Params
}

// Full is a fully connected layer. It reads its input as channels, height,
// width.
type Full struct {
	Outputs int
	Params  Params
}

// Func is the function of an [Activation].
type Func string

// The functions. Relu is section 3.1's.
const (
	Relu    Func = "relu"
	Tanh    Func = "tanh"
	Sigmoid Func = "sigmoid"
)

// Activation applies a function to each number.
type Activation struct{ Func Func }

// PoolMode says what a [Pool] makes of the pixels in its window.
type PoolMode string

// The modes. Avg divides by the count of the pixels that exist: those beyond
// the edge neither add nor count.
const (
	Max PoolMode = "maxpool"
	Avg PoolMode = "avgpool"
)

// Pool summarises windows of each map (section 3.4).
type Pool struct {
	Mode   PoolMode
	Window Window
}

// LRN is the response normalisation of section 3.3,
//
//	b = a / (k + α Σ a²)^β
//
// where the sum runs over Size adjacent maps of the same column at the same
// place or, if Within, over the Size x Size pixels around it in the same map.
// Alpha is the paper's: it is not divided by the count of terms, as cuDNN's and
// Caffe's are.
type LRN struct {
	Size           int
	Alpha, Beta, K float64
	Within         bool
}

// Dropout sets each number to zero with probability Rate while training. While
// testing it multiplies by 1-Rate (section 4.2), so nothing is scaled while
// training.
type Dropout struct{ Rate float64 }

// Softmax ends a network: probabilities of the classes and, while training, the
// mean over the batch of the cross-entropy loss.
type Softmax struct{}

func (Conv) Kind() string         { return "conv" }
func (Local) Kind() string        { return "local" }
func (Full) Kind() string         { return "full" }
func (a Activation) Kind() string { return string(a.Func) }
func (p Pool) Kind() string       { return string(p.Mode) }
func (LRN) Kind() string          { return "lrn" }
func (Dropout) Kind() string      { return "dropout" }
func (Softmax) Kind() string      { return "softmax" }

// Params returns how the layer's weights start and learn; ok is false if it has
// none.
func (l *Layer) Params() (p Params, ok bool) {
	switch s := l.Spec.(type) {
	case Conv:
		return s.Params, true
	case Local:
		return s.Params, true
	case Full:
		return s.Params, true
	}
	return Params{}, false
}

// Learns reports whether any of the layer's parameters are to change: there are
// some, and their rate is not 0.
func (l *Layer) Learns() bool {
	p, _ := l.Params()
	return p.Rate > 0 || p.BiasRate > 0
}

// Named returns the layer of a name, or nil.
func (n *Net) Named(name string) *Layer {
	for _, l := range n.Layers {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// Mean says what is subtracted from each pixel.
type Mean string

// The means over the training set: an image of means (section 2), one mean a
// colour, or nothing.
const (
	MeanPixel   Mean = "pixel"
	MeanChannel Mean = "channel"
	MeanNone    Mean = "none"
)

// Data says what happens to images on their way into the network.
type Data struct {
	Crop   int     // side of the patch cut out of each image; it must be the input's, and 0 stands for that
	Mirror bool    // train on random mirror images too (section 4.1)
	Mean   Mean    //
	Color  float64 // deviation of the PCA colour noise while training (section 4.1: 0.1); 0 is none
	Until  int     // colour noise ends after this many passes; 0 is never
	Views  int     // patches of an image at test time: 1 (centre) or 10 (section 4.1)
}

// DefaultData is what a network without a data block gets: the mean image is
// subtracted, one view, nothing else.
func DefaultData() Data { return Data{Mean: MeanPixel, Views: 1} }

// Train says how the network learns (section 5).
type Train struct {
	Batch    int     // images a step
	Passes   int     // over the training set
	Rate     float64 // ε at the start
	Momentum float64
	Decay    float64 // weight decay
	Divide   Divide
	At       []At // by passes, ascending
	Seed     uint64
}

// Divide says when the rate is divided, and by what. By 0 means never.
type Divide struct {
	By      float64
	At      []int // after these passes, ascending; or, if empty,
	Plateau int   // after this many passes without a lower test error
	Times   int   // at most so often, on a plateau
}

// String returns the statement as the language writes it, without its first word:
// 10 at 25 51.
func (d Divide) String() string {
	switch {
	case d.By == 0:
		return "never"
	case len(d.At) == 0:
		return fmt.Sprintf("%g plateau %d times %d", d.By, d.Plateau, d.Times)
	}
	return fmt.Sprintf("%g at %s", d.By, strings.Trim(fmt.Sprint(d.At), "[]"))
}

// At sets a rate after so many passes.
type At struct {
	Passes int
	Rate   float64 // ε from then on
	Layer  string  // that it is of, or "": of all that have had none of their own
}

// String returns the statement as the language writes it, without its first word:
// 67 rate 1e-05 layer conv1.
func (a At) String() string {
	s := fmt.Sprintf("%d rate %g", a.Passes, a.Rate)
	if a.Layer != "" {
		s += " layer " + a.Layer
	}
	return s
}

// DefaultTrain is what a network without a train block gets: the paper's
// numbers, at a constant rate.
func DefaultTrain() Train {
	return Train{Batch: 128, Passes: 90, Rate: 0.01, Momentum: 0.9, Decay: 0.0005, Seed: 1}
}
