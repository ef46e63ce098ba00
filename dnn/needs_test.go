package dnn

import (
	"strings"
	"testing"
)

// Places in a map and in a window are counted in int32: by kernels, and by what a
// max pool remembers.
func TestNeedsBoundsAreas(t *testing.T) {
	small, most, over := Shape{C: 1, H: 1, W: 1}, Shape{C: 1, H: 1 << 8, W: 1<<23 - 1}, Shape{C: 1, H: 1 << 8, W: 1 << 23}
	one := Window{H: 1, W: 1, Stride: 1}
	conv := func(in, out, window Shape) Conv {
		return Conv{Batch: 1, Groups: 1, In: in, Out: out, Window: Window{H: window.H, W: window.W, Stride: 1}}
	}
	for name, of := range map[string]func(Shape) Op{
		"conv in":       func(s Shape) Op { return ConvForward{Conv: conv(s, small, small), X: 1, W: 2, B: 3, Y: 4} },
		"conv out":      func(s Shape) Op { return ConvBackwardWeights{Conv: conv(small, s, small), X: 1, DY: 2, DW: 3, DB: 4} },
		"conv window":   func(s Shape) Op { return ConvBackwardData{Conv: conv(small, small, s), W: 1, DY: 2, DX: 3} },
		"local in":      func(s Shape) Op { return LocalBackwardData{Conv: conv(s, small, small), W: 1, DY: 2, DX: 3} },
		"local out":     func(s Shape) Op { return LocalForward{Conv: conv(small, s, small), X: 1, W: 2, B: 3, Y: 4} },
		"local window":  func(s Shape) Op { return LocalBackwardWeights{Conv: conv(small, small, s), X: 1, DY: 2, DW: 3, DB: 4} },
		"max pool":      func(s Shape) Op { return MaxPoolForward{Pool: Pool{1, Float32, s, s, one}, X: 1, Y: 2, Where: 3} },
		"avg pool in":   func(s Shape) Op { return AvgPoolForward{Pool: Pool{1, Float32, s, small, one}, X: 1, Y: 2} },
		"avg pool back": func(s Shape) Op { return AvgPoolBackward{Pool: Pool{1, Float32, s, small, one}, DY: 1, DX: 2} },
		"LRN":           func(s Shape) Op { return LRNForward{LRN: LRN{Batch: 1, Groups: 1, Shape: s, Size: 5}, X: 1, Y: 2} },
		"LRN within, dx": func(s Shape) Op {
			return LRNBackward{LRN: LRN{Batch: 1, Groups: 1, Shape: s, Size: 5, Within: true}, X: 1, Y: 2, DY: 3, DX: 4}
		},
		"input": func(s Shape) Op {
			return Input{Batch: 1, Out: s, MeanH: s.H, MeanW: s.W, Pixels: 1, Views: 2, Mean: 3, Y: 4}
		},
	} {
		if _, err := Needs(of(most)); err != nil {
			t.Errorf("%s: of %dx%d: %v", name, most.H, most.W, err)
		}
		if _, err := Needs(of(over)); err == nil || !strings.Contains(err.Error(), "256x8388608: more than 2147483647 places") {
			t.Errorf("%s: of %dx%d: error %v", name, over.H, over.W, err)
		}
	}
}
