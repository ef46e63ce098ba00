package shapes

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"

	"alexnet/internal/philox"
)

const pixels = Size * Size * 3

// The bytes of the first hundred images of two seeds and splits. They must
// never change: records, checkpoints and published errors rest on them.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		seed  uint64
		split uint32
		want  string
	}{
		{0, 0, "0a6def0ff0177cdbd646b49e894d2dcbdba8a03d3306c96f3503b46f118e88ef"},
		{0, 1, "c8477a00d62f9959221991d79b34d3002fd78f1c2ef47d310837010f9bc02ab9"},
		{1<<63 | 5, 0, "bcb96b54be56e5c6aa53469e6bbf5f2d896cbedfe314ac5fb6accf309335e4b1"},
	} {
		h := sha256.New()
		img := make([]byte, pixels)
		for i := range uint32(100) {
			Draw(img, c.seed, c.split, i)
			h.Write(img)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != c.want {
			t.Errorf("seed %d, split %d: SHA-256 of the first 100 images is %s, want %s", c.seed, c.split, got, c.want)
		}
	}
}

// Images drawn backwards by several goroutines into used buffers are those
// drawn one after the other.
func TestDrawIsPure(t *testing.T) {
	const n = 64
	var want, got [n][pixels]byte
	var wantLabel, gotLabel [n]int
	for i := range n {
		wantLabel[i] = Draw(want[i][:], 7, 0, uint32(i))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := n - 1 - g; i >= 0; i -= 4 {
				for j := range got[i] {
					got[i][j] = byte(j)
				}
				gotLabel[i] = Draw(got[i][:], 7, 0, uint32(i))
			}
		})
	}
	wg.Wait()
	if got != want || gotLabel != wantLabel {
		t.Error("images depend on the order in which they are drawn, or on the buffer")
	}
}

func TestDrawStaysInsideDst(t *testing.T) {
	buf := make([]byte, pixels+16)
	Draw(buf, 1, 0, 0)
	if !slices.Equal(buf[pixels:], make([]byte, 16)) {
		t.Error("Draw wrote past the image")
	}
	defer func() {
		if recover() == nil {
			t.Error("Draw took a dst one byte too short")
		}
	}()
	Draw(buf[:pixels-1], 1, 0, 0) // the capacity would do
}

func TestEveryClassIsEquallyFrequent(t *testing.T) {
	img := make([]byte, pixels)
	for split := range uint32(2) {
		var count [Classes]int
		for i := range uint32(20 * Classes) {
			count[Draw(img, 3, split, i)]++
		}
		for class, n := range count {
			if n != 20 {
				t.Errorf("split %d: %d of %d images are %s, want 20", split, n, 20*Classes, Names[class])
			}
		}
	}
}

func TestSeedSplitAndIndexAllMatter(t *testing.T) {
	seen := map[[pixels]byte]string{}
	for _, c := range []struct {
		name         string
		seed         uint64
		split, index uint32
	}{
		{"first", 1, 0, 3},
		{"other seed", 2, 0, 3},
		{"other upper half of the seed", 1 | 1<<32, 0, 3},
		{"other split", 1, 1, 3},
		{"other index, same class", 1, 0, 3 + Classes},
		{"last index", 1, 0, math.MaxUint32},
	} {
		var img [pixels]byte
		Draw(img[:], c.seed, c.split, c.index)
		if other, ok := seen[img]; ok {
			t.Errorf("%q is the same image as %q", c.name, other)
		}
		seen[img] = c.name
	}
}

// cosines is held against math.Cos; 0.0017 is the largest error known of
// Bhaskara's formula, and rounding towards zero adds up to 1/1024.
func TestCosine(t *testing.T) {
	for i, v := range cosines {
		want := math.Cos(2 * math.Pi * float64(i) / 256)
		if got := float64(v) / unit; math.Abs(got-want) > 0.0017+1.0/unit {
			t.Errorf("cosines[%d] is %g, want %g", i, got, want)
		}
	}
}

// The classes must ask for more than a glance at the mean colour or a template:
// classifiers linear in the pixels fail. Chance is an error of 90%.
func TestLinearClassifiersFail(t *testing.T) {
	const train, test = 4000, 1000
	x, y := dataset(0, train)
	tx, ty := dataset(1, test)
	mean := make([]float32, pixels)
	for _, img := range x {
		axpy(1.0/train, img, mean)
	}
	for _, img := range slices.Concat(x, tx) {
		axpy(-1, mean, img)
	}

	t.Run("nearest class mean", func(t *testing.T) {
		// The mean m nearest to x has the largest x·m - m·m/2.
		var m [Classes][]float32
		var bias [Classes]float32
		for c := range m {
			m[c] = make([]float32, pixels)
		}
		for i, img := range x {
			axpy(float32(Classes)/train, img, m[y[i]])
		}
		for c := range m {
			bias[c] = -dot(m[c], m[c]) / 2
		}
		requireError(t, m, bias, tx, ty, 0.75)
	})

	t.Run("softmax", func(t *testing.T) {
		w, b, loss := softmaxRegression(x, y, 20)
		t.Logf("loss on the training images %.3f", loss)
		if loss > 2 { // chance is ln 10, 2.3: it must have learned its own images, or its failure shows nothing
			t.Errorf("loss on the training images is %.3f; the classifier was not trained", loss)
		}
		requireError(t, w, b, tx, ty, 0.55)
	})
}

// dataset draws n images of a split, scaled to [-2, 2).
func dataset(split uint32, n int) (x [][]float32, y []int) {
	img := make([]byte, pixels)
	for i := range n {
		y = append(y, Draw(img, 11, split, uint32(i)))
		v := make([]float32, pixels)
		for j, p := range img {
			v[j] = (float32(p) - 128) / 64
		}
		x = append(x, v)
	}
	return x, y
}

// softmaxRegression trains by stochastic gradient descent, an image at a time,
// and returns the mean loss of the last pass.
func softmaxRegression(x [][]float32, y []int, passes int) (w [Classes][]float32, b [Classes]float32, loss float64) {
	for c := range w {
		w[c] = make([]float32, pixels)
	}
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	for pass := range passes {
		s := philox.NewStream(1, philox.Order, uint32(pass), 0)
		philox.Shuffle(&s, order)
		loss = 0
		for _, i := range order {
			var p [Classes]float64
			sum := 0.0
			for c := range p {
				p[c] = math.Exp(float64(dot(w[c], x[i]) + b[c]))
				sum += p[c]
			}
			loss -= math.Log(p[y[i]]/sum) / float64(len(x))
			for c := range p {
				d := float32(p[c] / sum)
				if c == y[i] {
					d--
				}
				const rate = 3e-4
				axpy(-rate*d, x[i], w[c])
				b[c] -= rate * d
			}
		}
	}
	return w, b, loss
}

// requireError checks that the linear classifier errs on at least the fraction
// floor of the images.
func requireError(t *testing.T, w [Classes][]float32, b [Classes]float32, x [][]float32, y []int, floor float64) {
	t.Helper()
	wrong := 0
	for i, img := range x {
		best, at := float32(math.Inf(-1)), 0
		for c := range w {
			if v := dot(w[c], img) + b[c]; v > best {
				best, at = v, c
			}
		}
		if at != y[i] {
			wrong++
		}
	}
	got := float64(wrong) / float64(len(x))
	t.Logf("error %.1f%%", 100*got)
	if got < floor {
		t.Errorf("a linear classifier errs on only %.1f%% of the test images, want at least %.0f%%", 100*got, 100*floor)
	}
}

func axpy(a float32, x, y []float32) {
	blas32.Axpy(a, blas32.Vector{N: len(x), Data: x, Inc: 1}, blas32.Vector{N: len(y), Data: y, Inc: 1})
}

func dot(x, y []float32) float32 {
	return blas32.Dot(blas32.Vector{N: len(x), Data: x, Inc: 1}, blas32.Vector{N: len(y), Data: y, Inc: 1})
}

func BenchmarkDraw(b *testing.B) {
	img := make([]byte, pixels)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		Draw(img, 1, 0, i)
		i++
	}
}
