package main

import (
	"slices"

	"alexnet/internal/measure"
)

// Series is what the rounds of one case gave.
type Series struct {
	Name   string    `json:"name"`
	Median float64   `json:"median"`
	Least  float64   `json:"least"`
	Most   float64   `json:"most"`
	Rounds []float64 `json:"rounds"` // in the order of the rounds
}

// series sums up rounds, of which there is at least one.
func series(name string, rounds []float64) Series {
	return Series{name, measure.Median(rounds), slices.Min(rounds), slices.Max(rounds), rounds}
}

// ratio divides round by round: what slows the machine down for a while slows
// both of a round, and goes out of their ratio, but not out of that of two medians.
func ratio(name string, over, under Series) Series {
	ratios := make([]float64, len(over.Rounds))
	for i := range ratios {
		ratios[i] = over.Rounds[i] / under.Rounds[i]
	}
	return series(name, ratios)
}
