package train

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/checkpoint"
	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/sim"
	"alexnet/dsl"
	"alexnet/internal/metrics"
	"alexnet/internal/testenv"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"
)

// halves is a network with what the paper's has, and a window that hangs over
// the edge.
const halves = `
net halves
input 3x24x24
columns 2
conv1 conv 4 5x5 stride 2 pad 1 ceil init 0.01
relu
lrn size 5 alpha 0.01 beta 0.75 k 2
maxpool 3x3 stride 2
conv2 conv 4 3x3 pad 1 init 0.2
relu
conv3 conv 4 3x3 pad 1 across init 0.2
relu
fc4 full 16 across init 0.1
relu
dropout 0.5
fc5 full 10 across init 0.1
softmax
data {
mirror
color pca 0.1
}
train {
batch 8
passes 1
rate 0.001
}
`

// simSteps is ten steps and those that end the first pass, with a test after them.
const simSteps = 12

// trained is what a run leaves.
type trained struct {
	losses  []float64
	tensors []checkpoint.Tensor
}

// runSim trains on devices until the run ends or fails.
func runSim(t *testing.T, dir string, net *model.Net, set *loader.Set, devices []dnn.Device) (trained, error) {
	t.Helper()
	var out trained
	c := config(t, net, set, devices, func(m metrics.Metric) { out.losses = append(out.losses, m.Loss) })
	c.Text, c.Dir, c.Steps, c.SaveEvery = halves, dir, simSteps, 4
	if err := Run(t.Context(), c); err != nil {
		return out, err
	}
	read, err := checkpoint.Read(filepath.Join(dir, Newest))
	check(t, err)
	out.tensors = read.Tensors
	return out, nil
}

// simulate trains on simulated GPUs: one for each ordinal, which may be the same.
// Nothing of them may be left afterwards, however the run ends.
func simulate(t *testing.T, o sim.Options, dir string, net *model.Net, set *loader.Set, ordinals ...int) (out trained, err error) {
	t.Helper()
	return simulateWith(t, o, cuda.Options{}, ordinals, func(devices []dnn.Device) (trained, error) { return runSim(t, dir, net, set, devices) })
}

// simulateWith runs something on simulated GPUs that are opened with options.
func simulateWith(t *testing.T, o sim.Options, gpu cuda.Options, ordinals []int, run func([]dnn.Device) (trained, error)) (out trained, err error) {
	t.Helper()
	m, err := sim.New(o)
	check(t, err)
	defer func() {
		if leaks := m.Leaks(); len(leaks) > 0 {
			t.Errorf("%+v: left are\n%s", o, strings.Join(leaks, "\n"))
		}
		closed := m.Close()
		if err == nil {
			check(t, closed)
		}
	}()
	libs, err := m.Libraries()
	if err != nil {
		return out, err
	}
	var devices []dnn.Device
	var gpus []*cuda.Device
	defer func() {
		for _, d := range devices {
			err = errors.Join(err, d.Close())
		}
	}()
	for i, ordinal := range ordinals {
		gpu.KernelCache = t.TempDir()
		d, err := libs.New(fmt.Sprintf("sim:%d/%d", ordinal, i), ordinal, gpu)
		if err != nil {
			return out, err
		}
		devices, gpus = append(devices, d), append(gpus, d)
	}
	if err := cuda.Connect(gpus); err != nil {
		return out, err
	}
	return run(devices)
}

// openColumns returns the network and a data set for it.
func openColumns(t *testing.T) (*model.Net, *loader.Set) {
	t.Helper()
	_, set, _ := open(t)
	net, err := dsl.Parse("halves.net", []byte(halves))
	check(t, err)
	return net, set
}

func relative(a, b []float64) float64 {
	var diff, norm float64
	for i := range a {
		diff += (a[i] - b[i]) * (a[i] - b[i])
		norm += a[i] * a[i]
	}
	return math.Sqrt(diff / norm)
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// TestSimulatedGPUsTrainAsTheCPU: on one GPU, two, and two columns on one, for
// whatever order the streams run in. Sums are taken in another order than on the
// CPU, which a dozen steps make no more of than the tolerance.
func TestSimulatedGPUsTrainAsTheCPU(t *testing.T) {
	const tolerance = 1e-4
	net, set := openColumns(t)
	_, _, cpus := open(t, "cpu")
	want, err := runSim(t, t.TempDir(), net, set, cpus)
	check(t, err)
	for _, c := range []struct {
		ordinals []int
		seeds    uint64
	}{{[]int{0}, 50}, {[]int{0, 1}, 50}, {[]int{0, 0}, 10}} {
		if testenv.Race { // whose detector is of this program, which does the same for each
			c.seeds /= 5
		}
		t.Run(fmt.Sprint(c.ordinals), func(t *testing.T) {
			for seed := range c.seeds {
				got, err := simulate(t, sim.Options{GPUs: 2, Seed: seed}, t.TempDir(), net, set, c.ordinals...)
				check(t, err)
				if len(got.losses) != len(want.losses) {
					t.Fatalf("seed %d: %d losses, want %d", seed, len(got.losses), len(want.losses))
				}
				if e := relative(want.losses, got.losses); !(e <= tolerance) {
					t.Fatalf("seed %d: losses %v, want %v", seed, got.losses, want.losses)
				}
				for i, x := range want.tensors {
					if y := got.tensors[i]; x.Name != y.Name || !(relative(wide(x.Data), wide(y.Data)) <= tolerance) {
						t.Fatalf("seed %d: %s and %s are off by %g", seed, x.Name, y.Name, relative(wide(x.Data), wide(y.Data)))
					}
				}
			}
		})
	}
}

// TestSimulatedGPUsTrainInBFloat16: the losses are those of float32, to rounding; one
// GPU and two agree; and a run that was interrupted leaves the very bits of one that
// was not, with CUDA graphs and without.
func TestSimulatedGPUsTrainInBFloat16(t *testing.T) {
	const tolerance = 2e-2
	net, set := openColumns(t)
	_, _, cpus := open(t, "cpu")
	want, err := runSim(t, t.TempDir(), net, set, cpus)
	check(t, err)
	half := func(o cuda.Options, ordinals []int, stops ...int64) trained {
		t.Helper()
		o.Precision = cuda.BF16
		dir := filepath.Join(t.TempDir(), "run")
		var out trained
		for i, stop := range append(stops, simSteps) {
			out, err = simulateWith(t, sim.Options{GPUs: 2}, o, ordinals, func(devices []dnn.Device) (out trained, err error) {
				c := config(t, net, set, devices, func(m metrics.Metric) { out.losses = append(out.losses, m.Loss) })
				c.Text, c.Dir, c.Steps, c.Resume = halves, dir, stop, i > 0
				if err := Run(t.Context(), c); err != nil {
					return out, err
				}
				read, err := checkpoint.Read(filepath.Join(dir, Newest))
				check(t, err)
				out.tensors = read.Tensors
				return out, nil
			})
			check(t, err)
		}
		return out
	}
	one := half(cuda.Options{}, []int{0})
	if e := relative(want.losses, one.losses); !(e <= tolerance) || e == 0 {
		t.Errorf("losses %v, in float32 %v", one.losses, want.losses)
	}
	if two := half(cuda.Options{}, []int{0, 1}); !(relative(one.losses, two.losses) <= tolerance) {
		t.Errorf("losses on two GPUs %v, on one %v", two.losses, one.losses)
	}
	for name, again := range map[string]trained{"resumed": half(cuda.Options{}, []int{0}, 5), "without graphs": half(cuda.Options{NoGraphs: true}, []int{0})} {
		for i, x := range one.tensors {
			if y := again.tensors[i]; x.Name != y.Name || !slices.Equal(x.Data, y.Data) {
				t.Errorf("%s: %s differs", name, x.Name)
			}
		}
	}
}

// TestFaults: whatever goes wrong, and whenever, the error says what; all is given
// back; and the last checkpoint is whole, with the very weights that a run without
// faults has after its step.
func TestFaults(t *testing.T) {
	net, set := openColumns(t)
	sound := map[int64][]checkpoint.Tensor{}
	after := func(step int64) []checkpoint.Tensor {
		t.Helper()
		if info := set.Info(); step == 0 && sound[0] == nil {
			p, err := plan.Compile(net, []string{"cpu"}, plan.Options{Batch: net.Train.Batch, MeanH: info.Height, MeanW: info.Width})
			check(t, err)
			sound[0] = initial(p, meanOf(net.Data.Mean, set.Mean(), set.RGB(), info.Height, info.Width))
		}
		if sound[step] == nil {
			dir := filepath.Join(t.TempDir(), "sound")
			_, err := simulateWith(t, sim.Options{GPUs: 2}, cuda.Options{}, []int{0, 1}, func(devices []dnn.Device) (trained, error) {
				c := config(t, net, set, devices, func(metrics.Metric) {})
				c.Text, c.Dir, c.Steps = halves, dir, step
				return trained{}, Run(t.Context(), c)
			})
			check(t, err)
			c, err := checkpoint.Read(filepath.Join(dir, Newest))
			check(t, err)
			sound[step] = c.Tensors
		}
		return sound[step]
	}
	for _, c := range []struct {
		name  string
		fault func(n int) sim.Faults
		from  int
		step  func(n int) int
		want  string
	}{
		{"out of memory", func(n int) sim.Faults { return sim.Faults{OutOfMemoryAt: n} }, 1, func(n int) int { return n + 1 }, "OUT_OF_MEMORY"},
		{"failed launch", func(n int) sim.Faults { return sim.Faults{FailLaunchAt: n} }, 1, func(n int) int { return 2*n + 3 }, "LAUNCH_FAILED"},
		{"lost device", func(n int) sim.Faults { return sim.Faults{LoseDeviceAt: n} }, 1, func(n int) int { return 2*n + 2 }, "sim:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole, failed := 0, 0
			for n := c.from; ; n = c.step(n) {
				dir := filepath.Join(t.TempDir(), "run")
				_, err := simulate(t, sim.Options{GPUs: 2, Seed: uint64(n), Faults: c.fault(n)}, dir, net, set, 0, 1)
				if err == nil { // the fault would have come later
					break
				}
				failed++
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("fault at %d: %v, want an error that says %q", n, err, c.want)
				}
				if lines := strings.Count(err.Error(), "\n"); lines > 2 {
					t.Errorf("fault at %d: an error of %d lines:\n%v", n, lines, err)
				}
				read, err := checkpoint.Read(filepath.Join(dir, Newest))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				check(t, err)
				whole++
				for i, x := range after(read.Step) {
					if !slices.Equal(x.Data, read.Tensors[i].Data) {
						t.Errorf("fault at %d: %s is not as it should be after step %d", n, x.Name, read.Step)
					}
				}
			}
			t.Logf("%d faults, %d with a checkpoint", failed, whole)
			if failed < 5 || whole == 0 && c.name != "out of memory" {
				t.Errorf("%d faults, of which %d left a checkpoint: too few to tell", failed, whole)
			}
		})
	}
	for _, c := range []struct {
		o    sim.Options
		want string
	}{
		{sim.Options{Faults: sim.Faults{RefusePeerAccess: true}}, "access to the memory of sim:1"},
		{sim.Options{Faults: sim.Faults{Missing: "libcudnn"}}, "libcudnn.so"},
		{sim.Options{Faults: sim.Faults{Missing: "libnvrtc"}}, "libnvrtc.so"},
		{sim.Options{Faults: sim.Faults{OldVersion: "libcudnn"}}, "8.9"},
		{sim.Options{Faults: sim.Faults{OldVersion: "libcuda"}}, "11.8"},
	} {
		c.o.GPUs = 2
		if _, err := simulate(t, c.o, t.TempDir(), net, set, 0, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error that says %q", c.o.Faults, err, c.want)
		}
	}
	t.Run("no peer access", func(t *testing.T) { // copies go through the host, and all is well
		_, err := simulate(t, sim.Options{GPUs: 2, NoPeerAccess: true}, t.TempDir(), net, set, 0, 1)
		check(t, err)
	})
}

// TestLogitsAreToldApartInBFloat16: with many classes, no two logits of an image are
// equal in bfloat16 that float32 tells apart. The logits of both are near each other.
func TestLogitsAreToldApartInBFloat16(t *testing.T) {
	const classes = 160
	text := strings.Replace(halves, "fc5 full 10 ", fmt.Sprintf("fc5 full %d ", classes), 1)
	net, err := dsl.Parse("many.net", []byte(text))
	check(t, err)
	_, set, cpus := open(t, "cpu")
	c := config(t, net, set, cpus, func(metrics.Metric) {})
	c.Text, c.Steps = text, 1
	check(t, Run(t.Context(), c))
	logits := func(devices []dnn.Device) map[int64][]float64 {
		all := map[int64][]float64{}
		m, err := OpenModel(t.Context(), filepath.Join(c.Dir, Newest), plan.On(devices...), 8)
		check(t, err)
		check(t, m.Predict(t.Context(), set, 1, func(image int64, _ int32, x []float64) { all[image] = slices.Clone(x) }))
		check(t, m.Close())
		return all
	}
	want := logits(cpus)
	for _, ordinals := range [][]int{{0}, {0, 1}} {
		var got map[int64][]float64
		_, err := simulateWith(t, sim.Options{GPUs: 2}, cuda.Options{Precision: cuda.BF16}, ordinals, func(devices []dnn.Device) (out trained, err error) {
			got = logits(devices)
			return out, nil
		})
		check(t, err)
		ties := 0
		for image, x := range want {
			if d := relative(x, got[image]); !(d <= 0.02) {
				t.Errorf("on %v image %d: logits %.2g from those of float32", ordinals, image, d)
			}
			for a := range classes {
				for b := range a {
					if got[image][a] == got[image][b] && x[a] != x[b] {
						ties++
					}
				}
			}
		}
		if ties > 0 || len(got) != 21 {
			t.Errorf("on %v: %d pairs of classes of %d images are equal, and are not in float32", ordinals, ties, len(got))
		}
	}
}
