package cpu

import (
	"math"
	"testing"
	"unsafe"

	"alexnet/dnn"
	"alexnet/internal/philox"
)

// rig is a device with a stream, and tensors in order of their making.
type rig struct {
	testing.TB
	device  *Device
	stream  dnn.Stream
	buffers []dnn.Buffer
}

func newRig(t testing.TB) *rig {
	t.Helper()
	d, err := New("cpu:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{TB: t, device: d, stream: s}
	t.Cleanup(func() {
		check(t, s.Close())
		for _, b := range r.buffers {
			check(t, b.Close())
		}
		check(t, d.Close())
	})
	return r
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func bytesOf[T any](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(*new(T))))
}

func (r *rig) bytes(x []byte) dnn.Tensor {
	r.Helper()
	b, err := r.device.NewBuffer(int64(len(x)))
	check(r, err)
	check(r, r.stream.Upload(b, x))
	check(r, r.stream.Synchronize(r.Context()))
	r.buffers = append(r.buffers, b)
	return dnn.Tensor(len(r.buffers))
}

func (r *rig) floats(x []float32) dnn.Tensor { r.Helper(); return r.bytes(bytesOf(x)) }
func (r *rig) ints(x []int32) dnn.Tensor     { r.Helper(); return r.bytes(bytesOf(x)) }

// poison makes a tensor of NaN, of which nothing may be left.
func (r *rig) poison(n int) dnn.Tensor {
	r.Helper()
	x := make([]float32, n)
	fill(x, float32(math.NaN()))
	return r.floats(x)
}

func (r *rig) control(step uint32, rates ...float32) dnn.Tensor {
	r.Helper()
	words := []int32{int32(step)}
	for _, rate := range rates {
		words = append(words, int32(math.Float32bits(rate)))
	}
	return r.ints(words)
}

func (r *rig) at(t dnn.Tensor) dnn.Buffer { return r.buffers[t-1] }

func (r *rig) prepare(op dnn.Op) dnn.Task {
	r.Helper()
	t, err := r.device.Prepare(op, r.at)
	check(r, err)
	return t
}

func (r *rig) launch(t dnn.Task) {
	r.Helper()
	check(r, r.stream.Launch(t))
	check(r, r.stream.Synchronize(r.Context()))
}

func (r *rig) run(op dnn.Op) { r.Helper(); r.launch(r.prepare(op)) }

func (r *rig) read(t dnn.Tensor) []float32 { r.Helper(); return readAs[float32](r, t) }

func readAs[T float32 | int32](r *rig, t dnn.Tensor) []T {
	r.Helper()
	x := make([]T, r.at(t).Bytes()/4)
	check(r, r.stream.Download(bytesOf(x), r.at(t)))
	check(r, r.stream.Synchronize(r.Context()))
	return x
}

// source of the tests' random numbers.
type source struct{ philox.Stream }

func newSource(seed uint64) *source { return &source{philox.NewStream(seed, philox.Init, 0, 0)} }

func (s *source) normals(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(s.Normal())
	}
	return x
}

// between returns a number from lo to hi.
func (s *source) between(lo, hi int) int { return lo + s.IntN(hi-lo+1) }

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// tolerance is on the distance from the reference, relative to its norm. A sum
// of n products in float32 is off by about sqrt(n) times 6e-8 of their norm;
// these have less than 10,000 terms.
const tolerance = 1e-5

// near compares with a reference. A NaN that is left makes it fail.
func (r *rig) near(what string, got []float32, want []float64) {
	r.Helper()
	if len(got) != len(want) {
		r.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	var diff, norm float64
	for i, w := range want {
		diff += (float64(got[i]) - w) * (float64(got[i]) - w)
		norm += w * w
	}
	if e := math.Sqrt(diff) / math.Max(math.Sqrt(norm), 1e-30); !(e <= tolerance) && diff != 0 {
		r.Errorf("%s: relative error %.3g, want at most %g", what, e, tolerance)
	}
}
