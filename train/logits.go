package train

import "math"

// Tests work with logits in float64, of which the softmax makes probabilities. A
// probability may be too small for its format, and is 0 then: it has no logarithm, and
// does not say which of two classes is likelier. A logit always does.
//
// A network's own logits are float32, and one network with one view has these very
// numbers. Of a mean of probabilities the logits are its logarithms, which are summed
// without ever leaving the logarithm: so there is no least probability, but in
// predictions of version 1 (see [Predictions]).

// logSum returns log Σ exp(x) as a sum of two numbers, kept apart since a large logit
// would swallow the logarithm.
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

// mixture is a sum of probabilities, by their logarithms.
type mixture []float64

// clear makes the sum 0.
func (m mixture) clear() {
	for c := range m {
		m[c] = math.Inf(-1)
	}
}

// add adds the probabilities of logits, times weight.
func (m mixture) add(logits []float64, weight int) {
	largest, log := logSum(logits)
	log -= math.Log(float64(weight))
	for c, v := range logits {
		m[c] = logAdd(m[c], v-largest-log)
	}
}

// mean writes the logits of the sum divided by n.
func (m mixture) mean(logits []float64, n int) {
	log := math.Log(float64(n))
	for c, v := range m {
		logits[c] = v - log
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
