package train

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/checkpoint"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"
)

// untrained writes a checkpoint of net as training starts from it.
func untrained(t *testing.T, net *model.Net, set *loader.Set) string {
	t.Helper()
	info := set.Info()
	p, err := plan.Compile(net, []string{"cpu"}, plan.Options{Batch: 8, MeanH: info.Height, MeanW: info.Width})
	check(t, err)
	path := filepath.Join(t.TempDir(), "a.safetensors")
	check(t, checkpoint.Write(path, &checkpoint.Checkpoint{
		State:   checkpoint.State{Net: tiny, Classes: classNames(set)},
		Tensors: initial(p, meanOf(net.Data.Mean, set.Mean(), set.RGB(), info.Height, info.Width)),
	}))
	return path
}

// features returns a layer's output for the test images.
func features(t *testing.T, path string, on plan.Placement, batch int, layer string, set *loader.Set) (all [][]float32) {
	t.Helper()
	f, err := OpenFeatures(t.Context(), path, on, batch, layer)
	check(t, err)
	defer func() { check(t, f.Close()) }()
	check(t, f.Of(t.Context(), set, "test", func(image int64, _ int32, x []float32) error {
		if image != int64(len(all)) || len(x) != f.Shape.Size() {
			t.Errorf("image %d of %d numbers", image, len(x))
		}
		all = append(all, slices.Clone(x))
		return nil
	}))
	return all
}

// A layer's features follow from those of the layer before, by the weights.
func TestFeaturesAreTheLayersOutputs(t *testing.T) {
	net, set, devices := open(t, "cpu")
	path := untrained(t, net, set)
	ck, err := checkpoint.Read(path)
	check(t, err)
	named := byName(ck.Tensors)
	get := func(layer string) [][]float32 { return features(t, path, plan.On(devices...), 8, layer, set) }
	before, after, dropped, hidden := get("fc2"), get("fc2.relu"), get("fc2.dropout"), get("")
	logits, probabilities := get("fc3"), get("fc3.softmax")
	if len(before) != 21 || len(before[0]) != 16 {
		t.Fatalf("%d images of %d numbers", len(before), len(before[0]))
	}
	negative := 0
	w, bias := named["fc3.weight"].Data, named["fc3.bias"].Data
	for i, x := range before {
		for k, v := range x {
			if v < 0 {
				negative++
			}
			if v = max(v, 0); after[i][k] != v || math.Abs(float64(dropped[i][k]-0.8*v)) > 1e-6*math.Abs(float64(v)) || hidden[i][k] != dropped[i][k] {
				t.Fatalf("image %d, neuron %d: fc2 %g, relu %g, dropout %g, last hidden %g", i, k, x[k], after[i][k], dropped[i][k], hidden[i][k])
			}
		}
		sum := 0.0
		for class, got := range logits[i] {
			want := float64(bias[class])
			for k, v := range dropped[i] {
				want += float64(v) * float64(w[class*16+k])
			}
			if math.Abs(want-float64(got)) > 1e-3 {
				t.Fatalf("image %d, class %d: %g, want %g", i, class, got, want)
			}
			sum += float64(probabilities[i][class])
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("image %d: the probabilities sum to %g", i, sum)
		}
	}
	if negative == 0 {
		t.Error("fc2 has no negative numbers: the ReLU has been done in their place")
	}
}

// The same on more devices, where each has half of the channels, or of the images, or
// both, and in other batches.
func TestFeaturesOnMoreDevices(t *testing.T) {
	net, set, devices := open(t, "cpu:0", "cpu:1", "cpu:2", "cpu:3")
	path := untrained(t, net, set)
	for _, layer := range []string{"conv1", "conv1.relu", "fc2", "fc3.softmax"} {
		one := features(t, path, plan.On(devices[0]), 8, layer, set)
		for _, on := range []plan.Placement{plan.On(devices[:2]...), {Devices: devices[:2], Replicas: 2}, {Devices: devices, Replicas: 2}} {
			more := features(t, path, on, 5, layer, set)
			if len(more) != len(one) {
				t.Fatalf("%s on %d devices, %d replicas: %d images, want %d", layer, len(on.Devices), on.Replicas, len(more), len(one))
			}
			for i := range one {
				for k, v := range one[i] {
					if d := math.Abs(float64(v - more[i][k])); d > 1e-4*max(1, math.Abs(float64(v))) {
						t.Fatalf("%s, image %d, number %d: %g on one device, %g on %d, %d replicas", layer, i, k, v, more[i][k], len(on.Devices), on.Replicas)
					}
				}
			}
		}
	}
}

func TestStillsGiveWhatTheSplitGives(t *testing.T) {
	net, set, devices := open(t, "cpu")
	path := untrained(t, net, set)
	all := features(t, path, plan.On(devices...), 8, "", set)
	pictures, err := set.Images("test")
	check(t, err)
	numbers := []int64{20, 3, 3, 7}
	f, err := OpenFeatures(t.Context(), path, plan.On(devices...), 3, "")
	check(t, err)
	defer func() { check(t, f.Close()) }()
	seen := 0
	check(t, f.OfStills(t.Context(), pictures.Choose(numbers), func(image int64, _ int32, x []float32) error {
		for k, v := range all[numbers[image]] {
			if math.Abs(float64(v-x[k])) > 1e-4*max(1, math.Abs(float64(v))) {
				t.Fatalf("still %d, number %d: %g, want %g", image, k, x[k], v)
			}
		}
		seen++
		return nil
	}))
	want := map[int64][]float64{}
	check(t, f.Predict(t.Context(), set, 10, func(image int64, _ int32, p []float64) { want[image] = slices.Clone(p) }))
	check(t, f.PredictStills(t.Context(), pictures.Choose(numbers), 10, func(image int64, _ int32, p []float64) {
		for c, v := range want[numbers[image]] {
			if math.Abs(v-p[c]) > 1e-5 {
				t.Fatalf("still %d, class %d: %g, want %g", image, c, p[c], v)
			}
		}
		seen++
	}))
	if seen != 8 {
		t.Errorf("%d of 8 were seen", seen)
	}
}

func TestFeaturesErrors(t *testing.T) {
	net, set, devices := open(t, "cpu")
	path := untrained(t, net, set)
	_, err := OpenFeatures(t.Context(), path, plan.On(devices...), 8, "fc9")
	if err == nil || !strings.Contains(err.Error(), `no layer "fc9"; it has conv1, conv1.relu`) {
		t.Error(err)
	}
	f, err := OpenFeatures(t.Context(), path, plan.On(devices...), 8, "fc2")
	check(t, err)
	defer func() { check(t, f.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Of(ctx, set, "test", func(int64, int32, []float32) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := f.Of(t.Context(), set, "test", func(int64, int32, []float32) error { return errFull }); !errors.Is(err, errFull) {
		t.Error(err)
	}
}
