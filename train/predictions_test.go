package train

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/plan"
)

// TestSavedPredictions: predictions that were saved stand in for the networks, by
// themselves and beside others, however they are put together.
func TestSavedPredictions(t *testing.T) {
	net, set, devices := open(t, "cpu")
	dir := t.TempDir()
	var models []string
	for seed := range 3 {
		net.Train.Seed = uint64(seed)
		c := config(t, net, set, devices, func(metrics.Metric) {})
		c.Steps = int64(4 + seed)
		check(t, Run(t.Context(), c))
		models = append(models, filepath.Join(c.Dir, Newest))
	}
	all := map[int64][]float64{}
	test := func(save string, views int, models ...string) Result {
		t.Helper()
		var kept Predictions
		clear(all)
		o := Testing{Models: models, Placement: plan.On(devices...), Set: set, Views: views, Progress: func(int64, int64) {},
			Each: func(image int64, label int32, p []float64) {
				kept.Add(image, label, p)
				all[image] = append([]float64(nil), p...)
			}}
		if need, err := NeedData(models); err != nil || !need {
			o.Devices, o.Set = nil, nil
		}
		result, source, err := Test(t.Context(), o)
		check(t, err)
		if save != "" {
			check(t, kept.Write(filepath.Join(dir, save), source))
		}
		return result
	}
	near := func(got, want Result) {
		t.Helper()
		if got.Images != 21 || got.Top1Error != want.Top1Error || got.Top5Error != want.Top5Error || math.Abs(got.Loss-want.Loss) > 1e-6 || got.Views != want.Views {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	want := test("abc", 10, models...)
	first := test("a", 10, models[0])
	test("bc", 10, models[1:]...)
	near(test("", 0, filepath.Join(dir, "a")), first)
	near(test("", 0, filepath.Join(dir, "abc")), want)
	near(test("", 0, filepath.Join(dir, "a"), filepath.Join(dir, "bc")), want) // which counts twice
	near(test("", 10, models[0], filepath.Join(dir, "bc")), want)
	for i, p := range all {
		var sum float64
		for _, v := range p {
			sum += math.Exp(v) // the logits of a mean are logarithms
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("the probabilities of image %d add up to %g", i, sum)
		}
	}

	p, err := ReadPredictions(filepath.Join(dir, "bc"))
	check(t, err)
	if p.Networks != 2 || p.Views != 10 || len(p.Classes) != 10 || p.Outputs != 10 || p.Images != 21 {
		t.Errorf("read back: %+v", p.Source)
	}
	// What cannot be averaged, or is no predictions, is an error that says so.
	other := *p
	other.Source.Dataset = "0123"
	check(t, other.Write(filepath.Join(dir, "other"), other.Source))
	if _, _, err := Test(t.Context(), Testing{Models: []string{filepath.Join(dir, "a"), filepath.Join(dir, "other")}}); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("of two data sets: error %v", err)
	}
	for change, do := range map[string]func(*checkpoint.Checkpoint){
		"version":               func(c *checkpoint.Checkpoint) { c.Notes[predictionsKey] = "7" },
		"invalid syntax":        func(c *checkpoint.Checkpoint) { c.Notes["views"] = "many" },
		"of 2 views":            func(c *checkpoint.Checkpoint) { c.Notes["views"] = "2" },
		"of 0 networks":         func(c *checkpoint.Checkpoint) { c.Notes["networks"] = "0" },
		"no tensors":            func(c *checkpoint.Checkpoint) { c.Tensors[1].Name = "x" },
		"image 0 has label 10":  func(c *checkpoint.Checkpoint) { c.Tensors[1].Data[0] = 10 },
		"image 2 has label 0.5": func(c *checkpoint.Checkpoint) { c.Tensors[1].Data[2] = 0.5 },
		"labels of shape [3 7]": func(c *checkpoint.Checkpoint) { c.Tensors[1].Shape = []int{3, 7} },
		"12 classes and 10 outputs": func(c *checkpoint.Checkpoint) {
			c.Notes["classes"] = `["1","2","3","4","5","6","7","8","9","10","11","12"]`
		},
	} {
		c, err := checkpoint.Read(filepath.Join(dir, "bc"))
		check(t, err)
		do(c)
		path := filepath.Join(dir, "bad")
		check(t, checkpoint.Write(path, c))
		if _, err := ReadPredictions(path); err == nil || !strings.Contains(err.Error(), change) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one with %q", err, change)
		}
	}
	if _, err := NeedData([]string{filepath.Join(dir, "absent")}); !os.IsNotExist(err) && (err == nil || !strings.Contains(err.Error(), "absent")) {
		t.Errorf("no such file: error %v", err)
	}
}

func TestByClass(t *testing.T) {
	b := NewByClass()
	for i, c := range []struct {
		label int32
		p     []float64
	}{
		{0, []float64{0.7, 0.1, 0.1, 0.05, 0.03, 0.01, 0.01}},
		{0, []float64{0.1, 0.7, 0.1, 0.05, 0.03, 0.01, 0.01}}, // taken for 1
		{0, []float64{0.2, 0.3, 0.3, 0.1, 0.05, 0.03, 0.02}},  // of equal ones, for the lower
		{2, []float64{0.2, 0.2, 0.01, 0.2, 0.2, 0.15, 0.04}},  // the sixth
		{6, []float64{0, 0, 0, 0, 0, 0, 1}},
	} {
		b.Add(int64(i), c.label, c.p)
	}
	names := []string{"ant", "bee", "cat", "dog", "eel", "fox"} // and an output without a name
	if got, want := b.Classes(names), []Class{
		{Label: 2, Name: "cat", Images: 1, Top1Error: 1, Top5Error: 1, wrong1: 1, wrong5: 1},
		{Label: 0, Name: "ant", Images: 3, Top1Error: 2.0 / 3, wrong1: 2},
		{Label: 6, Images: 1},
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, want := b.Confusions(names, 5), []Confusion{{"ant", "bee", 2, [2]int32{0, 1}}, {"cat", "ant", 1, [2]int32{2, 0}}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := b.Confusions(names, 1); len(got) != 1 {
		t.Errorf("%d confusions, want the most frequent one", len(got))
	}
}
