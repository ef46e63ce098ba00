package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"alexnet/checkpoint"
	"alexnet/internal/lock"
)

// TestResumeWithOtherSettings: -set, -config and an edited config.net change settings
// of a run that goes on, and its file has them then.
func TestResumeWithOtherSettings(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	resume := func(want int, more ...string) string {
		t.Helper()
		_, errs := alexnet(t, want, append([]string{"train", "-resume", "-run", run, "-data", data}, more...)...)
		return errs
	}
	edit := func(path, from, to string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(b), from) {
			t.Fatalf("%s: %v\n%s", path, err, b)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(b), from, to, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run)
	contains(t, resume(0, "-set", "train.passes=4", "-set", "train.rate=0.0005"),
		"step 38: the rate is 5e-06: resumed with train.passes=4 (before: 3), train.rate=0.0005 (before: 0.001)", "pass 4: test error")
	contains(t, resume(0), "nothing is left to do after step 50", "-set train.passes=5")
	file := filepath.Join(run, "config.net")
	edit(file, "passes 4", "passes 5 # one more")
	contains(t, resume(0), "resumed with train.passes=5 (before: 4)", "pass 5: test error")
	edit(config, "batch 16\npasses 3", "batch 20\npasses 6")
	contains(t, resume(0, "-config", config), "train.batch=20 (before: 16), train.passes=6 (before: 5), train.rate=0.001 (before: 0.0005)", "pass 6: test error")

	contains(t, resume(1, "-seed", "2"), "the seed was 1, and now it is 2")
	contains(t, resume(1, "-set", "fc2.outputs=8"), "layer fc2: its outputs was 16, and now it is 8", "-init")
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "batch 20") || strings.Contains(string(b), "seed 2") {
		t.Errorf("config.net: %v\n%s", err, b)
	}

	// A pipe would wait for ever for somebody to write.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o666)); err != nil {
		t.Fatal(err)
	}
	contains(t, resume(2), "config.net: is not a file")
	if err := errors.Join(os.Remove(file), os.WriteFile(file, text[:10], 0o666)); err != nil {
		t.Fatal(err)
	}
	contains(t, resume(2), "config.net:2:1:", "if "+file+" is damaged, remove it")

	// The checkpoint has the network's text, too.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	resume(0, "-set", "train.passes=7")
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "passes 7") {
		t.Errorf("config.net: %v\n%s", err, b)
	}
}

// TestResumeFromAnother: the error of a damaged checkpoint gives the flag that leads on.
func TestResumeFromAnother(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	path := func(name string) string { return filepath.Join(run, "checkpoints", name+".safetensors") }
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "20")
	flipBit(t, path("newest"))
	_, errs := alexnet(t, 1, "train", "-resume", "-run", run, "-data", data)
	flag := "-from " + path("previous")
	contains(t, errs, path("newest"), "is damaged", "of step 13: go on from it with alexnet train -resume -run "+run+" -data "+data+" "+flag)
	alexnet(t, 0, append([]string{"train", "-resume", "-run", run, "-data", data}, strings.Fields(flag)...)...)
	if c, err := checkpoint.Read(path("newest")); err != nil || c.Step != 38 {
		t.Errorf("the run went on to %+v, %v", c, err)
	}
}

// flipBit flips a bit among the numbers of a checkpoint.
func flipBit(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1000] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestCheckModel: check -model reads a whole checkpoint and says what it is, or what
// is damaged.
func TestCheckModel(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run, "-steps", "20")
	newest := filepath.Join(run, "checkpoints/newest.safetensors")
	out, _ := alexnet(t, 0, "check", "-model", newest)
	contains(t, out, newest+" is whole: 13 tensors of tiny after step 20, all finite, as they were written")

	c, err := checkpoint.Read(newest)
	if err != nil {
		t.Fatal(err)
	}
	bare, short := filepath.Join(dir, "bare.safetensors"), filepath.Join(dir, "short.safetensors")
	if err := checkpoint.Write(bare, &checkpoint.Checkpoint{Tensors: c.Tensors}); err != nil {
		t.Fatal(err)
	}
	out, _ = alexnet(t, 0, "check", "-model", bare)
	contains(t, out, "13 tensors of no network")
	if err := checkpoint.Write(short, &checkpoint.Checkpoint{State: c.State, Tensors: c.Tensors[:3]}); err != nil {
		t.Fatal(err)
	}
	_, errs := alexnet(t, 1, "check", "-model", short)
	contains(t, errs, short, "it has no tensor fc2.weight")

	flipBit(t, newest)
	_, errs = alexnet(t, 1, "check", "-model", newest)
	contains(t, errs, newest, `tensor "momentum.`, "is damaged")
	_, errs = alexnet(t, 2, "check", "-model", newest, "-config", config)
	contains(t, errs, "-model", "-config")
}

// TestOneDrawsAndTheOthersWait: two first trainings at the same time draw one data set.
func TestOneDrawsAndTheOthersWait(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	dir, config, _ := files(t)
	if err := os.MkdirAll(filepath.Join(cache, "alexnet"), 0o777); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	held, err := lock.Take(filepath.Join(cache, "alexnet", "shapes-10000-2000-v2.lock"))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 2)
	for _, run := range []string{"a", "b"} {
		both.Go(func() {
			c := program("train", "-config", config, "-run", filepath.Join(dir, run), "-steps", "1")
			r, err := c.StderrPipe()
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Start(); err != nil {
				t.Error(err)
				return
			}
			var all strings.Builder
			for b := make([]byte, 4096); ; {
				n, err := r.Read(b)
				all.Write(b[:n])
				if strings.Contains(all.String(), "waiting for it") {
					select {
					case told <- run:
					default:
					}
				}
				if err != nil {
					break
				}
			}
			if err := c.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", run, err, all.String())
			}
		})
	}
	for range 2 { // both wait
		<-told
	}
	held.Close()
	both.Wait()
	for _, run := range []string{"a", "b"} {
		if c, err := checkpoint.Read(filepath.Join(dir, run, "checkpoints/newest.safetensors")); err != nil || c.Step != 1 {
			t.Errorf("%s: %v", run, err)
		}
	}
}
