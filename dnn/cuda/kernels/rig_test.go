package kernels_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
	"alexnet/dnn/cuda/kernels/emulate"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
)

// rig holds tensors, and compares what the CPU device and the emulated kernels
// make of them.
type rig struct {
	*testing.T
	emulator *emulate.Emulator
	tensors  [][]byte // number 1 first
}

func newRig(t *testing.T) *rig {
	t.Helper()
	e, err := emulate.Open()
	if errors.Is(err, emulate.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &rig{T: t, emulator: e}
}

func tensor[T raw.Number](r *rig, x []T) dnn.Tensor {
	r.tensors = append(r.tensors, slices.Clone(raw.Bytes(x)))
	return dnn.Tensor(len(r.tensors))
}

// poison makes a tensor of NaN, of which nothing may be left.
func (r *rig) poison(n int) dnn.Tensor {
	return tensor(r, slices.Repeat([]uint32{0xffffffff}, n))
}

func (r *rig) control(step uint32, rates ...float32) dnn.Tensor {
	words := []uint32{step}
	for _, rate := range rates {
		words = append(words, math.Float32bits(rate))
	}
	return tensor(r, words)
}

// ptr is how arguments name a tensor; its address takes the place before launch.
func ptr(t dnn.Tensor) cu.DevicePtr { return cu.DevicePtr(t) }

func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// cpu runs an operation on the CPU device.
func (r *rig) cpu(op dnn.Op) {
	r.Helper()
	d, err := cpu.New("cpu:0")
	r.must(err)
	s, err := d.NewStream()
	r.must(err)
	buffers := make([]dnn.Buffer, len(r.tensors))
	for i, x := range r.tensors {
		buffers[i], err = d.NewBuffer(int64(len(x)))
		r.must(err)
		r.must(s.Upload(buffers[i], x))
	}
	task, err := d.Prepare(op, func(t dnn.Tensor) dnn.Buffer { return buffers[t-1] })
	r.must(err)
	r.must(s.Launch(task))
	for i, x := range r.tensors {
		r.must(s.Download(x, buffers[i]))
	}
	r.must(s.Synchronize(r.Context()))
	r.must(s.Close())
	for _, b := range buffers {
		r.must(b.Close())
	}
	r.must(d.Close())
}

// way is a way to run a kernel. All must give the same bits.
type way struct {
	blocks, threads uint32 // 0, 0: as on a GPU
	backwards       bool
	above           bool // the forbidden page is above each tensor, else below
}

var ways = []way{
	{0, 0, false, true}, {0, 0, true, false}, {1, 1, false, false}, {3, 7, false, true}, {2, 640, true, true},
}

// emulate runs kernels one after the other on copies of the tensors, which it
// returns.
func (r *rig) emulate(tensors [][]byte, w way, list []kernels.Args) [][]byte {
	r.Helper()
	memory := make([][]byte, len(tensors))
	for i, x := range tensors {
		var free func()
		memory[i], free = fenced(r.T, len(x), w.above)
		defer free()
		copy(memory[i], x)
	}
	for _, a := range list {
		name, blocks, threads := a.Kernel()
		p, err := kernels.New(name)
		r.must(err)
		v := reflect.ValueOf(p).Elem()
		v.Set(reflect.ValueOf(a))
		place(v, memory)
		launch := r.emulator.Launch
		if w.backwards {
			launch = r.emulator.LaunchBackwards
		}
		if w.blocks > 0 {
			blocks, threads = int64(w.blocks), int64(w.threads)
		}
		r.must(launch(p, uint32(blocks), uint32(threads)))
	}
	for i, x := range memory {
		memory[i] = slices.Clone(x)
	}
	return memory
}

// place puts addresses in the place of the tensors that arguments name. 0 stays.
func place(v reflect.Value, memory [][]byte) {
	for _, f := range v.Fields() {
		switch {
		case f.Kind() == reflect.Array:
			for i := range f.Len() {
				place(f.Index(i), memory)
			}
		case f.Type() == reflect.TypeFor[cu.DevicePtr]() && f.Uint() > 0:
			f.SetUint(uint64(address(memory[f.Uint()-1])))
		}
	}
}

// address returns memory of this process as the emulator's.
func address(x []byte) cu.DevicePtr { return cu.DevicePtr(unsafe.Pointer(unsafe.SliceData(x))) }

// sparse returns memory of which only the pages that are touched are taken.
func sparse(t *testing.T, n int) (memory []byte, free func()) {
	t.Helper()
	m, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	return m, func() {
		if err := syscall.Munmap(m); err != nil {
			t.Error(err)
		}
	}
}

// fenced returns memory that begins where a page begins or ends where one ends.
// The page beyond may not be touched: the process would end.
func fenced(t *testing.T, n int, above bool) (memory []byte, free func()) {
	t.Helper()
	page := syscall.Getpagesize()
	size := (n + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	inside := m[page:][:size]
	if size > 0 {
		if err := syscall.Mprotect(inside, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
			t.Fatal(err)
		}
	}
	if above {
		inside = inside[size-n:]
	}
	return inside[:n:n], func() {
		if err := syscall.Munmap(m); err != nil {
			t.Error(err)
		}
	}
}

// all runs kernels in all ways and returns the tensors.
func (r *rig) all(list ...kernels.Args) [][]byte {
	r.Helper()
	first := r.emulate(r.tensors, ways[0], list)
	for _, w := range ways[1:] {
		for i, x := range r.emulate(r.tensors, w, list) {
			if !slices.Equal(x, first[i]) {
				r.Fatalf("%T: tensor %d is not the same for %+v and %+v", list[0], i+1, w, ways[0])
			}
		}
	}
	return first
}

// same holds kernels against an operation of the CPU device: all its operands
// must come out alike. tolerance is on the distance relative to the norm; 0 asks
// for the same bits. The rig goes on with the CPU's results.
func (r *rig) same(tolerance float64, op dnn.Op, list ...kernels.Args) {
	r.Helper()
	got := r.all(list...)
	r.cpu(op)
	reads, writes := op.Operands()
	for _, t := range append(reads, writes...) {
		if err := near(got[t-1], r.tensors[t-1], tolerance); err != nil {
			r.Errorf("%T: tensor %d: %v", op, t, err)
		}
	}
}

// near compares tensors of float32, or with tolerance 0 of integers, too. Any NaN
// is as good as another.
func near(got, want []byte, tolerance float64) error {
	if slices.Equal(got, want) {
		return nil
	}
	x, y := floats(got), floats(want)
	var diff, norm float64
	for i, v := range x {
		w := y[i]
		switch {
		case v != v && w != w || math.Float32bits(v) == math.Float32bits(w):
		case tolerance == 0:
			return fmt.Errorf("number %d of %d is %g (%#08x), want %g (%#08x)", i, len(x), v, math.Float32bits(v), w, math.Float32bits(w))
		case v != w:
			diff += (float64(v) - float64(w)) * (float64(v) - float64(w))
			norm += float64(w) * float64(w)
		}
	}
	if e := math.Sqrt(diff / norm); diff != 0 && !(e <= tolerance) {
		return fmt.Errorf("relative error %.3g, want at most %g", e, tolerance)
	}
	return nil
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
