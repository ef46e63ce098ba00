package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"alexnet/loader/pack"
)

// manyShards draws a data set of 100 shards of 6 images.
func manyShards(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "many")
	d, err := pack.Shapes(t.Context(), pack.Options{Out: dir, ShardBytes: 6 * 32 * 32 * 3}, 1, 540, 60)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Splits["train"].Shards) + len(d.Splits["test"].Shards); n != 100 {
		t.Fatalf("%d shards, want 100", n)
	}
	return dir
}

// TestMoreShardsThanDescriptors: a process that may open 20 files verifies 100 shards,
// trains on them and tests on them.
func TestMoreShardsThanDescriptors(t *testing.T) {
	dir, config, _ := files(t)
	data, run := manyShards(t), filepath.Join(dir, "run")
	for _, args := range [][]string{
		{"pack", "verify", data},
		{"train", "-config", config, "-data", data, "-run", run},
		{"test", "-model", filepath.Join(run, "checkpoints/newest.safetensors"), "-data", data},
	} {
		c := exec.Command("sh", append([]string{"-c", `ulimit -n 20 && exec "$0" "$@"`, os.Args[0]}, args...)...)
		c.Env = append(os.Environ(), "ALEXNET_TEST_AS_PROGRAM=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// TestMissingShard: it is an error at once, before any step; with -skip-corrupt a
// training and a test go without its images, and count each once.
func TestMissingShard(t *testing.T) {
	dir, config, _ := files(t)
	data, run := manyShards(t), filepath.Join(dir, "run")
	for _, name := range []string{"train-00007.rec", "test-00003.rec"} {
		if err := os.Remove(filepath.Join(data, name)); err != nil {
			t.Fatal(err)
		}
	}
	train := []string{"train", "-config", config, "-data", data, "-run", run} // 3 passes
	_, errs := alexnet(t, 1, train...)
	contains(t, errs, "test-00003.rec", "no such file")
	if _, err := os.Stat(run); err == nil {
		t.Error("a run was begun without the shard")
	}
	_, errs = alexnet(t, 0, append(train, "-skip-corrupt")...)
	contains(t, errs, "train-00007.rec", "12 images were skipped") // 6 of each split
	test := []string{"test", "-model", filepath.Join(run, "checkpoints/newest.safetensors"), "-data", data}
	alexnet(t, 1, test...)
	out, errs := alexnet(t, 0, append(test, "-skip-corrupt")...)
	contains(t, out, "54 images")
	contains(t, errs, "test-00003.rec", "6 images were skipped")
	_, errs = alexnet(t, 1, "pack", "verify", data)
	contains(t, errs, "train-00007.rec", "test-00003.rec")
	_, errs = alexnet(t, 1, "pack", "info", data)
	contains(t, errs, "test-00003.rec")
}
