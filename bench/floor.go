package bench

import (
	"fmt"

	"alexnet/model"
)

// Floor is the least that a training step takes, in milliseconds, by each of the
// two ceilings.
type Floor struct {
	Arithmetic float64 // its matrix products, at the speed of a large one
	Memory     float64 // the bytes that have to move, at the speed of a large copy
}

// Overlapped is the floor of a step in which products and memory traffic overlap
// perfectly.
func (f Floor) Overlapped() float64 { return max(f.Arithmetic, f.Memory) }

// Sum is the floor of a step in which none of them overlap.
func (f Floor) Sum() float64 { return f.Arithmetic + f.Memory }

// FloorOf returns the floor of a training step of net. The ceilings are of matrix
// products in that precision, fp32, tf32 or bf16.
//
// Arithmetic is that of the matrix products alone: forward, and backward the
// gradients by the weights of layers that learn and by the data above such layers.
//
// Memory is what has to move if everything that could be done in one pass over
// memory were, and if caches held whatever is used again soon:
//
//   - weights and biases are read once by the products;
//   - those that learn, and their momentum, are read and written once by the update,
//     in float32, and their gradients are written and read once;
//   - with bf16 the products read a copy of the weights, which the update writes; the
//     copy, gradients and activations have 2 bytes a number, also of the last layers,
//     which are in float32; else all have 4;
//   - the activations that backward needs are written once and read once: what layers
//     with weights that learn read, what activations made (a dropout after one leaves
//     enough of it), what normalisations read, what the softmax made;
//   - a max pool writes and reads the place of each largest pixel, a byte;
//   - pixels, of a byte, are read once.
//
// What is left out makes the floor lower: gradients by activations, activations that
// only the next layer reads, the second reading of weights by the gradients by the
// data, labels, what multiplies but is no matrix product, launches, and copies
// between devices.
func FloorOf(net *model.Net, batch int, precision string, c Ceilings) (Floor, error) {
	low, ok := map[string]float64{"fp32": 4, "tf32": 4, "bf16": 2}[precision]
	if !ok {
		return Floor{}, fmt.Errorf("a floor in %q: want fp32, tf32 or bf16", precision)
	}
	if !(c.GFLOPs > 0 && c.GBs > 0) {
		return Floor{}, fmt.Errorf("a floor by ceilings of %g GFLOP/s and %g GB/s: want more than 0", c.GFLOPs, c.GBs)
	}
	bytes := parameterBytes(net, low) + float64(batch)*imageBytes(net, low)
	return Floor{
		Arithmetic: float64(batch) * imageFLOP(net) / c.GFLOPs / 1e6,
		Memory:     bytes / c.GBs / 1e6,
	}, nil
}

// parameterBytes returns how many bytes of parameters move in a step. low is the
// size of a number in the products' precision.
func parameterBytes(net *model.Net, low float64) (bytes float64) {
	const full = 4
	for i, l := range net.Layers {
		each := low // read by the products
		if l.Learns() {
			each += 2*full + 2*full + 2*low // weight, momentum, gradient
			if low != full {
				each += low // the copy
			}
		}
		bytes += each * float64(net.Parameters(i))
	}
	return bytes
}

// imageBytes returns how many bytes of an image's pixels and activations move in a
// step.
func imageBytes(net *model.Net, low float64) float64 {
	learns := learning(net)
	kept := map[int]bool{} // layers whose outputs backward needs
	places := 0
	for i, l := range net.Layers {
		switch s := l.Spec.(type) {
		case model.Conv, model.Local, model.Full:
			if l.Learns() {
				for _, f := range l.From {
					kept[memoryOf(net, f)] = true
				}
			}
		case model.LRN:
			if learns[i] {
				kept[memoryOf(net, l.From[0])] = true
			}
		case model.Activation, model.Softmax:
			if learns[i] {
				kept[memoryOf(net, i)] = true
			}
		case model.Pool:
			if learns[i] && s.Mode == model.Max {
				places += l.Out.Size()
			}
		}
	}
	delete(kept, model.InputIndex) // made of the pixels again
	numbers := 0
	for i := range kept {
		numbers += net.Layers[i].Out.Size()
	}
	return 2*low*float64(numbers) + 2*float64(places) + float64(net.Input.Size())
}

// memoryOf returns the layer whose output layer i could write its own over:
// activations and dropouts change number by number what they read.
func memoryOf(net *model.Net, i int) int {
	for i != model.InputIndex && len(net.Layers[i].From) == 1 {
		switch net.Layers[i].Spec.(type) {
		case model.Activation, model.Dropout:
			i = net.Layers[i].From[0]
		default:
			return i
		}
	}
	return i
}

// imageFLOP returns the multiplications and additions of an image's matrix products
// in a step.
func imageFLOP(net *model.Net) (flop float64) {
	learns := learning(net)
	for i, l := range net.Layers {
		times := 1. // forward
		if l.Learns() {
			times++ // the gradient by the weights
		}
		for _, f := range l.From {
			if f != model.InputIndex && learns[f] {
				times++ // the gradient by the data, of all that is joined
				break
			}
		}
		flop += 2 * times * float64(net.Work(i))
	}
	return flop
}

// learning says of each layer whether it or one that it reads, at whatever distance,
// learns: then a gradient by its output is needed.
func learning(net *model.Net) []bool {
	learns := make([]bool, len(net.Layers))
	for i, l := range net.Layers {
		learns[i] = l.Learns()
		for _, f := range l.From {
			learns[i] = learns[i] || f != model.InputIndex && learns[f]
		}
	}
	return learns
}
