package main

import (
	"context"
	"fmt"
)

// measurement is a case that is measured in every round.
type measurement struct {
	name string
	run  func(context.Context) (float64, error) // one figure above 0
}

// alternate measures each case once a round, again where other programs disturbed it.
// Every second round goes backwards, so that no case always comes after the same one,
// or first.
func alternate(ctx context.Context, rounds int, cases []measurement, q *quiet) ([]Series, error) {
	figures := make([][]float64, len(cases))
	for round := range rounds {
		most := 0.0
		for i := range cases {
			if round%2 == 1 {
				i = len(cases) - 1 - i
			}
			figure, others, err := q.measure(ctx, cases[i])
			if err == nil && !(figure > 0) {
				err = fmt.Errorf("it measured %g", figure)
			}
			if err != nil {
				return nil, fmt.Errorf("round %d, %s: %w", round+1, cases[i].name, err)
			}
			fmt.Fprintf(q.log, "round %d of %d  %-48s %8.1f\n", round+1, rounds, cases[i].name, figure)
			figures[i] = append(figures[i], figure)
			most = max(most, others)
		}
		q.round(most)
	}
	all := make([]Series, len(cases))
	for i, c := range cases {
		all[i] = series(c.name, figures[i])
	}
	return all, nil
}
