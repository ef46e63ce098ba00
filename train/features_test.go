package train

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/internal/metrics"
	"alexnet/internal/raw"
	"alexnet/loader"
	"alexnet/plan"
)

// TestFeatures: every layer, on one device and on two, is what it is where no
// memory is shared; and the same images from elsewhere give the same.
func TestFeatures(t *testing.T) {
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	check(t, Run(t.Context(), c))
	path := filepath.Join(c.Dir, Newest)
	_, _, two := open(t, "cpu:0", "cpu:1")
	for i, l := range net.Layers {
		want := keptAll(t, path, set, devices, i)
		if got := features(t, path, set, two, l.Name); !near(got, want, 1e-4) {
			t.Errorf("%s: on two devices it differs", l.Name)
		}
		if got := features(t, path, set, devices, l.Name); !slices.Equal(got, want) {
			t.Errorf("%s: it is not what the layer made", l.Name)
		}
	}

	last, err := LastHidden(net)
	check(t, err)
	want := features(t, path, set, devices, last)
	f, err := OpenFeatures(t.Context(), path, devices, 4, last)
	check(t, err)
	var got []float32
	check(t, f.Some(t.Context(), 21, func(image int64) ([]byte, int32, error) {
		return set.Image("test", image)
	}, func(image int64, _ int32, x []float32) error {
		got = append(got, x...)
		return nil
	}))
	check(t, f.Close())
	if !near(got, want, 1e-4) { // in other batches
		t.Error("images of another source give other features")
	}
}

func features(t *testing.T, path string, set *loader.Set, devices []dnn.Device, layer string) (all []float32) {
	t.Helper()
	f, err := OpenFeatures(t.Context(), path, devices, 0, layer)
	check(t, err)
	next := int64(0)
	check(t, f.Set(t.Context(), set, "test", func(image int64, label int32, x []float32) error {
		if image != next || label < 0 || len(x) != f.Shape().Size() {
			return fmt.Errorf("image %d, label %d, %d numbers", image, label, len(x))
		}
		next++
		all = append(all, x...)
		return nil
	}))
	check(t, f.Close())
	return all
}

// keptAll runs the program that shares no memory.
func keptAll(t *testing.T, path string, set *loader.Set, devices []dnn.Device, layer int) (all []float32) {
	t.Helper()
	m, err := OpenModel(t.Context(), path, devices, 0)
	check(t, err)
	check(t, m.runner.Close())
	m.program, err = plan.Compile(m.Net, Names(devices), plan.Options{Batch: m.program.Batch, Mode: plan.Test,
		MeanH: set.Info().Height, MeanW: set.Info().Width, KeepAll: true})
	check(t, err)
	m.runner, err = plan.NewRunner(devices, m.program)
	check(t, err)
	check(t, load(t.Context(), m.runner, m.program, m.Checkpoint.Tensors))
	tensor := m.program.Devices[0].Outputs[layer]
	x := make([]float32, m.program.Devices[0].Tensors[tensor].Bytes/4)
	host := memory{device: devices[0]}
	source, err := set.Test(t.Context(), testOptions(m.program, "test", 1, &host))
	check(t, err)
	size := len(x) / m.program.Batch
	check(t, forward(t.Context(), m.runner, m.program, m.host, source, func(row int, _ int64, _ int32) error {
		if err := m.runner.Read(t.Context(), m.program, 0, tensor, raw.Bytes(x)); err != nil {
			return err
		}
		all = append(all, x[row*size:][:size]...)
		return nil
	}, nil))
	check(t, host.Close())
	check(t, m.Close())
	return all
}

func near(a, b []float32, off float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return max(x-y, y-x) <= off*max(1, x, -x) })
}

// TestPredictSome: the probabilities of images from elsewhere are those of the set's.
func TestPredictSome(t *testing.T) {
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	check(t, Run(t.Context(), c))
	m, err := OpenModel(t.Context(), filepath.Join(c.Dir, Newest), devices, 7)
	check(t, err)
	defer func() { check(t, m.Close()) }()
	for _, views := range []int{1, 10} { // ten lie in two batches of 7
		var want, got []float32
		gather := func(to *[]float32) func(int64, int32, []float64) {
			return func(_ int64, _ int32, p []float64) {
				for _, v := range p {
					*to = append(*to, float32(v))
				}
			}
		}
		check(t, m.Predict(t.Context(), set, views, gather(&want)))
		check(t, m.PredictSome(t.Context(), 21, func(image int64) ([]byte, int32, error) { return set.Image("test", image) }, views, gather(&got)))
		if len(got) != 210 || !near(got, want, 1e-5) {
			t.Errorf("%d views: %d probabilities, which differ", views, len(got))
		}
	}
}
