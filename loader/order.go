package loader

import (
	"fmt"
	"math"

	"alexnet/internal/philox"
	"alexnet/loader/record"
)

// order lists the images of a split, group after group, in the order in which
// they are read; or a rank's share of them. It is for one goroutine.
type order struct {
	chunks     []chunkRef // of the split, in file order
	images     int        // in the split
	low, high  int        // which images of the shuffled chunks, laid end to end, are this rank's
	groupLimit int        // images of a group, if it has more than one chunk
	shuffle    bool
	seed       uint64

	pass   uint32
	queue  []int32 // chunks of the pass, in order
	at     int     // next in queue
	start  int     // place of its first image, the chunks laid end to end
	groups uint32  // of the pass so far
}

// chunkRef is a chunk of a split.
type chunkRef struct {
	shard  *record.Reader
	chunk  int
	first  int // number of its first image in the split
	images int
}

// piece is a chunk, or the part of one that is a rank's, in a group.
type piece struct {
	ref    *chunkRef
	from   int // its first image in the chunk
	images int
	offset int // of its first image among the group's images
}

// newOrder makes the order of a split, for rank of ranks, and stands at its
// start.
func newOrder(shards []*record.Reader, groupLimit int, shuffle bool, seed uint64, rank, ranks int) (*order, error) {
	o := &order{groupLimit: groupLimit, shuffle: shuffle, seed: seed}
	for _, s := range shards {
		for c := range s.Chunks() {
			_, n := s.Chunk(c)
			o.chunks = append(o.chunks, chunkRef{shard: s, chunk: c, first: o.images, images: n})
			o.images += n
		}
	}
	if o.images > math.MaxInt32 {
		return nil, fmt.Errorf("a split of %d images; at most %d are allowed", o.images, math.MaxInt32)
	}
	if rank < 0 || rank >= ranks || ranks > o.images {
		return nil, fmt.Errorf("rank %d of %d for %d images; ranks count from 0, and each must have an image", rank, ranks, o.images)
	}
	o.low, o.high = rank*o.images/ranks, (rank+1)*o.images/ranks
	o.queue = make([]int32, len(o.chunks))
	o.begin(0)
	return o, nil
}

// share returns how many images of a pass are this rank's.
func (o *order) share() int { return o.high - o.low }

// most returns how many images a group can have.
func (o *order) most() int {
	return min(o.share(), max(o.chunks[0].shard.Shape().ChunkImages, o.groupLimit))
}

// begin goes to the first group of a pass.
func (o *order) begin(pass uint32) {
	o.pass, o.at, o.start, o.groups = pass, 0, 0, 0
	for i := range o.queue {
		o.queue[i] = int32(i)
	}
	if o.shuffle {
		numbers := philox.NewStream(o.seed, philox.Order, pass, 0)
		philox.Shuffle(&numbers, o.queue)
	}
	for o.start+o.chunks[o.queue[o.at]].images <= o.low {
		o.skip()
	}
}

// skip goes past a chunk.
func (o *order) skip() {
	o.start += o.chunks[o.queue[o.at]].images
	o.at++
}

// more says whether the pass has another group.
func (o *order) more() bool { return o.start < o.high }

// advance goes past the next group, at least one piece, appends its pieces to
// list, and returns how many images they have.
func (o *order) advance(list []piece) (_ []piece, images int) {
	for o.more() {
		ref := &o.chunks[o.queue[o.at]]
		from, end := max(0, o.low-o.start), min(ref.images, o.high-o.start)
		if images > 0 && images+end-from > o.groupLimit {
			break
		}
		list = append(list, piece{ref, from, end - from, images})
		images += end - from
		o.skip()
	}
	o.groups++
	return list, images
}

// next puts the next group into g, and goes on to the pass after the last group
// of one.
func (o *order) next(g *group) {
	if !o.more() {
		o.begin(o.pass + 1)
	}
	g.pass = o.pass
	var n int
	g.pieces, n = o.advance(g.pieces[:0])
	g.images = g.images[:n]
	for i := range g.images {
		g.images[i] = int32(i)
	}
	if o.shuffle {
		numbers := philox.NewStream(o.seed, philox.Order, o.pass, o.groups)
		philox.Shuffle(&numbers, g.images)
	}
	g.places = g.places[:n]
	for place, image := range g.images {
		g.places[image] = int32(place)
	}
}

// seek goes to the group that holds image number first of the endless sequence
// of passes, and returns how many of the group's images come before.
func (o *order) seek(first int64) (skip int, err error) {
	n := int64(o.share())
	if first < 0 || first/n >= math.MaxUint32 {
		return 0, fmt.Errorf("a run cannot start at image %d of the sequence; from 0 to %d passes are possible", first, uint32(math.MaxUint32))
	}
	o.begin(uint32(first / n))
	skip = int(first % n)
	var pieces []piece
	for {
		before := *o
		var images int
		if pieces, images = o.advance(pieces[:0]); skip < images {
			*o = before
			return skip, nil
		}
		skip -= images
	}
}
