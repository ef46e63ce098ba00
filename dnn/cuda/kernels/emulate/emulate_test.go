package emulate

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/kernels"
)

const probes = `
// Where each thread is: block, thread, and how many of both.
extern "C" __global__ void where_am_i(int *y)
{
    int *own = y + 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    own[0] = blockIdx.x;
    own[1] = threadIdx.x;
    own[2] = gridDim.x;
    own[3] = blockDim.x;
}

// The sum of all threads' numbers, by way of memory that a block shares; twice,
// so that every fiber stops and goes on several times.
extern "C" __global__ void shared_sum(int *y)
{
    __shared__ int numbers[1024];
    for (int round = 0; round < 2; round++) {
        numbers[threadIdx.x] = threadIdx.x + round;
        __syncthreads();
        int sum = 0;
        for (unsigned i = 0; i < blockDim.x; i++)
            sum += numbers[i];
        __syncthreads();
        y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
    }
}

// Adds in the order of threads: what the order of a launch is.
extern "C" __global__ void in_order(int *y)
{
    *y = *y * 10 + blockIdx.x * blockDim.x + threadIdx.x + 1;
}

// Where number y[0] * 2^31 + y[1] stands in planes of y[2] x y[3].
extern "C" __global__ void place_beyond_int(int *y)
{
    place p = place_of(((long long)y[0] << 31) + y[1], y[2], y[3]);
    y[0] = p.plane >> 31;
    y[1] = p.plane & 0x7fffffff;
    y[2] = p.row;
    y[3] = p.column;
}

// The numbers around y[0], of those from 0 to y[1] - 1.
extern "C" __global__ void around_largest(int *y)
{
    range r = around(y[0], 1 << 30, 1 << 30, {0, y[1]});
    y[0] = r.from;
    y[1] = r.to;
}

extern "C" __global__ void first_leaves(int *y)
{
    if (threadIdx.x > 0)
        __syncthreads();
}

extern "C" __global__ void last_leaves(int *y)
{
    if (threadIdx.x + 1 < blockDim.x)
        __syncthreads();
}
`

var openProbes = sync.OnceValues(func() (*Emulator, error) {
	dir, err := os.MkdirTemp("", "alexnet-probes-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return build(dir, kernels.Source()+probes, []string{"where_am_i", "shared_sum", "in_order", "place_beyond_int", "around_largest", "first_leaves", "last_leaves"})
})

func opened(t *testing.T) *Emulator {
	t.Helper()
	e, err := openProbes()
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// launch runs a probe over n zeros.
func launch(t *testing.T, name string, n int, blocks, threads uint32, backwards bool) ([]int32, error) {
	t.Helper()
	return launchOver(t, name, make([]int32, n), blocks, threads, backwards)
}

func launchOver(t *testing.T, name string, y []int32, blocks, threads uint32, backwards bool) ([]int32, error) {
	t.Helper()
	e := opened(t)
	address := unsafe.Pointer(unsafe.SliceData(y))
	err := e.call(name, []unsafe.Pointer{unsafe.Pointer(&address)}, blocks, threads, backwards)
	return y, err
}

func TestPlaces(t *testing.T) {
	for _, backwards := range []bool{false, true} {
		got, err := launch(t, "where_am_i", 4*6, 2, 3, backwards)
		if err != nil {
			t.Fatal(err)
		}
		var want []int32
		for i := range int32(6) {
			want = append(want, i/3, i%3, 2, 3)
		}
		if !slices.Equal(got, want) {
			t.Errorf("backwards %v: %v, want %v", backwards, got, want)
		}
	}
}

// Several goroutines, so that one launch would see what another shares.
func TestBarrier(t *testing.T) {
	opened(t)
	var all sync.WaitGroup
	for k := range 4 {
		all.Go(func() {
			threads := 700 + k
			got, err := launch(t, "shared_sum", 3*threads, 3, uint32(threads), k%2 == 1)
			want := slices.Repeat([]int32{int32(threads*(threads-1)/2 + threads)}, 3*threads)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d threads: %v, want %d everywhere; %v", threads, got, want[0], err)
			}
		})
	}
	all.Wait()
}

func TestOrder(t *testing.T) {
	for backwards, want := range map[bool]int32{false: 1234, true: 4321} {
		if got, err := launch(t, "in_order", 1, 2, 2, backwards); err != nil || got[0] != want {
			t.Errorf("backwards %v: %v, %v, want %d", backwards, got, err, want)
		}
	}
}

// Tensors of more than 2^31 numbers are too large to be tried; their places are not.
func TestPlaceBeyondInt(t *testing.T) {
	for _, i := range []int64{5, 1<<31 - 1, 1 << 31, 1<<31 + 20, 1 << 40, 1<<43 + 12345} {
		for _, sides := range [][2]int64{{1, 1}, {3, 7}, {1 << 20, 3}, {2, 1<<24 - 1}} {
			h, w := sides[0], sides[1]
			got, err := launchOver(t, "place_beyond_int", []int32{int32(i >> 31), int32(i & math.MaxInt32), int32(h), int32(w)}, 1, 1, false)
			plane := i / (h * w)
			want := []int32{int32(plane >> 31), int32(plane & math.MaxInt32), int32(i / w % h), int32(i % w)}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("number %d of planes of %dx%d: %v, %v, want %v", i, h, w, got, err, want)
			}
		}
	}
}

// An int that overflows would end the process.
func TestAroundLargest(t *testing.T) {
	const half, most = 1 << 30, math.MaxInt32
	for _, c := range [][4]int32{{0, most, 0, half + 1}, {half + 5, most, 5, most}, {most - 1, most, half - 2, most}, {0, 1, 0, 1}} {
		if got, err := launchOver(t, "around_largest", []int32{c[0], c[1]}, 1, 1, false); err != nil || !slices.Equal(got, c[2:]) {
			t.Errorf("around %d of %d: %v, %v, want %v", c[0], c[1], got, err, c[2:])
		}
	}
}

func TestDivergence(t *testing.T) {
	for _, name := range []string{"first_leaves", "last_leaves"} {
		for _, backwards := range []bool{false, true} {
			if _, err := launch(t, name, 1, 2, 32, backwards); err == nil || !strings.Contains(err.Error(), "__syncthreads") {
				t.Errorf("%s, backwards %v: error %v", name, backwards, err)
			}
		}
	}
	for _, c := range [][2]uint32{{0, 1}, {1, 0}, {1, 1025}} {
		if _, err := launch(t, "in_order", 1, c[0], c[1], false); err == nil {
			t.Errorf("launched %d blocks of %d threads", c[0], c[1])
		}
	}
	if _, err := launch(t, "absent", 1, 1, 1, false); err == nil {
		t.Error("launched a kernel that is not there")
	}
}

func TestBuildErrors(t *testing.T) {
	opened(t)
	if _, err := build(t.TempDir(), "this is no program", nil); err == nil || !strings.Contains(err.Error(), "kernels.cpp") || !strings.Contains(err.Error(), "error:") {
		t.Errorf("built what is no program: %v", err)
	}
	if _, err := Build(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("built in a folder that is not there")
	}
	t.Setenv("CXX", "")
	t.Setenv("PATH", "")
	if _, err := Build(t.TempDir()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a compiler: %v", err)
	}
}
