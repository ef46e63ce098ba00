package record

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// maxDamage bounds how many damaged places Verify lists.
const maxDamage = 100

// Verify reads every chunk, with one goroutine a processor, and holds all pixels,
// labels and sizes against the checksums in dataset.json. The error lists every
// damaged place, or the first 100. progress, if not nil, is told images done and images
// in all after each chunk, by one goroutine at a time.
func (f *Folder) Verify(ctx context.Context, progress func(done, total int)) error {
	v := verification{progress: progress}
	for _, s := range f.Dataset.Splits {
		v.total += s.Images
	}
	g, ctx := errgroup.WithContext(ctx)
	jobs := make(chan verifyJob)
	g.Go(func() error {
		defer close(jobs)
		for _, name := range slices.Sorted(maps.Keys(f.Shards)) {
			for i, r := range f.Shards[name] {
				s := &shardDigest{reader: r, want: f.Dataset.Splits[name].Shards[i].Content, left: r.Chunks()}
				s.digests = make([][sha256.Size]byte, s.left)
				for c := range s.left {
					select {
					case jobs <- verifyJob{s, c}:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			}
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			var d Decoder
			for j := range jobs {
				if err := v.chunk(j, &d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if v.more > 0 {
		v.damage = append(v.damage, fmt.Errorf("and %d more damaged places", v.more))
	}
	return errors.Join(v.damage...)
}

type verifyJob struct {
	shard *shardDigest
	chunk int
}

// shardDigest gathers the digests of a shard's chunks.
type shardDigest struct {
	reader  *Reader
	want    string
	digests [][sha256.Size]byte
	left    int  // chunks to be read
	damaged bool // one that cannot be read was reported
}

type verification struct {
	mu          sync.Mutex
	progress    func(done, total int)
	done, total int
	damage      []error
	more        int // damaged places that are not in damage
}

// chunk verifies a chunk and, after the last of a shard, the shard. It returns an
// error that is not about the shard.
func (v *verification) chunk(j verifyJob, d *Decoder) error {
	s := j.shard
	err := d.Read(s.reader, j.chunk)
	if IsShortage(err) {
		return err
	}
	if err == nil {
		s.digests[j.chunk] = digest(d.Len(), d.Image)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	// A shard that does not open gives the same error for each of its chunks.
	if err != nil && !(s.damaged && s.reader.Load() != nil) {
		v.report(err)
	}
	s.damaged = s.damaged || err != nil
	if s.left--; s.left == 0 && !s.damaged {
		content := sha256.New()
		for _, sum := range s.digests {
			content.Write(sum[:])
		}
		if got := fmt.Sprintf("%x", content.Sum(nil)); got != s.want {
			v.report(&Error{s.reader.path, "shard", 0, damaged("the digest of its images is %s, and dataset.json says %s", got, s.want)})
		}
	}
	_, n := s.reader.Chunk(j.chunk)
	v.done += n
	if v.progress != nil {
		v.progress(v.done, v.total)
	}
	return nil
}

func (v *verification) report(err error) {
	if len(v.damage) < maxDamage {
		v.damage = append(v.damage, err)
	} else {
		v.more++
	}
}
