package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/checkpoint"
	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/dsl"
	"alexnet/internal/metrics"
	"alexnet/loader"
	"alexnet/loader/pack"
	"alexnet/model"
	"alexnet/plan"
)

const tiny = `
net tiny
input 3x24x24
columns 2
conv1 conv 4 7x7 stride 4 init 0.005
relu
fc2 full 16 across init 0.1
relu
dropout 0.2
fc3 full 10 across init 0.1
softmax
data {
mirror
color pca 0.1
}
train {
batch 8
passes 2
rate 0.001
}
`

// scribbler is a device whose host memory holds garbage at first, and is written
// over when it is given back: whoever still copies from it or to it is seen by the
// race detector. It has a limited number of pieces.
type scribbler struct {
	dnn.Device
	left int
}

type scribbled struct {
	dnn.Host
	device *scribbler
}

func scribble(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

var errFull = errors.New("no memory is left")

func (d *scribbler) NewHost(bytes int64) (dnn.Host, error) {
	if d.left == 0 {
		return nil, errFull
	}
	h, err := d.Device.NewHost(bytes)
	if err == nil {
		d.left--
		scribble(h.Bytes())
	}
	return scribbled{h, d}, err
}

func (h scribbled) Close() error {
	h.device.left++
	scribble(h.Bytes())
	return h.Host.Close()
}

// open makes a data set, so small that a run writes a line for every step, and
// devices that are closed after the test: which they can be only if it gave back
// all that it took.
func open(t *testing.T, names ...string) (*model.Net, *loader.Set, []dnn.Device) {
	t.Helper()
	net, err := dsl.Parse("tiny.net", []byte(tiny))
	check(t, err)
	dir := filepath.Join(t.TempDir(), "set")
	_, err = pack.Shapes(t.Context(), pack.Options{Out: dir}, 1, 90, 21)
	check(t, err)
	set, err := loader.Open(dir)
	check(t, err)
	t.Cleanup(func() { check(t, set.Close()) })
	var devices []dnn.Device
	for _, name := range names {
		d, err := cpu.New(name)
		check(t, err)
		t.Cleanup(func() { check(t, d.Close()) })
		devices = append(devices, &scribbler{d, 100})
	}
	return net, set, devices
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func config(t *testing.T, net *model.Net, set *loader.Set, devices []dnn.Device, log func(metrics.Metric)) Config {
	return Config{Net: net, Text: tiny, Set: set, Placement: plan.On(devices...), Dir: filepath.Join(t.TempDir(), "run"),
		Log: log, Progress: func(int64, int64) {}, Testing: func(int64, int64) {}, Message: t.Logf}
}

// TestStepsAreThoseOfTheProgram: the loss of every step and the weights at the end
// are, to the bit, those of the program run step after step, all of it waited for.
func TestStepsAreThoseOfTheProgram(t *testing.T) {
	for _, names := range [][]string{{"cpu"}, {"cpu:0", "cpu:1"}} {
		net, set, devices := open(t, names...)
		var got []float64
		c := config(t, net, set, devices, func(m metrics.Metric) {
			if m.Kind == metrics.Train {
				got = append(got, m.Loss)
			}
		})
		check(t, Run(t.Context(), c))
		trained, err := checkpoint.Read(filepath.Join(c.Dir, Newest))
		check(t, err)

		want, tensors := stepByStep(t, net, set, devices, len(got))
		if len(got) != 23 || !slices.Equal(got, want) { // 2 * 90 / 8, rounded up
			t.Errorf("%v: %d losses %v, want %v", names, len(got), got, want)
		}
		for i, x := range tensors {
			if y := trained.Tensors[i]; x.Name != y.Name || !slices.Equal(x.Data, y.Data) {
				t.Errorf("%v: %s differs", names, x.Name)
			}
		}
	}
}

// stepByStep trains without Run, and returns the losses and the tensors.
func stepByStep(t *testing.T, net *model.Net, set *loader.Set, devices []dnn.Device, steps int) (losses []float64, tensors []checkpoint.Tensor) {
	t.Helper()
	ctx, info := t.Context(), set.Info()
	p, err := plan.On(devices...).Compile(net, plan.Options{Batch: net.Train.Batch, MeanH: info.Height, MeanW: info.Width})
	check(t, err)
	r, err := plan.NewRunner(devices, p)
	check(t, err)
	defer func() { check(t, r.Close()) }()
	tensors = initial(p, meanOf(net.Data.Mean, set.Mean(), set.RGB(), info.Height, info.Width))
	check(t, load(ctx, r, p, tensors))
	batches, err := set.Train(ctx, loader.Options{Rows: p.Batch, Height: net.Input.H, Width: net.Input.W,
		Mirror: net.Data.Mirror, Color: net.Data.Color, Seed: net.Train.Seed}, 0)
	check(t, err)
	defer func() { check(t, batches.Close()) }()
	m := memory{device: devices[0]}
	defer func() { check(t, m.Close()) }()
	h, err := newHost(&m, p)
	check(t, err)
	for step := range steps {
		b, err := batches.Next(ctx)
		check(t, err)
		h.set(b, int64(step), slices.Repeat([]float64{net.Train.Rate}, len(net.Layers)))
		check(t, r.Launch(ctx, p, 0, len(p.Steps), &h.slots))
		check(t, r.Synchronize(ctx))
		losses = append(losses, float64(h.stats[dnn.StatLoss])/float64(p.Batch))
		batches.Release(b)
	}
	check(t, save(ctx, r, p, tensors))
	return losses, tensors
}

// TestStoppedWhileTesting: the run ends in the middle of a test, and nothing of it
// is under way when memory is given back.
func TestStoppedWhileTesting(t *testing.T) {
	net, set, devices := open(t, "cpu")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := config(t, net, set, devices, func(metrics.Metric) {})
	images := 0
	c.Testing = func(int64, int64) {
		images++
		cancel()
	}
	if err := Run(ctx, c); !errors.Is(err, context.Canceled) || images != net.Train.Batch {
		t.Errorf("error %v after a test of %d images, want %v after the batch that was begun", err, images, context.Canceled)
	}
}

// TestWithoutHostMemory: whatever cannot be had, the error says so and all that was
// taken is given back.
func TestWithoutHostMemory(t *testing.T) {
	net, set, devices := open(t, "cpu")
	d := devices[0].(*scribbler)
	const batches, hosts = 1, 1 + 1 // one piece for all batches; for training and for tests
	for left := range hosts + 2*batches + 1 {
		d.left = left
		c := config(t, net, set, devices, func(metrics.Metric) {})
		if err := Run(t.Context(), c); left < hosts+2*batches && !errors.Is(err, errFull) {
			t.Errorf("a run with %d pieces of memory: error %v", left, err)
		} else if left == hosts+2*batches {
			check(t, err)
			for left := range 1 + batches + 1 {
				d.left = left
				_, _, err := Test(t.Context(), Testing{Models: []string{filepath.Join(c.Dir, Newest)}, Placement: plan.On(devices...), Set: set, Views: 1, Progress: func(int64, int64) {}})
				if left < 1+batches && !errors.Is(err, errFull) {
					t.Errorf("a test with %d pieces of memory: error %v", left, err)
				} else if left == 1+batches {
					check(t, err)
				}
			}
		}
	}
}
