package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestNeighborsWithoutPixels: -pixels=false leaves that search out, and says nothing
// of it.
func TestNeighborsWithoutPixels(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "3")
	args := []string{"neighbors", "-model", filepath.Join(run, "checkpoints/newest.safetensors"), "-data", data,
		"-queries", "5", "-cache", filepath.Join(dir, "cache"), "-out", filepath.Join(dir, "n.png")}
	with, _ := alexnet(t, 0, args...)
	without, _ := alexnet(t, 0, append(args, "-pixels=false")...)
	contains(t, with, "by pixels (3072 numbers)")
	contains(t, without, "by fc2.dropout (16 numbers)")
	json, _ := alexnet(t, 0, append(args, "-pixels=false", "-json")...)
	contains(t, json, `"right_by_features":`)
	if strings.Contains(without+json, "pixels") {
		t.Errorf("there is something of pixels in:\n%s%s", without, json)
	}
}
