package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/internal/testenv"
	"alexnet/loader"
	"alexnet/loader/pack"
)

// perPass is how many steps end a pass of tiny on the data set of open: the 12th
// step holds the last of its 90 images, 8 a step.
const perPass = 12

// undisturbed returns the checkpoint of a run that nothing ended, and its record
// without times.
func undisturbed(t *testing.T, change func(*Config)) (*checkpoint.Checkpoint, []metrics.Metric) {
	t.Helper()
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	if change != nil {
		change(&c)
	}
	check(t, Run(t.Context(), c))
	return newest(t, c.Dir), recorded(t, c.Dir)
}

func newest(t *testing.T, dir string) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Read(filepath.Join(dir, Newest))
	check(t, err)
	return c
}

// recorded returns a run's lines of tests and changes, without times: every run of
// its kind must repeat them.
func recorded(t *testing.T, dir string) (list []metrics.Metric) {
	t.Helper()
	all, err := metrics.Read(filepath.Join(dir, MetricsFile))
	check(t, err)
	for _, m := range all {
		if m.Kind != metrics.Train {
			m.ImagesPerSecond = 0
			list = append(list, m)
		}
	}
	return list
}

// sameEnd holds the end of a run against the end of an undisturbed one, to the bit.
func sameEnd(t *testing.T, name, dir string, want *checkpoint.Checkpoint, lines []metrics.Metric) {
	t.Helper()
	got := newest(t, dir)
	if got.Step != want.Step || got.Schedule != want.Schedule || got.Loss != want.Loss {
		t.Errorf("%s: step %d, %s, loss %g; undisturbed %d, %s, %g", name, got.Step, got.Schedule, got.Loss, want.Step, want.Schedule, want.Loss)
	}
	for i, x := range want.Tensors {
		if !slices.Equal(x.Data, got.Tensors[i].Data) {
			t.Errorf("%s: %s is not as in an undisturbed run", name, x.Name)
		}
	}
	if got := recorded(t, dir); fmt.Sprint(got) != fmt.Sprint(lines) { // a NaN equals no other
		t.Errorf("%s: recorded %v, undisturbed %v", name, got, lines)
	}
}

// damageShard flips a byte of the first image of a split. Done twice, it mends it.
func damageShard(t *testing.T, dir, split string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, split+"*.rec"))
	check(t, err)
	if len(paths) == 0 {
		t.Fatalf("no shards of %s in %s", split, dir)
	}
	b, err := os.ReadFile(paths[0])
	check(t, err)
	b[len(b)/2] ^= 1
	check(t, os.WriteFile(paths[0], b, 0o666))
}

// TestFailuresSave: whatever fails, the weights of the last step are saved, the error
// says so, and the run that goes on ends with the bits of one that nothing ended.
func TestFailuresSave(t *testing.T) {
	want, lines := undisturbed(t, nil)
	errBroken := errors.New("broken")
	for _, f := range []struct {
		name  string
		spoil func(c *Config, dir string) // the run, whose data set is in dir
		mend  func(dir string)
		step  int64
	}{
		{"a damaged test set", func(_ *Config, dir string) { damageShard(t, dir, "test") }, func(dir string) { damageShard(t, dir, "test") }, perPass},
		{"a damaged training set", func(_ *Config, dir string) { damageShard(t, dir, "train") }, func(dir string) { damageShard(t, dir, "train") }, -1},
		{"a panic", func(c *Config, _ string) {
			c.Progress = func(done, _ int64) {
				if done == 5 {
					panic(errBroken)
				}
			}
		}, func(string) {}, 5},
		{"a panic in the loader", func(c *Config, dir string) {
			damageShard(t, dir, "train")
			c.Set.SkipDamage(func(error, int) { panic(errBroken) })
		}, func(dir string) { damageShard(t, dir, "train") }, -1},
		{"a panic in a test", func(c *Config, _ string) {
			c.Testing = func(int64, int64) { panic(errBroken) }
		}, func(string) {}, perPass},
	} {
		t.Run(f.name, func(t *testing.T) {
			net, _, devices := open(t, "cpu")
			dir := filepath.Join(t.TempDir(), "set")
			_, err := pack.Shapes(t.Context(), pack.Options{Out: dir}, 1, 90, 21)
			check(t, err)
			c := config(t, net, openSet(t, dir), devices, func(metrics.Metric) {})
			sound := c
			f.spoil(&c, dir)
			err = func() (err error) {
				defer func() {
					if v := recover(); v != nil {
						err = v.(error)
					}
				}()
				return Run(t.Context(), c)
			}()
			if err == nil || !errors.Is(err, errBroken) && !strings.Contains(err.Error(), "the run is saved after step ") {
				t.Fatalf("the run ended with %v", err)
			}
			if saved := newest(t, c.Dir); f.step >= 0 && saved.Step != f.step {
				t.Errorf("the weights of step %d are saved, want %d", saved.Step, f.step)
			}
			f.mend(dir)
			sound.Resume, sound.Set = true, openSet(t, dir)
			check(t, Run(t.Context(), sound))
			sameEnd(t, f.name, c.Dir, want, lines)
		})
	}
}

func openSet(t *testing.T, dir string) *loader.Set {
	t.Helper()
	set, err := loader.Open(dir)
	check(t, err)
	t.Cleanup(func() { set.Close() }) // whose error is that of the damage
	return set
}

// TestNoRoomForACheckpoint: a disk that fills up ends the run; the last checkpoint
// stays, and the run goes on from it when there is room.
func TestNoRoomForACheckpoint(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
	want, lines := undisturbed(t, nil)
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	c.Steps = 3
	check(t, Run(t.Context(), c))
	c.Steps, c.Resume = 0, true
	err := testenv.FullDisk(t, 10<<10, func() error { return Run(t.Context(), c) })
	if err == nil {
		t.Fatal("a checkpoint was written beyond the limit")
	}
	if saved := newest(t, c.Dir); saved.Step != 3 {
		t.Errorf("the newest checkpoint is of step %d, want 3", saved.Step)
	}
	check(t, Run(t.Context(), c))
	sameEnd(t, "a full disk", c.Dir, want, lines)
}

// TestDivergenceSavesNothing: a checkpoint never holds numbers that are not finite,
// and the advice that the error gives leads to a run that ends.
func TestDivergenceSavesNothing(t *testing.T) {
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	c.Steps = 4
	check(t, Run(t.Context(), c))
	diverging := c
	diverging.Steps, diverging.Resume = 0, true
	setText(t, &diverging, strings.Replace(tiny, "rate 0.001", "rate 1e30", 1))
	err := Run(t.Context(), diverging)
	if err == nil || !strings.Contains(err.Error(), "the newest checkpoint, of step 4, is as it was: go on from it with a lower rate (-resume -run "+c.Dir+" -set train.rate=0.001)") {
		t.Fatalf("the run ended with %v", err)
	}
	if saved := newest(t, c.Dir); saved.Step != 4 {
		t.Errorf("the newest checkpoint is of step %d, want 4", saved.Step)
	}
	// An update that overflows after a loss that does not.
	setText(t, &diverging, strings.Replace(tiny, "rate 0.001", "rate 1e38", 1))
	diverging.Steps = 5
	if err := Run(t.Context(), diverging); err == nil || !strings.Contains(err.Error(), "step 5: number ") || !strings.Contains(err.Error(), " of conv1.weight is ") {
		t.Errorf("the run ended with %v", err)
	}
	if saved := newest(t, c.Dir); saved.Step != 4 {
		t.Errorf("the newest checkpoint is of step %d, want 4", saved.Step)
	}
	c.Steps, c.Resume = 0, true
	check(t, Run(t.Context(), c))
	if saved := newest(t, c.Dir); saved.Step != 2*90/8+1 {
		t.Errorf("the run ended after step %d", saved.Step)
	}

	fresh := config(t, net, set, devices, func(metrics.Metric) {})
	setText(t, &fresh, strings.Replace(tiny, "rate 0.001", "rate 1e30", 1))
	err = Run(t.Context(), fresh)
	if err == nil || !strings.Contains(err.Error(), "step 2: the loss is ") || !strings.Contains(err.Error(), "nothing is saved yet: start anew with a lower rate (-resume -run "+fresh.Dir+" -set train.rate=1e+29)") {
		t.Fatalf("the run ended with %v", err)
	}
	lines, err := metrics.Read(filepath.Join(fresh.Dir, MetricsFile))
	check(t, err)
	if last := lines[len(lines)-1]; last.Step != 1 {
		t.Errorf("the last line is of step %d: the loss of step 2 was no number", last.Step)
	}
	fresh.Resume = true
	setText(t, &fresh, tiny)
	check(t, Run(t.Context(), fresh))
	if saved := newest(t, fresh.Dir); saved.Net != tiny {
		t.Errorf("the checkpoint is of the network %q", saved.Net)
	}
}

// TestStoppedByItsContext: a run that is told to leave in the middle of a test has
// saved what it learned, and does the test again when it goes on.
func TestStoppedByItsContext(t *testing.T) {
	want, lines := undisturbed(t, nil)
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	for _, testing := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		c.Progress, c.Testing = func(int64, int64) {}, func(int64, int64) {}
		if testing {
			c.Testing = func(int64, int64) { cancel() }
		} else {
			c.Progress = func(done, _ int64) {
				if done == perPass+3 {
					cancel()
				}
			}
		}
		if err := Run(ctx, c); !errors.Is(err, context.Canceled) {
			t.Fatalf("the run ended with %v", err)
		}
		cancel()
		c.Resume = true
		if saved := newest(t, c.Dir); testing && saved.Step != perPass || !testing && saved.Step != perPass+3 {
			t.Errorf("saved after step %d", saved.Step)
		}
	}
	check(t, Run(t.Context(), c))
	sameEnd(t, "stopped twice", c.Dir, want, lines)
}
