package devices

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn/cuda"
)

func TestNames(t *testing.T) {
	for list, want := range map[string]string{
		"cpu":                     "cpu",
		"cpu,cpu":                 "cpu:0 cpu:1",
		"cuda:0":                  "cuda:0",
		"cuda:1,cuda:0":           "cuda:1 cuda:0",
		"cuda:0,cuda:0":           "cuda:0/1 cuda:0/2",
		"sim:0,sim:2,sim:0":       "sim:0/1 sim:2 sim:0/2",
		"":                        `error no device ""`,
		"cpu,":                    `error no device ""`,
		"tpu":                     `error no device "tpu"`,
		"cuda":                    `error which GPU is "cuda"`,
		"cuda:":                   `error which GPU`,
		"cuda:-1":                 `error which GPU`,
		"cuda:99999999999":        `error which GPU`,
		"cpu:0":                   "error there is but one CPU",
		"cpu,cuda:0":              "error different kinds",
		"cuda:0,sim:0":            "error different kinds",
		"cuda:0 , cuda:1":         "error which GPU",
		"cuda:0,cuda:0,cuda:x":    "error which GPU",
		"cpu+cpu":                 "cpu:0 | cpu:1",
		"cuda:0+cuda:1":           "cuda:0 | cuda:1",
		"sim:0,sim:1+sim:1,sim:0": "sim:0/1 sim:1/1 | sim:1/2 sim:0/2",
		"cuda:0+cuda:1+cuda:2":    "cuda:0 | cuda:1 | cuda:2",
		"cuda:0,cuda:1+cuda:2":    "error on each side of a + there must be as many",
		"cuda:0+cuda:1,cuda:2":    "error on each side of a +",
		"cuda:0+":                 `error no device ""`,
		"+":                       `error no device ""`,
	} {
		names, replicas, err := Names(list)
		if problem, ok := strings.CutPrefix(want, "error "); ok {
			var slip Error
			if !errors.As(err, &slip) || !strings.Contains(err.Error(), problem) {
				t.Errorf("%q: %v, %v, want an error that says %q", list, names, err, problem)
			}
		} else if got := joined(names, replicas); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", list, got, err, want)
		}
	}
}

// joined returns names with a bar between replicas.
func joined(names []string, replicas int) string {
	var each []string
	for replica := range slices.Chunk(names, max(1, len(names)/max(1, replicas))) {
		each = append(each, strings.Join(replica, " "))
	}
	return strings.Join(each, " | ")
}

// TestOpen: the devices are those of the list, and whatever goes wrong, nothing is
// left open, or closing the simulated machine would fail as well.
func TestOpen(t *testing.T) {
	t.Setenv(Simulation, "seed=1")
	for _, list := range []string{"cpu,cpu", "sim:1,sim:0", "sim:0,sim:0", "sim:0+sim:1"} {
		s, err := Open(list, cuda.Options{KernelCache: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		names, replicas, _ := Names(list)
		if got := s.String(); got != strings.ReplaceAll(strings.ReplaceAll(joined(names, replicas), " | ", "+"), " ", ",") {
			t.Errorf("%s: is called %s", list, got)
		}
		if s.Replicas != replicas {
			t.Errorf("%s: %d replicas, want %d", list, s.Replicas, replicas)
		}
		for i, d := range s.Devices {
			if d.Name() != names[i] {
				t.Errorf("%s: device %d is %s, want %s", list, i, d.Name(), names[i])
			}
		}
		if len(s.Devices) != len(names) || OnCPU(list) == (len(s.GPUs) > 0) {
			t.Errorf("%s: %d devices, %d GPUs", list, len(s.Devices), len(s.GPUs))
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	for simulation, want := range map[string]string{
		"refusepeer": "access to the memory of sim:1", "missing=libnvrtc": "libnvrtc", "old=libcuda": "11.8", "oops": "oops", "gpus=1000": "GPUs",
	} {
		t.Setenv(Simulation, simulation)
		_, err := Open("sim:0,sim:1", cuda.Options{KernelCache: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "not given back") {
			t.Errorf("%s: %v, want an error that says %q", simulation, err, want)
		}
		var slip Error
		if errors.As(err, &slip) != (simulation == "oops" || simulation == "gpus=1000") {
			t.Errorf("%s: %v: is it the user's slip?", simulation, err)
		}
	}
}
