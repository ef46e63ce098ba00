package main

import (
	"encoding/json"
	"fmt"
	"math"

	"alexnet/internal/metrics"
)

// graphsRounded is the relative difference of losses with graphs and without that is
// allowed if algorithms add in any order.
const graphsRounded = 1e-3

// againstGraphs holds the lines of a training with graphs against those without: a
// graph launches the very same kernels.
func againstGraphs(p *Part, graphs, plain []metrics.Metric) error {
	if graphs == nil || plain == nil {
		return nil // which has been told
	}
	differ, most, at := 0, 0.0, 0
	for i := range graphs {
		same, err := sameLine(graphs[i], plain[i])
		if err != nil {
			return err
		}
		if !same {
			differ++
		}
		if d := math.Abs(graphs[i].Loss-plain[i].Loss) / math.Abs(plain[i].Loss); d > most || math.IsNaN(d) {
			most, at = d, i+1
		}
	}
	switch {
	case differ == 0:
		p.Note("bf16 with graphs and without: all %d lines of metrics.jsonl are the same but for the speed.", len(graphs))
		return nil
	case most <= graphsRounded:
		p.Note("bf16 with graphs and without: %d of %d lines of metrics.jsonl differ, losses by at most %.2g of them, at step %d. "+
			"That is what algorithms do that add in any order, and allowed up to %g.", differ, len(graphs), most, at, graphsRounded)
		return nil
	}
	return fmt.Errorf("bf16 with graphs and without: %d of %d lines of metrics.jsonl differ, losses by up to %.2g of them, at step %d, and %g is allowed", differ, len(graphs), most, at, graphsRounded)
}

// sameLine reports whether two lines are the same, byte for byte, but for the speed.
func sameLine(a, b metrics.Metric) (bool, error) {
	a.ImagesPerSecond, b.ImagesPerSecond = 0, 0
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return string(x) == string(y), err
}
