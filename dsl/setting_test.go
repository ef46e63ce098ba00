package dsl

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"alexnet/model"
)

// TestSettings wants the same network from text and settings, from what Apply
// writes, and from the text with the change made by hand.
func TestSettings(t *testing.T) {
	const src = `net set
input 3x8x8
c conv 4 3x3 pad 1 bias 1 from input
relu
dropout 0.5
fc full 4
softmax
train {
	batch 128
	seed 2
	divide 10 plateau 2 times 3
}
`
	for _, c := range []struct{ set, old, new string }{
		{"train.batch=64", "batch 128", "batch 64"},
		{"train.divide=10 at 8 10", "divide 10 plateau 2 times 3", "divide 10 at 8 10"},
		{"train.divide=default", "divide 10 plateau 2 times 3", ""},
		{"train.at=8 rate 1e-4 layer c", "seed 2", "seed 2\n\tat 8 rate 1e-4 layer c"},
		{"train.at=default", "", ""},
		{"train.rate=1e-3", "seed 2", "seed 2\n\trate 1e-3"},
		{"train.seed=18446744073709551615", "seed 2", "seed 18446744073709551615"},
		{"data.views=10", "train {", "data {\n\tviews 10\n}\ntrain {"},
		{"data.mirror=yes", "train {", "data {\n\tmirror\n}\ntrain {"},
		{"data.mirror=no", "", ""},
		{"data.color=pca 0.5 until 3", "train {", "data {\n\tcolor pca 0.5 until 3\n}\ntrain {"},
		{"data.color=pca 0.5", "train {", "data {\n\tcolor pca 0.5\n}\ntrain {"},
		{"fc.rate=0", "full 4", "full 4 rate 0"},
		{"fc.outputs=10", "full 4", "full 10"},
		{"fc.across=yes", "full 4", "full 4 across"},
		{"c.window=5", "3x3", "5x5"},
		{"c.bias=default", "bias 1", ""},
		{"c.ceil=no", "", ""},
		{"c.dropout.probability=0.25", "0.5", "0.25"},
		{"fc.init=0.5", "full 4", "full 4 init 0.5"},
		{"columns=2", "input 3x8x8", "input 3x8x8\ncolumns 2"},
		{"input=1x9x9", "3x8x8", "1x9x9"},
		{"net=other", "net set", "net other"},
	} {
		t.Run(c.set, func(t *testing.T) {
			set := settings(t, c.set)
			want := parse(t, strings.Replace(src, c.old, c.new, 1))
			if got := parse(t, src, c.set); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			text, err := Apply("test.net", []byte(src), set...)
			if err != nil {
				t.Fatal(err)
			}
			if got := parse(t, string(text)); !reflect.DeepEqual(got, want) {
				t.Errorf("what is written is another network:\n%s", text)
			}
			if again, err := Format("test.net", text); err != nil || !bytes.Equal(again, text) {
				t.Errorf("what is written is not canonical: %v\n%s", err, text)
			}
		})
	}
}

func TestSettingErrors(t *testing.T) {
	src, err := os.ReadFile("../alexnet.net")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set, want string
		column    int
	}{
		{"train.batch=x", `expected a whole number, as in batch 128; found "x"`, 13},
		{"train.batch=0", "batch 0, want 1 to", 13},
		{"train.batch=64 64", `expected the end of the line; found "64"`, 16},
		{"train.bach=64", `did you mean batch?`, 7},
		{"train.divide=10", "expected when to divide", 7},
		{"train.momentum=1", "less than 1", 16},
		{"data.mirror=maybe", "expected yes or no", 13},
		{"data.crop=default extra", "expected a whole number", 11},
		{"data.color=0.1", "expected pca", 12},
		{"data.crop=100", "gives patches of 100x100, but the input is 3x224x224", 11},
		{"fc9.rate=0", `did you mean fc6?`, 1},
		{"fc6.rat=0", `did you mean rate?`, 5},
		{"fc6.rate=-1", "rate is -1", 5},
		{"fc6.rate=1 2", `expected nothing more; found "2"`, 12},
		{"fc6.rate=across", "expected a number after =", 10},
		{"fc6.across=1", "expected yes or no", 12},
		{"fc6.stride=1", `full takes no "stride"`, 5},
		{"fc6.outputs=4095", "cannot be divided evenly over 2 columns", 13},
		{"conv2.window=99", "does not fit into 96x27x27", 14},
		{"conv2.from=conv9", `no layer is named "conv9"`, 12},
		{"input=default", "input has no default", 1},
		{"batch=64", `unknown setting "batch"`, 1},
		{"columns=3", "cannot be divided evenly over 3 columns", 0},
	} {
		set, err := ParseSetting(c.set)
		if err != nil {
			t.Errorf("%s: %v", c.set, err)
			continue
		}
		e := fails(t, src, set)[0]
		pos := Position{"-set " + c.set, 1, c.column}
		if !strings.Contains(e.Text, c.want) || c.column > 0 && (e.Pos != pos || e.Line != c.set) {
			t.Errorf("%s: got %v, want %q at column %d", c.set, e, c.want, c.column)
		}
	}
	for set, column := range map[string]int{
		"": 1, "train.batch": 1, "train.batch=": 13, " train.batch=1": 1, "train.batch=1 # why": 1, "train.batch=?": 13,
		"train.batch=1\nseed 2": 14, "a\x00b=1": 1, "é.batch=\xff": 9,
	} {
		_, err := ParseSetting(set)
		var errs Errors
		if !errors.As(err, &errs) || errs[0].Pos.Column != column {
			t.Errorf("%q: got %v, want an error in column %d", set, err, column)
		}
	}
}

// TestSettingOrder wants the errors of the file first, then those of each
// setting in turn.
func TestSettingOrder(t *testing.T) {
	errs := fails(t, []byte(minimal+"train {\n\tbatch x\n}\n"), settings(t, "train.rate=x", "data.views=3", "train.rate=y")...)
	var got []string
	for _, e := range errs {
		got = append(got, e.Pos.File)
	}
	want := []string{"test.net", "-set train.rate=x", "-set data.views=3", "-set train.rate=y"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSettingFrom(t *testing.T) {
	const src = "net a\ninput 3x8x8\na relu\nb tanh\nc full 2\nsoftmax\n"
	net := parse(t, src, "c.from=a, b", "c.rate=2", "c.rate=3")
	if l := net.Layers[2]; !reflect.DeepEqual(l.From, []int{0, 1}) || l.In != (model.Shape{C: 6, H: 8, W: 8}) || l.Spec.(model.Full).Params.Rate != 3 {
		t.Errorf("got %+v", l)
	}
	if net, err := Parse("a.net", []byte(src), Setting{}); err != nil || len(net.Layers) != 4 {
		t.Errorf("the zero setting: %v", err)
	}
}
