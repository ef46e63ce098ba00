package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"alexnet/bench"
	"alexnet/dnn/cuda"
	"alexnet/dsl"
	"alexnet/internal/devices"
	"alexnet/plan"
)

// busyMachine allows other programs, which may well run beside tests.
var busyMachine = fmt.Sprint("-others=", runtime.NumCPU())

// lossesOf computes the losses that a peer of a suite must have, without a program in
// between.
func lossesOf(t *testing.T, s suite, batch int) []float64 {
	t.Helper()
	path := filepath.Join(root, s.config)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var set []dsl.Setting
	for _, text := range s.settings() {
		setting, err := dsl.ParseSetting(text)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, setting)
	}
	net, err := dsl.Parse(path, oddities.ReplaceAll(text, nil), set...)
	if err != nil {
		t.Fatal(err)
	}
	on, err := devices.Open("cpu", cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	step, err := bench.NewStep(t.Context(), net, on.Placement, plan.Options{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	losses, err := step.Losses(t.Context(), s.rate)
	if err != nil {
		t.Fatal(err)
	}
	return losses
}

// fakeTorch is a python3 that says what PyTorch would, with these losses, and keeps its
// variables in a file.
func fakeTorch(t *testing.T, losses ...float64) (python, variables string) {
	t.Helper()
	variables = filepath.Join(t.TempDir(), "variables")
	forward, both := fmt.Sprintf("[%.7f]", losses[0]), strings.ReplaceAll(fmt.Sprintf("%.7f", losses), " ", ", ")
	return fake(t, "python3", fmt.Sprintf(`
[ "$1" = -c ] && exit 0
env >%q
case "$*" in *--forward*) v=2000 l="%s" ;; *) v=500 l="%s" ;; esac
echo "{\"images_per_second\":$v,\"losses\":$l,\"peak_rss_bytes\":3000000,\"version\":\"2.9\",\"threads\":2,\"matrix_products\":\"OpenBLAS 1, kernels for Z80\"}"`,
		variables, forward, both)), variables
}

// readSteps reads the one result in a folder.
func readSteps(t *testing.T, dir string) (r StepsResult, markdown string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(strings.TrimSuffix(files[0], "json") + "md")
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

// TestSteps runs the benchmark with a stand-in for PyTorch: every case is measured
// on both sides, held against the other, and written down. What would change a library
// is taken out of the environment: with this ALEXNET_BLAS nothing of ours would run.
func TestSteps(t *testing.T) {
	set := map[string]string{"ALEXNET_BLAS": "/none", "OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
	python, variables := fakeTorch(t, lossesOf(t, suites[1], 4)...)
	for name, value := range set {
		t.Setenv(name, value)
	}
	out := t.TempDir()
	var errs bytes.Buffer
	code := run(t.Context(), []string{"bench", "-root", root, "cifar", "-rounds", "2", "-steps", "1", "-batches", "4", busyMachine, "-python", python, "-out", out}, t.Output(), &errs)
	if code != 0 {
		t.Fatalf("status %d: %s", code, &errs)
	}
	r, text := readSteps(t, out)
	if len(r.Cases) != 2 || r.BLAS == "" || len(r.Peers) != 1 || r.Peers[0].Version != "2.9" || r.Peers[0].BLAS != "OpenBLAS 1, kernels for Z80" || !slices.Equal(r.Peers[0].Variables, torchVariables) ||
		len(r.Losses[4]) != 2 {
		t.Fatalf("%+v", r)
	}
	for i, theirs := range []float64{500, 2000} {
		c := r.Cases[i]
		if c.Batch != 4 || c.Forward != (i == 1) || len(c.Ours.Rounds) != 2 || c.Memory < 1<<20 || len(c.Peers) != 1 {
			t.Fatalf("%+v", c)
		}
		if p := c.Peers[0]; p.Name != "PyTorch" || p.Theirs.Median != theirs || p.Ratio.Rounds[1] != c.Ours.Rounds[1]/theirs || p.Memory != 3000000 {
			t.Errorf("%+v", p)
		}
	}
	if !strings.Contains(text, "| forward, batch 4 |") || strings.Contains(text, "Published") {
		t.Error(text)
	}
	if runtime.GOOS == "linux" && (r.Load == nil || len(r.Load.Rounds) != 2) {
		t.Errorf("%+v", r.Load)
	}

	seen, err := os.ReadFile(variables)
	if err != nil {
		t.Fatal(err)
	}
	for name := range set {
		if strings.Contains(string(seen), name+"=") || !slices.Contains(r.Unset, name) {
			t.Errorf("%s is there for the peer, or the result does not say that it was unset: %v\n%s", name, r.Unset, seen)
		}
	}
	for _, variable := range torchVariables {
		if !strings.Contains(string(seen), variable+"\n") {
			t.Errorf("%s is not set for PyTorch:\n%s", variable, seen)
		}
	}
	if !strings.Contains(text, "OPENBLAS_CORETYPE") || !strings.Contains(text, torchVariables[0]) || !strings.Contains(text, "kernels for Z80") {
		t.Error(text)
	}
}

// TestWrongLoss: a peer that is fast and wrong is an error that names both losses, and
// no table is written.
func TestWrongLoss(t *testing.T) {
	right := lossesOf(t, suites[1], 4)
	for _, wrong := range [][]float64{
		{right[0] * 1.0001, right[1]}, {right[0], right[1] * 0.9999}, {right[0]},
	} {
		python, _ := fakeTorch(t, wrong...)
		out := t.TempDir()
		var errs bytes.Buffer
		code := run(t.Context(), []string{"bench", "-root", root, "cifar", "-rounds", "1", "-steps", "1", "-batches", "4", busyMachine, "-python", python, "-out", out}, t.Output(), &errs)
		said := errs.String()
		if code != 1 || !strings.Contains(said, "PyTorch, training step, batch 4") && !strings.Contains(said, "PyTorch printed 1 losses") {
			t.Errorf("%v: status %d: %s", wrong, code, said)
		}
		if files, err := os.ReadDir(out); err != nil || len(files) > 0 {
			t.Errorf("%v: %v, %v", wrong, files, err)
		}
	}
}

func TestCheck(t *testing.T) {
	s := &sameStart{losses: map[int][]float64{32: {6.9, 6.7}}}
	train, forward := &StepCase{Batch: 32}, &StepCase{Batch: 32, Forward: true}
	for _, k := range []struct {
		c      *StepCase
		losses []float64
		want   string // "": right
	}{
		{train, []float64{6.9, 6.7}, ""}, {train, []float64{6.9001, 6.6999}, ""}, {forward, []float64{6.9}, ""},
		{train, []float64{6.9002, 6.7}, "6.9002 with the same weights and images, and alexnet 6.9:"},
		{train, []float64{6.9, 6.6}, "6.6 after one step from the same weights and images, and alexnet 6.7:"},
		{forward, []float64{math.NaN()}, "a loss of NaN"}, {forward, []float64{math.Inf(1)}, "a loss of +Inf"},
		{train, []float64{6.9}, "1 losses, want 2"}, {forward, []float64{6.9, 6.7}, "2 losses, want 1"}, {train, nil, "0 losses"},
	} {
		err := s.check("A peer", k.c, k.losses)
		if k.want == "" && err != nil || k.want != "" && (err == nil || !strings.Contains(err.Error(), k.want)) {
			t.Errorf("%v: %v, want %q", k.losses, err, k.want)
		}
	}
}

// TestPeers: the peers that this machine has compute what alexnet computes.
func TestPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	for _, s := range suites {
		out := t.TempDir()
		var errs bytes.Buffer
		code := run(t.Context(), []string{"bench", "-root", root, s.name, "-rounds", "1", "-steps", "1", "-batches", "2", busyMachine, "-out", out}, t.Output(), &errs)
		if code != 0 {
			t.Fatalf("%s: status %d: %s", s.name, code, &errs)
		}
		r, _ := readSteps(t, out)
		for _, p := range r.Peers {
			if p.Version == "" || strings.HasPrefix(p.Name, "PyTorch") != (p.BLAS != "") {
				t.Errorf("%s: %+v", s.name, p)
			}
		}
		if said := errs.String(); len(r.Peers) == 0 && !strings.Contains(said, "PyTorch is left out: ") {
			t.Error(said)
		}
	}
}

// TestBuildOneDNN: without a compiler or the library it is left out; that a compiler
// which has both cannot build the program is an error.
func TestBuildOneDNN(t *testing.T) {
	defer func(old []string) { compilers = old }(compilers)
	bare := fake(t, "c++", "echo 'dnnl.hpp: No such file' >&2; exit 1")
	full := fake(t, "c++", `case "$*" in *probe.cpp*) exit 0 ;; esac; echo 'onednn_step.cpp: error' >&2; exit 1`)
	works := fake(t, "c++", `case "$*" in *-march=native*onednn_step.cpp*-ldnnl*) exit 0 ;; *probe.cpp*) exit 0 ;; esac; exit 1`)
	for _, k := range []struct {
		compilers []string
		want      string
		leftOut   bool
	}{
		{[]string{"/none/c++", bare}, "dnnl.hpp: No such file", true}, {[]string{bare, full}, "onednn_step.cpp: error", false}, {[]string{bare, works, full}, "", false},
	} {
		compilers = k.compilers
		program, err := buildOneDNN(t.Context(), root, t.TempDir())
		switch {
		case k.want == "":
			if err != nil || filepath.Base(program) != "onednn_step" {
				t.Error(program, err)
			}
		case err == nil || !strings.Contains(err.Error(), k.want) || errors.Is(err, errNoOneDNN) != k.leftOut || strings.Contains(err.Error(), "\n"):
			t.Errorf("%v: %v", k.compilers, err)
		}
	}
}

// TestStepsWithoutPeers: with nothing but Go it still runs ours, and says in a line
// what is left out.
func TestStepsWithoutPeers(t *testing.T) {
	defer func(old []string) { compilers = old }(compilers)
	compilers = []string{"/none/c++"}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"bench", "-root", root, "alexnet", "-rounds", "1", "-steps", "1", "-batches", "1", busyMachine, "-python", "none", "-out", t.TempDir()}, &out, &errs)
	if code != 0 || !strings.Contains(out.String(), "no peer was measured") || !strings.Contains(out.String(), "| training step, batch 1 | ") {
		t.Errorf("status %d: %s%s", code, &out, &errs)
	}
	if said := errs.String(); !strings.Contains(said, "PyTorch is left out: no PyTorch: -python none\n") || !strings.Contains(said, "oneDNN is left out: no oneDNN: ") {
		t.Error(said)
	}
}

// TestStepsMarkdown holds the text for people against what it was when somebody
// last looked at it.
func TestStepsMarkdown(t *testing.T) {
	r := &StepsResult{
		Result: Result{Benchmark: "alexnet", Date: "2026-11-24", Commit: "abc", Machine: Machine{"A CPU", "AVX2", 2, 32 << 20, "linux/amd64", "go1.26"},
			Unset: []string{"OPENBLAS_CORETYPE"}, Load: &Load{0.1, []float64{0.011, 0.054, 0}, 2}},
		Title: "AlexNet on the CPU", Config: "alexnet.net", BLAS: "openblas 1", Rounds: 3, Losses: map[int][]float64{32: {6.8973, 6.7334}},
		Peers: []Peer{{"PyTorch", "2.9", "OpenBLAS 1, kernels for Zen", torchVariables}, {"oneDNN", "2.6.3", "", nil}, {"oneDNN, direct", "2.6.3", "", nil}},
		Cases: []StepCase{{Batch: 32, Ours: series("ours", []float64{20, 22, 33}), Memory: 1 << 30, Peers: peerSpeeds([]float64{20, 22, 33})}},
	}
	want, err := os.ReadFile(filepath.Join("testdata", "alexnet.md"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.markdown(); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// peerSpeeds are three peers beside ours. The second is the fastest.
func peerSpeeds(ours []float64) (all []PeerSpeed) {
	for i, p := range []struct {
		name  string
		speed float64
	}{{"PyTorch", 11}, {"oneDNN", 44}, {"oneDNN, direct", 40}} {
		s := series(p.name, slices.Repeat([]float64{p.speed}, len(ours)))
		all = append(all, PeerSpeed{p.name, s, ratio("r", series("ours", ours), s), int64(i+1) << 30})
	}
	return all
}
