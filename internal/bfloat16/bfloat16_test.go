package bfloat16

import (
	"math"
	"testing"
)

// Every bfloat16 comes back as it was, signalling NaNs made quiet; and of each two
// neighbours, what is between them goes to the nearer, the middle to the even one.
func TestNearest(t *testing.T) {
	for b := range 1 << 16 {
		v, want := Float32(uint16(b)), uint16(b)
		if v != v {
			want |= 1 << 6
		}
		if got := From(v); got != want {
			t.Fatalf("%#04x: %g: back %#04x", b, v, got)
		}
		bits := uint32(b) << 16
		if v != v || math.IsInf(float64(v), 0) {
			continue
		}
		for _, c := range []struct {
			lower uint32
			want  uint16
		}{{1, uint16(b)}, {0x7fff, uint16(b)}, {0x8000, uint16(b + b&1)}, {0x8001, uint16(b + 1)}, {0xffff, uint16(b + 1)}} {
			if got := From(math.Float32frombits(bits | c.lower)); got != c.want {
				t.Fatalf("%#08x: %#04x, want %#04x", bits|c.lower, got, c.want)
			}
		}
	}
	if v := Round(1 + 1.0/256); v != 1 {
		t.Errorf("1 + 1/256 is rounded to %g, want 1", v)
	}
}
