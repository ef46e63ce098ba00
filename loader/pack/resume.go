package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"alexnet/loader/record"

	"golang.org/x/sync/errgroup"
)

// finished reads back the shards of s that an earlier packing finished, and
// returns them, the sums over them, and the rest of the order. Nothing else was
// kept of that packing: a shard says which images it holds, so that those of the
// order which are missing were rejected, and are decoded once more for the reason.
func (p *packer) finished(ctx context.Context, s split, order []int32) ([]record.Shard, *sums, []int32, error) {
	all := newSums(p.shape)
	count := 0
	for ; ; count++ {
		if _, err := os.Lstat(p.out.shard(s.name, count)); errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return nil, nil, nil, err
		}
	}
	if count == 0 {
		return nil, all, order, nil
	}
	shards := make([]record.Shard, count)
	have := make([][]int32, count)
	var merging sync.Mutex
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(p.Workers)
	for i := range count {
		g.Go(func() (err error) {
			one := newSums(p.shape)
			if shards[i], have[i], err = p.readBack(reading, s, p.out.shard(s.name, i), one); err != nil {
				return err
			}
			merging.Lock()
			defer merging.Unlock()
			all.merge(one)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, nil, err
	}
	packed := slices.Concat(have...)
	if p.Message != nil {
		p.Message("going on with a packing that was stopped: %d %s images are there", len(packed), s.name)
	}
	rest, err := p.missing(ctx, s, order, packed)
	return shards, all, rest, err
}

// cannotGoOn says why what is there cannot be gone on with.
func (p *packer) cannotGoOn(format string, args ...any) error {
	return stuck{fmt.Errorf(format+"; to begin again, remove "+p.out.temp, args...)}
}

// readBack reads a whole shard and returns its entry and the numbers of its
// images. The first of them is decoded again: files of the same names and sizes
// may be of other content by now.
func (p *packer) readBack(ctx context.Context, s split, path string, sums *sums) (entry record.Shard, images []int32, err error) {
	r, err := record.Open(path)
	if err != nil {
		return entry, nil, p.cannotGoOn("%w", err)
	}
	defer r.Close() // read only: nothing can be lost
	if r.Shape() != p.shape || r.Codec() != p.Codec {
		return entry, nil, p.cannotGoOn("%s has another shape or codec", path)
	}
	var first []byte
	entry, err = r.Entry(ctx, func(im record.Image, pixels []byte) {
		sums.image(im, pixels)
		if images = append(images, int32(im.Source)); len(images) == 1 {
			first = bytes.Clone(pixels)
		}
	})
	if ctx.Err() != nil {
		return entry, nil, ctx.Err()
	}
	if err != nil {
		return entry, nil, p.cannotGoOn("%w", err)
	}
	if int(images[0]) >= s.images {
		return entry, nil, p.cannotGoOn("%s holds other images than are to be packed", path)
	}
	var w worker
	defer w.close()
	again, _, err := s.decode(ctx, int(images[0]), &w, nil)
	if err != nil {
		return entry, nil, err
	}
	if !bytes.Equal(first, again.Pixels) {
		return entry, nil, p.cannotGoOn("the images have changed since %s was packed of them", path)
	}
	return entry, images, nil
}

// missing goes along the order as far as the images that are packed go, notes
// which of them were rejected, and returns the rest.
func (p *packer) missing(ctx context.Context, s split, order, packed []int32) ([]int32, error) {
	var w worker
	defer w.close()
	for len(packed) > 0 {
		if len(order) == 0 {
			return nil, p.cannotGoOn("the shards hold other images than are to be packed")
		}
		i := order[0]
		order = order[1:]
		if i == packed[0] {
			packed = packed[1:]
			p.count(1)
			continue
		}
		var why *rejection
		switch _, _, err := s.decode(ctx, int(i), &w, nil); {
		case err == nil:
			return nil, p.cannotGoOn("number %d of the %s images was passed over before, and can be read now", i, s.name)
		case !errors.As(err, &why) || p.Strict:
			return nil, err
		}
		p.rejected[s.name] = append(p.rejected[s.name], rejected{i, why})
		p.count(1)
	}
	return order, nil
}
