package train

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/checkpoint"
	"alexnet/dsl"
	"alexnet/internal/metrics"
)

// TestTransfer: what has the same name and shape is taken, the outputs of classes
// that both know go where they belong, and the rest starts as it would have.
func TestTransfer(t *testing.T) {
	parse := func(text string) []checkpoint.Tensor {
		net, err := dsl.Parse("net", []byte(text))
		check(t, err)
		var tensors []checkpoint.Tensor
		for i, l := range net.Layers {
			if weight, bias := net.ParamShapes(i); weight != nil {
				for name, shape := range map[string][]int{l.Name + ".weight": weight, l.Name + ".bias": bias} {
					x := zeros(name, shape)
					for j := range x.Data {
						x.Data[j] = float32(len(text)) + float32(j)/1000
					}
					tensors = append(tensors, x)
				}
			}
		}
		return tensors
	}
	const old = "net old\ninput 3x24x24\nconv1 conv 4 7x7 stride 4\nrelu\nfc2 full 16\nrelu\nfc3 full 3\nsoftmax\n"
	from := &checkpoint.Checkpoint{Tensors: parse(old), State: checkpoint.State{Classes: []string{"cat", "dog", "eel"}}}
	for _, c := range []struct {
		change []string
		want   []Taken
	}{
		{nil, []Taken{{"conv1", 4, 4, ""}, {"fc2", 16, 16, ""}, {"fc3", 2, 3, "the others stand for no class that is known there"}}},
		{[]string{"fc3 full 3", "fc3 full 5"}, []Taken{{"conv1", 4, 4, ""}, {"fc2", 16, 16, ""}, {"fc3", 2, 5, "the others stand for no class that is known there"}}},
		{[]string{"conv1 conv 4 7x7 stride 4", "conv1 conv 4 5x5 stride 4"}, []Taken{{"conv1", 0, 4, "its weights are [4 3 5 5] here and [4 3 7 7] there"},
			{"fc2", 16, 16, ""}, {"fc3", 2, 3, "the others stand for no class that is known there"}}},
		{[]string{"fc2", "fc6"}, []Taken{{"conv1", 4, 4, ""}, {"fc6", 0, 16, "there is no layer of this name"}, {"fc3", 2, 3, "the others stand for no class that is known there"}}},
	} {
		text := old + "# another\n"
		if c.change != nil {
			text = strings.ReplaceAll(text, c.change[0], c.change[1])
		}
		net, err := dsl.Parse("net", []byte(text))
		check(t, err)
		fresh, tensors := parse(text), parse(text)
		got, err := transfer(net, []string{"dog", "owl", "cat"}, tensors, from)
		check(t, err)
		for i := range got {
			if got[i].Rows == got[i].Of {
				got[i].Why = ""
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v\nwant %v", c.change, got, c.want)
		}
		new, was, theirs := byName(tensors), byName(fresh), byName(from.Tensors)
		for _, taken := range got {
			for _, suffix := range []string{".weight", ".bias"} {
				name := taken.Layer + suffix
				want := was[name]
				switch {
				case taken.Layer == "fc3":
					width := len(want.Data) / want.Shape[0]
					want := slices.Clone(want.Data)
					copy(want[:width], theirs[name].Data[1*width:2*width])
					copy(want[2*width:3*width], theirs[name].Data[:width])
					if !slices.Equal(new[name].Data, want) {
						t.Errorf("%v: %s is %v, want %v", c.change, name, new[name].Data, want)
					}
					continue
				case taken.Rows > 0:
					want = theirs[name]
				}
				if !slices.Equal(new[name].Data, want.Data) {
					t.Errorf("%v: %s is not what it should be", c.change, name)
				}
			}
		}
	}
	net, err := dsl.Parse("net", []byte(strings.NewReplacer("conv1", "a", "fc2", "b", "fc3", "c").Replace(old)))
	check(t, err)
	if _, err := transfer(net, nil, parse(strings.NewReplacer("conv1", "a", "fc2", "b", "fc3", "c").Replace(old)), from); err == nil || !strings.Contains(err.Error(), "no layer of old has") {
		t.Errorf("nothing in common: error %v", err)
	}
}

// TestInit: a run that starts from a trained network has its weights, says so, and
// has them in a checkpoint before its first step. Frozen layers stay.
func TestInit(t *testing.T) {
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	c.Steps = 3
	check(t, Run(t.Context(), c))
	first, err := checkpoint.Read(filepath.Join(c.Dir, Newest))
	check(t, err)

	frozen := strings.Replace(strings.Replace(tiny, "init 0.005", "init 0.005 rate 0", 1), "net tiny", "net frozen", 1)
	net, err = dsl.Parse("frozen.net", []byte(frozen))
	check(t, err)
	var said []string
	d := config(t, net, set, devices, func(metrics.Metric) {})
	d.Text, d.Init, d.Steps = frozen, filepath.Join(c.Dir, Newest), 2
	d.Message = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	d.Progress = func(step, _ int64) {
		if c, err := checkpoint.Read(filepath.Join(d.Dir, Newest)); step == 1 && (err != nil || c.Step != 0) {
			t.Errorf("the first checkpoint: step %d, error %v", c.Step, err)
		}
	}
	check(t, Run(t.Context(), d))
	if want := []string{"conv1: taken", "fc2: taken", "fc3: taken"}; !slices.Equal(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	second, err := checkpoint.Read(filepath.Join(d.Dir, Newest))
	check(t, err)
	was, is := byName(first.Tensors), byName(second.Tensors)
	if !slices.Equal(was["conv1.weight"].Data, is["conv1.weight"].Data) || slices.Equal(was["fc2.weight"].Data, is["fc2.weight"].Data) {
		t.Error("conv1 should be as it was, and fc2 have learned")
	}
	d.Dir, d.Init = filepath.Join(t.TempDir(), "none"), filepath.Join(c.Dir, "absent")
	if err := Run(t.Context(), d); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("from no checkpoint: error %v", err)
	}
	d.Init = filepath.Join(c.Dir, Newest)
	check(t, Run(t.Context(), d)) // the failure left nothing in the way
}
