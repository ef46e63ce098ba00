package measure

import "slices"

// Median returns the middle of x, or the mean of the two in the middle. x is not
// empty and stays as it is.
func Median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
