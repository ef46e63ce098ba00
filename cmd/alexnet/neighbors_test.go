package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
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

// TestDamagedFeatures: features in the cache that are damaged, cut off or empty are made
// again, and the command finds the same.
func TestDamagedFeatures(t *testing.T) {
	dir, model, data, _ := trained(t)
	cache := filepath.Join(dir, "cache")
	args := []string{"neighbors", "-model", model, "-data", data, "-queries", "5", "-cache", cache, "-out", filepath.Join(dir, "n.png"), "-pixels=false", "-json"}
	want, _ := alexnet(t, 0, args...)
	kept, err := filepath.Glob(filepath.Join(cache, "*.safetensors"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, error %v", kept, err)
	}
	whole, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, b := range map[string][]byte{"flipped": flipped, "cut off": whole[:len(whole)/2], "empty": nil} {
		if err := os.WriteFile(kept[0], b, 0o666); err != nil {
			t.Fatal(err)
		}
		got, errs := alexnet(t, 0, args...)
		contains(t, errs, "making them again", kept[0])
		if again, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(again, whole) || got != want {
			t.Errorf("%s: other features, or other neighbours: error %v", name, err)
		}
	}
}

// TestCacheThatCannotBeWritten: the message names the folder and the flag that moves it.
func TestCacheThatCannotBeWritten(t *testing.T) {
	dir, model, data, _ := trained(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"neighbors", "-model", model, "-data", data, "-out", filepath.Join(dir, "n.png")}
	_, errs := alexnet(t, 1, append(args, "-cache", filepath.Join(file, "cache"))...)
	contains(t, errs, file, "-cache")
	t.Setenv("XDG_CACHE_HOME", file)
	_, errs = alexnet(t, 1, args...)
	contains(t, errs, file, "-cache")
	_, errs = alexnet(t, 1, "test", "-model", model)
	contains(t, errs, file, "-data")
	if runtime.GOOS == "linux" { // where nobody can write into this folder, not even root
		_, errs = alexnet(t, 1, append(args, "-cache", "/proc/../proc/self")...)
		contains(t, errs, "/proc/self", "-cache")
	}
}
