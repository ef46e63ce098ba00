package dsl

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"alexnet/model"
)

// parse parses what must be sound.
func parse(t *testing.T, src string, set ...string) *model.Net {
	t.Helper()
	net, err := Parse("test.net", []byte(src), settings(t, set...)...)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, src)
	}
	return net
}

func settings(t *testing.T, texts ...string) []Setting {
	t.Helper()
	var list []Setting
	for _, text := range texts {
		s, err := ParseSetting(text)
		if err != nil {
			t.Fatal(err)
		}
		if s.String() != text {
			t.Errorf("setting %q reads as %q", text, s)
		}
		list = append(list, s)
	}
	return list
}

// fails returns the errors of what must not be sound.
func fails(t *testing.T, src []byte, set ...Setting) Errors {
	t.Helper()
	net, err := Parse("test.net", src, set...)
	var errs Errors
	if !errors.As(err, &errs) || len(errs) == 0 || net != nil {
		t.Fatalf("got %v and %v, want errors alone", net, err)
	}
	return errs
}

const minimal = "net small\ninput 3x8x8\nfull 2\nsoftmax\n"

func TestDefaults(t *testing.T) {
	net := parse(t, "net small\ninput 3x9x9\nconv 4 3x3\nlocal 4 3\nlrn\nmaxpool 3x3\nfull 2\nsoftmax")
	window := model.Window{H: 3, W: 3, Stride: 1}
	want := []model.Spec{
		model.Conv{Kernels: 4, Window: window, Groups: 1, Params: model.DefaultParams()},
		model.Local{Kernels: 4, Window: window, Groups: 1, Params: model.DefaultParams()},
		model.LRN{Size: 5, Alpha: 1e-4, Beta: 0.75, K: 2},
		model.Pool{Mode: model.Max, Window: window},
		model.Full{Outputs: 2, Params: model.DefaultParams()},
		model.Softmax{},
	}
	for i, l := range net.Layers {
		if l.Spec != want[i] {
			t.Errorf("%s: got %+v, want %+v", l.Name, l.Spec, want[i])
		}
	}
	if net.Columns != 1 || net.Data != model.DefaultData() || !reflect.DeepEqual(net.Train, model.DefaultTrain()) {
		t.Errorf("got %d columns, %+v, %+v", net.Columns, net.Data, net.Train)
	}
}

// TestEveryWord writes a value other than the default for everything.
func TestEveryWord(t *testing.T) {
	net := parse(t, `net every
input 3x32x32
columns 2
a conv 8 5x3 stride 2 pad 1 ceil across from input init 0.5 bias -1 rate 2 bias-rate 3 decay 4 bias-decay 5
b local 8 3x3 groups 2 rate 2 decay 3 bias-decay 0
tanh
sigmoid
lrn size 3 alpha 2 beta 3 k 4 within
avgpool 2 stride 2
dropout 0.25
full 4 across bias-rate 7
softmax
train {
	batch 2
	passes 3
	rate 4
	momentum 0.5
	decay 6
	seed 18446744073709551615
	divide 8 plateau 9 times 10
}
data {
	crop 32
	mirror
	mean none
	color pca 0.5
	views 10
}`)
	want := []model.Spec{
		model.Conv{Kernels: 8, Window: model.Window{H: 5, W: 3, Stride: 2, Pad: 1, Ceil: true}, Groups: 1,
			Params: model.Params{Deviation: 0.5, Bias: -1, Rate: 2, BiasRate: 3, Decay: 4, BiasDecay: 5}},
		model.Local{Kernels: 8, Window: model.Window{H: 3, W: 3, Stride: 1}, Groups: 2,
			Params: model.Params{Deviation: 0.01, Rate: 2, BiasRate: 2, Decay: 3, BiasDecay: 0}},
		model.Activation{Func: model.Tanh},
		model.Activation{Func: model.Sigmoid},
		model.LRN{Size: 3, Alpha: 2, Beta: 3, K: 4, Within: true},
		model.Pool{Mode: model.Avg, Window: model.Window{H: 2, W: 2, Stride: 2}},
		model.Dropout{Rate: 0.25},
		model.Full{Outputs: 4, Params: model.Params{Deviation: 0.01, Rate: 1, BiasRate: 7, Decay: 1, BiasDecay: 1}},
		model.Softmax{},
	}
	for i, l := range net.Layers {
		if l.Spec != want[i] {
			t.Errorf("%s: got %+v, want %+v", l.Name, l.Spec, want[i])
		}
		if across := i == 0 || i == 7; l.Across != across {
			t.Errorf("%s: across is %v", l.Name, l.Across)
		}
	}
	if want := (model.Data{Crop: 32, Mirror: true, Mean: model.MeanNone, Color: 0.5, Views: 10}); net.Data != want {
		t.Errorf("got %+v", net.Data)
	}
	train := model.Train{Batch: 2, Passes: 3, Rate: 4, Momentum: 0.5, Decay: 6, Seed: 1<<64 - 1,
		Divide: model.Divide{By: 8, Plateau: 9, Times: 10}}
	if !reflect.DeepEqual(net.Train, train) {
		t.Errorf("got %+v", net.Train)
	}
	if net.Columns != 2 || net.Name != "every" || net.Input != (model.Shape{C: 3, H: 32, W: 32}) {
		t.Errorf("got %q, %v in %d columns", net.Name, net.Input, net.Columns)
	}
}

func TestNamesAndReading(t *testing.T) {
	net := parse(t, `net names
input 3x8x8
relu
relu
tanh
a conv 4 3x3
relu
relu
train {
}
relu2 relu
b relu from a
c tanh from a
full 2 from relu2, b, c
softmax`)
	want := []struct {
		name string
		from []int
	}{
		{"input.relu", []int{-1}}, {"input.relu2", []int{0}}, {"input.tanh", []int{1}},
		{"a", []int{2}}, {"a.relu", []int{3}}, {"a.relu2", []int{4}}, {"relu2", []int{5}},
		{"b", []int{3}}, {"c", []int{3}}, {"c.full", []int{6, 7, 8}}, {"c.softmax", []int{9}},
	}
	for i, l := range net.Layers {
		if l.Name != want[i].name || !reflect.DeepEqual(l.From, want[i].from) {
			t.Errorf("layer %d is %s from %v, want %s from %v", i, l.Name, l.From, want[i].name, want[i].from)
		}
	}
}

func TestLineEndsAndMark(t *testing.T) {
	want := parse(t, minimal)
	for name, src := range map[string]string{
		"CRLF":            strings.ReplaceAll(minimal, "\n", "\r\n"),
		"byte order mark": "\ufeff" + minimal,
		"no last newline": strings.TrimSpace(minimal),
		"tabs":            strings.ReplaceAll(minimal, " ", "\t"),
	} {
		if got := parse(t, src); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got another network", name)
		}
		if out, err := Format("test.net", []byte(src)); err != nil || strings.ContainsAny(string(out), "\r\ufeff\t") {
			t.Errorf("%s: %v, formatted as %q", name, err, out)
		}
	}
}

// TestBounds gives what is far too large and wants a plain answer.
func TestBounds(t *testing.T) {
	garbage := make([]byte, 10<<20)
	for i := range garbage {
		garbage[i] = byte(i * i >> 3)
	}
	layers := "net deep\ninput 3x8x8\n" + strings.Repeat("relu\n", 20_000)
	wide := "net wide\ninput 3x8x8\njoin relu from input" + strings.Repeat(", input", 100_000) + "\nfull 2\nsoftmax\n"
	for _, c := range []struct {
		name, src, want string
		line, column    int
	}{
		{"garbage", string(garbage), "10485760 bytes", 1, 1},
		{"layers", layers, "more than 10000 layers", 10_003, 1},
		{"1e18 outputs", "net a\ninput 3x8x8\nfull 1000000000000000000\nsoftmax", "want 1 to 2147483647", 3, 6},
		{"1e18 inputs", "net a\ninput 1000000x1000000x1000000\nfull 2\nsoftmax", "more than 2147483647 numbers", 2, 7},
		{"weights", "net a\ninput 3x1000x1000\nfull 1000\nsoftmax", "more than 2147483647 numbers", 3, 1},
		{"name", "net a\ninput 3x8x8\n" + strings.Repeat("a", 65) + " full 2\nsoftmax", "65 characters", 3, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := fails(t, []byte(c.src))[0]
			if !strings.Contains(e.Text, c.want) || e.Pos != (Position{"test.net", c.line, c.column}) {
				t.Errorf("got %v, want %q at %d:%d", e, c.want, c.line, c.column)
			}
		})
	}
	grows := minimal + "#" + strings.Repeat("x", maxFile-100_000) + "\n" + strings.Repeat("relu#\n", 5000)
	if _, err := Format("test.net", []byte(grows)); err == nil || !strings.Contains(err.Error(), "the formatted text would have") {
		t.Errorf("a text that would grow too large: %v", err)
	}
	if net := parse(t, wide); net.Layers[0].Out.C != 300_003 {
		t.Errorf("joined channels: %d", net.Layers[0].Out.C)
	}
}

func TestManyErrors(t *testing.T) {
	errs := fails(t, []byte("net a\ninput 3x8x8\n"+strings.Repeat("relu 1\n", 5000)))
	text := errs.Error()
	if len(errs) != maxErrors || strings.Count(text, "\n") != 3*maxPrinted || !strings.HasSuffix(text, "\nand 950 or more") {
		t.Errorf("%d errors, printed:\n%s", len(errs), text)
	}
	errs = fails(t, []byte("net a\ninput 3x8x8\n"+strings.Repeat("relu 1\n", 60)))
	if text := errs.Error(); !strings.HasSuffix(text, "\nand 10") {
		t.Errorf("%d errors, printed:\n%s", len(errs), text)
	}
}

// TestLongLine shows the part of the line around the trouble, and nothing that
// a terminal would obey.
func TestLongLine(t *testing.T) {
	src := "net a\ninput 3x8x8\nconv 8 3x3 " + strings.Repeat("pad 1 ", 50) + "é strde " + strings.Repeat("pad 1 ", 50) + "# \u202e"
	for _, e := range fails(t, []byte(src)) {
		lines := strings.Split(e.Error(), "\n")
		if len(lines) != 3 || len([]rune(lines[1])) > maxExcerpt+10 {
			t.Fatalf("got %q", lines)
		}
		at := strings.IndexByte(lines[2], '^')
		shown := []rune(lines[1])[at:][:e.Width]
		if whole := []rune(e.Line)[e.Pos.Column-1:][:e.Width]; string(shown) != string(whole) {
			t.Errorf("%v: the caret is under %q, not %q", e.Pos, string(shown), string(whole))
		}
	}
	e := fails(t, []byte("net a\ninput 3x8x8\nrelu \x1b[31m"))[0]
	if strings.ContainsRune(e.Error(), 0x1b) {
		t.Errorf("an escape character gets through: %q", e.Error())
	}
}

// TestFigure1 holds the two networks of figure 1 against each other.
func TestFigure1(t *testing.T) {
	var nets [2]*model.Net
	for i, f := range []model.Func{model.Relu, model.Tanh} {
		src, err := os.ReadFile("../nets/cifar10-" + string(f) + ".net")
		if err != nil {
			t.Fatal(err)
		}
		nets[i] = parse(t, string(src))
		if nets[i].Train.Decay != 0 {
			t.Errorf("%s is regularised", f)
		}
		nets[i].Name, nets[i].Train.Rate = "", 0 // each at its own best rate
		found := 0
		for _, l := range nets[i].Layers {
			l.Name = ""
			if l.Spec == (model.Activation{Func: f}) {
				l.Spec = model.Activation{}
				found++
			}
		}
		if found == 0 {
			t.Errorf("no %s", f)
		}
	}
	if !reflect.DeepEqual(nets[0], nets[1]) {
		t.Error("the networks differ in more than their activation")
	}
}

// TestAlexNet holds the network in the file against the paper (section 3.5).
func TestAlexNet(t *testing.T) {
	src, err := os.ReadFile("../alexnet.net")
	if err != nil {
		t.Fatal(err)
	}
	net := parse(t, string(src))
	want := map[string]string{ // shape, weight, parameters, neurons
		"conv1": "96x55x55 [96 3 11 11] 34944 290400",
		"pool1": "96x27x27 [] 0 0",
		"conv2": "256x27x27 [256 48 5 5] 307456 186624",
		"pool2": "256x13x13 [] 0 0",
		"conv3": "384x13x13 [384 256 3 3] 885120 64896",
		"conv4": "384x13x13 [384 192 3 3] 663936 64896",
		"conv5": "256x13x13 [256 192 3 3] 442624 43264",
		"pool5": "256x6x6 [] 0 0",
		"fc6":   "4096x1x1 [4096 9216] 37752832 4096",
		"fc7":   "4096x1x1 [4096 4096] 16781312 4096",
		"fc8":   "1000x1x1 [1000 4096] 4097000 1000",
	}
	gathers := map[string]bool{"conv3": true, "fc6": true, "fc7": true, "fc8": true, "fc8.softmax": true}
	bias := map[string]float64{"conv2": 1, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1}
	for i, l := range net.Layers {
		weight, _ := net.ParamShapes(i)
		got := fmt.Sprint(l.Out, weight, net.Parameters(i), net.Neurons(i))
		if w, ok := want[l.Name]; ok && got != w {
			t.Errorf("%s: got %s, want %s", l.Name, got, w)
		}
		delete(want, l.Name)
		if net.Gathers(l) != gathers[l.Name] {
			t.Errorf("%s: looks at both GPUs: %v", l.Name, net.Gathers(l))
		}
		if p, ok := l.Params(); ok && (p.Deviation != 0.01 || p.Bias != bias[l.Name] || p.Rate != 1 || p.BiasRate != 1) {
			t.Errorf("%s: %+v", l.Name, p)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	parameters, neurons, work := net.Totals()
	if parameters != 60_965_224 || neurons != 659_272 || work/1e6 != 724 {
		t.Errorf("%d parameters, %d neurons, %d multiply-adds", parameters, neurons, work)
	}
	if net.Classes() != 1000 || net.Columns != 2 {
		t.Errorf("%d classes, %d columns", net.Classes(), net.Columns)
	}
	if want := (model.Data{Crop: 224, Mirror: true, Mean: model.MeanPixel, Color: 0.1, Views: 10}); net.Data != want {
		t.Errorf("got %+v", net.Data)
	}
	if d := net.Train; d.Batch != 128 || d.Passes != 90 || d.Rate != 0.01 || d.Momentum != 0.9 || d.Decay != 0.0005 || d.Divide.By != 10 || d.Divide.Times != 3 {
		t.Errorf("got %+v", d)
	}
}

// TestOtherNets holds the counts that the files state.
func TestOtherNets(t *testing.T) {
	for name, want := range map[string]int64{
		"alexnet-1col": 62_378_344, "cifar10-quick": 145_578, "cifar10-relu": 89_578, "cifar10-tanh": 89_578, "shapes": 59_114,
		"cifar10-18pct": 89_578, "cifar10-11pct": 2_112_970, "cifar10-13pct": 2_112_970,
		"alexnet-2012": 60_965_224, "alexnet-no-norm": 60_965_224, "alexnet-no-overlap": 60_965_224,
		"alexnet-no-conv4": 60_301_288, "alexnet-half": 59_798_312, "alexnet-conv6": 61_260_392,
	} {
		src, err := os.ReadFile("../nets/" + name + ".net")
		if err != nil {
			t.Fatal(err)
		}
		net := parse(t, string(src))
		if parameters, _, _ := net.Totals(); parameters != want || net.Name != name {
			t.Errorf("%s: %s has %d parameters, want %d", name, net.Name, parameters, want)
		}
	}
}
