package main

import (
	"os"
	"path/filepath"
	"testing"

	"alexnet/checkpoint"
)

// TestOverflow: what a network makes of an image may overflow, though its weights are
// finite. Every command that shows it says so, and none prints numbers.
func TestOverflow(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "2")
	c, err := checkpoint.Read(filepath.Join(run, "checkpoints/newest.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range c.Tensors {
		for i := range tensor.Data {
			if tensor.Name == "conv1.weight" || tensor.Name == "fc2.weight" {
				tensor.Data[i] *= 1e30
			}
		}
	}
	model, image, out := filepath.Join(dir, "large.safetensors"), filepath.Join(dir, "image.png"), filepath.Join(dir, "out.safetensors")
	if err := checkpoint.Write(model, c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(image, photo(t, 1), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"predict", image}, {"predict", "-json", image}, {"predict", "-data", data},
		{"test", "-data", data}, {"test", "-data", data, "-json", "-views", "10"}, {"test", "-data", data, "-save", out},
		{"features", "-data", data, "-layer", "fc2", "-out", out}, {"features", "-layer", "fc2", "-out", out, image},
		{"neighbors", "-data", data, "-layer", "fc2", "-out", filepath.Join(dir, "found.png"), "-cache", dir},
	} {
		stdout, errs := alexnet(t, 1, append(args, "-model", model)...)
		contains(t, errs, "image ", " is ", "the weights are so large that it overflows")
		if stdout != "" {
			t.Errorf("%v printed %s", args, stdout)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file is left")
	}
	_, errs := alexnet(t, 1, "train", "-config", config, "-data", data, "-run", filepath.Join(dir, "next"), "-init", model)
	contains(t, errs, "step 1: the loss is ")
}
