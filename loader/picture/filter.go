package picture

import (
	"fmt"
	"math"
	"strings"
)

// Filter is the kernel with which pixels are weighted when an image is scaled.
// It is as wide as the pixels of the larger of both images, so that nothing is
// passed over when an image shrinks.
type Filter int

const (
	Bicubic  Filter = iota // Catmull and Rom's cubic (Keys 1981, a = -1/2): PIL's BICUBIC, x/image/draw's CatmullRom
	Bilinear               // a triangle
	Box                    // the mean
	Lanczos                // the windowed sinc of three lobes
)

// kernels are in the order of the constants.
var kernels = [...]struct {
	name    string
	support float64 // the kernel is 0 outside -support..support
	weight  func(x float64) float64
}{
	{"bicubic", 2, bicubic},
	{"bilinear", 1, func(x float64) float64 { return max(1-math.Abs(x), 0) }},
	{"box", 0.5, box},
	{"lanczos", 3, lanczos},
}

func (f Filter) valid() bool { return f >= 0 && int(f) < len(kernels) }

// String returns the name that [ParseFilter] knows.
func (f Filter) String() string {
	if !f.valid() {
		return fmt.Sprintf("Filter(%d)", int(f))
	}
	return kernels[f].name
}

// ParseFilter returns the filter of a name.
func ParseFilter(name string) (Filter, error) {
	var names []string
	for f, k := range kernels {
		if k.name == name {
			return Filter(f), nil
		}
		names = append(names, k.name)
	}
	return 0, fmt.Errorf("there is no filter %q; want one of %s", name, strings.Join(names, ", "))
}

func bicubic(x float64) float64 {
	switch x = math.Abs(x); {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	}
	return 0
}

// box takes in one of its two ends: where pixels meet it exactly, as many of
// them are inside as it is wide.
func box(x float64) float64 {
	if x > -0.5 && x <= 0.5 {
		return 1
	}
	return 0
}

func lanczos(x float64) float64 {
	switch x = math.Abs(x) * math.Pi; {
	case x == 0:
		return 1
	case x < 3*math.Pi:
		return 3 * math.Sin(x) * math.Sin(x/3) / (x * x)
	}
	return 0
}
