package train

import (
	"math"
	"slices"
)

// Tests work with logits in float64. Their softmax is the probabilities. A probability
// that is too small for its format is 0. Then it has no logarithm, and does not say
// which of two classes is likelier. Logits do.
//
// One network with one view gives its own logits, which are float32. The logits of a
// mean are the logarithms of the mean probabilities. What is too small for a float64 is
// summed as a logarithm, so there is no least probability. Predictions of version 1 have
// one: see [Predictions].

// logSum returns two numbers whose sum is log Σ exp(x). They are kept apart, since a
// large logit would swallow the logarithm.
func logSum(x []float64) (largest, log float64) {
	largest = math.Inf(-1)
	for _, v := range x {
		largest = max(largest, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - largest)
	}
	return largest, math.Log(sum)
}

// Probability returns the softmax of an image's logits, for one class.
func Probability(logits []float64, class int) float64 {
	largest, log := logSum(logits)
	return math.Exp(logits[class] - largest - log)
}

// mixture is sums of probabilities, each of some logits.
type mixture struct {
	sum  []float64
	tiny []float64 // logarithms of the sums of what is too small for sum; nil if there is nothing
}

// leastNormal is the least float64 with all its bits.
const leastNormal = 0x1p-1022

func newMixture(n int) mixture { return mixture{sum: make([]float64, n)} }

// clear makes all sums 0.
func (m *mixture) clear() {
	clear(m.sum)
	m.tiny = nil
}

// add adds the probabilities of logits, times weight, from sum number at on.
func (m *mixture) add(at int, logits []float64, weight int) {
	largest, log := logSum(logits)
	for c, v := range logits {
		v = v - largest - log
		if p := math.Exp(v); p >= leastNormal {
			m.sum[at+c] += p * float64(weight)
			continue
		}
		if m.tiny == nil {
			m.tiny = slices.Repeat([]float64{math.Inf(-1)}, len(m.sum))
		}
		m.tiny[at+c] = logAdd(m.tiny[at+c], v+math.Log(float64(weight)))
	}
}

// mean writes the logarithms of sums, divided by n, from number at on.
func (m *mixture) mean(logits []float64, at, n int) {
	log := math.Log(float64(n))
	for c := range logits {
		logits[c] = math.Log(m.sum[at+c])
		if m.tiny != nil {
			logits[c] = logAdd(logits[c], m.tiny[at+c])
		}
		logits[c] -= log
	}
}

// logAdd returns log(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if b > a {
		a, b = b, a
	}
	if math.IsInf(b, -1) { // also if a is
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
