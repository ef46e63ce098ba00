package raw

import (
	"slices"
	"testing"
)

func TestThereAndBack(t *testing.T) {
	x := []float32{1, -2, 3.5}
	b := Bytes(x)
	if !slices.Equal(b, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0x60, 0x40}) {
		t.Errorf("bytes % x", b)
	}
	if y := Numbers[float32](b); !slices.Equal(x, y) {
		t.Errorf("numbers %v, want %v", y, x)
	}
	for name, b := range map[string][]byte{"length": b[:6], "place": b[2:6]} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Numbers[int32](b)
		}()
	}
}
