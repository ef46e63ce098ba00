package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn/cuda"
	"alexnet/internal/devices"
	"alexnet/internal/metrics"

	"github.com/urfave/cli/v2"
)

// TestWithoutCUDA: the error says what is missing, where it was looked for, and
// what else can be done.
func TestWithoutCUDA(t *testing.T) {
	if _, err := cuda.Open(); err == nil {
		t.Skip("this machine has NVIDIA's libraries")
	}
	_, config, data := files(t)
	_, errs := alexnet(t, 1, "train", "-config", config, "-data", data, "-devices", "cuda:0", "-run", filepath.Join(t.TempDir(), "run"))
	contains(t, errs, "NVIDIA GPUs cannot be used here", "-devices cpu")
	for _, lib := range []string{"libcudnn.so.9", "libcublasLt.so.12", "libnvrtc.so.12"} {
		if i := strings.Index(errs, lib); i >= 0 { // what is there is not in it
			contains(t, errs[i:], "pip install nvidia-", "ALEXNET_CUDA_PATH", "searched")
		}
	}
}

// TestSimulated: the program runs on simulated GPUs as on the CPU, and says what
// goes wrong on them.
func TestSimulated(t *testing.T) {
	dir, config, data := files(t)
	train := func(status int, run string, args ...string) ([]metrics.Metric, string) {
		t.Helper()
		run = filepath.Join(dir, run)
		_, errs := alexnet(t, status, append([]string{"train", "-config", config, "-data", data, "-run", run, "-steps", "14"}, args...)...)
		if status != 0 {
			return nil, errs
		}
		lines, err := metrics.Read(filepath.Join(run, "metrics.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		return lines, errs
	}
	want, _ := train(0, "cpu")
	t.Setenv(devices.Simulation, "seed=7")
	for i, args := range [][]string{
		{"-devices", "sim:0"}, {"-devices", "sim:1,sim:0", "-autotune", "-workspace", "1"}, {"-devices", "sim:0,sim:0"},
		{"-devices", "sim:0", "-precision", "tf32"}, {"-devices", "sim:0", "-precision", "bf16", "-workspace", "0"},
	} {
		got, _ := train(0, strings.Join(args, " "), args...)
		tolerance := 1e-5 // relative; sums in another order
		if slices.Contains(args, "-precision") {
			tolerance = 2e-2
		}
		for j, m := range got {
			if e := (m.Loss - want[j].Loss) / want[j].Loss; !(e <= tolerance && e >= -tolerance) || i > 2 && e == 0 {
				t.Errorf("%v: step %d: loss %g, on the CPU %g", args, m.Step, m.Loss, want[j].Loss)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%v: %d lines of metrics, want %d", args, len(got), len(want))
		}
	}
	newest := filepath.Join(dir, "-devices sim:0", "checkpoints/newest.safetensors")
	on, _ := alexnet(t, 0, "test", "-model", newest, "-data", data, "-devices", "sim:0,sim:1")
	off, _ := alexnet(t, 0, "test", "-model", newest, "-data", data)
	if on != off { // four digits are printed
		t.Errorf("a test on simulated GPUs says %son the CPU %s", on, off)
	}

	for _, c := range []struct {
		status     int
		sim        string
		args, want []string
	}{
		{1, "oom=3", nil, []string{"sim:0", "CUDA_ERROR_OUT_OF_MEMORY", "smaller batch"}},
		{1, "fail=40", nil, []string{"sim:0", "CUDA_ERROR_LAUNCH_FAILED"}},
		{1, "missing=libcudnn", nil, []string{"libcudnn"}},
		{1, "memory=64KiB", nil, []string{"do not fit"}},
		{2, "oops=1", nil, []string{devices.Simulation, "oops", "oom=N"}},
		{2, "", []string{"-precision", "fp8"}, []string{`precision "fp8"`, "fp32, tf32, bf16"}},
		{2, "", []string{"-workspace", "-1"}, []string{"-workspace -1"}},
		{2, "", []string{"-devices", "cpu", "-precision", "bf16"}, []string{"-precision is for GPUs"}},
		{2, "", []string{"-devices", "cpu", "-autotune"}, []string{"-autotune is for GPUs"}},
		{2, "", []string{"-devices", "cpu", "-no-graphs"}, []string{"-no-graphs is for GPUs"}},
	} {
		t.Setenv(devices.Simulation, c.sim)
		_, errs := train(c.status, "none", append([]string{"-devices", "sim:0"}, c.args...)...)
		contains(t, errs, c.want...)
	}
}

// TestNoGraphs: a training goes the same way, bit by bit, without CUDA graphs; and
// the flag comes through.
func TestNoGraphs(t *testing.T) {
	dir, config, data := files(t)
	var newest [2][]byte
	for i, args := range [][]string{nil, {"-no-graphs"}} {
		run := filepath.Join(dir, fmt.Sprint("run", i))
		alexnet(t, 0, append([]string{"train", "-config", config, "-data", data, "-run", run, "-steps", "5", "-devices", "sim:0,sim:1"}, args...)...)
		var err error
		if newest[i], err = os.ReadFile(filepath.Join(run, "checkpoints/newest.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(newest[0], newest[1]) {
		t.Error("with graphs and without, other weights come out")
	}
	var o cuda.Options
	command := cli.Command{Name: "x", Flags: runFlags(), Action: func(c *cli.Context) (err error) {
		o, err = gpuOptions(c)
		return err
	}}
	app := cli.App{Commands: []*cli.Command{&command}}
	if err := app.Run([]string{"alexnet", "x", "-devices", "sim:0", "-no-graphs"}); err != nil || !o.NoGraphs {
		t.Errorf("options %+v, error %v", o, err)
	}
}

func TestDevicesJSON(t *testing.T) {
	out, _ := alexnet(t, 0, "devices", "-json")
	var m machine
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range m.Libraries {
		names = append(names, l.Name)
		if (l.Path == "" || l.Version == "") != (l.Missing != "") {
			t.Errorf("%+v is neither there nor missing", l)
		}
	}
	if want := []string{"libcuda", "libcudnn", "libcublasLt", "libnvrtc"}; !slices.Equal(names, want) {
		t.Errorf("libraries %v, want %v", names, want)
	}
	if m.CPU.Cores < 1 || m.CPU.MatrixProducts == "" || m.GPUs == nil {
		t.Errorf("%+v", m)
	}
}
