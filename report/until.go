package report

import "alexnet/internal/metrics"

// Crossing is where a run's error fell below a level.
type Crossing struct {
	Step  int64   `json:"steps"`
	Epoch float64 `json:"passes"`
}

// FirstBelow returns where a run's training error first was below a level, 0 to 1,
// in the mean over the pass before: of all lines that end within it, each weighted
// by how much of the pass it is about. There is none in the first pass, nor where a
// line has no number. It is false if the error never was so low.
//
// The mean lags behind the error by half a pass, in every run alike.
func FirstBelow(ms []metrics.Metric, level float64) (Crossing, bool) {
	type span struct{ begin, end, error float64 }
	var pass []span // the lines of the last pass
	last := 0.0
	for _, m := range ms {
		if m.Kind != metrics.Train || !(m.Epoch > last) {
			continue
		}
		pass = append(pass, span{last, m.Epoch, m.Top1Error})
		last = m.Epoch
		for pass[0].end <= last-1 {
			pass = pass[1:]
		}
		sum, length := 0.0, 0.0
		for _, s := range pass {
			begin := max(s.begin, last-1)
			sum += s.error * (s.end - begin)
			length += s.end - begin
		}
		if last >= 1 && sum/length < level {
			return Crossing{m.Step, m.Epoch}, true
		}
	}
	return Crossing{}, false
}
