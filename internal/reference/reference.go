// Package reference is every operation of package dnn once more, as slowly and
// plainly as its formula, in float64: what devices are held against in tests.
// Nothing is shared with their code but the generator of random numbers.
package reference

import (
	"math"

	"alexnet/dnn"
)

// each calls f for every output place of a convolution or pool and every place
// of its window that is inside the input.
func each(in, out dnn.Shape, w dnn.Window, f func(oy, ox, ky, kx, iy, ix int)) {
	for oy := range out.H {
		for ox := range out.W {
			for ky := range w.H {
				for kx := range w.W {
					iy, ix := oy*w.Stride-w.Pad+ky, ox*w.Stride-w.Pad+kx
					if iy >= 0 && iy < in.H && ix >= 0 && ix < in.W {
						f(oy, ox, ky, kx, iy, ix)
					}
				}
			}
		}
	}
}

// eachWeight calls f for every product that makes up a convolution, with the
// places of its factors in x, w and y. local has kernels for every place.
func eachWeight(c dnn.Conv, local bool, f func(x, w, y int)) {
	cg, kg := c.In.C/c.Groups, c.Out.C/c.Groups
	for n := range c.Batch {
		for k := range c.Out.C {
			for m := range cg {
				each(c.In, c.Out, c.Window, func(oy, ox, ky, kx, iy, ix int) {
					kernel := k
					if local {
						kernel = (k*c.Out.H+oy)*c.Out.W + ox
					}
					f(((n*c.In.C+k/kg*cg+m)*c.In.H+iy)*c.In.W+ix,
						((kernel*cg+m)*c.Window.H+ky)*c.Window.W+kx,
						((n*c.Out.C+k)*c.Out.H+oy)*c.Out.W+ox)
				})
			}
		}
	}
}

// biasOf returns the place of output y's bias.
func biasOf(c dnn.Conv, local bool, y int) int {
	if local {
		return y % c.Out.Size()
	}
	return y / (c.Out.H * c.Out.W) % c.Out.C
}

// Conv is a convolution, with kernels shared between places or local.
func Conv(c dnn.Conv, local bool, x, w, b []float64) []float64 {
	y := make([]float64, c.Batch*c.Out.Size())
	for i := range y {
		y[i] = b[biasOf(c, local, i)]
	}
	eachWeight(c, local, func(ix, iw, iy int) { y[iy] += x[ix] * w[iw] })
	return y
}

// ConvData is its gradient by x.
func ConvData(c dnn.Conv, local bool, w, dy []float64) []float64 {
	dx := make([]float64, c.Batch*c.In.Size())
	eachWeight(c, local, func(ix, iw, iy int) { dx[ix] += w[iw] * dy[iy] })
	return dx
}

// ConvWeights are its gradients by w and b.
func ConvWeights(c dnn.Conv, local bool, x, dy []float64) (dw, db []float64) {
	kernels := c.Out.C
	if local {
		kernels = c.Out.Size()
	}
	dw, db = make([]float64, kernels*c.KernelSize()), make([]float64, kernels)
	eachWeight(c, local, func(ix, iw, iy int) { dw[iw] += x[ix] * dy[iy] })
	for i, g := range dy {
		db[biasOf(c, local, i)] += g
	}
	return dw, db
}

// FullAsConv is the convolution with 1x1 maps that a full layer is.
func FullAsConv(f dnn.Full) dnn.Conv {
	return dnn.Conv{Batch: f.Batch, Groups: f.Groups, In: dnn.Shape{C: f.In, H: 1, W: 1}, Out: dnn.Shape{C: f.Out, H: 1, W: 1},
		Window: dnn.Window{H: 1, W: 1, Stride: 1}}
}

// Activation applies f.
func Activation(f dnn.Func, x []float64) []float64 {
	return apply(x, func(v float64) float64 {
		switch f {
		case dnn.Relu:
			return math.Max(0, v)
		case dnn.Tanh:
			return math.Tanh(v)
		}
		return 1 / (1 + math.Exp(-v))
	})
}

// ActivationData is the derivative by what goes in, told from what came out.
func ActivationData(f dnn.Func, y, dy []float64) []float64 {
	dx := make([]float64, len(y))
	for i, v := range y {
		switch f {
		case dnn.Relu:
			if v > 0 {
				dx[i] = dy[i]
			}
		case dnn.Tanh:
			dx[i] = dy[i] * (1 - v*v)
		case dnn.Sigmoid:
			dx[i] = dy[i] * v * (1 - v)
		}
	}
	return dx
}

func apply(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

// MaxPool also returns the place of the largest pixel in its map.
func MaxPool(p dnn.Pool, x []float64) (y []float64, where []int32) {
	y = make([]float64, p.Batch*p.Out.Size())
	where = make([]int32, len(y))
	for i := range where {
		where[i] = -1
	}
	for m := range p.Batch * p.In.C {
		each(p.In, p.Out, p.Window, func(oy, ox, _, _, iy, ix int) {
			o, at := (m*p.Out.H+oy)*p.Out.W+ox, iy*p.In.W+ix
			v := x[m*p.In.H*p.In.W+at]
			if where[o] < 0 || v > y[o] || math.IsNaN(v) && !math.IsNaN(y[o]) {
				y[o], where[o] = v, int32(at)
			}
		})
	}
	return y, where
}

// MaxPoolData is the gradient by x of MaxPool.
func MaxPoolData(p dnn.Pool, where []int32, dy []float64) []float64 {
	dx := make([]float64, p.Batch*p.In.Size())
	for o, g := range dy {
		dx[o/(p.Out.H*p.Out.W)*p.In.H*p.In.W+int(where[o])] += g
	}
	return dx
}

// pixels counts the pixels of each window that exist.
func pixels(p dnn.Pool) []float64 {
	n := make([]float64, p.Out.H*p.Out.W)
	each(p.In, p.Out, p.Window, func(oy, ox, _, _, _, _ int) { n[oy*p.Out.W+ox]++ })
	return n
}

// AvgPool is the mean over the pixels of each window that exist.
func AvgPool(p dnn.Pool, x []float64) []float64 {
	y := make([]float64, p.Batch*p.Out.Size())
	n := pixels(p)
	for m := range p.Batch * p.In.C {
		each(p.In, p.Out, p.Window, func(oy, ox, _, _, iy, ix int) {
			y[(m*p.Out.H+oy)*p.Out.W+ox] += x[(m*p.In.H+iy)*p.In.W+ix] / n[oy*p.Out.W+ox]
		})
	}
	return y
}

// AvgPoolData is its gradient by x.
func AvgPoolData(p dnn.Pool, dy []float64) []float64 {
	dx := make([]float64, p.Batch*p.In.Size())
	n := pixels(p)
	for m := range p.Batch * p.In.C {
		each(p.In, p.Out, p.Window, func(oy, ox, _, _, iy, ix int) {
			dx[(m*p.In.H+iy)*p.In.W+ix] += dy[(m*p.Out.H+oy)*p.Out.W+ox] / n[oy*p.Out.W+ox]
		})
	}
	return dx
}

// eachNeighbour calls f for every number and every number that its sum takes.
func eachNeighbour(l dnn.LRN, f func(i, j int)) {
	s := l.Shape
	group := s.C / l.Groups
	for n := range l.Batch {
		at := func(c, y, x int) int { return ((n*s.C+c)*s.H+y)*s.W + x }
		for c := range s.C {
			for y := range s.H {
				for x := range s.W {
					for a := -(l.Size / 2); a < l.Size-l.Size/2; a++ {
						if !l.Within {
							if m := c + a; m >= 0 && m < s.C && m/group == c/group {
								f(at(c, y, x), at(m, y, x))
							}
							continue
						}
						for b := -(l.Size / 2); b < l.Size-l.Size/2; b++ {
							if u, v := y+a, x+b; u >= 0 && u < s.H && v >= 0 && v < s.W {
								f(at(c, y, x), at(c, u, v))
							}
						}
					}
				}
			}
		}
	}
}

func scales(l dnn.LRN, x []float64) []float64 {
	s := apply(x, func(float64) float64 { return l.K })
	eachNeighbour(l, func(i, j int) { s[i] += l.Alpha * x[j] * x[j] })
	return s
}

// LRN is response normalisation.
func LRN(l dnn.LRN, x []float64) []float64 {
	y := make([]float64, len(x))
	for i, s := range scales(l, x) {
		y[i] = x[i] * math.Pow(s, -l.Beta)
	}
	return y
}

// LRNData: y_i = x_i s_i^-β; dy_i/dx_j = s_i^-β if i = j, and
// −β x_i s_i^(-β-1) 2α x_j if i's sum takes j.
func LRNData(l dnn.LRN, x, dy []float64) []float64 {
	s := scales(l, x)
	dx := make([]float64, len(x))
	for i := range x {
		dx[i] = dy[i] * math.Pow(s[i], -l.Beta)
	}
	eachNeighbour(l, func(i, j int) {
		dx[j] -= dy[i] * l.Beta * x[i] * math.Pow(s[i], -l.Beta-1) * 2 * l.Alpha * x[j]
	})
	return dx
}

// Softmax returns probabilities and the sums of loss and errors.
func Softmax(classes int, x []float64, labels []int32) (y, stats []float64) {
	y, stats = make([]float64, len(x)), make([]float64, dnn.StatFloats)
	for n, label := range labels {
		x := x[n*classes:][:classes]
		for i := range x {
			sum := 0.0
			for _, v := range x {
				sum += math.Exp(v - x[i])
			}
			y[n*classes+i] = 1 / sum
			if i == int(label) {
				stats[dnn.StatLoss] += math.Log(sum)
			}
		}
		if label < 0 {
			continue
		}
		likelier := 0
		for i, v := range x {
			if v > x[label] || v == x[label] && i < int(label) {
				likelier++
			}
		}
		if likelier > 0 {
			stats[dnn.StatTop1]++
		}
		if likelier > 4 {
			stats[dnn.StatTop5]++
		}
	}
	return y, stats
}

// SoftmaxData is the gradient by the logits of the mean loss over a batch of images,
// of which these are some.
func SoftmaxData(images, classes int, y []float64, labels []int32) []float64 {
	dx := make([]float64, len(y))
	for i := range y {
		label := int(labels[i/classes])
		switch {
		case label < 0:
		case label == i%classes:
			dx[i] = (y[i] - 1) / float64(images)
		default:
			dx[i] = y[i] / float64(images)
		}
	}
	return dx
}
