package neighbors

import (
	"context"
	"errors"
	"io"
	"math"
)

// Moments returns the mean of vectors, and one deviation: the square root of the
// mean square by which a number differs from the mean of its place.
func Moments(ctx context.Context, x Vectors) (mean []float32, deviation float64, err error) {
	dim := x.Dim()
	block := make([]float32, min(max(1, blockBytes/(4*dim)), maxBlock)*dim)
	sums, squares := make([]float64, dim), make([]float64, dim)
	count := 0.0
	for {
		n, err := x.Next(ctx, block)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		for i, v := range block[:n*dim] {
			sums[i%dim] += float64(v)
			squares[i%dim] += float64(v) * float64(v)
		}
		count += float64(n)
	}
	if count == 0 {
		return nil, 0, errors.New("there are no vectors")
	}
	mean = make([]float32, dim)
	variance := 0.0
	for i, sum := range sums {
		m := sum / count
		mean[i] = float32(m)
		variance += max(squares[i]/count-m*m, 0) / float64(dim)
	}
	return mean, math.Sqrt(variance), nil
}
