// Package loader makes batches of images from a data set of loader/record: it
// decodes chunks ahead of the training, shuffles, cuts out crops and mirrors
// them. Mean and colour noise it hands over, for the device to apply.
//
// # The sequence of a training run
//
// Training reads an endless sequence of images: one pass over the split after
// the other, each a permutation of all its images. Batch k takes images
// k*Rows to (k+1)*Rows-1 of the sequence. A batch may take the last images of
// one pass and the first of the next, so that none is lost.
//
// The permutation of pass p depends on the seed, p, the window and the data
// set alone. The order of the chunks is shuffled; consecutive chunks are then
// gathered into groups that fit into the window, 64 MiB of stored pixels (341
// images of 256x256); and the images of each group are shuffled. A split that
// fits into the window is one group, and every permutation of it is equally
// likely. A larger split is shuffled less than fully: images of one chunk (5 of
// 256x256) come within one window of each other. As data sets are packed in
// random order, a chunk is a random sample all the same; and since the order of
// chunks is shuffled over all shards, places in two passes, or in a pass and on
// the disk, have no rank correlation.
//
// Several processes can share the passes: each rank gets a part of the shuffled
// chunks, another one in every pass.
//
// Crop, mirror and colour noise of an image depend on the seed, the pass and
// the image's number in its split; not on the batch size, the window, or how
// many goroutines there are.
//
// # Crops and colour (section 4.1)
//
// With image i of pass p, the numbers of philox.Crop give the crop's top, its
// left, and the mirror's bit, in this order; those of philox.Color give α1 to
// α3. The colour added to every pixel is [p1 p2 p3][α1σ1 α2σ2 α3σ3]ᵀ, where p_i
// are the eigenvectors of the 3x3 covariance of RGB over the training split,
// σ_i² its eigenvalues, largest first, and α_i ~ N(0, Color). The published
// text has the eigenvalues σ_i² in the place of σ_i; for pixels from 0 to 255
// they are in the thousands, and 0.1 times that would drown the image. The
// authors' code of 2012 uses σ_i, and so does this package.
package loader

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"alexnet/loader/record"

	"gonum.org/v1/gonum/mat"
)

// Set is an open data set. Its methods may be called by several goroutines.
type Set struct {
	folder  *record.Folder
	color   [3][3]float64
	damaged func(err error, images int) // nil: damage is an error

	mu      sync.Mutex        // of what follows, and of calls of damaged
	skipped map[string][]bool // of each split: images that were passed over
}

// Open opens the data set in dir, checks its description and its statistics, and
// looks whether every shard is there. Shards are opened, and their indices and chunks
// checked, as they are read.
func Open(dir string) (*Set, error) {
	s, err := OpenIncomplete(dir)
	if err != nil {
		return nil, err
	}
	if err := s.folder.Missing(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenIncomplete is Open for a data set from which shards may be missing, for a caller
// that calls SkipDamage. To read a missing shard is an error without that.
func OpenIncomplete(dir string) (*Set, error) {
	f, err := record.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	return &Set{folder: f, color: colorBasis(f.Statistics.Covariance)}, nil
}

// SkipDamage makes batches go on without chunks that cannot be read: the chunk or its
// shard is damaged, the shard is missing, or the disk fails. It calls told each time
// that one is met, by one goroutine at a time, with the number of images that were not
// passed over before. So each image counts once, however many passes miss it. In
// training the next image of the batch stands in for a missing one, and the rest of
// the sequence stays. In a test the row has the label -1. Without SkipDamage damage
// ends the batches. Call it before Train and Test.
func (s *Set) SkipDamage(told func(err error, images int)) {
	s.damaged = told
	s.skipped = make(map[string][]bool)
}

// skip tells of n images of a split, from number first on, that cannot be read.
func (s *Set) skip(split string, first, n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	passed := s.skipped[split]
	if passed == nil {
		passed = make([]bool, s.Info().Splits[split].Images)
		s.skipped[split] = passed
	}
	images := 0
	for i := first; i < first+n; i++ {
		if !passed[i] {
			passed[i] = true
			images++
		}
	}
	s.damaged(err, images)
}

// Close closes the shards. Every Batches must be closed before.
func (s *Set) Close() error { return s.folder.Close() }

// Info returns the description of the data set, which must not be changed.
func (s *Set) Info() *record.Dataset { return s.folder.Dataset }

// Counts returns how many images of a split each class has, in the order of labels, by
// the shards' indices.
func (s *Set) Counts(split string) ([]int, error) { return s.folder.Counts(split) }

// Mean returns the mean image of the training split, [Height][Width][3] of
// values from 0 to 255, which must not be changed.
func (s *Set) Mean() []float32 { return s.folder.Statistics.Mean }

// RGB returns the mean colour of the training split's pixels.
func (s *Set) RGB() [3]float64 { return s.folder.Statistics.RGB }

// Covariance returns the covariance of R, G and B over the training split's pixels.
func (s *Set) Covariance() [3][3]float64 { return s.folder.Statistics.Covariance }

// Color returns σ_i p_i for i = 1, 2, 3, a row each: the principal axes of the
// training split's colours, as long as the deviation along them, largest
// first. The largest component of each is positive.
func (s *Set) Color() [3][3]float64 { return s.color }

func colorBasis(covariance [3][3]float64) [3][3]float64 {
	m := mat.NewSymDense(3, nil)
	for i := range 3 {
		for j := i; j < 3; j++ {
			m.SetSym(i, j, covariance[i][j])
		}
	}
	var e mat.EigenSym
	var basis [3][3]float64
	if !e.Factorize(m, true) {
		return basis // only where the covariance is not finite
	}
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	for i, value := range e.Values(nil) { // ascending
		row := &basis[2-i]
		large := 0
		for j := range 3 {
			row[j] = vectors.At(j, i)
			if math.Abs(row[j]) > math.Abs(row[large]) {
				large = j
			}
		}
		length := math.Copysign(math.Sqrt(max(value, 0)), row[large]) // rounding makes a 0 negative
		for j := range 3 {
			row[j] *= length
		}
	}
	return basis
}

// split returns the shards of a split.
func (s *Set) split(name string) ([]*record.Reader, error) {
	shards := s.folder.Shards[name]
	if len(shards) == 0 {
		have := strings.Join(slices.Sorted(maps.Keys(s.folder.Shards)), ", ")
		return nil, fmt.Errorf("data set %s (%s) has no split %q; it has %s", s.Info().Name, s.Info().Source, name, have)
	}
	return shards, nil
}
