package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSteps runs the benchmark with a stand-in for PyTorch: every case is measured
// on both sides, held against the other, and written down.
func TestSteps(t *testing.T) {
	python := fake(t, "python3", `
[ "$1" = -c ] && exit 0
case "$4$5$6" in *forward*) v=2000 ;; *) v=500 ;; esac
echo "{\"images_per_second\":$v,\"peak_rss_bytes\":3000000,\"torch\":\"2.9\",\"threads\":2}"`)
	out := t.TempDir()
	var errs bytes.Buffer
	code := run(t.Context(), []string{"bench", "-root", "../../..", "cifar", "-rounds", "2", "-steps", "1", "-batches", "4", "-python", python, "-out", out}, t.Output(), &errs)
	if code != 0 {
		t.Fatalf("status %d: %s", code, &errs)
	}
	files, err := filepath.Glob(filepath.Join(out, "cifar-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var r StepsResult
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cases) != 2 || r.Torch != "2.9" || r.BLAS == "" {
		t.Fatalf("%s", b)
	}
	for i, theirs := range []float64{500, 2000} {
		c := r.Cases[i]
		if c.Batch != 4 || c.Forward != (i == 1) || len(c.Ours.Rounds) != 2 || c.Theirs.Median != theirs || c.Ratio.Rounds[1] != c.Ours.Rounds[1]/theirs ||
			c.Memory < 1<<20 || c.TheirsPeak != 3000000 {
			t.Errorf("%+v", c)
		}
	}
	text, err := os.ReadFile(strings.TrimSuffix(files[0], "json") + "md")
	if err != nil || !bytes.Contains(text, []byte("| forward, batch 4 |")) || bytes.Contains(text, []byte("Published")) {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestStepsWithoutPyTorch: with nothing but Go it still runs ours.
func TestStepsWithoutPyTorch(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"bench", "-root", "../../..", "cifar", "-rounds", "1", "-steps", "1", "-batches", "2", "-python", "none", "-out", t.TempDir()}, &out, &errs)
	if code != 0 || !strings.Contains(out.String(), "PyTorch was left out") || !strings.Contains(out.String(), "| training step, batch 2 | ") {
		t.Errorf("status %d: %s%s", code, &out, &errs)
	}
}

// TestStepsMarkdown holds the text for people against what it was when somebody
// last looked at it.
func TestStepsMarkdown(t *testing.T) {
	theirs := series("theirs", []float64{10, 12, 11})
	r := &StepsResult{
		Result: Result{"alexnet", "2026-11-24", "abc", Machine{"A CPU", "AVX2", 2, 32 << 20, "linux/amd64", "go1.26"}},
		Title:  "AlexNet on the CPU", Config: "alexnet.net", BLAS: "openblas 1", Torch: "2.9", Rounds: 3,
		Cases: []StepCase{{Batch: 32, Ours: series("ours", []float64{20, 22, 33}), Theirs: &theirs, Memory: 1 << 30, TheirsPeak: 3 << 30}},
	}
	ratio := ratio("r", r.Cases[0].Ours, theirs)
	r.Cases[0].Ratio = &ratio
	want, err := os.ReadFile(filepath.Join("testdata", "alexnet.md"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.markdown(); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
