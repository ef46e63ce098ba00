package pack

import (
	"context"
	"errors"
	"fmt"
	"math"

	"alexnet/loader/record"
	"alexnet/loader/shapes"
)

// Shapes packs train and test images drawn by package shapes from seed.
func Shapes(ctx context.Context, o Options, seed uint64, train, test int) (d *record.Dataset, err error) {
	switch {
	case o.Source != "" || o.Size != 0 || o.TestFraction != 0:
		return nil, errors.New("shapes are drawn, at a size and with a test split of their own; give no source, size or test fraction")
	case train < 1 || test < 1 || train > math.MaxInt32 || test > math.MaxInt32:
		return nil, fmt.Errorf("%d training and %d test images: there must be from 1 to %d of each", train, test, math.MaxInt32)
	}
	out, err := begin(o.Out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.discard()) }()
	c := content{
		source: fmt.Sprintf("drawn from seed %d", seed),
		height: shapes.Size, width: shapes.Size,
	}
	for _, name := range shapes.Names {
		c.classes = append(c.classes, record.Class{Name: name})
	}
	for i, n := range []int{train, test} {
		c.splits = append(c.splits, split{
			name:   [...]string{"train", "test"}[i],
			images: n,
			decode: func(k int, dst []byte, _ *scratch) (int, error) {
				return shapes.Draw(dst, seed, uint32(i), uint32(k)), nil
			},
		})
	}
	return write(ctx, o, out, c)
}
