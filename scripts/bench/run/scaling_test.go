package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/dsl"
	"alexnet/plan"
)

// TestSweeps: every point is a network that can be placed, larger than the one
// before where that is what grows.
func TestSweeps(t *testing.T) {
	src, err := os.ReadFile("../../../alexnet.net")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sweeps() {
		var before int64
		for _, p := range s.points {
			var set []dsl.Setting
			for _, text := range p.set {
				setting, err := dsl.ParseSetting(text)
				if err != nil {
					t.Fatal(err)
				}
				set = append(set, setting)
			}
			net, err := dsl.Parse("alexnet.net", src, set...)
			if err != nil {
				t.Fatalf("%s %s: %v", s.name, p.label, err)
			}
			program, err := plan.Compile(net, strings.Split(p.devices, ","), plan.Options{Batch: p.batch})
			if err != nil {
				t.Fatalf("%s %s: %v", s.name, p.label, err)
			}
			var bytes int64
			for _, d := range program.Devices {
				bytes += d.State + d.Work
			}
			if s.name != "Columns" && s.name != "Devices" && bytes <= before {
				t.Errorf("%s %s takes %d bytes, and the point before %d", s.name, p.label, bytes, before)
			}
			before = bytes
		}
	}
}

// TestScaling measures a small network, and draws it.
func TestScaling(t *testing.T) {
	s := &scaling{root: "../../..", config: "../../../nets/shapes.net", rounds: 2, log: t.Output(), quiet: alone(t), result: &ScalingResult{Result: Result{Benchmark: "scaling", Machine: look()}, Rounds: 2}}
	err := s.run(t.Context(), t.TempDir(), []sweep{
		{"Batch size", "images a step", []point{{2, "2", 2, "cpu", nil}, {4, "4", 4, "cpu", nil}}},
		{"Width", "kernels", []point{{16, "16", 2, "cpu", []string{"conv1.kernels=16"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	first := s.result.Sweeps[0].Points
	if len(first) != 2 || len(first[0].MS.Rounds) != 2 || first[0].MS.Median <= 0 || first[0].Memory <= 0 || first[1].Memory <= first[0].Memory || first[0].Peak <= 0 || first[1].Label != "4" {
		t.Errorf("%+v", s.result)
	}
	if text := s.result.markdown(); !bytes.Contains(text, []byte("## Width")) || !bytes.Contains(text, []byte("| 16 | ")) {
		t.Errorf("%s", text)
	}
	path := filepath.Join(t.TempDir(), "scaling.png")
	if err := s.result.draw(path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() < 600 {
		t.Errorf("%v, %v", img, err)
	}
}
