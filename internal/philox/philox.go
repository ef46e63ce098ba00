// Package philox is the random number generator of the whole program:
// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As
// Easy as 1, 2, 3" (SC 2011).
//
// It is counter-based: a number is a pure function of who asks for it. Dropout
// masks, crops and orders are therefore the same on every device, for any
// number of threads, and from any step at which a run is resumed.
package philox

import (
	"math"
	"math/bits"
)

// Purpose keeps the numbers drawn for one use apart from those of every other.
type Purpose uint32

// The purposes. Low byte: the use. Layer adds the place in the network.
const (
	Init    Purpose = 1 + iota // initial weights; step 0, index of the weight
	Dropout                    // masks; step of training, index of the neuron in the batch
	Order                      // order of the images in a pass; step is the pass
	Crop                       // crop place and mirror; step is the pass, index the image
	Color                      // colour noise; step is the pass, index the image
	Draw                       // images drawn by the program; index the image
	Pack                       // order in which a data set is written
	Choose                     // images to be looked at; step and index are 0
)

// Layer returns p for layer number n of a network, counted from 0.
func (p Purpose) Layer(n int) Purpose { return p | Purpose(n+1)<<8 }

const (
	mul0, mul1   = 0xD2511F53, 0xCD9E8D57
	weyl0, weyl1 = 0x9E3779B9, 0xBB67AE85
)

// Block is the bare bijection: ten rounds over counter c under key k.
func Block(k [2]uint32, c [4]uint32) [4]uint32 {
	for range 10 {
		hi0, lo0 := bits.Mul32(mul0, c[0])
		hi1, lo1 := bits.Mul32(mul1, c[2])
		c = [4]uint32{hi1 ^ c[1] ^ k[0], lo1, hi0 ^ c[3] ^ k[1], lo0}
		k[0] += weyl0
		k[1] += weyl1
	}
	return c
}

// At returns the four numbers that belong to seed, purpose, step and index.
func At(seed uint64, p Purpose, step uint32, index uint64) [4]uint32 {
	return Block(
		[2]uint32{uint32(seed), uint32(seed >> 32)},
		[4]uint32{uint32(index), uint32(index >> 32), step, uint32(p)})
}

// Stream draws as many numbers as one index needs, four a block. The block
// number takes the upper half of the index, so index must stay below 2^32.
type Stream struct {
	key  [2]uint32
	ctr  [4]uint32
	buf  [4]uint32
	left int
}

// NewStream starts the numbers of seed, purpose, step and index.
func NewStream(seed uint64, p Purpose, step, index uint32) Stream {
	return Stream{
		key: [2]uint32{uint32(seed), uint32(seed >> 32)},
		ctr: [4]uint32{index, 0, step, uint32(p)},
	}
}

// Uint32 returns the next 32 random bits.
func (s *Stream) Uint32() uint32 {
	if s.left == 0 {
		s.buf = Block(s.key, s.ctr)
		s.ctr[1]++
		s.left = 4
	}
	s.left--
	return s.buf[3-s.left]
}

// IntN returns a number in [0, n), every one equally likely (Lemire 2019).
// n must be in 1 .. 2^31-1.
func (s *Stream) IntN(n int) int {
	m := uint64(s.Uint32()) * uint64(n)
	if uint32(m) < uint32(n) {
		for floor := -uint32(n) % uint32(n); uint32(m) < floor; {
			m = uint64(s.Uint32()) * uint64(n)
		}
	}
	return int(m >> 32)
}

// Float64 returns a number in [0, 1) with 32 random bits.
func (s *Stream) Float64() float64 { return float64(s.Uint32()) / (1 << 32) }

// Normal returns a number from the normal distribution of mean 0, deviation 1.
func (s *Stream) Normal() float64 {
	a, b := s.Uint32(), s.Uint32()
	return normal(a, b)
}

// Shuffle puts x into a random order (Fisher and Yates).
func Shuffle[T any](s *Stream, x []T) {
	for i := len(x) - 1; i > 0; i-- {
		j := s.IntN(i + 1)
		x[i], x[j] = x[j], x[i]
	}
}

// Normals fills x with numbers from the normal distribution of mean 0 and
// deviation dev. Element i takes the numbers of index first+i, so a tensor may
// be filled in parts, in any order.
func Normals(x []float32, dev float64, seed uint64, p Purpose, first uint64) {
	for i := range x {
		r := At(seed, p, 0, first+uint64(i))
		x[i] = float32(dev * normal(r[0], r[1]))
	}
}

// normal is the transform of Box and Muller. a is moved off zero, where the
// logarithm is not finite.
func normal(a, b uint32) float64 {
	u := (float64(a) + 0.5) / (1 << 32)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*float64(b)/(1<<32))
}
