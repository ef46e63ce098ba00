package train

import (
	"math"
	"path/filepath"
	"testing"

	"alexnet/checkpoint"
	"alexnet/dnn"
	"alexnet/dsl"
	"alexnet/internal/metrics"
	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"
)

// steady is a network that sees whole images, always alike. Its rate is too low to
// change a weight. So training and tests have the same loss.
const steady = `
net steady
input 3x32x32
conv1 conv 8 8x8 stride 8 init 0.02
relu
fc2 full 16 init 0.1
relu
fc3 full 10 init 0.1
softmax
train {
batch 7
passes 1
rate 1e-30
decay 0
}
`

// scaled leaves a checkpoint of steady, whose last weights are so many times larger.
func scaled(t *testing.T, set *loader.Set, devices []dnn.Device, seed uint64, times float32) (*model.Net, string) {
	t.Helper()
	net, err := dsl.Parse("steady.net", []byte(steady))
	check(t, err)
	net.Train.Seed = seed
	c := config(t, net, set, devices, func(metrics.Metric) {})
	c.Text, c.Steps = steady, 1
	check(t, Run(t.Context(), c))
	path := filepath.Join(c.Dir, Newest)
	trained, err := checkpoint.Read(path)
	check(t, err)
	for _, tensor := range trained.Tensors {
		if tensor.Name == "fc3.weight" {
			for i := range tensor.Data {
				tensor.Data[i] *= times
			}
		}
	}
	check(t, checkpoint.Write(path, trained))
	return net, path
}

// trainLoss puts the test images through a training step.
func trainLoss(t *testing.T, net *model.Net, set *loader.Set, devices []dnn.Device, path string) Result {
	t.Helper()
	info := set.Info()
	p, err := plan.On(devices...).Compile(net, plan.Options{Batch: net.Train.Batch, MeanH: info.Height, MeanW: info.Width})
	check(t, err)
	r, err := plan.NewRunner(devices, p)
	check(t, err)
	defer func() { check(t, r.Close()) }()
	c, err := checkpoint.Read(path)
	check(t, err)
	check(t, load(t.Context(), r, p, c.Tensors))
	batches, err := set.Train(t.Context(), loader.Options{Split: "test", Rows: p.Batch, Height: net.Input.H, Width: net.Input.W, Seed: 1}, 0)
	check(t, err)
	defer func() { check(t, batches.Close()) }()
	m := memory{device: devices[0]}
	defer func() { check(t, m.Close()) }()
	h, err := newHost(&m, p)
	check(t, err)
	var sum tally
	for sum.images < images(set, "test") {
		b, err := batches.Next(t.Context())
		check(t, err)
		h.set(b, 0, make([]float64, len(net.Layers)))
		check(t, r.Launch(t.Context(), p, 0, len(p.Steps), &h.slots))
		check(t, r.Synchronize(t.Context()))
		sum.images += int64(p.Batch)
		sum.loss += h.total(dnn.StatLoss)
		sum.top1 += h.total(dnn.StatTop1)
		sum.top5 += h.total(dnn.StatTop5)
		batches.Release(b)
	}
	return sum.result(1)
}

// TestTestsAgreeWithTraining: the same images with the same weights have the same loss
// and errors in training and in every kind of test. Probabilities may be too small for
// float32 and for float64.
func TestTestsAgreeWithTraining(t *testing.T) {
	_, set, devices := open(t, "cpu")
	for _, times := range []float32{1, 100, 1e5} {
		net, path := scaled(t, set, devices, 1, times)
		want := trainLoss(t, net, set, devices, path)
		if times > 1 && want.Loss < 200 || times > 100 && want.Loss < 2000 {
			t.Errorf("weights x %g: a loss of %g: no probability is too small", times, want.Loss)
		}
		same := func(how string, got Result) {
			t.Helper()
			if got.Images != 21 || math.Abs(got.Loss-want.Loss) > 1e-6*want.Loss || got.Top1Error != want.Top1Error || got.Top5Error != want.Top5Error {
				t.Errorf("weights x %g, %s: %+v, want %+v", times, how, got, want)
			}
		}
		test := func(models ...string) (Result, Source, *Predictions, *ByClass) {
			t.Helper()
			var kept Predictions
			table := NewByClass()
			result, source, err := Test(t.Context(), Testing{Models: models, Placement: plan.On(devices...), Set: set, Views: 1, Progress: func(int64, int64) {},
				Each: func(image int64, label int32, logits []float64) {
					kept.Add(image, label, logits)
					table.Add(image, label, logits)
				}})
			check(t, err)
			return result, source, &kept, table
		}
		result, source, kept, table := test(path)
		same("a test", result)
		var wrong1, wrong5 int64
		for _, c := range table.classes {
			wrong1 += c.wrong1
			wrong5 += c.wrong5
		}
		if float64(wrong1) != 21*want.Top1Error || float64(wrong5) != 21*want.Top5Error {
			t.Errorf("weights x %g, class by class: %d and %d errors, want %+v", times, wrong1, wrong5, want)
		}
		saved := filepath.Join(t.TempDir(), "saved")
		check(t, kept.Write(saved, source))
		again, _, _, _ := test(saved)
		same("saved", again)
		if again != result {
			t.Errorf("weights x %g: saved %+v, want the very numbers %+v", times, again, result)
		}
		mean, _, _, _ := test(path, saved)
		same("the mean of a network and itself", mean)
		mean, _, _, _ = test(saved, saved)
		same("the mean of saved ones", mean)

		// The test that a training does, of the same weights.
		c := config(t, net, set, devices, func(m metrics.Metric) {
			if m.Kind == metrics.Test {
				same("a test within training", Result{Images: 21, Loss: m.Loss, Top1Error: m.Top1Error, Top5Error: m.Top5Error})
				want.Views++
			}
		})
		c.Text, c.Init = steady, path
		check(t, Run(t.Context(), c))
		if want.Views != 2 {
			t.Errorf("%d tests within training, want 1", want.Views-1)
		}
	}
}

// TestMeanOfTinyProbabilities: the mean of views and networks is the mean of their
// probabilities, however small. Probabilities that float64 cannot hold stay apart.
func TestMeanOfTinyProbabilities(t *testing.T) {
	logits := [][]float64{{0, -900, -901, -2000, math.Inf(-1)}, {-900, 0, -1000, -2000.5, math.Inf(-1)}}
	sum, mean := newMixture(7), make([]float64, 5)
	for _, x := range logits {
		sum.add(2, x, 3)
	}
	sum.mean(mean, 2, 6)
	two := math.Log(2)
	for c, want := range []float64{-two, -two, -901 - two, -2000 + math.Log1p(math.Exp(-0.5)) - two, math.Inf(-1)} {
		if math.Abs(mean[c]-want) > 1e-12*math.Abs(want) {
			t.Errorf("class %d: %g, want %g", c, mean[c], want)
		}
	}
	if n := likelier(2, mean); n != 2 {
		t.Errorf("%d classes are likelier than the third, want 2", n)
	}
	sum.clear()
	sum.add(2, []float64{0, 1, 2, math.NaN(), 4}, 1)
	sum.mean(mean, 2, 1)
	for c, v := range mean {
		if !math.IsNaN(v) {
			t.Errorf("class %d with what is no number: %g", c, v)
		}
	}
}

// TestPredictionsOfVersion1: a file with probabilities is read. One that is too small
// counts as the least that all machines can tell from 0.
func TestPredictionsOfVersion1(t *testing.T) {
	old := &Predictions{Labels: []int32{0, 2, -1}, Logits: []float32{0.5, 0.25, 0.25, 1, 0, 1e-45, 0, 0, 0}, probabilities: true}
	source := Source{Dataset: "1", Name: "old", Images: 3, Classes: []string{"a", "b", "c"}, Outputs: 3, Networks: 1, Views: 10}
	path := filepath.Join(t.TempDir(), "old")
	check(t, old.Write(path, source))
	c, err := checkpoint.Read(path)
	check(t, err)
	if c.Notes[predictionsKey] != "1" || c.Tensors[0].Name != "probabilities" {
		t.Errorf("version %q with %s", c.Notes[predictionsKey], c.Tensors[0].Name)
	}
	for _, models := range [][]string{{path}, {path, path}} {
		got, _, err := Test(t.Context(), Testing{Models: models})
		check(t, err)
		want := Result{Images: 2, Views: 10, Top1Error: 0.5, Loss: (math.Ln2 - math.Log(LeastProbability)) / 2}
		if math.Abs(got.Loss-want.Loss) > 1e-12 {
			t.Errorf("%d files: a loss of %g, want %g", len(models), got.Loss, want.Loss)
		}
		if got.Loss = want.Loss; got != want {
			t.Errorf("%d files: %+v, want %+v", len(models), got, want)
		}
	}
}
