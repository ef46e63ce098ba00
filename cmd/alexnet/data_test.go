package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"alexnet/loader"
	"alexnet/loader/record"
)

// photo returns a PNG of one colour, of a size that depends on n.
func photo(t *testing.T, n int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 40+n%9, 33+n%7))
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			m.SetRGBA(x, y, color.RGBA{byte(40 * n), byte(x), byte(y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// writeTar writes a tar of files.
func writeTar(t *testing.T, path string, files map[string][]byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for name, b := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o666}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// ImageNet in one command: packed, described, verified, and trained on.
func TestImageNetInOneCommand(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "imagenet")
	if err := os.Mkdir(source, 0o777); err != nil {
		t.Fatal(err)
	}
	classes := make(map[string][]byte)
	var truth strings.Builder
	val := make(map[string][]byte)
	for label, class := range []string{"n01440764", "n02119789"} {
		images := map[string][]byte{class + "_0.JPEG": []byte("broken")}
		for n := 1; n <= 8; n++ {
			images[fmt.Sprintf("%s_%d.JPEG", class, n)] = photo(t, n+label)
			name := fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", 2*n-1+label)
			val[name] = photo(t, n)
			fmt.Fprintf(&truth, "%s %d\n", name, label)
		}
		path := filepath.Join(dir, class)
		writeTar(t, path, images)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		classes[class+".tar"] = b
	}
	writeTar(t, filepath.Join(source, "ILSVRC2012_img_train.tar"), classes)
	writeTar(t, filepath.Join(source, "ILSVRC2012_img_val.tar"), val)
	for name, text := range map[string]string{"val.txt": truth.String(), "synset_words.txt": "n01440764 tench, Tinca tinca\nn02119789 kit fox\n"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	set := filepath.Join(dir, "set")
	out, errs := alexnet(t, 0, "pack", "ilsvrc", source, "-out", set, "-size", "32", "-codec", "delta", "-filter", "lanczos", "-workers", "3")
	contains(t, out, "16 test images, 16 train images of 2 classes, 32x32")
	contains(t, errs, "val.txt", "2 files could not be read as images", "rejected.tsv")
	out, _ = alexnet(t, 0, "pack", "verify", set)
	contains(t, out, "16 train images", "as they were packed")
	out, _ = alexnet(t, 0, "pack", "info", "-classes", set)
	contains(t, out, "kit fox", "n02119789", "delta", "lanczos", "val.txt", "2 files", "16 images in 1 shards")
	out, _ = alexnet(t, 0, "pack", "info", "-json", set)
	var d record.Dataset
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.Codec != record.Delta || d.Rejected != 2 || len(d.Fingerprint) != 64 {
		t.Errorf("%+v, error %v", d, err)
	}
	config := filepath.Join(dir, "tiny.net")
	if err := os.WriteFile(config, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(dir, "full")
	alexnet(t, 0, "pack", "ilsvrc", source, "-out", full, "-size", "32", "-full", "-exif")
	out, _ = alexnet(t, 0, "pack", "info", full)
	contains(t, out, "32 to 64 by 32", "whole images", "EXIF", "an image)")
	for _, data := range []string{set, full} {
		alexnet(t, 0, "train", "-config", config, "-data", data, "-run", data+".run", "-steps", "4")
	}
	_, errs = alexnet(t, 1, "pack", "ilsvrc", source, "-out", filepath.Join(dir, "strict"), "-size", "32", "-strict")
	contains(t, errs, "_0.JPEG", "mend or remove")
	if _, err := os.Stat(filepath.Join(dir, "strict")); err == nil {
		t.Error("a strict packing left a data set")
	}
}

func TestWrongBoundOfUnpacking(t *testing.T) {
	for _, what := range []string{"folder", "ilsvrc", "cifar10", "cifar100"} {
		for _, n := range []string{"0", "-1", "1048577"} {
			_, errs := alexnet(t, 2, "pack", what, "-unpacked", n, "-out", filepath.Join(t.TempDir(), "set"), "a.tar.gz")
			contains(t, errs, "-unpacked "+n+": want from 1 to 1048576 GiB")
		}
	}
}

func TestWrongUseOfData(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	for _, c := range []struct {
		status int
		args   []string
		want   string
	}{
		{2, []string{"pack", "folder", dir, "-out", out, "-codec", "zip"}, "want raw (fast) or delta (small)"},
		{2, []string{"pack", "folder", dir, "-out", out, "-filter", "cubic"}, "cubic"},
		{2, []string{"pack", "folder", dir, "-out", out, "-full"}, "-size"},
		{2, []string{"pack", "folder", dir, "-out", out, "-size", "0"}, "-size 0"},
		{2, []string{"pack", "folder", dir, "-out", out, "-shard", "0"}, "-shard 0"},
		{2, []string{"pack", "folder", dir, "-out", out, "-workers", "-1"}, "-workers -1"},
		{2, []string{"pack", "cifar100", dir, "-out", out, "-size", "32"}, "-size"},
		{1, []string{"pack", "ilsvrc", dir, "-out", out}, dir},
		{1, []string{"pack", "cifar100", dir, "-out", out}, dir},
		{2, []string{"pack", "verify"}, "which data set"},
		{2, []string{"pack", "info"}, "which data set"},
		{1, []string{"pack", "verify", dir}, "dataset.json"},
		{1, []string{"pack", "info", dir}, "dataset.json"},
		{2, []string{"bench"}, "Give -config FILE"},
		{2, []string{"bench", "loader", "-cores", "0"}, "-cores 0"},
		{2, []string{"bench", "loader", "-cores", "100000"}, "-cores 100000"},
		{2, []string{"bench", "loader", "-seconds", "0"}, "-seconds 0"},
		{2, []string{"bench", "loader", "-batch", "0"}, "-batch 0"},
		{2, []string{"bench", "loader", "-batch", "2000000"}, "-batch 2000000"},
		{2, []string{"bench", "loader", "-crop", "-3"}, "-crop -3"},
		{2, []string{"bench", "loader", "-crop", "33"}, "at most 32"},
		{1, []string{"bench", "loader", "-data", dir}, "dataset.json"},
	} {
		_, errs := alexnet(t, c.status, c.args...)
		contains(t, errs, c.want)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a data set is left")
	}
}

func TestBenchLoader(t *testing.T) {
	_, _, data := files(t)
	cores := runtime.GOMAXPROCS(0)
	out, _ := alexnet(t, 0, "bench", "loader", "-data", data, "-seconds", "0.2", "-batch", "16", "-crop", "24", "-cores", "1", "-json")
	var m loader.Benchmark
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatal(err)
	}
	if m.Batch != 16 || m.Crop != [2]int{24, 24} || m.Cores != 1 || m.Images < 16 || m.Images%16 != 0 || !(m.ImagesPerSecond > 0) || m.PerCore != m.ImagesPerSecond {
		t.Errorf("%+v", m)
	}
	share := 0.0
	for _, s := range m.Stages {
		share += s.Share
	}
	if len(m.Stages) != 5 || share < 0.999 || share > 1.001 {
		t.Errorf("stages %+v", m.Stages)
	}
	if runtime.GOMAXPROCS(0) != cores {
		t.Error("-cores outlives the command")
	}
	out, _ = alexnet(t, 0, "bench", "loader", "-data", data, "-seconds", "0.2")
	contains(t, out, "images/s", "batches of 128 crops of 28x28", "decompress", "crop")
}

// With -skip-corrupt damage is told of, counted and passed over; without, it is
// the end.
func TestSkipCorrupt(t *testing.T) {
	_, config, data := files(t)
	run := filepath.Join(t.TempDir(), "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "2")
	model := filepath.Join(run, "checkpoints/newest.safetensors")
	small := filepath.Join(t.TempDir(), "small shards") // of 32 images
	alexnet(t, 0, "pack", "shapes", "-train", "2000", "-test", "1000", "-shard", "1", "-out", small)
	for _, name := range []string{"train-00003.rec", "test-00001.rec"} {
		f, err := os.OpenFile(filepath.Join(small, name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 5000); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{
		"train": {"train", "-config", config, "-data", small, "-run", run + "2", "-steps", "20"},
		"test":  {"test", "-model", model, "-data", small, "-views", "10"},
		"bench": {"bench", "loader", "-data", small, "-seconds", "0.2"},
	} {
		_, errs := alexnet(t, 1, args...)
		contains(t, errs, ".rec: chunk 0 (images 0 to 340)", "damaged")
		if name == "train" {
			if err := os.RemoveAll(run + "2"); err != nil {
				t.Fatal(err)
			}
		}
		out, errs := alexnet(t, 0, append(args, "-skip-corrupt")...)
		contains(t, errs, "skipping: ", ".rec: chunk 0 (images 0 to 340)", "images were skipped")
		if strings.Count(errs, "skipping") > 1 {
			t.Errorf("%s tells more than once of one chunk:\n%s", name, errs)
		}
		if name == "test" {
			contains(t, out, "659 images, 10 views")
		}
	}
	out, errs := alexnet(t, 1, "pack", "verify", small)
	contains(t, out+errs, "train-00003.rec: chunk 0", "test-00001.rec: chunk 0")
}

func TestBench(t *testing.T) {
	dir, config, _ := files(t)
	alexnet(t, 2, "bench")
	alexnet(t, 2, "bench", "lodaer")
	alexnet(t, 2, "bench", "-config", config, "-batch", "0")
	alexnet(t, 2, "bench", "-config", config, "-compare", filepath.Join(dir, "absent"))
	alexnet(t, 2, "bench", "-config", config, "-compare", config)
	// -whole leaves the ceilings out, which take long under the race detector; package
	// bench tests them.
	out, _ := alexnet(t, 0, "bench", "-config", config, "-batch", "8", "-rounds", "2", "-whole", "-json")
	var r map[string]any
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"device", "batch", "precision", "forward_ms", "backward_ms", "update_ms", "images_per_second"} {
		if v, ok := r[key]; !ok || v == 0.0 || v == "" {
			t.Errorf("%s is %v", key, v)
		}
	}
	// As the GPU check asks.
	gpu, _ := alexnet(t, 0, "bench", "-config", config, "-json", "-devices", "sim:0", "-precision", "bf16", "-batch", "8", "-autotune=false", "-whole", "-rounds", "1")
	contains(t, gpu, `"device": "sim:0"`, `"precision": "bf16"`, `"repeats": `, `"in_use_bytes": `)
	old := filepath.Join(dir, "old.json")
	if err := os.WriteFile(old, []byte(out), 0o666); err != nil {
		t.Fatal(err)
	}
	out, _ = alexnet(t, 0, "bench", "-config", config, "-batch", "8", "-rounds", "2", "-whole")
	contains(t, out, "images/s", "backward", "update")
	if strings.Contains(out, "conv1") || strings.Contains(out, "ceilings") {
		t.Errorf("the whole alone was asked for:\n%s", out)
	}
	out, _ = alexnet(t, 0, "bench", "-config", config, "-batch", "8", "-rounds", "2", "-whole", "-compare", old)
	contains(t, out, "ms then", "ms now", "step", "backward")
	// What cannot be compared is found before anything is measured.
	_, errs := alexnet(t, 2, "bench", "-config", config, "-batch", "4", "-compare", old)
	contains(t, errs, "batch 8", "batch 4")
	if strings.Contains(errs, "measuring") {
		t.Errorf("it was measured first:\n%s", errs)
	}
	_, errs = alexnet(t, 2, "bench", "-config", config, "-batch", "8", "-compare", old, "-json")
	contains(t, errs, "leave one out")
}

func TestEstimate(t *testing.T) {
	dir, config, data := files(t)
	t.Chdir(dir)
	alexnet(t, 2, "plan", "-config", config, "-images", "5")
	alexnet(t, 2, "plan", "-config", config, "-estimate", "-dot")
	alexnet(t, 2, "plan", "-config", config, "-estimate", "-data", data, "-images", "5")
	alexnet(t, 2, "plan", "-config", config, "-estimate", "-images", "0")
	out, _ := alexnet(t, 0, "plan", "-config", config, "-estimate", "-batch", "4")
	contains(t, out, "3 passes over 1,281,167 images", "50,000 images after each pass", "without loading images", "in all")
	out, _ = alexnet(t, 0, "plan", "-config", config, "-estimate", "-data", data)
	contains(t, out, "3 passes over 200 images", "to load an image")
	if left, err := filepath.Glob(filepath.Join(dir, ".estimate*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
