package cpu

import (
	"fmt"
	"math"

	"alexnet/dnn"
)

// softmaxForward works in float64: exp of what is left after the largest logit
// is taken off cannot overflow, and the loss is log Σ exp(x) − x of the label.
func (p *preparation) softmaxForward(op dnn.SoftmaxForward) []loop {
	x, y := p.floats(op.X, op.Batch, op.Classes), p.floats(op.Y, op.Batch, op.Classes)
	labels := p.ints(op.Labels, op.Batch)
	stats := p.floats(op.Stats, dnn.StatFloats)
	each := make([][dnn.StatFloats]float64, op.Batch)
	image := func(_ *worker, n int) {
		x, y := x[n*op.Classes:][:op.Classes], y[n*op.Classes:][:op.Classes]
		largest, log := softmax(x, y)
		each[n] = [dnn.StatFloats]float64{}
		label := labelOf(labels, n, op.Classes)
		if label < 0 {
			return
		}
		each[n][dnn.StatLoss] = log - (float64(x[label]) - largest)
		rank := rankOf(label, x)
		if rank >= 1 {
			each[n][dnn.StatTop1] = 1
		}
		if rank >= 5 {
			each[n][dnn.StatTop5] = 1
		}
	}
	total := func(*worker, int) {
		var sum [dnn.StatFloats]float64
		for _, e := range each {
			for i := range sum {
				sum[i] += e[i]
			}
		}
		for i, s := range sum {
			stats[i] = float32(s)
		}
	}
	return []loop{{n: op.Batch, body: image}, {n: 1, body: total}}
}

// softmax makes probabilities y of logits x. log Σ exp(x) is the sum of what it
// returns, kept apart since large logits would swallow the logarithm.
func softmax(x, y []float32) (largest, log float64) {
	largest = math.Inf(-1)
	for _, v := range x {
		largest = max(largest, float64(v))
	}
	sum := 0.0
	for i, v := range x {
		e := math.Exp(float64(v) - largest)
		sum += e
		y[i] = float32(e)
	}
	for i, e := range y {
		y[i] = float32(float64(e) / sum)
	}
	return largest, math.Log(sum)
}

// rankOf counts the classes likelier than label: those with a greater logit, or
// an equal one and a lower number. Comparison with a NaN counts against label.
func rankOf(label int, x []float32) int {
	rank := 0
	for i, v := range x {
		if i != label && !(v < x[label] || v == x[label] && i > label) {
			rank++
		}
	}
	return rank
}

// labelOf returns the label of image n, which must be a class, or -1.
func labelOf(labels []int32, n, classes int) int {
	label := int(labels[n])
	if label >= classes {
		panic(badInput{fmt.Errorf("image %d of the batch has label %d, but there are %d classes; are data and network of one kind?", n, label, classes)})
	}
	return max(label, -1)
}

func (p *preparation) softmaxBackward(op dnn.SoftmaxBackward) []loop {
	y, dx := p.floats(op.Y, op.Batch, op.Classes), p.floats(op.DX, op.Batch, op.Classes)
	labels := p.ints(op.Labels, op.Batch)
	return []loop{{n: op.Batch, body: func(_ *worker, n int) {
		y, dx := y[n*op.Classes:][:op.Classes], dx[n*op.Classes:][:op.Classes]
		label := labelOf(labels, n, op.Classes)
		if label < 0 {
			clear(dx)
			return
		}
		share := 1 / float32(op.Images)
		for i, v := range y {
			dx[i] = v * share
		}
		dx[label] = (y[label] - 1) * share
	}}}
}
