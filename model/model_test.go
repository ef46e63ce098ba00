package model

import (
	"fmt"
	"strings"
	"testing"
)

// TestSteps places windows one by one along an axis and counts them.
func TestSteps(t *testing.T) {
	// place counts the windows whose start is on the axis or in the padding
	// before it. Without ceil they must end within the padding; with it, a window
	// is added as long as the one before does not reach the end.
	place := func(w Window, length, window int) int {
		n := 0
		for start := -w.Pad; start < length; start += w.Stride {
			if !w.Ceil && start+window > length+w.Pad {
				break
			}
			n++
			if w.Ceil && start+window >= length+w.Pad {
				break
			}
		}
		return n
	}
	for length := 1; length <= 20; length++ {
		for window := 1; window <= 8; window++ {
			for stride := 1; stride <= 9; stride++ {
				for pad := range window {
					for _, ceil := range []bool{false, true} {
						w := Window{Stride: stride, Pad: pad, Ceil: ceil}
						if got, want := w.steps(length, window), place(w, length, window); got != want {
							t.Fatalf("window %d on %d, %+v: got %d, want %d", window, length, w, got, want)
						}
					}
				}
			}
		}
	}
}

// TestKnownSteps holds sizes that are printed elsewhere.
func TestKnownSteps(t *testing.T) {
	for _, c := range []struct {
		length, window, stride, pad int
		ceil                        bool
		want                        int
		source                      string
	}{
		{224, 11, 4, 2, false, 55, "section 3.5, with padding"},
		{227, 11, 4, 0, false, 55, "section 3.5, with another crop"},
		{224, 11, 4, 0, true, 55, "section 3.5, as in 2012"},
		{224, 11, 4, 0, false, 54, "section 3.5, without any of these"},
		{55, 3, 2, 0, false, 27, "section 3.4"},
		{27, 3, 2, 0, false, 13, "section 3.4"},
		{13, 3, 2, 0, false, 6, "section 3.4"},
		{32, 3, 2, 0, true, 16, "the code of 2012"},
		{4, 1, 4, 0, true, 1, "no window starts past the edge"},
	} {
		w := Window{Stride: c.stride, Pad: c.pad, Ceil: c.ceil}
		if got := w.steps(c.length, c.window); got != c.want {
			t.Errorf("%s: window %d, %+v on %d: got %d, want %d", c.source, c.window, w, c.length, got, c.want)
		}
	}
}

// line is a layer with a name that reads from the layers given.
func line(name string, spec Spec, from ...int) *Layer {
	return &Layer{Name: name, Spec: spec, From: from}
}

func square(side int) Window { return Window{H: side, W: side, Stride: 1} }

func conv(kernels, side int) Conv {
	return Conv{Kernels: kernels, Window: square(side), Groups: 1, Params: DefaultParams()}
}

func full(outputs int) Full { return Full{Outputs: outputs, Params: DefaultParams()} }

func network(columns int, layers ...*Layer) *Net {
	return &Net{Name: "test", Input: Shape{3, 8, 8}, Columns: columns, Layers: layers, Data: DefaultData(), Train: DefaultTrain()}
}

// TestColumns follows the shapes and views of two columns through all kinds.
func TestColumns(t *testing.T) {
	grouped := conv(8, 3)
	grouped.Groups = 2
	across := line("across", conv(4, 1), 1)
	across.Across = true
	n := network(2,
		line("a", conv(4, 3), InputIndex),
		line("grouped", grouped, 0),
		across,
		line("local", Local{Kernels: 2, Window: square(3), Groups: 1, Params: DefaultParams()}, 2),
		line("joined", LRN{Size: 5, Alpha: 1, Beta: 1, K: 1}, 1, 2),
		line("pool", Pool{Mode: Max, Window: Window{H: 2, W: 1, Stride: 2}}, 4),
		line("fc1", full(6), 5),
		line("fc2", full(4), 3),
		line("both", Dropout{Rate: 0.5}, 6, 7),
		line("softmax", Softmax{}, 8),
	)
	if problems := n.Infer(); len(problems) > 0 {
		t.Fatal(problems)
	}
	want := []string{ // output, view, weight, bias, divided, gathers
		"4x6x6 3x8x8 [4 3 3 3] [4] true false",
		"8x4x4 2x6x6 [8 1 3 3] [8] true false",
		"4x4x4 8x4x4 [4 8 1 1] [4] true true",
		"2x2x2 2x4x4 [2 2 2 18] [2 2 2] true false",
		"12x4x4 6x4x4 [] [] true false",
		"12x2x2 6x4x4 [] [] true false",
		"6x1x1 6x2x2 [6 24] [6] true false",
		"4x1x1 1x2x2 [4 4] [4] true false",
		"10x1x1 5x1x1 [] [] true false",
		"10x1x1 5x1x1 [] [] false true",
	}
	for i, l := range n.Layers {
		weight, bias := n.ParamShapes(i)
		if got := fmt.Sprint(l.Out, n.View(l), weight, bias, l.Divided, n.Gathers(l)); got != want[i] {
			t.Errorf("%s: got %s, want %s", l.Name, got, want[i])
		}
	}
	// Counted by hand from the weights above.
	parameters, neurons, work := n.Totals()
	if want := int64(112 + 80 + 36 + 152 + 150 + 20); parameters != want {
		t.Errorf("%d parameters, want %d", parameters, want)
	}
	if want := int64(144 + 128 + 64 + 8 + 6 + 4); neurons != want {
		t.Errorf("%d neurons, want %d", neurons, want)
	}
	if want := int64(108*36 + 72*16 + 32*16 + 144 + 144 + 16); work != want {
		t.Errorf("%d multiply-adds, want %d", work, want)
	}
	if n.Classes() != 10 {
		t.Errorf("%d classes", n.Classes())
	}
}

// TestProblems breaks one thing at a time and wants it told once, in its place.
func TestProblems(t *testing.T) {
	sound := func() *Net {
		return network(2, line("a", conv(4, 3), InputIndex), line("b", full(2), 0), line("c", Softmax{}, 1))
	}
	if problems := sound().Infer(); len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		name  string
		spoil func(n *Net)
		layer int
		field string
		text  string
	}{
		{"no layers", func(n *Net) { n.Layers = nil }, NetProblem, "", "no layers"},
		{"input", func(n *Net) { n.Input.H = 0 }, NetProblem, "input", "3x0x8"},
		{"huge input", func(n *Net) { n.Input = Shape{1 << 40, 1 << 40, 1} }, NetProblem, "input", "more than"},
		{"columns", func(n *Net) { n.Columns = 65 }, NetProblem, "columns", "65 columns"},
		{"odd kernels", func(n *Net) { n.Layers[0].Spec = conv(5, 3) }, 0, "kernels", "evenly over 2 columns"},
		{"negative outputs", func(n *Net) { n.Layers[1].Spec = full(-2) }, 1, "outputs", "-2 outputs"},
		{"huge weights", func(n *Net) { n.Layers[1].Spec = full(MaxTensor - 1) }, 1, "", "weights"},
		{"no groups", func(n *Net) { s := conv(4, 3); s.Groups = 0; n.Layers[0].Spec = s }, 0, "groups", "0 groups"},
		{"groups of an undivided input", func(n *Net) { s := conv(4, 3); s.Groups = 2; n.Layers[0].Spec = s }, 0, "groups", "sees every column"},
		{"window", func(n *Net) { n.Layers[0].Spec = conv(4, 9) }, 0, "window", "9x9 with pad 0 does not fit into 3x8x8"},
		{"huge window", func(n *Net) { n.Layers[0].Spec = conv(4, 5000) }, 0, "window", "5000x5000"},
		{"stride", func(n *Net) { s := conv(4, 3); s.Window.Stride = 0; n.Layers[0].Spec = s }, 0, "stride", "stride 0"},
		{"pad", func(n *Net) { s := conv(4, 3); s.Window.Pad = 3; n.Layers[0].Spec = s }, 0, "pad", "pad 3"},
		{"init", func(n *Net) { s := conv(4, 3); s.Params.Deviation = -1; n.Layers[0].Spec = s }, 0, "init", "-1"},
		{"function", func(n *Net) { n.Layers[0].Spec = Activation{"swish"} }, 0, "", "swish"},
		{"pooling", func(n *Net) { n.Layers[0].Spec = Pool{Mode: "min", Window: square(2)} }, 0, "", "min"},
		{"k", func(n *Net) { n.Layers[0].Spec = LRN{Size: 5, Beta: 1} }, 0, "k", "more than 0"},
		{"probability", func(n *Net) { n.Layers[0].Spec = Dropout{1} }, 0, "probability", "less than 1"},
		{"no kind", func(n *Net) { n.Layers[0].Spec, n.Layers[0].Across = nil, true }, 0, "", "unknown kind"},
		{"across", func(n *Net) { n.Layers[2].Across = true }, 2, "across", "softmax cannot look across"},
		{"reads nothing", func(n *Net) { n.Layers[1].From = nil }, 1, "from", "nothing"},
		{"reads below", func(n *Net) { n.Layers[0].From = []int{1} }, 0, "from", "above"},
		{"reads itself", func(n *Net) { n.Layers[1].From = []int{1} }, 1, "from", "above"},
		{"joins unlike shapes", func(n *Net) { n.Layers[1].From = []int{0, InputIndex} }, 1, "from", "a (4x6x6) and input (3x8x8) differ"},
		{"joins divided and not", func(n *Net) { n.Layers[0].Spec = conv(4, 1); n.Layers[1].From = []int{0, InputIndex} }, 1, "from", "divided over the columns"},
		{"unread", func(n *Net) { n.Layers[1].From = []int{InputIndex} }, 0, "", "nothing reads from a"},
		{"no softmax", func(n *Net) { n.Layers[2].Spec = Activation{Relu} }, 2, "", "must be softmax"},
		{"early softmax", func(n *Net) { n.Layers[1].Spec = Softmax{} }, 1, "", "must be the last"},
		{"softmax not last", func(n *Net) { n.Layers = append(n.Layers, line("d", Activation{Relu}, 2)) }, 2, "", "must be the last"},
		{"one class", func(n *Net) { n.Columns = 1; n.Layers[1].Spec = full(1) }, 2, "", "two classes"},
		{"mean", func(n *Net) { n.Data.Mean = "median" }, DataProblem, "mean", "median"},
		{"crop", func(n *Net) { n.Data.Crop = 7 }, DataProblem, "crop", "7x7"},
		{"colour", func(n *Net) { n.Data.Color = 0.1; n.Input.C = 1 }, DataProblem, "color", "3 channels"},
		{"views", func(n *Net) { n.Data.Views = 5 }, DataProblem, "views", "5 views"},
		{"batch", func(n *Net) { n.Train.Batch = MaxBatch + 1 }, TrainProblem, "batch", "1048577"},
		{"passes", func(n *Net) { n.Train.Passes = 0 }, TrainProblem, "passes", "0 passes"},
		{"rate", func(n *Net) { n.Train.Rate = -1 }, TrainProblem, "rate", "-1"},
		{"rate that vanishes", func(n *Net) { n.Train.Rate = 1e-50 }, TrainProblem, "rate", "1e-50 is 0 in float32"},
		{"rate that vanishes later", func(n *Net) { n.Train.At = []At{{Passes: 1, Rate: 1e-50}} }, TrainProblem, "at", "1e-50 is 0 in float32"},
		{"momentum", func(n *Net) { n.Train.Momentum = 1 }, TrainProblem, "momentum", "less than 1"},
		{"decay", func(n *Net) { n.Train.Decay = -1 }, TrainProblem, "decay", "-1"},
		{"divided by", func(n *Net) { n.Train.Divide = Divide{By: 1, At: []int{1}} }, TrainProblem, "divide", "more than 1"},
		{"divided at", func(n *Net) { n.Train.Divide = Divide{By: 2, At: []int{2, 2}} }, TrainProblem, "divide", "ascending"},
		{"plateau", func(n *Net) { n.Train.Divide = Divide{By: 2, Plateau: 1} }, TrainProblem, "divide", "times 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := sound()
			c.spoil(n)
			problems := n.Infer()
			if len(problems) != 1 || problems[0].Layer != c.layer || problems[0].Field != c.field || !strings.Contains(problems[0].Text, c.text) {
				t.Errorf("got %+v, want one about %d %q: %q", problems, c.layer, c.field, c.text)
			}
		})
	}
}

// TestInferAgain wants a second call to find the same.
func TestInferAgain(t *testing.T) {
	n := network(1, line("a", conv(4, 3), InputIndex), line("b", Activation{Relu}, 0, 0), line("c", Softmax{}, 1))
	for range 2 {
		if problems := n.Infer(); len(problems) > 0 {
			t.Fatal(problems)
		}
		if out := n.Layers[2].Out; out != (Shape{8 * 36, 1, 1}) {
			t.Fatalf("got %v", out)
		}
	}
	n.Columns = 3
	if first, second := fmt.Sprint(n.Infer()), fmt.Sprint(n.Infer()); first != second {
		t.Errorf("got %s, then %s", first, second)
	}
}

func TestProduct(t *testing.T) {
	const largest = 1<<63 - 1
	for _, c := range []struct {
		factors []int
		want    int
	}{
		{nil, 1}, {[]int{2, 3, 7}, 42}, {[]int{largest, 1}, largest}, {[]int{1 << 32, 1 << 31}, largest}, {[]int{1 << 62, 2, 2, 2}, largest}, {[]int{1 << 40, 1 << 40, 1}, largest},
	} {
		if got := product(c.factors...); got != c.want {
			t.Errorf("%v: got %d, want %d", c.factors, got, c.want)
		}
	}
}

func TestLastHidden(t *testing.T) {
	full := Full{Outputs: 4, Params: DefaultParams()}
	relu := Activation{Func: Relu}
	line := func(name string, spec Spec, from ...int) *Layer { return &Layer{Name: name, Spec: spec, From: from} }
	for _, c := range []struct {
		layers []*Layer
		want   int
		err    string
	}{
		{[]*Layer{line("a", full, InputIndex), line("b", relu, 0), line("c", full, 1), line("d", Softmax{}, 2)}, 1, ""},
		{[]*Layer{line("a", full, InputIndex), line("b", Softmax{}, 0)}, 0, "a, does not read one layer alone"},
		{[]*Layer{line("a", full, InputIndex), line("b", full, InputIndex), line("c", full, 0, 1)}, 0, "c, does not read one layer alone"},
		{[]*Layer{line("a", relu, InputIndex)}, 0, "has no full layer"},
	} {
		net := &Net{Name: "n", Layers: c.layers}
		got, err := net.LastHidden()
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%d, %v; want %d, %q", got, err, c.want, c.err)
		}
	}
}

func TestIndex(t *testing.T) {
	net := &Net{Name: "n", Layers: []*Layer{{Name: "a"}, {Name: "b"}}}
	if i, err := net.Index("b"); i != 1 || err != nil {
		t.Error(i, err)
	}
	if _, err := net.Index("c"); err == nil || err.Error() != `the network n has no layer "c"; it has a, b` {
		t.Error(err)
	}
}
