package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gpu "alexnet/scripts/gpucheck/result"
)

// TestReadmeIsUpToDate: a table that is committed without README.md's figures
// fails here.
func TestReadmeIsUpToDate(t *testing.T) {
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"bench", "-root", "../../..", "readme", "-check"}, t.Output(), &errs); code != 0 {
		t.Errorf("status %d: %s", code, &errs)
	}
}

// source makes a folder with a README.md and these results, by their names, and
// returns it.
func source(t *testing.T, results map[string]any) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "bench", "results")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, r := range results {
		if _, err := write(dir, name, r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "README.md"), []byte("before\n"+measuredBegins+"old\n"+measuredEnds+"after\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return root
}

func readmeOf(t *testing.T, root string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// steps is a result of one case, at so many images a second.
func steps(benchmark, date, cpu string, ours float64) *StepsResult {
	return &StepsResult{
		Result: Result{Benchmark: benchmark, Date: date, Commit: "0123456789abcdef with changes", Machine: Machine{cpu, "AVX2", 2, 32 << 20, "linux/amd64", "go1.26"}},
		Config: benchmark + ".net", Cases: []StepCase{{Batch: 32, Ours: series("ours", []float64{ours})}},
	}
}

// TestReadme: the newest figures of each machine come between the lines, the rest
// stays, and -check tells without writing.
func TestReadme(t *testing.T) {
	newest := steps("alexnet", "2026-02-01", "A CPU", 1234.5)
	newest.Peers = []Peer{{"PyTorch", "2.9", "OpenBLAS 1, kernels for Zen", torchVariables}, {"oneDNN", "2.6.3", "", nil}, {"oneDNN, direct", "2.6.3", "", nil}}
	newest.Cases[0].Peers = peerSpeeds([]float64{1234.5})
	loader := &LoaderResult{Result: newest.Result, Cases: []Series{series(raw1, []float64{9321}), series(torch, []float64{584})},
		Packing: []Packing{{"Go's image/jpeg", 700, 6.5, 104.4, 1}}, PyTorch: &PyTorch{Torch: "2.9"}}
	root := source(t, map[string]any{
		"alexnet-2026-01-01-a-cpu": steps("alexnet", "2026-01-01", "A CPU", 77),
		"alexnet-2026-02-01-a-cpu": newest,
		"alexnet-2026-01-01-b-cpu": steps("alexnet", "2026-01-01", "B CPU", 12.34),
		"cifar-2026-01-01-a-cpu":   steps("cifar", "2026-01-01", "A CPU", 88),
		"loader-2026-02-01-a-cpu":  loader,
		"scaling-2026-02-01-a-cpu": &ScalingResult{Result: newest.Result},
		"other-2026-03-01-a-cpu":   "of no kind that is known",
	})
	check := func() (int, string) {
		var errs bytes.Buffer
		code := run(t.Context(), []string{"bench", "-root", root, "readme", "-check"}, t.Output(), &errs)
		return code, errs.String()
	}
	old := readmeOf(t, root)
	if code, said := check(); code != 1 || !strings.Contains(said, "run scripts/bench/readme") || readmeOf(t, root) != old {
		t.Errorf("a check of old figures has status %d and says %q", code, said)
	}
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"bench", "-root", root, "readme"}, t.Output(), &errs); code != 0 {
		t.Fatalf("status %d: %s", code, &errs)
	}
	text := readmeOf(t, root)
	if !strings.HasPrefix(text, "before\n"+measuredBegins) || !strings.HasSuffix(text, measuredEnds+"after\n") {
		t.Errorf("what is around the figures has changed:\n%s", text)
	}
	for _, part := range []string{
		"| images/s | alexnet | PyTorch | oneDNN | oneDNN, direct | ratio |", "| `alexnet.net`, training step, batch 32 | 1,235 | 11 | 44 | 40 | 28.06 to oneDNN |",
		"PyTorch 2.9, matrix products: OpenBLAS 1, kernels for Zen, with MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_MMAP_THRESHOLD_=4294967296; oneDNN 2.6.3: it chooses", "A CPU (AVX2), 2 cores, 32 MiB of last-level cache (",
		"[table of `alexnet.net`](bench/results/alexnet-2026-02-01-a-cpu.md) of 2026-02-01 at 0123456 with changes",
		"| `cifar.net`, training step, batch 32 | 88 |  |  |  |  |", "B CPU (AVX2), 2 cores", "| 12.3 |  |\n",
		"| alexnet, raw, 1 core | 9,321 |", "| PyTorch 2.9's `DataLoader`", "1 core, Go's image/jpeg | 104 |",
		"[table](bench/results/scaling-2026-02-01-a-cpu.md)", "GPUs: none has been measured yet.",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in\n%s", part, text)
		}
	}
	if strings.Contains(text, "| 77 |") || strings.Contains(text, "old\n") {
		t.Errorf("old figures are left in\n%s", text)
	}
	if code, said := check(); code != 0 {
		t.Errorf("after it was written, a check has status %d and says %s", code, said)
	}
}

// TestReadmeFaults: a README.md without the lines, and a result that is broken, are
// told, and nothing is written.
func TestReadmeFaults(t *testing.T) {
	root := source(t, nil)
	broken := filepath.Join(root, "bench", "results", "cifar-2026-01-01-a-cpu.json")
	if err := os.WriteFile(broken, []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readme(root, false); err == nil || !strings.Contains(err.Error(), filepath.Base(broken)) {
		t.Error(err)
	}
	for _, text := range []string{"", measuredBegins, measuredEnds + measuredBegins, measuredBegins + measuredBegins + measuredEnds} {
		if got, err := between([]byte(text), []byte("x")); err == nil {
			t.Errorf("%q gives %q", text, got)
		}
	}
}

// gpuResult is what the GPU check writes, of one precision and batch.
func gpuResult() *gpu.Result {
	r := &gpu.Result{Date: "2026-03-01"}
	r.Machine.Devices.GPUs = []gpu.GPU{{Name: "cuda:0", Model: "NVIDIA H100 80GB HBM3"}}
	order := []string{"losses", "speed", "peer-eager", "peer-compile", "peer-max-autotune", "feeding", "endurance"}
	speed := r.Part("speed", order)
	t := speed.NewTable(gpu.StepTitle, "devices", "precision", "batch", "autotune", "images_per_second", "share_of_floor")
	t.Add("cuda:0", "bf16", 128, false, 30000., 0.4)
	for i, placement := range gpu.Placements {
		t.Add(placement, "bf16", 128, true, 40000.+1000*float64(i), 0.5+0.1*float64(i))
	}
	for i, mode := range gpu.Modes {
		p := r.Part("peer-"+mode, order)
		p.Note("PyTorch 2.11.0, CUDA 13.0")
		p.NewTable(gpu.PeerTitle+mode, "precision", "batch", "theirs", "ours_to_theirs").Add("bf16", 128, 20000.+1000*float64(i%2), 2-0.1*float64(i))
	}
	fed := r.Part("feeding", order).NewTable(gpu.FeedingTitle, "batch", "training", "ratio")
	fed.Add(128, 39000., 0.956)
	fed.Add(1024, 40000., 0.974)
	endured(r, true)
	r.Part("losses", order).Status = gpu.Failed
	return r
}

// endured gives a result the part endurance, in which memory stayed as it was or did not.
func endured(r *gpu.Result, stayed bool) {
	p := r.Part("endurance", []string{"speed", "endurance"})
	p.Tables = nil
	t := p.NewTable(gpu.EnduranceTitle, "what", "unit", "first", "last", "change", "allowed", "seconds", "as_wanted")
	t.Add(gpu.HostMemory, "MiB", 2000., 2500., 500., 36., 300., stayed)
	t.Add(gpu.GPUMemory, "MiB", 4000., 4000., 0., 56., 300., true)
}

// TestReadmeGPU: with a result of the GPU check there is a table of it.
func TestReadmeGPU(t *testing.T) {
	root := source(t, nil)
	dir := filepath.Join(root, "bench", "results")
	if err := gpuResult().Write(dir); err != nil {
		t.Fatal(err)
	}
	none := &gpu.Result{Date: "2026-04-01"} // of a machine that turned out to have no GPU
	if err := none.Write(dir); err != nil {
		t.Fatal(err)
	}
	if changed, err := readme(root, false); err != nil || !changed {
		t.Fatal(changed, err)
	}
	text := readmeOf(t, root)
	for _, part := range []string{
		"on NVIDIA H100 80GB HBM3, [table](bench/results/2026-03-01-nvidia-h100-80gb-hbm3.md) of 2026-03-01, beside PyTorch 2.11.0, CUDA 13.0.",
		"**Not everything passed there**: losses.",
		"| bf16 | 128 | 40,000 | 41,000 | 42,000 | 43,000 | 20,000 | 21,000 | 20,000 | 1.90 | 50% | 41.9 minutes |",
		"five to six days",
		"A whole training in bf16, from records to weights: 39,000 images/s at batch 128, 0.96 of the bare step's, and 40,000 images/s at batch 1,024, 0.97 of the bare step's; 90 passes take 45.0 minutes.",
		"5.0 minutes of training: no growth and no loss: resident memory, memory of the GPU stayed as they were after the first minute.",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in\n%s", part, text)
		}
	}
	if !strings.Contains(text, "CPUs: no steps have been measured yet") || strings.Contains(text, "none has been measured") {
		t.Error(text)
	}

	// What grew is named.
	grown := gpuResult()
	endured(grown, false)
	if err := grown.Write(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := readme(root, false); err != nil || !strings.Contains(readmeOf(t, root), "5.0 minutes of training: **resident memory went from 2,000 to 2,500 MiB**.") {
		t.Errorf("%v\n%s", err, readmeOf(t, root))
	}

	// A check without the speeds has none to show, nor what parts say that were not run.
	b, err := json.Marshal(gpuResult())
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ReplaceAll(b, []byte(gpu.StepTitle), []byte("x"))
	for _, title := range []string{gpu.PeerTitle, gpu.FeedingTitle, gpu.EnduranceTitle} {
		b = bytes.ReplaceAll(b, []byte(title), []byte("y"))
	}
	if err := os.WriteFile(filepath.Join(dir, "2026-03-01-nvidia-h100-80gb-hbm3.json"), b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readme(root, false); err != nil || !strings.Contains(readmeOf(t, root), "No speed was measured there.") || strings.Contains(readmeOf(t, root), "of training:") || strings.Contains(readmeOf(t, root), "whole training") {
		t.Errorf("%v\n%s", err, readmeOf(t, root))
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "", 9.876: "9.88", 99.94: "99.9", 100.6: "101", 1234567.4: "1,234,567"} {
		if got := figure(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
	for speed, want := range map[float64]string{0: "", 230: "5.4 days", 10000: "3.0 hours"} {
		if got := training(speed); got != want {
			t.Errorf("at %g images/s the training takes %q, want %q", speed, got, want)
		}
	}
}
