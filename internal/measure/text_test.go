package measure

import (
	"math"
	"testing"
)

func TestCell(t *testing.T) {
	for _, k := range []struct {
		v    any
		want string
	}{
		{nil, ""}, {1234.56, "1235"}, {128., "128"}, {0.000012345, "1.234e-05"}, {math.NaN(), "NaN"}, {true, "yes"}, {7, "7"}, {"a|b\nc", `a\|b c`},
	} {
		if got := Cell(k.v); got != k.want {
			t.Errorf("%v is written %q, want %q", k.v, got, k.want)
		}
	}
}

func TestSlug(t *testing.T) {
	for in, want := range map[string]string{
		"Intel(R) Xeon(R) Processor": "intel-r-xeon-r-processor", "NVIDIA H100 80GB HBM3": "nvidia-h100-80gb-hbm3", " é/.. ": "",
	} {
		if got := Slug(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}
