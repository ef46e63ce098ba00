package loader

import (
	"fmt"
	"math"

	"alexnet/internal/philox"
	"alexnet/loader/record"
)

// order lists the images of a split, group after group, in the order in which
// they are read. It is for one goroutine.
type order struct {
	chunks     []chunkRef // of the split, in file order
	images     int        // in the split
	imageBytes int
	window     int64
	shuffle    bool
	seed       uint64

	pass   uint32
	queue  []int32 // chunks of the pass, in order
	at     int     // next in queue
	groups uint32  // of the pass so far
}

// chunkRef is a chunk of a split.
type chunkRef struct {
	shard  *record.Reader
	chunk  int
	first  int // number of its first image in the split
	images int
}

// place is an image in a group's memory.
type place struct {
	image  int32 // number in the split
	offset int32 // in images, from the start of the memory
	label  int32
}

func newOrder(shards []*record.Reader, window int64, shuffle bool, seed uint64) (*order, error) {
	o := &order{imageBytes: shards[0].Shape().ImageBytes(), window: window, shuffle: shuffle, seed: seed}
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
	o.queue = make([]int32, len(o.chunks))
	o.start(0)
	return o, nil
}

// most returns how many images a group can have.
func (o *order) most() int {
	largest := o.chunks[0].shard.Shape().ChunkImages
	return min(o.images, max(largest, int(o.window/int64(o.imageBytes))))
}

// start goes to the first group of a pass.
func (o *order) start(pass uint32) {
	o.pass, o.at, o.groups = pass, 0, 0
	for i := range o.queue {
		o.queue[i] = int32(i)
	}
	if o.shuffle {
		numbers := philox.NewStream(o.seed, philox.Order, pass, 0)
		philox.Shuffle(&numbers, o.queue)
	}
}

// group returns the chunks of the next group, at least one, and their images.
func (o *order) group() (chunks []int32, images int) {
	end := o.at
	for end < len(o.queue) {
		n := o.chunks[o.queue[end]].images
		if end > o.at && int64(images+n)*int64(o.imageBytes) > o.window {
			break
		}
		images += n
		end++
	}
	return o.queue[o.at:end], images
}

// more says whether the pass has another group.
func (o *order) more() bool { return o.at < len(o.queue) }

// next puts the next group into g, without its pixels, and goes on to the
// pass after the last group of one.
func (o *order) next(g *group) {
	if !o.more() {
		o.start(o.pass + 1)
	}
	chunks, _ := o.group()
	o.at += len(chunks)
	o.groups++
	g.pass = o.pass
	g.chunks = g.chunks[:0]
	g.places = g.places[:0]
	for _, c := range chunks {
		ref := &o.chunks[c]
		g.chunks = append(g.chunks, groupChunk{ref, len(g.places)})
		inShard, _ := ref.shard.Chunk(ref.chunk)
		for k := range ref.images {
			g.places = append(g.places, place{int32(ref.first + k), int32(len(g.places)), ref.shard.Label(inShard + k)})
		}
	}
	if o.shuffle {
		numbers := philox.NewStream(o.seed, philox.Order, o.pass, o.groups)
		philox.Shuffle(&numbers, g.places)
	}
}

// seek goes to the group that holds image number first of the endless
// sequence of passes, and returns how many of the group's images come before.
func (o *order) seek(first int64) (skip int, err error) {
	if first < 0 || first/int64(o.images) >= math.MaxUint32 {
		return 0, fmt.Errorf("a run cannot start at image %d of the sequence; from 0 to %d passes are possible", first, uint32(math.MaxUint32))
	}
	o.start(uint32(first / int64(o.images)))
	skip = int(first % int64(o.images))
	for {
		chunks, n := o.group()
		if skip < n {
			return skip, nil
		}
		skip -= n
		o.at += len(chunks)
		o.groups++
	}
}
