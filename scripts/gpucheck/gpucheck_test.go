package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/process"
	"alexnet/loader/pack"
	"alexnet/loader/record"
	"alexnet/scripts/gpucheck/result"
)

// outcome runs a check and returns what is in the files.
func outcome(ctx context.Context, t *testing.T, c *check) (r Result, markdown string, err error) {
	t.Helper()
	err = c.all(ctx)
	if left, globErr := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); globErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, globErr)
	}
	r, markdown = files(t, c.out)
	return r, markdown, err
}

// files reads the two files of a result, and checks that there are no others but
// pictures.
func files(t *testing.T, dir string) (r Result, markdown string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(e.Name()) {
		case ".json":
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
		case ".md":
			markdown = string(text)
		case ".png":
		default:
			t.Errorf("what is %s?", e.Name())
		}
	}
	if len(r.Parts) == 0 || markdown == "" {
		t.Fatalf("there is no result in %v", entries)
	}
	return r, markdown
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in:\n%s", part, text)
		}
	}
}

// rows returns a part's rows that have the given values.
func rows(p *Part, table string, want Row) (found []Row) {
	for _, t := range p.Tables {
		if t.Title != table {
			continue
		}
		for _, r := range t.Rows {
			match := true
			for k, v := range want {
				match = match && r[k] == v
			}
			if match {
				found = append(found, r)
			}
		}
	}
	return found
}

func TestAllPasses(t *testing.T) {
	c, log := newCheck(t, "")
	r, markdown, err := outcome(t.Context(), t, c)
	if err != nil {
		t.Error(err)
	}
	if len(r.Parts) != len(parts) {
		t.Errorf("%d parts, want %d", len(r.Parts), len(parts))
	}
	for _, p := range r.Parts {
		if p.Status != Passed || p.Why != "" {
			t.Errorf("%s: %s %s", p.Name, p.Status, p.Why)
		}
	}
	name := time.Now().Format("2006") + "-"
	if got := r.FileName(); !strings.HasPrefix(got, name) || !strings.HasSuffix(got, "-nvidia-h100-80gb-hbm3") {
		t.Errorf("the file's name is %s", got)
	}

	one := func(part, table string, want Row) Row {
		t.Helper()
		found := rows(r.Find(part), table, want)
		if len(found) != 1 {
			t.Fatalf("%s has %d rows with %v", part, len(found), want)
		}
		return found[0]
	}
	one("devices", "Libraries", Row{"name": "libcuda", "version": "for CUDA 13.0", "path": "/lib/libcuda.so.1"})
	one("tests", "Tests", Row{"passed": 2., "failed": 0., "skipped": 1.})
	one("tests", "Skipped", Row{"test": "TestPeers", "why": "conv_test.go:9: needs 2 GPUs: there are 1"})
	for want, k := range map[float64]Row{
		1e-6 / 6.0:               {"devices": "cuda:0", "precision": "fp32", "against": "cpu"},
		(1e-4 - 1e-6) / 6.000001: {"devices": "cuda:0", "precision": "tf32", "against": "cuda:0 fp32"},
		(1e-3 - 1e-6) / 6.000001: {"devices": "cuda:0", "precision": "bf16"},
	} {
		if d := one("losses", "Runs", k)["largest_difference"].(float64); math.Abs(d-want) > 1e-12 {
			t.Errorf("%v: a difference of %g, want %g", k, d, want)
		}
	}
	one("losses", "Losses", Row{"step": 9., "cpu": "6.000000", "cuda:0 fp32": "6.000001", "cuda:0,cuda:1 fp32": "6.000001"})
	one("sanitizer", "Runs", Row{"devices": "cuda:0,cuda:0", "errors": 0.})
	for _, batch := range []float64{128, 256, 1024} {
		one("speed", "Training step of alexnet.net", Row{"devices": "cuda:0", "precision": "tf32", "batch": batch, "autotune": false, "images_per_second": 1000.,
			"forward_ms": 3., "backward_ms": 7., "update_ms": 1.5, "memory_mib": 4096.})
	}
	one("speed", "Training step of alexnet.net", Row{"devices": "cuda:0,cuda:1", "precision": "bf16", "batch": 1024., "images_per_second": 2000., "slowest": 2000., "fastest": 2000.})
	one("ceilings", "Ceilings", Row{"precision": "bf16", "figure": 798., "unit": "TFLOP/s"})
	one("peer-eager", "alexnet and PyTorch eager", Row{"precision": "bf16", "ours": 2000., "theirs": 2000., "theirs_layout": "channels_last", "theirs_slowest": 1000., "theirs_fastest": 3000., "ours_to_theirs": 1., "theirs_memory_mib": 1., "error": ""})
	checkFloors(t, one)
	operations := rows(r.Find("operations"), "Operations", nil)
	if len(operations) != 2 || operations[0]["layer"] != "fc6" || operations[0]["share_of_sum"] != 0.75 || operations[0]["repeats"] != 7. || operations[1]["roofline"] != 0.4 {
		t.Errorf("operations: %v", operations)
	}
	if learned := rows(r.Find("learn"), "Passes", nil); len(learned) != 2 || learned[1]["test_error"] != 0.03 || learned[0]["training_loss"] != 6.1 {
		t.Errorf("learned: %v", learned)
	}
	if _, err := os.Stat(filepath.Join(c.out, r.FileName()+"-filters.png")); err != nil {
		t.Error(err)
	}
	one("cifar", "In all", Row{"test_error": 0.25, "images_per_second": 100.})
	contains(t, markdown, "# GPU check: NVIDIA H100 80GB HBM3", "| [speed](#speed) | passed |", "| cuda:0 | tf32 | 1024 | no | 1000 |", "| bf16 | 128 | 2000 | 2000 | 1 |", "PyTorch 2.11.0, CUDA 13.0")

	checkFigures(t, &r)

	turns := logged(t, log)
	turns = turns[slices.Index(turns, "theirs fp32")-1:][:54] // of three modes, after the benchmarks of the part speed
	for i := 0; i < len(turns); i += 2 {
		if precision := precisions[i/6%3]; turns[i] != "ours "+precision || turns[i+1] != "theirs "+precision {
			t.Fatalf("turn %d was %s and %s, want ours and theirs in %s", i/2, turns[i], turns[i+1], precision)
		}
	}
}

// checkFloors: a step of batch 128 in bf16 has 4.14 GFLOP an image, which take longer
// than its memory traffic at 798 TFLOP/s and 3,000 GB/s; at 2,000 images/s it takes 64 ms.
func checkFloors(t *testing.T, one func(part, table string, want Row) Row) {
	t.Helper()
	const products, took = 4.14e9 * 128 / 798e12 * 1e3, 128. / 2000 * 1e3
	near := func(v any, want float64) bool {
		f, ok := v.(float64)
		return ok && math.Abs(f-want) < 0.01*want
	}
	floor := one("ceilings", "Floor of a training step of alexnet.net", Row{"precision": "bf16", "batch": 128.})
	memory, _ := floor["memory_ms"].(float64)
	if !near(floor["products_ms"], products) || !near(floor["floor_ms"], products) || !near(memory, 0.638) || !near(floor["sum_ms"], products+memory) {
		t.Errorf("the floor is %v, want %g", floor, products)
	}
	ours := one("speed", "Training step of alexnet.net", Row{"devices": "cuda:0", "precision": "bf16", "batch": 128., "autotune": true})
	one("speed", "Training step of alexnet.net, without CUDA graphs", Row{"devices": "cuda:0", "precision": "bf16", "batch": 1024., "autotune": true})
	both := one("peer-compile", "alexnet and PyTorch compile", Row{"precision": "bf16"})
	for _, v := range []any{ours["share_of_floor"], both["share_of_floor"], both["theirs_share_of_floor"]} {
		if !near(v, products/took) {
			t.Errorf("a share of %v, want %g", v, products/took)
		}
	}
	if !near(ours["floor_ms"], products) || !near(both["floor_ms"], products) {
		t.Errorf("floors of %v and %v, want %g", ours["floor_ms"], both["floor_ms"], products)
	}
}

// checkFigures: what others read from the file is what was measured.
func checkFigures(t *testing.T, r *Result) {
	t.Helper()
	figures := r.Figures()
	i := slices.IndexFunc(figures, func(f result.Figures) bool { return f.Precision == "bf16" && f.Batch == 128 })
	if len(figures) != 9 || i < 0 {
		t.Fatalf("figures: %+v", figures)
	}
	f := &figures[i]
	if f.Ours != [4]float64{2000, 2000, 2000, 2000} || f.Theirs != [3]float64{2000, 2000, 2000} || f.Ratios != [3]float64{1, 1, 1} || math.Abs(f.Share-0.01037) > 1e-4 {
		t.Errorf("figures: %+v", f)
	}
}

// TestWithoutCeilings: speeds are told where there is no floor to hold them against.
func TestWithoutCeilings(t *testing.T) {
	c, _ := newCheck(t, "", "speed")
	r, _, err := outcome(t.Context(), t, c)
	found := rows(r.Find("speed"), "Training step of alexnet.net", Row{"images_per_second": 2000., "floor_ms": nil, "share_of_floor": nil})
	if err != nil || len(found) != 36 {
		t.Errorf("%v, %d rows", err, len(found))
	}

	// An earlier run of the same day may have measured them.
	for _, part := range []string{"ceilings", "speed"} {
		c.only = []string{part}
		if r, _, err = outcome(t.Context(), t, c); err != nil {
			t.Fatal(err)
		}
	}
	left := rows(r.Find("speed"), "Training step of alexnet.net", Row{"floor_ms": nil})
	for _, row := range left {
		if !strings.Contains(fmt.Sprint(row["devices"]), "cuda:1") { // the floor is of one GPU
			t.Errorf("%v has no floor", row)
		}
	}
	if len(left) != 18 { // 9 of columns, 9 of replicas
		t.Errorf("%d rows have no floor", len(left))
	}
}

// TestScript runs the script itself, on the CPU with a narrow network, where there is a
// PyTorch: each case says its layout, and cases that cannot be done say why.
func TestScript(t *testing.T) {
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import torch").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip("there is no python3 with torch")
	}
	out, err := process.Output(t.Context(), "", nil, python, filepath.Join("..", "bench", "pytorch_alexnet.py"),
		"--device=cpu", "--divide=16", "--batches=2", "--rounds=1", "--seconds=0.01", "--modes=eager")
	if err != nil {
		t.Fatal(err)
	}
	layouts := map[string]string{}
	done, err := each(bytes.NewReader(out), func(l line) {
		switch {
		case l.Kind == "step" && l.Speed > 0 && l.Batch == 2:
			layouts[l.Precision] = l.Layout
		case l.Kind != "torch" && (l.Kind != "skipped" || l.Precision != "tf32"):
			t.Errorf("%+v", l)
		}
	})
	if fp32 := layouts["fp32"]; err != nil || !done || len(layouts) != 2 || layouts["bf16"] != "channels_last" || fp32 != "channels_last" && fp32 != "contiguous" {
		t.Errorf("%v: layouts %v from\n%s", err, layouts, out)
	}
}

// TestTimes: what is said of the time that a check takes is what the limits add up to.
func TestTimes(t *testing.T) {
	text, err := os.ReadFile("../../bench/results/README.md")
	if err != nil {
		t.Fatal(err)
	}
	total, quick := limits()
	contains(t, string(text), fmt.Sprintf("at most %.0f minutes, with `-quick` %.0f", total.Minutes(), quick.Minutes()))
}

// TestEnvironment: variables that change libraries are unset for all that is measured.
func TestEnvironment(t *testing.T) {
	c, _ := newCheck(t, "", "devices")
	t.Setenv("OPENBLAS_CORETYPE", "Haswell")
	t.Setenv("NVIDIA_TF32_OVERRIDE", "1")
	_, markdown, err := outcome(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, markdown, "- taken out of the environment: ", "NVIDIA_TF32_OVERRIDE", "OPENBLAS_CORETYPE")
	if _, there := os.LookupEnv("OPENBLAS_CORETYPE"); there {
		t.Error("OPENBLAS_CORETYPE is still set")
	}
}

// TestFaults: what goes wrong in one part is recorded there and does not stop the
// parts after it.
func TestFaults(t *testing.T) {
	for _, k := range []struct {
		fault, part string
		status      Status
		want        []string // in the Markdown
	}{
		{"failing-tests", "tests", Failed, []string{"1 tests failed", "| TestConv/conv_gpu | conv_test.go:7: element 3 is 1, want \\| 2 |", "| 1 | 1 | 1 |"}},
		{"crashing-tests", "tests", Failed, []string{"exit status 2", "SIGSEGV"}},
		{"tests-elsewhere", "tests", Failed, []string{"none of 4 tests passed on the GPU"}},
		{"wrong-losses", "losses", Failed, []string{"cuda:0,cuda:1 fp32 against cpu: they differ by more than rounding", "| cuda:0 | tf32 | cuda:0 fp32 | 1.65e-05 | 0.0005 |"}},
		{"same-tf32", "losses", Failed, []string{"the precision has no effect"}},
		{"short-losses", "losses", Failed, []string{"9 losses instead of 10"}},
		{"no-bf16", "losses", Failed, []string{"exit status 1", "bf16 is too coarse", "| cuda:0,cuda:0 | fp32 | cpu |"}},
		{"invalid-read", "sanitizer", Failed, []string{"exit status 86", "Invalid __global__ read", "| cuda:0 | bf16 | 7 |"}},
		{"old-sanitizer", "sanitizer", Skipped, []string{"does not work with this GPU"}},
		{"slow-fp32", "speed", Failed, []string{"15 of 48 cases failed", "alexnet bench: exit status 1: it does not fit |", "| cuda:0 | bf16 | 128 | yes | 2000 |"}},
		{"mute-bench", "speed", Failed, []string{"48 of 48 cases failed, the first with: alexnet bench printed \"hello"}},
		{"dull-bench", "speed", Failed, []string{"48 of 48 cases failed, the first with: alexnet bench measured 0 images/s"}},
		{"no-operations", "operations", Failed, []string{"alexnet bench named no operations"}},
		{"weak-copy", "ceilings", Failed, []string{"out of memory", "| 798 | TFLOP/s |"}},
		{"no-torch", "peer-compile", Skipped, []string{"cannot import torch"}},
		{"no-tf32", "peer-eager", Passed, []string{"skipped: no tf32 here", "| bf16 | 128 | 2000 | 2000 | 1 |"}},
		{"no-compile", "peer-compile", Skipped, []string{"**skipped**: no tf32 here"}},
		{"torch-memory", "peer-eager", Failed, []string{"PyTorch, bf16, batch 128: CUDA out of memory", "| fp32 | 128 | 2000 | 2000 | 1 |"}},
		{"slow-fp32", "peer-eager", Failed, []string{"it does not fit", "| tf32 | 128 | 2000 | 2000 | 1 |"}},
		{"dying-python", "peer-max-autotune", Failed, []string{"exit status 5", "Bus error", "| fp32 | 128 | 2000 | 2000 | 1 |"}},
		{"garbled-python", "peer-eager", Failed, []string{"printed \"Traceback\""}},
		{"dull-learn", "learn", Failed, []string{"after step 200 the error on the training images is still not below 5%"}},
		{"crash-learn", "learn", Failed, []string{"exit status 3", "out of luck", "| 200 |"}},
		{"stray-tf32", "curves", Failed, []string{"at step 170 the smoothed loss of tf32 is 6.5, and of fp32 6: they differ by 0.5, and 0.2 is allowed", "| tf32 | 170 | 6.5 | 6 | 6.2 | 0.5 | 0.2 |", "| bf16 |"}},
		{"wrong-graphs", "curves", Failed, []string{"1 of 300 lines of metrics.jsonl differ, losses by up to 0.12 of them, at step 300"}},
		{"rare-lines", "curves", Failed, []string{"fp32: 299 losses instead of 300"}},
		{"no-bf16", "curves", Failed, []string{"bf16 is too coarse", "| 300 | 6.000000 | 6.200000 | 6.050000 |  |  |", "| tf32 | 20 |"}},
		{"gpu-leak", "endurance", Failed, []string{"memory of the GPU has grown from ", "| resident memory | MiB | ", "| yes |", "| no |"}},
		{"tired", "endurance", Failed, []string{"the speed has fallen from 2560 images/s in the second minute to 2450 in the last: to 0.957", "| speed | images/s | 2560 | 2450 | -110 | -76.8 | 1.5 | no |"}},
		{"broken-smi", "endurance", Passed, []string{"The GPU's memory was not looked at: nvidia-smi: exit status 9: Failed to initialize NVML"}},
		{"mute-smi", "endurance", Passed, []string{"The GPU's memory was not looked at: nvidia-smi printed \"[N/A]"}},
		{"crash-endurance", "endurance", Failed, []string{"exit status 3", "out of luck"}},
		{"short-endurance", "endurance", Failed, []string{"it ended before its time"}},
		{"broken-end", "endurance", Failed, []string{"it should have the exit status 1 and say that the run is saved", "exit status 2"}},
		{"kind", "endurance", Failed, []string{"it should have the exit status 1 and say that the run is saved", "exit status 0"}},
		{"rude", "endurance", Failed, []string{"it should have the exit status 1 and say that the run is saved", "exit status 1"}},
		{"early-feeding", "feeding", Failed, []string{"metrics.jsonl tells no speed after step 50", "| 16 | 50000 |"}},
		{"mute-bench", "feeding", Failed, []string{"alexnet bench printed \"hello"}},
		{"slow-loader", "feeding", Failed, []string{"no records here", "| 1024 | 1900 |"}},
		{"dull-loader", "feeding", Failed, []string{"alexnet bench loader measured 0 images/s"}},
		{"dull-cifar", "cifar", Failed, []string{"the test error is 90.00%"}},
	} {
		t.Run(k.fault+" "+k.part, func(t *testing.T) {
			c, _ := newCheck(t, k.fault, k.part, "devices", "sanitizer", "cifar")
			r, markdown, err := outcome(t.Context(), t, c)
			if (err != nil) != (k.status == Failed) {
				t.Errorf("the check says %v", err)
			}
			for _, p := range r.Parts {
				want := Passed
				if p.Name == k.part {
					want = k.status
				}
				if p.Status != want || (p.Why == "") != (want == Passed) {
					t.Errorf("%s: %s %s, want %s", p.Name, p.Status, p.Why, want)
				}
			}
			contains(t, markdown, k.want...)
		})
	}
}

// started makes the pipe that a fake which hangs opens, and waits until one does.
// rest returns when all processes that hold it open are gone.
func started(t *testing.T) (begun <-chan error, rest func() error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIPE", path)
	c := make(chan error, 1)
	var r *bufio.Reader
	go func() {
		f, err := os.Open(path) // waits for someone to write
		if err == nil {
			r = bufio.NewReader(f)
			_, err = r.ReadString('\n')
		}
		c <- err
	}()
	return c, func() error {
		_, err := io.Copy(io.Discard, r)
		return err
	}
}

// TestHangs: a part that hangs is ended at its limit, with what it has started,
// and the parts after it are run.
func TestHangs(t *testing.T) {
	for fault, part := range map[string]string{
		"hang-tests": "tests", "hang-train": "losses", "hang-sanitizer": "sanitizer", "hang-bench": "speed", "hang-operations": "operations", "hang-python": "peer-eager",
		"hang-curves": "curves", "hang-endurance": "endurance", "hang-feeding": "feeding",
	} {
		t.Run(part, func(t *testing.T) {
			begun, rest := started(t)
			c, _ := newCheck(t, fault, part, "cifar")
			limits := 0
			c.timeout = func(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				if limits++; limits == 3 { // after that of looking and of the part devices
					go func() {
						if err := <-begun; err != nil {
							t.Error(err)
						}
						// Should the check be killed here, this is what it leaves.
						if r, _ := files(t, c.out); r.Find(part).Status != Unfinished || r.Find("devices").Status != Passed {
							t.Errorf("while it runs, the part is %s, and devices %s", r.Find(part).Status, r.Find("devices").Status)
						}
						cancel(cause)
					}()
				}
				return ctx, func() { cancel(nil) }
			}
			r, markdown, err := outcome(t.Context(), t, c)
			if err == nil || r.Find(part).Status != Failed || r.Find("cifar").Status != Passed {
				t.Errorf("%v: %s, and cifar %s", err, r.Find(part).Status, r.Find("cifar").Status)
			}
			contains(t, markdown, "stopped at the limit of")
			if err := rest(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	begun, rest := started(t)
	c, _ := newCheck(t, "hang-train", "tests", "losses", "cifar")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	r, _, err := outcome(ctx, t, c)
	if err == nil {
		t.Error("an interrupted check passed")
	}
	for name, want := range map[string]Part{
		"tests": {Status: Passed}, "losses": {Status: Failed, Why: "interrupted"}, "cifar": {Status: Skipped, Why: "the check was interrupted before"},
	} {
		if p := r.Find(name); p.Status != want.Status || p.Why != want.Why {
			t.Errorf("%s: %s %s", name, p.Status, p.Why)
		}
	}
	if err := rest(); err != nil {
		t.Error(err)
	}
}

func TestNoGPU(t *testing.T) {
	for fault, want := range map[string][]string{
		"no-gpu":         {"no GPU can be used: no working libcuda, libcudnn", "To get it: buy a GPU", "nor cuDNN"},
		"broken-devices": {"exit status 2", "no such command"},
	} {
		c, _ := newCheck(t, fault)
		r, markdown, err := outcome(t.Context(), t, c)
		if err == nil {
			t.Errorf("%s: passed", fault)
		}
		for _, p := range r.Parts {
			if want := Skipped; p.Name != "devices" && p.Status != want || p.Name == "devices" && p.Status != Failed {
				t.Errorf("%s: %s: %s %s", fault, p.Name, p.Status, p.Why)
			}
		}
		contains(t, markdown, append(want, "# GPU check: no GPU")...)
		if !strings.HasSuffix(r.FileName(), "-no-gpu") {
			t.Error(r.FileName())
		}
	}
}

// TestGoesOn: a check of some parts leaves the others of the same file, unless
// that is of another machine.
func TestGoesOn(t *testing.T) {
	c, _ := newCheck(t, "failing-tests", "tests", "cifar")
	if _, _, err := outcome(t.Context(), t, c); err == nil {
		t.Error("failing tests passed")
	}
	c.only = []string{"ceilings", "cifar"}
	r, markdown, err := outcome(t.Context(), t, c)
	if err != nil {
		t.Errorf("what failed before counts again: %v", err)
	}
	var names []string
	for _, p := range r.Parts {
		names = append(names, p.Name)
	}
	if want := []string{"devices", "tests", "ceilings", "cifar"}; !reflect.DeepEqual(names, want) || r.Find("tests").Status != Failed {
		t.Errorf("%v, want %v; tests %s", names, want, r.Find("tests").Status)
	}
	contains(t, markdown, "element 3 is 1", "| 1 | 1 | 1 |", "798")

	t.Setenv("FAKE", "other-gpu") // whose name makes the same file
	if err := c.all(t.Context()); err == nil || !strings.Contains(err.Error(), "is of another machine") {
		t.Errorf("another GPU: %v", err)
	}
	if same, _ := files(t, c.out); !reflect.DeepEqual(same, r) {
		t.Error("the file has changed")
	}
}

// TestQuickAndLimit: -quick leaves out what takes long, and no part is begun when
// the time is over.
func TestQuickAndLimit(t *testing.T) {
	c, log := newCheck(t, "", "speed", "peer-max-autotune")
	c.quick = true
	r, _, err := outcome(t.Context(), t, c)
	if p := r.Find("peer-max-autotune"); err != nil || p.Status != Skipped || !strings.Contains(p.Why, "-quick") {
		t.Errorf("%v: %s %s", err, p.Status, p.Why)
	}
	if n := len(logged(t, log)); n != 16 { // devices, precisions and autotune, and one without graphs, once
		t.Errorf("%d benchmarks with -quick", n)
	}
	c, _ = newCheck(t, "", "cifar")
	c.limit = 1
	r, _, err = outcome(t.Context(), t, c)
	if p := r.Find("cifar"); err != nil || p.Status != Skipped || !strings.Contains(p.Why, "nothing was left of the 1ns") {
		t.Errorf("%v: %s %s", err, p.Status, p.Why)
	}
}

func TestFlags(t *testing.T) {
	for _, k := range []struct {
		args string
		code int
		want string
	}{
		{"-only speed,walk", 2, `there is no part "walk"; there are devices, tests`},
		{"-limit -3s", 2, "want more than 0"},
		{"-limit x", 2, "invalid"},
		{"speed", 2, `what is "speed"?`},
		{"-help", 0, "-quick"},
	} {
		var errs strings.Builder
		if code := run(t.Context(), strings.Fields(k.args), &errs); code != k.code {
			t.Errorf("%s: exit status %d, want %d", k.args, code, k.code)
		}
		contains(t, errs.String(), k.want)
	}
}

// TestRow: JSON has no numbers that are not finite.
func TestRow(t *testing.T) {
	text, err := json.Marshal(Row{"a": math.Inf(1), "b": 1.5})
	if err != nil || string(text) != `{"a":null,"b":1.5}` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestRepeated(t *testing.T) {
	data := filepath.Join(t.TempDir(), "records")
	if _, err := pack.Shapes(t.Context(), pack.Options{Out: data}, 1, 20, 5); err != nil {
		t.Fatal(err)
	}
	dir, images, err := repeated(data, filepath.Join(t.TempDir(), "repeated"), 107)
	if err != nil || images != 20 {
		t.Fatal(images, err)
	}
	set, err := record.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if train, test := set.Dataset.Splits["train"].Images, set.Dataset.Splits["test"].Images; train != 100 || test != 20 {
		t.Errorf("%d training and %d test images, want 100 and 20", train, test)
	}
	if err := set.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if _, _, err := repeated(t.TempDir(), filepath.Join(t.TempDir(), "x"), 1); err == nil {
		t.Error("an empty folder was repeated")
	}
}

// TestPortion: there are at least as many images as were asked for, less than a shard
// more, whether the data set has less or more, and none to test with.
func TestPortion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	o := pack.Options{Out: dir, ShardBytes: 8 * 32 * 32 * 3} // shards of 8 images, and one of 4
	if _, err := pack.Shapes(t.Context(), o, 1, 20, 5); err != nil {
		t.Fatal(err)
	}
	for images, want := range map[int]int{1: 8, 8: 8, 15: 16, 20: 20, 21: 28, 60: 60} {
		path, err := portion(dir, filepath.Join(t.TempDir(), "portion"), images)
		if err != nil {
			t.Fatal(err)
		}
		set, err := record.OpenFolder(path)
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		if s := set.Dataset.Splits; s["train"].Images != want || len(s) != 1 {
			t.Errorf("a portion of %d images has the splits %v, want %d images", images, s, want)
		}
		if err := set.Verify(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
}

func TestSpread(t *testing.T) {
	x := []float64{5, 1, 4, 2}
	if m, lo, hi := spread(x); m != 3. || lo != 1. || hi != 5. || !slices.Equal(x, []float64{5, 1, 4, 2}) {
		t.Error(m, lo, hi, x)
	}
	if m, _, _ := spread(nil); m != nil {
		t.Error(m)
	}
	if d := difference([]float64{1, 3}, []float64{1, 2}); d != 0.5 {
		t.Error(d)
	}
	if d := difference([]float64{1, math.NaN()}, []float64{1, 2}); !math.IsNaN(d) {
		t.Error(d)
	}
}
