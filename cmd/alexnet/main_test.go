package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/checkpoint"
	"alexnet/dnn/cpu"
	"alexnet/internal/metrics"
	"alexnet/loader"
	"alexnet/plan"
	"alexnet/train"
)

// TestMain lets the test binary stand in for the program, so that a test can kill
// it.
func TestMain(m *testing.M) {
	if os.Getenv("ALEXNET_TEST_AS_PROGRAM") != "" {
		if room := os.Getenv(endsRoom); room != "" {
			limitFiles(room)
		}
		main()
	}
	cache, err := os.MkdirTemp("", "alexnet-cache")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_CACHE_HOME", cache) // not the user's own
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

func program(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "ALEXNET_TEST_AS_PROGRAM=1")
	return c
}

// alexnet runs the program in this process and expects an exit status.
func alexnet(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), append([]string{"alexnet"}, args...), &out, &errs); code != want {
		t.Fatalf("alexnet %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// tiny is a network that learns the drawn pictures a little, quickly.
const tiny = `
net tiny
input 3x24x24
columns 2
conv1 conv 4 7x7 stride 4 init 0.005
relu
pool1 maxpool 2x2 stride 2
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
batch 16
passes 3
rate 0.001
divide 10 plateau 1 times 2
}
`

// files makes a folder with tiny.net, and with a data set drawn for all tests.
func files(t *testing.T) (dir, config, data string) {
	t.Helper()
	dir = t.TempDir()
	config, data = filepath.Join(dir, "tiny.net"), filepath.Join(dir, "data")
	if err := os.WriteFile(config, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	alexnet(t, 0, "pack", "shapes", "-train", "200", "-test", "50", "-out", data)
	return dir, config, data
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in:\n%s", part, text)
		}
	}
}

func TestTrainTestAndLook(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	out, _ := alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-keep", "2")
	contains(t, out, filepath.Join(run, "filters.png"), filepath.Join(run, "curves.png"))
	for _, name := range []string{"config.net", "metrics.jsonl", "filters.png", "curves.png",
		"checkpoints/newest.safetensors", "checkpoints/best.safetensors", "checkpoints/pass-0002.safetensors"} {
		if _, err := os.Stat(filepath.Join(run, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(run, "checkpoints/pass-0001.safetensors")); err == nil {
		t.Error("-keep 2 kept the first pass")
	}
	lines, err := metrics.Read(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, m := range lines {
		if m.Kind == metrics.Test {
			tests++
		}
	}
	if last := lines[len(lines)-2]; tests != 3 || last.Step != 38 { // 3 * 200 / 16, rounded up
		t.Errorf("%d tests, last training step %d", tests, last.Step)
	}

	best := filepath.Join(run, "checkpoints/best.safetensors")
	var result struct {
		Images, Views int
		Top1          float64 `json:"top1_error"`
		Top5          float64 `json:"top5_error"`
		Loss          float64
	}
	for _, args := range [][]string{
		{"-views", "1"}, {"-views", "10"}, {"-batch", "7", "-views", "10"}, {"-devices", "cpu,cpu"}, {"-devices", "cpu+cpu+cpu"},
	} {
		out, _ := alexnet(t, 0, append([]string{"test", "-model", best, "-data", data, "-json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatal(err)
		}
		if result.Images != 50 || result.Top1 > 0.95 || result.Top5 > result.Top1 || result.Loss <= 0 || result.Loss > 3 {
			t.Errorf("%v: %+v", args, result)
		}
	}
	one, _ := alexnet(t, 0, "test", "-model", best, "-data", data)
	same, _ := alexnet(t, 0, "test", "-model", best+","+best, "-data", data)
	if one != same {
		t.Errorf("a checkpoint averaged with itself is another: %s and %s", one, same)
	}

	picture := filepath.Join(dir, "kernels.png")
	alexnet(t, 0, "dump-filters", "-model", best, "-scale", "5", "-layer", "conv1", "-out", picture)
	each := filepath.Join(dir, "each.png")
	alexnet(t, 0, "dump-filters", "-model", best, "-scale", "5", "-each", "-out", each)
	if a, b := readPNG(t, picture), readPNG(t, each); a.Bounds().Dy() != b.Bounds().Dy() || reflect.DeepEqual(a, b) {
		t.Error("a scale for each kernel makes no difference, or another size")
	}
	_, errs := alexnet(t, 2, "dump-filters", "-model", best, "-layer", "fc2", "-out", picture)
	contains(t, errs, `no convolution "fc2"`, "conv1")
	alexnet(t, 0, "plot", run, run, "-out", filepath.Join(dir, "both.png"))

	_, errs = alexnet(t, 1, "train", "-config", config, "-data", data, "-run", run)
	contains(t, errs, "holds a run already", "-resume")
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// TestKilledAndResumed is a run that is killed, by a signal it cannot catch, at
// whatever step it may be, again and again until it gets through: it ends with
// the checkpoint of a run that was left alone, byte for byte.
func TestKilledAndResumed(t *testing.T) {
	dir, config, data := files(t)
	alone, killed := filepath.Join(dir, "alone"), filepath.Join(dir, "killed")
	const save = "5"
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", alone, "-save", save)

	args := []string{"train", "-config", config, "-data", data, "-run", killed, "-save", save}
	deaths := 0
	for deaths < 3 {
		c := program(args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		grown := waitFor(t, filepath.Join(killed, "metrics.jsonl"), ended)
		if !grown {
			break // it got through
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		c.Process.Kill() // fails only if it has ended
		if err := <-ended; err == nil {
			break
		}
		deaths++
		args = []string{"train", "-resume", "-run", killed, "-data", data, "-save", save}
	}
	if deaths == 0 {
		t.Fatal("the run could not be killed before it ended")
	}
	torn := filepath.Join(killed, "checkpoints", ".newest.safetensors123") // what a kill in the middle of writing leaves
	if err := os.WriteFile(torn, []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	alexnet(t, 0, "train", "-resume", "-run", killed, "-data", data, "-save", save)
	if _, err := os.Stat(torn); err == nil {
		t.Error("half a checkpoint was left")
	}
	sameFile(t, alone, killed, "checkpoints/newest.safetensors")
	sameFile(t, alone, killed, "checkpoints/best.safetensors")

	a, err := metrics.Read(filepath.Join(alone, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := metrics.Read(filepath.Join(killed, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	sameMetrics(t, b, a)
}

// sameMetrics compares all but the images a second.
func sameMetrics(t *testing.T, got, want []metrics.Metric) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lines of metrics, want %d", len(got), len(want))
	}
	for i, m := range got {
		m.ImagesPerSecond = want[i].ImagesPerSecond
		if fmt.Sprint(m) != fmt.Sprint(want[i]) { // changes have NaN, which is not equal to itself
			t.Errorf("line %d of metrics is %+v, want %+v", i, m, want[i])
		}
	}
}

// waitFor waits until the file grows, and returns false if the program ends
// first.
func waitFor(t *testing.T, path string, ended chan error) bool {
	t.Helper()
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	for before, start := size(), time.Now(); time.Since(start) < time.Minute; time.Sleep(time.Millisecond) {
		if size() > before {
			return true
		}
		select {
		case err := <-ended:
			ended <- err
			return false
		default:
		}
	}
	t.Fatalf("%s does not grow", path)
	return false
}

func sameFile(t *testing.T, a, b, name string) {
	t.Helper()
	x, err := os.ReadFile(filepath.Join(a, name))
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(filepath.Join(b, name))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s differs", name)
	}
}

func TestDivergedRunSaysWhere(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	_, errs := alexnet(t, 1, "train", "-config", config, "-data", data, "-run", run, "-set", "train.rate=1e20")
	contains(t, errs, "step ", "the loss is ", "the first bad numbers are in ", "start anew with a lower rate (alexnet train -resume -run "+run+" -data "+data+" -set train.rate=1e+19)")
	alexnet(t, 0, "train", "-resume", "-run", run, "-data", data, "-set", "train.rate=1e-3") // the advice works
	for i, devices := range []string{"cpu", "cpu,cpu", "cpu+cpu"} {
		_, errs = alexnet(t, 1, "train", "-config", config, "-data", data, "-run", run+fmt.Sprint(i), "-set", "fc2.init=1e38", "-devices", devices)
		contains(t, errs, "step 1: the loss is ", "the first bad numbers are in the output of fc2")
	}
}

func TestBadInput(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "2")
	newest := filepath.Join(run, "checkpoints/newest.safetensors")

	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	malformed := write("malformed.net", "net bad\ninput 3x24x24\nconv1 conv 4 7y7\nfc2 ful 10\nsoftmax\n")
	garbage := write("garbage.net", strings.Repeat("\x00\xff)(", 10<<20/4))
	huge := write("huge.net", "net huge\ninput 3x24x24\nconv1 conv 1000000000 1000x1000 pad 999\nfc2 full 1000000000\nsoftmax\n")
	other := write("other.net", strings.Replace(tiny, "fc2 full 16", "fc2 full 18", 1))
	eight := write("eight.net", strings.Replace(tiny, "fc3 full 10", "fc3 full 8", 1))
	twelve := write("twelve.net", strings.Replace(tiny, "fc3 full 10", "fc3 full 12", 1))
	_, warned := alexnet(t, 0, "train", "-config", twelve, "-data", data, "-run", run+"12", "-steps", "1")
	contains(t, warned, "has 10 classes", "12")
	large := write("large.net", strings.Replace(tiny, "3x24x24", "3x48x48", 1))
	foreign := write("foreign.safetensors", "this is no checkpoint, but it is long enough to be one")

	otherData := filepath.Join(dir, "other data")
	alexnet(t, 0, "pack", "shapes", "-seed", "2", "-train", "200", "-test", "50", "-out", otherData)
	resumed := filepath.Join(dir, "resumed") // a run whose config is not its checkpoint's
	if err := os.CopyFS(resumed, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(other); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(filepath.Join(resumed, "config.net"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	onlyOne := filepath.Join(dir, "one class")
	if err := os.MkdirAll(filepath.Join(onlyOne, "train", "daisy"), 0o777); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		status int
		args   []string
		want   []string
	}{
		{2, []string{"train", "-config", malformed}, []string{"malformed.net:3:14:", "malformed.net:4:5:", "^"}},
		{2, []string{"check", "-config", garbage}, []string{"garbage.net"}},
		{2, []string{"check", "-config", huge}, []string{"huge.net:3", "^"}},
		{2, []string{"check", "-config", filepath.Join(dir, "none.net")}, []string{"none.net"}},
		{2, []string{"train"}, []string{"-config"}},
		{2, []string{"train", "-config", config, "-steps", "-1"}, []string{"-steps -1"}},
		{2, []string{"train", "-config", config, "-set", "train.bach=3"}, []string{"bach", "batch"}},
		{2, []string{"train", "-config", config, "-devices", "tpu"}, []string{`no device "tpu"`}},
		{2, []string{"train", "-resume"}, []string{"-run"}},
		{2, []string{"train", "-resume", "-run", filepath.Join(dir, "none")}, []string{"holds no run"}},
		{2, []string{"train", "-config", config, "-from", newest}, []string{"-from is for a run that goes on"}},
		{2, []string{"train", "-resume", "-run", run, "-init", newest}, []string{"-init: a run that goes on starts from its own checkpoint"}},
		{2, []string{"test"}, []string{"-model"}},
		{2, []string{"test", "-model", newest, "-views", "3"}, []string{"-views 3"}},
		{2, []string{"pack", "folder", "-out", "x"}, []string{"DIR|TAR|TAR.GZ"}},
		{2, []string{"pack", "folder", onlyOne}, []string{"-out"}},
		{2, []string{"pack", "postcards"}, []string{"folder, cifar10"}},
		{2, []string{"frobnicate"}, []string{`no command "frobnicate"`}},
		{2, []string{"plan", "-config", config, "-frob"}, []string{"frob"}},
		{2, []string{"dump-filters"}, []string{"-model"}},
		{2, []string{"plot"}, []string{"folders"}},
		{1, []string{"plot", filepath.Join(dir, "none")}, []string{"none"}},
		{1, []string{"train", "-config", config, "-data", filepath.Join(dir, "none"), "-run", run + "x"}, []string{"none"}},
		{1, []string{"train", "-config", eight, "-data", data, "-run", run + "x"}, []string{"10 classes", "8"}},
		{1, []string{"check", "-config", eight, "-data", data}, []string{"10 classes", "8"}},
		{1, []string{"check", "-config", config, "-data", dir}, []string{"dataset.json"}},
		{1, []string{"train", "-config", large, "-data", data, "-run", run + "x"}, []string{"32x32", "3x48x48"}},
		{2, []string{"train", "-config", config, "-data", data, "surplus"}, []string{`what is "surplus"`}},
		{2, []string{"devices", "surplus"}, []string{`what is "surplus"`}},
		{2, []string{"plan", "-config", config, "-batch", "0"}, []string{"batch 0"}},
		{2, []string{"plan", "-config", config, "-precision", "bf16"}, []string{"-precision is for GPUs"}},
		{2, []string{"check", "-config", config, "-precision", "bf16"}, []string{"-precision is for GPUs"}},
		{2, []string{"pack", "folder", "-test-fraction", "0", onlyOne, "-out", "x"}, []string{"-test-fraction 0"}},
		{1, []string{"train", "-config", config, "-data", data, "-run", run + "x", "-set", "train.batch=1048576", "-set", "conv1.kernels=4096"}, []string{"memory for", "does not fit"}},
		{2, []string{"train", "-config", config, "-data", data, "-run", run + "x", "-devices", "cpu,cpu,cpu"}, []string{"3 devices", "2 columns"}},
		{2, []string{"plan", "-config", config, "-devices", "cpu,cpu+cpu"}, []string{"each side of a +"}},
		{1, []string{"train", "-resume", "-run", run, "-data", otherData}, []string{"another data set", "fingerprint"}},
		{1, []string{"train", "-resume", "-run", resumed, "-data", data}, []string{"newest.safetensors", "another network"}},
		{1, []string{"test", "-model", foreign, "-data", data}, []string{"foreign.safetensors"}},
		{1, []string{"test", "-model", filepath.Join(dir, "none"), "-data", data}, []string{"none"}},
		{1, []string{"pack", "folder", onlyOne, "-out", filepath.Join(dir, "new set")}, []string{"one class"}},
		{1, []string{"pack", "shapes", "-out", data}, []string{data}},
	} {
		_, errs := alexnet(t, c.status, c.args...)
		contains(t, errs, c.want...)
		if len(errs) > 8<<10 {
			t.Errorf("%v: %d bytes of errors", c.args, len(errs))
		}
	}
	for _, left := range []string{run + "x/checkpoints/newest.safetensors", filepath.Join(dir, "new set"), filepath.Join(dir, "x")} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s was left behind", left)
		}
	}
}

// TestDamagedShard flips a bit of a chunk: training names the shard and the chunk.
func TestDamagedShard(t *testing.T) {
	dir, config, data := files(t)
	shards, err := fs.Glob(os.DirFS(data), "train-*.rec")
	if err != nil || len(shards) == 0 {
		t.Fatalf("no shards: %v", err)
	}
	path := filepath.Join(data, shards[0])
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1 // far from the header and the index
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	_, errs := alexnet(t, 1, "train", "-config", config, "-data", data, "-run", filepath.Join(dir, "run"))
	contains(t, errs, shards[0], "chunk")
}

// TestOptionsChangeTheOutcome: what is asked for with a flag or in the file is
// what happens.
func TestOptionsChangeTheOutcome(t *testing.T) {
	dir, config, data := files(t)
	weights := func(name string, args ...string) []float32 {
		run := filepath.Join(dir, name)
		alexnet(t, 0, append([]string{"train", "-config", config, "-data", data, "-run", run, "-steps", "3"}, args...)...)
		ck, err := checkpoint.Read(filepath.Join(run, "checkpoints/newest.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for _, tensor := range ck.Tensors {
			if tensor.Name == "conv1.weight" {
				return tensor.Data
			}
		}
		t.Fatal("there is no conv1.weight")
		return nil
	}
	plain := weights("plain")
	if !slices.Equal(plain, weights("again")) {
		t.Error("the same run twice gives other weights")
	}
	for i, args := range [][]string{
		{"-set", "data.mirror=no"}, {"-set", "data.color=default"}, {"-set", "data.mean=channel"}, {"-seed", "5"},
		{"-set", "train.rate=0.002"}, {"-set", "conv1.decay=1000"}, {"-set", "train.batch=8"}, {"-set", "train.momentum=0"},
	} {
		if slices.Equal(plain, weights(fmt.Sprint(i), args...)) {
			t.Errorf("%v changes nothing", args)
		}
	}
}

// TestCheckpointsAreAveraged holds the mean of two runs' outputs against one made
// by hand.
func TestCheckpointsAreAveraged(t *testing.T) {
	dir, config, data := files(t)
	var paths []string
	for _, seed := range []string{"1", "2"} {
		run := filepath.Join(dir, seed)
		alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-seed", seed)
		paths = append(paths, filepath.Join(run, "checkpoints/newest.safetensors"))
	}
	set, err := loader.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	device, err := cpu.New("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	sums, labels := make([][10]float64, 50), make([]int32, 50)
	for _, path := range paths {
		m, err := train.OpenModel(t.Context(), path, plan.On(device), 7)
		if err != nil {
			t.Fatal(err)
		}
		err = m.Predict(t.Context(), set, 10, func(i int64, label int32, logits []float64) {
			labels[i] = label
			for c := range logits {
				sums[i][c] += train.Probability(logits, c) / 2
			}
		})
		if err := errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
	}
	want, wrong := 0.0, 0.0
	for i, p := range sums {
		want -= math.Log(p[labels[i]]) / 50
		if slices.Max(p[:]) > p[labels[i]] {
			wrong += 1.0 / 50
		}
	}
	out, _ := alexnet(t, 0, "test", "-model", strings.Join(paths, ","), "-data", data, "-views", "10", "-json")
	var got struct {
		Loss float64
		Top1 float64 `json:"top1_error"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Loss-want) > 1e-5 || math.Abs(got.Top1-wrong) > 1e-9 { // sums are kept in float32
		t.Errorf("loss %g and error %g, want %g and %g", got.Loss, got.Top1, want, wrong)
	}

	// Predictions that are kept stand in for the networks.
	kept := filepath.Join(dir, "kept.safetensors")
	text, _ := alexnet(t, 0, "test", "-model", strings.Join(paths, ","), "-data", data, "-views", "10", "-save", kept, "-by-class")
	contains(t, text, "50 images, 10 views", "top-5 error", "taken for", "grey vertical")
	again, _ := alexnet(t, 0, "test", "-model", kept, "-json", "-by-class")
	var table struct {
		Loss    float64
		Top1    float64 `json:"top1_error"`
		Classes []struct {
			Name   string
			Images int
			Top1   float64 `json:"top1_error"`
		}
		Confusions []struct {
			True, Given string
			Images      int
		}
	}
	if err := json.Unmarshal([]byte(again), &table); err != nil {
		t.Fatal(err)
	}
	images, errs := 0, 0.0
	for _, c := range table.Classes {
		images += c.Images
		errs += float64(c.Images) * c.Top1
	}
	if math.Abs(table.Loss-want) > 1e-5 || images != 50 || math.Abs(errs/50-wrong) > 1e-9 || len(table.Classes) != 10 || len(table.Confusions) == 0 {
		t.Errorf("from what was kept: %s", again)
	}
	alexnet(t, 2, "test", "-model", kept, "-data", data)
}

// TestOwnImages packs a folder of pictures as the README tells, and finds that a
// network for other classes is not tested on them.
func TestOwnImages(t *testing.T) {
	dir, config, data := files(t)
	source := filepath.Join(dir, "pets")
	for i := range 40 {
		class := filepath.Join(source, []string{"cat", "dog"}[i%2])
		if err := os.MkdirAll(class, 0o777); err != nil {
			t.Fatal(err)
		}
		picture := image.NewGray(image.Rect(0, 0, 40+i, 50))
		for j := range picture.Pix {
			picture.Pix[j] = byte(i*j + j/3)
		}
		f, err := os.Create(filepath.Join(class, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(f, picture), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	set := filepath.Join(dir, "pets.set")
	out, _ := alexnet(t, 0, "pack", "folder", source, "-size", "32", "-test-fraction", "0.5", "-out", set)
	contains(t, out, "20 test images", "20 train images", "2 classes, 32x32")

	run := filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "1")
	_, errs := alexnet(t, 1, "test", "-model", filepath.Join(run, "checkpoints/newest.safetensors"), "-data", set)
	contains(t, errs, "trained on other classes", `"cat"`)

	_, errs = alexnet(t, 0, "train", "-config", config, "-data", set, "-run", filepath.Join(dir, "pets run"), "-steps", "2",
		"-set", "fc3.outputs=2")
	contains(t, errs, "training tiny on the data set pets.set")
}

// TestResumeWithoutCheckpoint: a run that was stopped before its first checkpoint
// starts anew; one whose newest was lost says which others there are.
func TestResumeWithoutCheckpoint(t *testing.T) {
	dir, config, data := files(t)
	whole, early := filepath.Join(dir, "whole"), filepath.Join(dir, "early")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", whole)
	if err := os.Mkdir(early, 0o777); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(whole, "config.net"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(early, "config.net"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	alexnet(t, 0, "train", "-resume", "-run", early, "-data", data)
	sameFile(t, whole, early, "checkpoints/newest.safetensors")

	if err := os.Remove(filepath.Join(whole, "checkpoints/newest.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, errs := alexnet(t, 1, "train", "-resume", "-run", whole, "-data", data)
	contains(t, errs, "newest.safetensors: no such file", "alexnet train -resume -run "+whole+" -data "+data+" -from "+filepath.Join(whole, "checkpoints/previous.safetensors"))
}

// TestWithoutConvolution: there are no kernels to draw, and that is no failure.
func TestWithoutConvolution(t *testing.T) {
	dir, _, data := files(t)
	linear, run := filepath.Join(dir, "linear.net"), filepath.Join(dir, "run")
	if err := os.WriteFile(linear, []byte("net linear\ninput 3x32x32\nfc1 full 10\nsoftmax\ntrain {\nrate 1e-6\n}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	out, _ := alexnet(t, 0, "train", "-config", linear, "-data", data, "-run", run, "-steps", "2")
	contains(t, out, "curves.png")
	if strings.Contains(out, "filters") {
		t.Errorf("kernels of what has none: %s", out)
	}
}

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{"runs/a-1": "runs/a-1", "my run": "'my run'", "it's": `'it'\''s'`} {
		if got := quoted(in); got != want {
			t.Errorf("quoted(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestPlanOfThePaper(t *testing.T) {
	out, _ := alexnet(t, 0, "plan", "-config", "../../alexnet.net", "-json")
	var p struct {
		Parameters, Neurons int64
		Layers              []struct {
			Name  string
			Shape [3]int
		}
		Steps []json.RawMessage
	}
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	if p.Parameters != 60_965_224 || p.Neurons != 659_272 || len(p.Steps) == 0 {
		t.Errorf("%d parameters, %d neurons, %d steps", p.Parameters, p.Neurons, len(p.Steps))
	}
	want := map[string][3]int{
		"conv1": {96, 55, 55}, "pool1": {96, 27, 27}, "conv2": {256, 27, 27}, "pool2": {256, 13, 13}, "conv3": {384, 13, 13},
		"conv4": {384, 13, 13}, "conv5": {256, 13, 13}, "pool5": {256, 6, 6}, "fc6": {4096, 1, 1}, "fc7": {4096, 1, 1}, "fc8": {1000, 1, 1},
	}
	for _, l := range p.Layers {
		if shape, ok := want[l.Name]; ok && shape != l.Shape {
			t.Errorf("%s is %v, want %v", l.Name, l.Shape, shape)
		}
		delete(want, l.Name)
	}
	if len(want) > 0 {
		t.Errorf("layers missing: %v", want)
	}
	text, _ := alexnet(t, 0, "plan", "-config", "../../alexnet.net", "-devices", "cpu,cpu", "-batch", "2")
	contains(t, text, "PeerCopy to cpu:1", "60,965,224")
	dot, _ := alexnet(t, 0, "plan", "-config", "../../alexnet.net", "-dot", "-test")
	contains(t, dot, "digraph", "Download logits")
	half, _ := alexnet(t, 0, "plan", "-config", "../../alexnet.net", "-devices", "cuda:0", "-precision", "bf16")
	contains(t, half, "NormPoolForward", "pool5        forward   Convert")
	for precision, memory := range map[string]string{"tf32": "1.47 GiB", "bf16": "971.7 MiB"} {
		out, _ := alexnet(t, 0, "check", "-config", "../../alexnet.net", "-devices", "cuda:0", "-precision", precision)
		contains(t, out, "training at batch 128 takes "+memory+" on cuda:0")
	}
}

func TestSmallCommands(t *testing.T) {
	dir, config, data := files(t)
	out, _ := alexnet(t, 0, "check", "-config", config, "-data", data)
	contains(t, out, "tiny is sound", "10 classes", "training at batch 16 takes")
	out, _ = alexnet(t, 0, "check", "-config", config, "-devices", "cpu+cpu")
	contains(t, out, "training at batch 16, shared by 2 replicas takes", "on cpu:1")
	printed, _ := alexnet(t, 0, "fmt", "-print", "-config", config)
	if b, _ := os.ReadFile(config); string(b) != tiny {
		t.Error("fmt -print changed the file")
	}
	alexnet(t, 0, "fmt", "-config", config)
	if b, _ := os.ReadFile(config); string(b) != printed {
		t.Error("fmt wrote something else than fmt -print printed")
	}
	out, _ = alexnet(t, 0, "fmt", "-config", config)
	if out != "" {
		t.Errorf("fmt of a canonical file says %q", out)
	}
	out, _ = alexnet(t, 0, "devices")
	contains(t, out, "cpu", "matrix products: ")
	out, _ = alexnet(t, 0)
	contains(t, out, "dump-filters")
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("files left behind: %v %v", names, err)
	}
}

func TestCancelledPackLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "set")
	var b bytes.Buffer
	if code := run(ctx, []string{"alexnet", "pack", "shapes", "-out", out}, &b, &b); code != 1 {
		t.Errorf("exit status %d", code)
	}
	contains(t, b.String(), "stopped; nothing is left")
	if names, _ := os.ReadDir(filepath.Dir(out)); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
}
