package bench

import (
	"math"
	"testing"

	"alexnet/dsl"
	"alexnet/model"
)

func parse(t *testing.T, src string) *model.Net {
	t.Helper()
	net, err := dsl.Parse("test.net", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// tiny has few enough numbers to be counted by hand.
const tiny = `net tiny
input 3x4x4
conv1 conv 2 3x3 pad 1 init 0.1
      relu
      maxpool 2x2 stride 2
fc    full 5 init 0.1
      dropout 0.5
fd    full 2 init 0.1
      softmax
train {
	batch 3
	rate 0.1
	passes 1
}
`

// TestFloorTiny counts by hand. Parameters: conv1 2x27+2, fc 5x8+5, fd 2x5+2: 113.
// Multiply-adds forward: conv1 16x54 = 864, fc 40, fd 10; backward by the weights as
// many, by the data all but conv1's. Kept: the ReLU's 32 numbers, the pool's 8, fc's
// 5, the softmax's 2, and 8 places.
func TestFloorTiny(t *testing.T) {
	const flop = 2 * (864*2 + 40*3 + 10*3)
	for _, k := range []struct {
		precision string
		parameter float64 // bytes of each
		image     float64
	}{
		{"fp32", 4 + 8 + 8 + 8, 47*8 + 16 + 48},
		{"tf32", 4 + 8 + 8 + 8, 47*8 + 16 + 48},
		{"bf16", 2 + 8 + 8 + 4 + 2, 47*4 + 16 + 48},
	} {
		f, err := FloorOf(parse(t, tiny), 3, k.precision, Ceilings{GFLOPs: 2, GBs: 0.5})
		arithmetic, memory := 3*flop/2e6, (113*k.parameter+3*k.image)/0.5e6
		if err != nil || math.Abs(f.Arithmetic-arithmetic) > 1e-12 || math.Abs(f.Memory-memory) > 1e-12 {
			t.Errorf("%s: %+v, %v; want %g and %g", k.precision, f, err, arithmetic, memory)
		}
		if f.Overlapped() != max(f.Arithmetic, f.Memory) || f.Sum() != f.Arithmetic+f.Memory {
			t.Errorf("%+v: %g overlapped, %g in sum", f, f.Overlapped(), f.Sum())
		}
	}
}

// TestFloorFrozen: layers below all that learn have no backward pass, and what does
// not learn is only read.
func TestFloorFrozen(t *testing.T) {
	f, err := FloorOf(parse(t, `net frozen
input 3x4x4
conv1 conv 2 3x3 pad 1 init 0.1 rate 0 bias-rate 0
      relu
      maxpool 2x2 stride 2
fc    full 5 init 0.1
      softmax
train {
	batch 1
	rate 0.1
	passes 1
}
`), 1, "fp32", Ceilings{GFLOPs: 1, GBs: 1})
	flop, bytes := 2.*(864+2*40), 56*4+45*28+(8+5)*8+48.
	if err != nil || math.Abs(f.Arithmetic-flop/1e6) > 1e-12 || math.Abs(f.Memory-bytes/1e6) > 1e-12 {
		t.Errorf("%+v, %v; want %g and %g", f, err, flop/1e6, bytes/1e6)
	}
}

// TestFloorAlexNet: 4.14 GFLOP an image, as the plan's operations add up to, 60,965,224
// parameters, and 781,736 numbers of an image: the paper's layers after their ReLUs,
// pools 1, 2 and 5 and the softmax. fc6 and fc7 lie there once, with their dropout.
func TestFloorAlexNet(t *testing.T) {
	const (
		batch, parameters = 128, 60_965_224
		kept              = 290_400 + 69_984 + 186_624 + 43_264 + 64_896 + 64_896 + 43_264 + 9_216 + 4_096 + 4_096 + 1_000
		places            = 69_984 + 43_264 + 9_216
		pixels            = 3 * 224 * 224
	)
	net := read(t, "../alexnet.net")
	for precision, bytes := range map[string]float64{
		"fp32": 28*parameters + batch*(8*kept+2*places+pixels),
		"bf16": 24*parameters + batch*(4*kept+2*places+pixels),
	} {
		f, err := FloorOf(net, batch, precision, Ceilings{GFLOPs: 1000, GBs: 1000})
		if err != nil || math.Abs(f.Memory-bytes/1e9) > 1e-9 || math.Abs(f.Arithmetic/batch-4.14) > 0.01 {
			t.Errorf("%s: %+v, %v; want %g of memory and %g of arithmetic", precision, f, err, bytes/1e9, 4.14*batch)
		}
	}
}

func TestFloorFaults(t *testing.T) {
	net := parse(t, tiny)
	for _, k := range []struct {
		precision string
		ceilings  Ceilings
	}{{"fp8", Ceilings{1, 1}}, {"fp32", Ceilings{0, 1}}, {"fp32", Ceilings{1, math.NaN()}}} {
		if f, err := FloorOf(net, 1, k.precision, k.ceilings); err == nil {
			t.Errorf("%s, %v: %v", k.precision, k.ceilings, f)
		}
	}
}
