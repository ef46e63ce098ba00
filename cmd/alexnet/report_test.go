package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReport(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	alexnet(t, 2, "report")
	_, errs := alexnet(t, 1, "report", "-run", run)
	contains(t, errs, run+" holds no run")

	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run)
	alexnet(t, 0, "dump-filters", "-model", filepath.Join(run, "checkpoints/best.safetensors"), "-out", filepath.Join(run, "kernels-large.png"))
	out, _ := alexnet(t, 0, "report", "-run", run)
	path := filepath.Join(run, "report.html")
	if out != path+"\n" {
		t.Errorf("it prints %q, want %s", out, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(b), "best.safetensors, after step", "38 steps", "net tiny", "<h2>First layer</h2>", "<h2>kernels-large</h2>", "<h2>Tests</h2>")

	// With the data set, examples are drawn into the folder, and the page has them.
	alexnet(t, 2, "report", "-run", run, "-devices", "cpu")
	if out, _ := alexnet(t, 0, "report", "-run", run, "-data", data); out != path+"\n" {
		t.Errorf("it prints %q", out)
	}
	if b, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	contains(t, string(b), "<h2>predictions</h2>", "<h2>neighbors</h2>", "data:image/svg&#43;xml;base64,")
	_, errs = alexnet(t, 1, "report", "-run", run, "-data", dir)
	contains(t, errs, "dataset.json")

	other := filepath.Join(dir, "other.html")
	alexnet(t, 0, "report", "-run", run, "-out", other)
	if again, err := os.ReadFile(other); err != nil || string(again) != string(b) {
		t.Errorf("-out writes another page, error %v", err)
	}
	if err := os.WriteFile(filepath.Join(run, "broken.png"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, errs = alexnet(t, 1, "report", "-run", run)
	contains(t, errs, "broken.png is no picture")
}
