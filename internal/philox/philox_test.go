package philox

import (
	"math"
	"slices"
	"testing"
)

// The known answers are those published with Random123 (kat_vectors,
// philox4x32 10).
func TestBlockKnownAnswers(t *testing.T) {
	const m = 0xffffffff
	for _, c := range []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{m, m, m, m}, [2]uint32{m, m}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := Block(c.key, c.ctr); got != c.want {
			t.Errorf("Block(%x, %x) = %x, want %x", c.key, c.ctr, got, c.want)
		}
	}
}

func TestNormalsMoments(t *testing.T) {
	x := make([]float32, 200_000)
	Normals(x, 0.01, 7, Init.Layer(3), 0)
	var sum, sq, fourth float64
	for _, v := range x {
		z := float64(v) / 0.01
		sum += z
		sq += z * z
		fourth += z * z * z * z
	}
	n := float64(len(x))
	// Five standard errors of each moment: sqrt(1, 2, 96)/sqrt(n).
	if m := sum / n; math.Abs(m) > 5/math.Sqrt(n) {
		t.Errorf("mean %g", m)
	}
	if v := sq / n; math.Abs(v-1) > 5*math.Sqrt(2/n) {
		t.Errorf("variance %g, want 1", v)
	}
	if k := fourth / n; math.Abs(k-3) > 5*math.Sqrt(96/n) {
		t.Errorf("fourth moment %g, want 3", k)
	}
}

func TestNormalsInParts(t *testing.T) {
	whole, parts := make([]float32, 100), make([]float32, 100)
	Normals(whole, 1, 1, Init, 0)
	Normals(parts[37:], 1, 1, Init, 37)
	Normals(parts[:37], 1, 1, Init, 0)
	if !slices.Equal(whole, parts) {
		t.Error("filling in parts gives other numbers than filling at once")
	}
}

func TestShuffleIsAPermutationAndUniform(t *testing.T) {
	const n, rounds = 5, 20_000
	var at [n][n]int
	for r := range rounds {
		s := NewStream(1, Order, uint32(r), 0)
		x := []int{0, 1, 2, 3, 4}
		Shuffle(&s, x)
		for i, v := range x {
			at[v][i]++
		}
		slices.Sort(x)
		if !slices.Equal(x, []int{0, 1, 2, 3, 4}) {
			t.Fatalf("round %d: lost a number: %v", r, x)
		}
	}
	want, tolerance := rounds/n, int(5*math.Sqrt(rounds*0.2*0.8))
	for v := range at {
		for i, c := range at[v] {
			if c < want-tolerance || c > want+tolerance {
				t.Errorf("%d came to place %d %d times, want %d±%d", v, i, c, want, tolerance)
			}
		}
	}
}

func TestPurposesDiffer(t *testing.T) {
	seen := map[[4]uint32]bool{}
	for _, p := range []Purpose{Init, Dropout, Dropout.Layer(0), Dropout.Layer(1), Order, Crop, Color} {
		b := At(1, p, 2, 3)
		if seen[b] {
			t.Errorf("purpose %x repeats another's numbers", uint32(p))
		}
		seen[b] = true
	}
}
