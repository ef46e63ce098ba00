// Package metrics is the record of a run, metrics.jsonl: one JSON object a line,
// one line for each reported training step, for each test, and for each change of
// a learning rate.
//
//	{"kind":"train","step":100,"epoch":0.01,"loss":6.9,"top1_error":0.999,"top5_error":0.995,"rate":0.01,"images_per_second":512}
//	{"kind":"change","step":120,"epoch":0.012,"layer":"conv1","rate":0.001,"why":"by hand, from the page"}
//
// A line counts from the moment its newline is written. What follows the last
// newline was torn by a crash: readers pass over it, and Resume cuts it off.
//
// JSON has no NaN and no infinities, which a diverging run has. Both are
// written as null; null and an absent number are read as NaN.
package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// The kinds of a Metric.
const (
	Train = "train" // means over the training batches since the line before
	Test  = "test"  // means over the whole test set
	// Change is not a measurement: from here on the rate is another.
	Change = "change"
)

// Metric is one line.
type Metric struct {
	Kind            string  `json:"kind"`              // Train, Test or Change
	Step            int64   `json:"step"`              // updates of the weights so far
	Epoch           float64 `json:"epoch"`             // passes over the training set so far
	Loss            float64 `json:"loss"`              // cross-entropy in nats, mean over images
	Top1Error       float64 `json:"top1_error"`        // 0 to 1
	Top5Error       float64 `json:"top5_error"`        // 0 to 1
	Rate            float64 `json:"rate"`              // learning rate of the step, but for layers that have their own
	ImagesPerSecond float64 `json:"images_per_second"` // over the time since the line before

	// Of a Change, which has an epoch and a rate and none of the other numbers.
	Layer string `json:"layer,omitempty"` // whose rate it is, or "": of all that have none of their own
	Why   string `json:"why,omitempty"`
}

func (m *Metric) check() error {
	if m.Kind != Train && m.Kind != Test && m.Kind != Change {
		return fmt.Errorf("kind is %q, want %q, %q or %q", m.Kind, Train, Test, Change)
	}
	if m.Step < 0 {
		return fmt.Errorf("step is %d, want 0 or more", m.Step)
	}
	return nil
}

// MarshalJSON writes numbers that are not finite as null.
func (m Metric) MarshalJSON() ([]byte, error) { return m.appendJSON(nil) }

// appendJSON is written by hand for the nulls, and so that a training loop that
// reports every step does not allocate.
func (m *Metric) appendJSON(b []byte) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	b = append(b, `{"kind":"`...)
	b = append(b, m.Kind...)
	b = append(b, `","step":`...)
	b = strconv.AppendInt(b, m.Step, 10)
	b = appendNumber(b, "epoch", m.Epoch)
	if m.Kind == Change {
		return m.appendChange(b)
	}
	b = appendNumber(b, "loss", m.Loss)
	b = appendNumber(b, "top1_error", m.Top1Error)
	b = appendNumber(b, "top5_error", m.Top5Error)
	b = appendNumber(b, "rate", m.Rate)
	b = appendNumber(b, "images_per_second", m.ImagesPerSecond)
	return append(b, '}'), nil
}

// appendChange ends the line of a change.
func (m *Metric) appendChange(b []byte) ([]byte, error) {
	layer, err := json.Marshal(m.Layer)
	if err != nil {
		return nil, err
	}
	why, err := json.Marshal(m.Why)
	if err != nil {
		return nil, err
	}
	if m.Layer != "" {
		b = append(append(b, `,"layer":`...), layer...)
	}
	b = appendNumber(b, "rate", m.Rate)
	b = append(append(b, `,"why":`...), why...)
	return append(b, '}'), nil
}

func appendNumber(b []byte, key string, v float64) []byte {
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// UnmarshalJSON reads null, and a number that is absent, as NaN. Keys that it
// does not know are passed over.
func (m *Metric) UnmarshalJSON(b []byte) error {
	type plain Metric // without this method
	nan := math.NaN()
	p := plain{Step: math.MinInt64, Epoch: nan, Loss: nan, Top1Error: nan, Top5Error: nan, Rate: nan, ImagesPerSecond: nan}
	if err := json.Unmarshal(b, &p); err != nil { // null leaves a number as it is
		return err
	}
	if p.Step == math.MinInt64 {
		return errors.New(`there is no "step"`)
	}
	*m = Metric(p)
	return m.check()
}
