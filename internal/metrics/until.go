package metrics

import "math"

// Until returns the line of a run at which the training error is first at or below
// a threshold, 0 to 1, and whether there is one. Training error means that of the
// pass up to that line, or of all that was trained where that is less than a pass:
// each line counts as long as it is. Lines without an error are passed over.
func Until(ms []Metric, threshold float64) (Metric, bool) {
	var window []span // of the last pass
	end := 0.0
	for _, m := range ms {
		if m.Kind != Train || !(m.Epoch > end) {
			continue
		}
		s := span{end, m.Epoch, m.Top1Error}
		end = m.Epoch
		if math.IsNaN(m.Top1Error) || math.IsInf(m.Top1Error, 0) {
			continue
		}
		window = append(window, s)
		for window[0].end <= end-1 {
			window = window[1:]
		}
		if mean(window, end-1) <= threshold {
			return m, true
		}
	}
	return Metric{}, false
}

// span is a mean of the error over a part of the training, in passes.
type span struct{ start, end, error float64 }

// mean returns the mean from a place on.
func mean(spans []span, from float64) float64 {
	sum, length := 0.0, 0.0
	for _, s := range spans {
		l := s.end - max(s.start, from)
		sum += l * s.error
		length += l
	}
	return sum / length
}
