package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/loader"
	"alexnet/neighbors"
	"alexnet/report"
)

// trained makes a data set and a checkpoint of a network trained on it.
func trained(t *testing.T) (dir, model, data string) {
	t.Helper()
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "13")
	return dir, filepath.Join(run, "checkpoints/newest.safetensors"), data
}

// writeImages writes the first images of a split as PNG files.
func writeImages(t *testing.T, dir, data, split string, n int) (paths []string) {
	t.Helper()
	set, err := loader.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for i := range n {
		pixels, _, err := set.Image(split, int64(i))
		if err != nil {
			t.Fatal(err)
		}
		m, err := report.RGB(pixels, set.Info().Height, set.Info().Width)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%s-%d.png", split, i)))
		if err := report.WritePNG(paths[i], m); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func TestFeatures(t *testing.T) {
	dir, model, data := trained(t)
	out := filepath.Join(dir, "f.safetensors")
	printed, _ := alexnet(t, 0, "features", "-model", model, "-layer", "pool1", "-data", data, "-split", "test", "-out", out)
	contains(t, printed, out)
	f, err := neighbors.OpenFile(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Source.Layer != "pool1" || f.Source.Split != "test" || f.Source.Net != "tiny" || f.Dim() != 4*2*2 || len(f.Labels) != 50 {
		t.Errorf("%+v: %d images of %d numbers", f.Source, len(f.Labels), f.Dim())
	}

	// An image as a file has the features that it has in the data set.
	pictures := writeImages(t, dir, data, "test", 3)
	alexnet(t, 0, append([]string{"features", "-model", model, "-layer", "pool1", "-out", out + "2"}, pictures...)...)
	g, err := neighbors.OpenFile(out + "2")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if g.Dim() != f.Dim() || !slices.Equal(g.Labels, []int32{-1, -1, -1}) {
		t.Errorf("%d numbers, labels %v", g.Dim(), g.Labels)
	}
	for i := range g.Labels {
		x, y := make([]float32, f.Dim()), make([]float32, f.Dim())
		if err := f.At(int64(i), x); err != nil {
			t.Fatal(err)
		}
		if err := g.At(int64(i), y); err != nil {
			t.Fatal(err)
		}
		for j := range x {
			if d := x[j] - y[j]; d*d > 1e-6 {
				t.Errorf("image %d: %v from the data set and %v from its file", i, x, y)
				break
			}
		}
	}

	none := filepath.Join(dir, "none")
	for _, wrong := range []struct {
		status int
		says   string
		args   []string
	}{
		{2, "-out", []string{"-model", model}},
		{2, "-model", []string{"-out", none}},
		{2, "want train or test", []string{"-model", model, "-out", none, "-split", "val"}},
		{2, "conv1.relu", []string{"-model", model, "-out", none, "-data", data, "-layer", "conv9"}},
		{2, "leave it out", []string{"-model", model, "-out", none, "-data", data, pictures[0]}},
		{1, "go.mod", []string{"-model", model, "-out", none, "../../go.mod"}},
	} {
		_, errs := alexnet(t, wrong.status, append([]string{"features"}, wrong.args...)...)
		contains(t, errs, wrong.says)
		if _, err := os.Stat(none); err == nil {
			t.Errorf("%v left a file", wrong.args)
		}
	}
}

func TestNeighbors(t *testing.T) {
	dir, model, data := trained(t)
	out, cache := filepath.Join(dir, "n.png"), filepath.Join(dir, "cache")
	args := []string{"neighbors", "-model", model, "-data", data, "-cache", cache, "-queries", "20", "-rows", "3", "-k", "4", "-out", out}
	printed, _ := alexnet(t, 0, args...)
	contains(t, printed, "20 test images, the 4 nearest of 200", "by fc2.dropout", "by pixels", out)
	if b := readPNG(t, out).Bounds(); b.Dx() < b.Dy() {
		t.Errorf("the picture is %v", b)
	}
	cached, err := os.ReadDir(cache)
	if err != nil || len(cached) != 2 { // features of training and test images
		t.Fatalf("%v, %v", cached, err)
	}

	// Damage is made good, and another layer has features of its own.
	if err := os.WriteFile(filepath.Join(cache, cached[0].Name()), []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	var result found
	for _, more := range [][]string{{"-json"}, {"-json", "-layer", "pool1", "-pixels=false"}} {
		printed, _ = alexnet(t, 0, append(args, more...)...)
		result = found{}
		if err := json.Unmarshal([]byte(printed), &result); err != nil {
			t.Fatal(err)
		}
		if len(result.Queries) != 20 || result.K != 4 || !(result.RightFeatures > 0 && result.RightFeatures <= 1) {
			t.Errorf("%v: %+v", more, result)
		}
		for _, q := range result.Queries {
			for i, n := range q.Neighbors {
				if i > 0 && n.Distance < q.Neighbors[i-1].Distance || n.Image < 0 || n.Image >= 200 {
					t.Errorf("image %d: %+v", q.Image, q.Neighbors)
				}
			}
		}
	}
	if cached, _ := os.ReadDir(cache); len(cached) != 4 || result.Layer != "pool1" || result.RightPixels != nil {
		t.Errorf("%d files of features; %+v", len(cached), result)
	}

	for says, wrong := range map[string][]string{"-k 0": {"-k", "0"}, "-queries 0": {"-queries", "0"}, "-rows 0": {"-rows", "0"}, "conv9": {"-layer", "conv9"}} {
		_, errs := alexnet(t, 2, append(args, wrong...)...)
		contains(t, errs, says)
	}
}

func TestPlotUntil(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, passesTo25 int) string {
		run := filepath.Join(dir, name)
		if err := os.Mkdir(run, 0o777); err != nil {
			t.Fatal(err)
		}
		var lines []byte
		for pass := 1; pass <= 12; pass++ {
			top1 := 0.5
			if pass >= passesTo25 {
				top1 = 0.2
			}
			lines = fmt.Appendf(lines, `{"kind":"train","step":%d,"epoch":%d,"loss":1,"top1_error":%g,"top5_error":0.1,"rate":0.1,"images_per_second":1}`+"\n", 100*pass, pass, top1)
		}
		if err := os.WriteFile(filepath.Join(run, "metrics.jsonl"), lines, 0o666); err != nil {
			t.Fatal(err)
		}
		return run
	}
	relu, tanh, never := write("relu", 2), write("tanh", 12), write("never", 99)
	out := filepath.Join(dir, "c.png")
	printed, _ := alexnet(t, 0, "plot", relu, tanh, never, "-until", "0.25", "-out", out)
	contains(t, printed, "relu", "2.00", "200", "tanh", "12.00", "1200", "6.00", "never  never", out)
	printed, _ = alexnet(t, 0, "plot", relu, tanh, never, "-until", "0.25", "-json", "-out", out)
	contains(t, printed, `"until":0.25`, `{"run":"tanh","passes":12,"step":1200,"ratio":6}`, `{"run":"never","passes":null,"step":null,"ratio":null}`)
	readPNG(t, out)
	alexnet(t, 2, "plot", relu, "-until", "25", "-out", out)
	alexnet(t, 2, "plot", relu, "-json", "-out", out)
}

func TestPredict(t *testing.T) {
	dir, model, data := trained(t)
	pictures := writeImages(t, dir, data, "test", 3)
	out := filepath.Join(dir, "p.png")
	printed, _ := alexnet(t, 0, append([]string{"predict", "-model", model, "-picture", out}, pictures...)...)
	contains(t, printed, pictures[0]+"\n", "%  ", "█", out)
	readPNG(t, out)

	// All test images, in any number of views: the likeliest class is right as often
	// as alexnet test says.
	for _, views := range []string{"1", "10"} {
		var tested struct {
			Top1 float64 `json:"top1_error"`
			Top5 float64 `json:"top5_error"`
		}
		printed, _ = alexnet(t, 0, "test", "-model", model, "-data", data, "-views", views, "-json")
		if err := json.Unmarshal([]byte(printed), &tested); err != nil {
			t.Fatal(err)
		}
		printed, _ = alexnet(t, 0, "predict", "-model", model, "-data", data, "-count", "999", "-views", views, "-json")
		var list []predicted
		if err := json.Unmarshal([]byte(printed), &list); err != nil {
			t.Fatal(err)
		}
		top1, top5 := 0, 0
		for _, p := range list {
			for i, l := range p.Predictions {
				if l.Class == p.Class {
					top5++
					if i == 0 {
						top1++
					}
				}
			}
		}
		if len(list) != 50 || 50-top1 != int(50*tested.Top1+0.5) || 50-top5 != int(50*tested.Top5+0.5) {
			t.Errorf("%s views: of %d images %d and %d are wrong, and test says %+v", views, len(list), 50-top1, 50-top5, tested)
		}
	}
	one, _ := alexnet(t, 0, "predict", "-model", model, "-data", data, "-count", "2")
	same, _ := alexnet(t, 0, "predict", "-model", model, "-data", data, "-count", "2")
	other, _ := alexnet(t, 0, "predict", "-model", model, "-data", data, "-count", "2", "-seed", "2")
	if one != same || one == other {
		t.Error("-seed does not choose the images")
	}
	for _, wrong := range []struct {
		status int
		says   string
		args   []string
	}{
		{2, "-data", nil},
		{2, "-data", []string{"-data", data, pictures[0]}},
		{2, "-count is for -data", []string{"-count", "3", pictures[0]}},
		{2, "-views 5", []string{"-views", "5", pictures[0]}},
		{2, "at most", []string{"-data", data, "-count", "1000", "-picture", out}},
		{1, "nothing.png", []string{"nothing.png"}},
	} {
		_, errs := alexnet(t, wrong.status, append([]string{"predict", "-model", model}, wrong.args...)...)
		contains(t, errs, wrong.says)
	}
}

func TestTextBar(t *testing.T) {
	for p, want := range map[float64]string{0: "", 1: "████████████████████████", 0.5: "████████████", 0.25: "██████", 1. / 48: "▌", math.NaN(): "", 2: "████████████████████████"} {
		if got := textBar(p); got != want {
			t.Errorf("%g is %q, want %q", p, got, want)
		}
	}
}

func TestPlanSVG(t *testing.T) {
	dir, config, _ := files(t)
	out := filepath.Join(dir, "n.svg")
	printed, _ := alexnet(t, 0, "plan", "-config", config, "-svg", out)
	contains(t, printed, out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(b), "<svg", "fc2 full", "</svg>")
}

func TestCodes(t *testing.T) {
	dir, model, data := trained(t)
	args := []string{"codes", "-model", model, "-data", data, "-layer", "pool1", "-cache", filepath.Join(dir, "cache"), "-queries", "20", "-steps", "30"}
	printed, _ := alexnet(t, 0, args...)
	contains(t, printed, "20 test images among 200 training images by pool1", "128-bit", "auto-encoder  100, ranked", "random ")
	printed, _ = alexnet(t, 0, append(args, "-json")...)
	var result coded
	if err := json.Unmarshal([]byte(printed), &result); err != nil {
		t.Fatal(err)
	}
	if result.K != 6 || result.Bits != 128 || len(result.Codes) != 2 {
		t.Fatalf("%+v", result)
	}
	for _, kind := range result.Codes {
		before := 0.0
		for i, list := range kind.Lists {
			if want := []int{6, 10, 100}[i]; list.Length != want || list.Recall < before || list.Recall > 1 || !(list.Seconds > 0) {
				t.Errorf("%s: %+v", kind.Kind, list)
			}
			before = list.Recall
		}
		if before < 0.6 { // half of all images are in the list
			t.Errorf("%s: a list of 100 of 200 has %.2f of the nearest", kind.Kind, before)
		}
	}
	alexnet(t, 2, append(args, "-steps", "0")...)
}
