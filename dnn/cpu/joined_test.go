package cpu

import (
	"slices"
	"strings"
	"testing"

	"alexnet/dnn"
)

// TestJoin: a joined task does what its parts do one after the other, in order.
func TestJoin(t *testing.T) {
	r := newRig(t)
	x, y, z := r.floats([]float32{1, 2, 3}), r.poison(3), r.poison(3)
	parts := []dnn.Task{
		r.prepare(dnn.Scale{Count: 3, Factor: 2, X: x, Y: y}),
		r.prepare(dnn.Sum{Rows: 1, Width: 3, X: []dnn.Slab{{T: x}, {T: y}}, Y: dnn.Slab{T: z}}),
		r.prepare(dnn.Scale{Count: 3, Factor: -1, X: z, Y: x}),
	}
	joined, err := r.device.Join(parts)
	check(t, err)
	if joined.Op().(dnn.Scale).Y != y {
		t.Errorf("the first operation is %+v", joined.Op())
	}
	r.launch(joined)
	if got := r.read(x); !slices.Equal(got, []float32{-3, -6, -9}) {
		t.Errorf("after one launch %v", got)
	}
	for _, p := range parts {
		r.launch(p)
	}
	r.launch(joined)
	if got := r.read(x); !slices.Equal(got, []float32{-27, -54, -81}) {
		t.Errorf("after three %v", got)
	}
	check(t, joined.Close())
}

func TestJoinRefuses(t *testing.T) {
	r, other := newRig(t), newRig(t)
	x := r.floats(make([]float32, 1))
	task := r.prepare(dnn.Scale{Count: 1, X: x, Y: x})
	joined, err := r.device.Join([]dnn.Task{task})
	check(t, err)
	for _, c := range []struct {
		device *Device
		tasks  []dnn.Task
		want   string
	}{
		{r.device, nil, "no tasks"}, {r.device, []dnn.Task{task, nil}, "has not prepared"},
		{other.device, []dnn.Task{task}, "has not prepared"}, {r.device, []dnn.Task{joined}, "has not prepared"},
	} {
		if _, err := c.device.Join(c.tasks); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d tasks: %v, want %q", len(c.tasks), err, c.want)
		}
	}
	if err := other.stream.Launch(joined); err == nil || !strings.Contains(err.Error(), "another device") {
		t.Errorf("in a stream of another device: %v", err)
	}
}
