package pack

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"alexnet/loader/picture"
	"alexnet/loader/record"
	"alexnet/loader/shapes"
)

// Shapes packs train and test images drawn by package shapes from seed.
func Shapes(ctx context.Context, o Options, seed uint64, train, test int) (d *record.Dataset, err error) {
	switch {
	case o.Source != "" || o.Size != 0 || o.Full || o.Orient || o.TestFraction != 0 || o.Names != "":
		return nil, errors.New("shapes are drawn, at a size and with a test split of their own; give no source, size, test fraction or names")
	case train < 1 || test < 1 || train > math.MaxInt32 || test > math.MaxInt32:
		return nil, fmt.Errorf("%d training and %d test images: there must be from 1 to %d of each", train, test, math.MaxInt32)
	}
	out, err := begin(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = out.end(err) }()
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
			decode: func(_ context.Context, k int, _ *worker, dst []byte) (picture.Image, int, error) {
				const size = shapes.Size * shapes.Size * 3
				im := picture.Image{Pixels: slices.Grow(dst[:0], size)[:size], Height: shapes.Size, Width: shapes.Size}
				return im, shapes.Draw(im.Pixels, seed, uint32(i), uint32(k)), nil
			},
		})
	}
	c.identity = fmt.Sprintf("%q %d %d", c.source, train, test)
	return write(ctx, o, out, c)
}
