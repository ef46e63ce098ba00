package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"alexnet/checkpoint"
	"alexnet/dsl"
	"alexnet/internal/metrics"
	"alexnet/model"
)

// begun makes a run and stops it after some steps.
func begun(t *testing.T, steps int64) Config {
	t.Helper()
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	c.Steps = steps
	check(t, Run(t.Context(), c))
	c.Steps, c.Resume = 0, true
	return c
}

// flip flips a bit of a file.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	b[at] ^= 1
	check(t, os.WriteFile(path, b, 0o666))
}

// TestDamagedCheckpoint: a run does not go on from damaged weights. It names them and
// the newest whole checkpoint, from which it ends as it would have.
func TestDamagedCheckpoint(t *testing.T) {
	wanted, lines := undisturbed(t, nil)
	c := begun(t, perPass+2)
	flip(t, filepath.Join(c.Dir, Newest), 20_000)
	err := Run(t.Context(), c)
	previous := filepath.Join(c.Dir, Previous)
	if err == nil || !strings.Contains(err.Error(), Newest) || !strings.Contains(err.Error(), `tensor "`) ||
		!strings.Contains(err.Error(), "the newest whole checkpoint of the run is of step 12: go on from it with -resume -run "+c.Dir+" -from "+previous) {
		t.Fatalf("error %v", err)
	}
	c.From = previous
	check(t, Run(t.Context(), c))
	sameEnd(t, "from the previous checkpoint", c.Dir, wanted, lines)

	c.From = filepath.Join(c.Dir, MetricsFile)
	if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "the run's newest checkpoint is whole, of step 23: leave -from out") {
		t.Errorf("from something else: %v", err)
	}
	c.From = ""
	for _, name := range []string{Newest, Previous, Best} {
		flip(t, filepath.Join(c.Dir, name), 20_000)
	}
	if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "there is no other whole checkpoint") {
		t.Errorf("all are damaged: %v", err)
	}
	check(t, os.Remove(filepath.Join(c.Dir, Newest)))
	if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "there is no other whole checkpoint") {
		t.Errorf("one is missing and the others are damaged: %v", err)
	}
}

// TestNewestAndPreviousAreTwoFiles: damage to one leaves the other.
func TestNewestAndPreviousAreTwoFiles(t *testing.T) {
	c := begun(t, perPass+2)
	a, err := os.Stat(filepath.Join(c.Dir, Newest))
	check(t, err)
	b, err := os.Stat(filepath.Join(c.Dir, Previous))
	check(t, err)
	if os.SameFile(a, b) {
		t.Error("they are one file: damage to one is damage to both")
	}
}

// TestGoingBack: a run that goes on from an earlier checkpoint does not lose the best
// weights of the way that it leaves.
func TestGoingBack(t *testing.T) {
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	c.KeepEvery = 1
	check(t, Run(t.Context(), c))
	check(t, link(filepath.Join(c.Dir, Newest), filepath.Join(c.Dir, Best))) // as if the last test had been the best
	left := newest(t, c.Dir)
	c.Resume, c.From = true, filepath.Join(c.Dir, "checkpoints/pass-0001.safetensors")
	setText(t, &c, strings.Replace(tiny, "rate 0.001", "rate 1e-9", 1))
	check(t, Run(t.Context(), c))
	kept, err := checkpoint.Read(filepath.Join(c.Dir, fmt.Sprintf("checkpoints/best-of-step-%d.safetensors", left.Step)))
	check(t, err)
	if !reflect.DeepEqual(left.Tensors, kept.Tensors) {
		t.Error("the best weights of the way that was left are others now")
	}
}

// TestChangesAreToldOnce: a run that goes on again at the same step records the changes
// there again, and tells only those that are new.
func TestChangesAreToldOnce(t *testing.T) {
	c := begun(t, perPass)
	var told []string
	c.Log = func(m metrics.Metric) {
		if m.Kind == metrics.Change {
			told = append(told, m.Why)
		}
	}
	var said []string
	c.Message = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	for _, passes := range []string{"1", "1", "1"} {
		setText(t, &c, strings.Replace(tiny, "passes 2", "passes "+passes, 1))
		check(t, Run(t.Context(), c))
	}
	if len(told) != 1 || len(recorded(t, c.Dir)) != 2 { // with the test
		t.Errorf("told %q, recorded %v", told, recorded(t, c.Dir))
	}
	c.Steps = 5
	check(t, Run(t.Context(), c))
	if len(said) != 4 || said[3] != "nothing is left to do: 12 steps are done, and 5 were asked for" || !strings.Contains(said[0], "nothing is left to do after step 12, at the end of 1.067 passes: more passes make more (-resume -run "+c.Dir+" -set train.passes=2)") {
		t.Errorf("said %q", said)
	}
}

// TestResumeWithoutItsRecord: what is missing or left over in a run's folder does not
// keep its training from going on.
func TestResumeWithoutItsRecord(t *testing.T) {
	wanted, lines := undisturbed(t, nil)
	c := begun(t, perPass+2)
	path := func(name string) string { return filepath.Join(c.Dir, name) }
	check(t, os.Remove(path(MetricsFile)))
	left := []string{".curves.png123", ".filters.png8", ".config.net77", "checkpoints/.newest.safetensors5", "checkpoints/best.safetensors.new",
		"orders/7.answer", "orders/.7.answer99", "orders/8.taken", "orders/9.order"}
	for _, name := range left {
		check(t, os.WriteFile(path(name), []byte("half of it"), 0o666))
	}
	check(t, os.MkdirAll(path("orders/folder.order/below"), 0o777))
	kept := []string{".notes", "my.png", ".gitignore"}
	for _, name := range kept {
		check(t, os.WriteFile(path(name), nil, 0o666))
	}
	var told []string
	c.Message = func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	check(t, Run(t.Context(), c))
	sameEnd(t, "without its record", c.Dir, wanted, lines[1:]) // the test after the first pass was in what is missing
	if all := strings.Join(told, "\n"); !strings.Contains(all, "metrics.jsonl is missing: a new record begins after step 14") {
		t.Errorf("told: %s", all)
	}
	for _, name := range append(left, "orders/folder.order") {
		if _, err := os.Lstat(path(name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range kept {
		if _, err := os.Lstat(path(name)); err != nil {
			t.Errorf("%s is gone: it was no leftover", name)
		}
	}
}

// TestLinksAreNotFollowed: a run opens no file for writing that a name in its folder
// only leads to, and waits for no pipe.
func TestLinksAreNotFollowed(t *testing.T) {
	c := begun(t, 2)
	treasure := filepath.Join(t.TempDir(), "treasure")
	check(t, os.WriteFile(treasure, []byte("{\"kind\":\"train\",\"step\":99}\n"), 0o666))
	for _, name := range []string{lockFile, MetricsFile} {
		path := filepath.Join(c.Dir, name)
		check(t, os.Rename(path, path+".away"))
		check(t, os.Symlink(treasure, path))
		if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), path+": is a symbolic link") {
			t.Errorf("%s: error %v", name, err)
		}
		if b, err := os.ReadFile(treasure); err != nil || len(b) == 0 {
			t.Errorf("%s: the file behind the link holds %q, %v", name, b, err)
		}
		check(t, os.Rename(path+".away", path))
	}
	config := filepath.Join(c.Dir, ConfigFile)
	check(t, os.Remove(config))
	check(t, syscall.Mkfifo(config, 0o666))
	check(t, Run(t.Context(), c)) // which puts its text there
	pipe := filepath.Join(c.Dir, "1"+orderEnd)
	check(t, syscall.Mkfifo(pipe, 0o666))
	if _, err := readOrder(pipe); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("an order that is a pipe: %v", err)
	}
}

// TestResumeWithOtherSettings: settings of the train and data blocks take effect when
// a run goes on, and are recorded there and in the checkpoint.
func TestResumeWithOtherSettings(t *testing.T) {
	for _, s := range []struct {
		from, to string
		why      string
		steps    int64   // of the whole run
		rate     float64 // in the end
	}{
		{"rate 0.001", "rate 0.0005", "train.rate=0.0005 (before: 0.001)", 23, 0.0005},
		{"passes 2", "passes 3", "train.passes=3 (before: 2)", 34, 0.001},
		{"batch 8", "batch 5", "train.batch=5 (before: 8)", 12 + 17, 0.001}, // 96 of 180 images are seen after 12 steps
		{"batch 8", "batch 8\ndecay 0", "train.decay=0 (before: 0.0005)", 23, 0.001},
		{"batch 8", "batch 8\nmomentum 0.5", "train.momentum=0.5 (before: 0.9)", 23, 0.001},
		{"batch 8", "batch 8\ndivide 10 at 1", "train.divide=10 at 1 (before: never)", 23, 0.0001},
		{"batch 8", "batch 8\nat 1 rate 0.002 layer fc2", "train.at=1 rate 0.002 layer fc2 (before: none)", 23, 0.001},
		{"mirror", "mean channel", "data.mirror=no (before: yes), data.mean=channel (before: pixel)", 23, 0.001},
		{"color pca 0.1", "color pca 0.1 until 1", "data.color=pca 0.1 until 1 (before: pca 0.1)", 23, 0.001},
		{"mirror", "mirror\nviews 10", "data.views=10 (before: 1)", 23, 0.001},
	} {
		c := begun(t, perPass)
		text := strings.Replace(tiny, s.from, s.to, 1)
		setText(t, &c, text)
		check(t, Run(t.Context(), c))
		got := newest(t, c.Dir)
		if got.Step != s.steps || got.Net != text || got.Batch != c.Net.Train.Batch {
			t.Errorf("%s: step %d, want %d; batch %d, network %q", s.to, got.Step, s.steps, got.Batch, got.Net)
		}
		if b, err := os.ReadFile(filepath.Join(c.Dir, ConfigFile)); err != nil || string(b) != text {
			t.Errorf("%s: %s holds %q, %v", s.to, ConfigFile, b, err)
		}
		all, err := metrics.Read(filepath.Join(c.Dir, MetricsFile))
		check(t, err)
		var changes []metrics.Metric
		rate := 0.0
		for _, m := range all {
			switch m.Kind {
			case metrics.Change:
				changes = append(changes, m)
			case metrics.Train:
				rate = m.Rate
			}
		}
		if len(changes) == 0 || changes[0].Step != perPass || changes[0].Why != "resumed with "+s.why {
			t.Errorf("%s: changes %+v", s.to, changes)
		}
		if rate != s.rate {
			t.Errorf("%s: the last rate is %g, want %g", s.to, rate, s.rate)
		}
		if sched, err := parseSchedule(got.Schedule); err != nil || len(sched.Changes) == 0 || sched.Changes[0].Why != changes[0].Why {
			t.Errorf("%s: the checkpoint has %s, %v", s.to, got.Schedule, err)
		}
		if s.why[:4] == "data" {
			mean := meanOf(c.Net.Data.Mean, c.Set.Mean(), c.Set.RGB(), c.Set.Info().Height, c.Set.Info().Width)
			if saved := byName(got.Tensors)[meanName]; !reflect.DeepEqual(*saved, mean) {
				t.Errorf("%s: the checkpoint has another mean", s.to)
			}
		}
	}
}

// TestResumeWithAnotherBatch: the images that follow are those that would have come,
// whatever the batch was before, and it does not matter where a run was stopped.
func TestResumeWithAnotherBatch(t *testing.T) {
	text := strings.Replace(tiny, "batch 8", "batch 5", 1)
	var wanted *checkpoint.Checkpoint
	var lines []metrics.Metric
	for _, stop := range []int64{0, 15, 20} {
		c := begun(t, perPass)
		setText(t, &c, text)
		if stop > 0 {
			c.Steps = stop
			check(t, Run(t.Context(), c))
			c.Steps = 0
		}
		check(t, Run(t.Context(), c))
		if got := newest(t, c.Dir); got.Images != 12*8+17*5 {
			t.Errorf("%d images were seen, want %d", got.Images, 12*8+17*5)
		}
		if stop == 0 {
			wanted, lines = newest(t, c.Dir), recorded(t, c.Dir)
			continue
		}
		sameEnd(t, fmt.Sprint("stopped after ", stop), c.Dir, wanted, lines)
	}
}

// TestCommentsAreNoChange: a file that was only laid out anew gives the same bits and
// no line of a change.
func TestCommentsAreNoChange(t *testing.T) {
	wanted, lines := undisturbed(t, nil)
	c := begun(t, 5)
	text, err := dsl.Format("tiny.net", []byte(strings.Replace(tiny, "batch 8", "batch 8 # small", 1)))
	check(t, err)
	setText(t, &c, string(text))
	check(t, Run(t.Context(), c))
	sameEnd(t, "with a comment", c.Dir, wanted, lines)
}

// TestAnotherNetworkIsRefused: the error names what differs.
func TestAnotherNetworkIsRefused(t *testing.T) {
	c := begun(t, 2)
	for _, s := range []struct{ from, to, want string }{
		{"conv 4 7x7", "conv 6 7x7", "layer conv1: its kernels was 4, and now it is 6"},
		{"stride 4", "stride 5", "layer conv1: its window stride was 4, and now it is 5"},
		{"init 0.005", "init 0.006", "layer conv1: its params deviation was 0.005, and now it is 0.006"},
		{"dropout 0.2", "dropout 0.3", "layer fc2.dropout: its rate was 0.2, and now it is 0.3"},
		{"columns 2\n", "", "the network had 2 columns, and now it has 1"},
		{"fc2 full", "fc9 full", "layer fc2: its name is fc9 now"},
		{"relu\nfc2", "tanh\nfc2", "layer conv1.relu: its name is conv1.tanh now"},
		{"16 across", "16", "layer fc2: only one of the two is across"},
		{"dropout 0.2\n", "", "the network had 7 layers, and now it has 6"},
		{"3x24x24", "3x28x28", "the network's input was 3x24x24, and now it is 3x28x28"},
		{"batch 8", "batch 8\nseed 2", "the seed was 1, and now it is 2"},
	} {
		setText(t, &c, strings.Replace(tiny, s.from, s.to, 1))
		if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), s.want) || !strings.Contains(err.Error(), Newest) {
			t.Errorf("%s in the place of %s: error %v, want %q", s.to, s.from, err, s.want)
		}
	}
}

// TestEverySettingIsCompared: a field that is added to the train or data block must
// be among the settings, or be refused.
func TestEverySettingIsCompared(t *testing.T) {
	const refused = 2 // the seed and the crop
	until := 1        // is with color
	fields := reflect.TypeFor[model.Train]().NumField() + reflect.TypeFor[model.Data]().NumField()
	if len(settings)+refused+until != fields {
		t.Errorf("%d settings are compared and %d are refused, of %d", len(settings)+until, refused, fields)
	}
}

// TestMetadataIsChecked: what no training writes into a checkpoint is an error.
func TestMetadataIsChecked(t *testing.T) {
	c := begun(t, perPass+2)
	path := filepath.Join(c.Dir, Newest)
	sound, err := checkpoint.Read(path)
	check(t, err)
	for want, change := range map[string]func(*checkpoint.State){
		"by hand by -1":                            func(s *checkpoint.State) { s.Schedule = `{"by_hand":{"":-1}}` },
		"the rate is +Inf":                         func(s *checkpoint.State) { s.Schedule = `{"by_hand":{"":5e-324}}` },
		"unexpected end of JSON":                   func(s *checkpoint.State) { s.Schedule = "" },
		"after 9 passes, and 1 are done":           func(s *checkpoint.State) { s.Schedule = `{"tested":9}` },
		"seed 7 and batch 8":                       func(s *checkpoint.State) { s.Seed = 7 },
		"seed 1 and batch 9":                       func(s *checkpoint.State) { s.Batch = 9 },
		"step -1":                                  func(s *checkpoint.State) { s.Step = -1 },
		"step 14 and 13 images":                    func(s *checkpoint.State) { s.Images = 13 },
		"step 14 and 9223372036854775807 images":   func(s *checkpoint.State) { s.Images = math.MaxInt64 },
		"another data set (fingerprint 0123)":      func(s *checkpoint.State) { s.Dataset = "0123" },
		"(its network):1:1":                        func(s *checkpoint.State) { s.Net = "nut tiny" },
		"and its network says 1 and 16":            func(s *checkpoint.State) { s.Net = strings.Replace(tiny, "batch 8", "batch 16", 1) },
		"conv1.weight has shape [4 3 7 7], but th": func(s *checkpoint.State) { s.Net = strings.Replace(tiny, "conv 4", "conv 2", 1) },
		"step 9223372036854775807 and 9223372036":  func(s *checkpoint.State) { s.Step, s.Images = math.MaxInt64, math.MaxInt64 },
		"loss -1 and error NaN":                    func(s *checkpoint.State) { s.Loss, s.Top1Error = -1, math.NaN() },
		"loss +Inf and error 0":                    func(s *checkpoint.State) { s.Loss, s.Top1Error = math.Inf(1), 0 },
		"loss 1 and error 1.5":                     func(s *checkpoint.State) { s.Loss, s.Top1Error = 1, 1.5 },
		"the lowest test error is 2":               func(s *checkpoint.State) { s.Schedule = `{"best":2}` },
		"the rate became 0 after step 15, and 14 ": func(s *checkpoint.State) { s.Schedule = `{"changes":[{"step":15}]}` },
	} {
		other := &checkpoint.Checkpoint{State: sound.State, Tensors: sound.Tensors}
		change(&other.State)
		check(t, checkpoint.Write(path, other))
		if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	check(t, checkpoint.Write(path, sound))
	check(t, Run(t.Context(), c))
}
