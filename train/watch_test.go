package train

import (
	"path/filepath"
	"slices"
	"testing"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/plan"
)

// watcher wants the kernels after every step, and counts.
type watcher struct {
	started, kernels int
	step             int64
	last             []float32
	tested           []int64
}

func (w *watcher) Started(step, steps int64, programs ...*plan.Program) {
	if step == 0 && steps == 23 && len(programs) == 2 {
		w.started++
	}
}

func (w *watcher) WantsKernels() bool { return true }

func (w *watcher) Kernels(step int64, layer string, t *checkpoint.Tensor) {
	if layer == "conv1" && slices.Equal(t.Shape, []int{4, 3, 7, 7}) && step == w.step+1 {
		w.kernels++
	}
	w.step, w.last = step, slices.Clone(t.Data)
}

func (w *watcher) Tested(image int64, label int32, logits []float64) {
	if len(logits) == 10 && label >= 0 && label < 10 {
		w.tested = append(w.tested, image)
	}
}

// TestWatched: who looks on sees every step and every test image, and changes
// nothing.
func TestWatched(t *testing.T) {
	for _, names := range [][]string{{"cpu"}, {"cpu:0", "cpu:1"}} {
		net, set, devices := open(t, names...)
		var tensors [2][]checkpoint.Tensor
		w := &watcher{}
		for i := range tensors {
			c := config(t, net, set, devices, func(metrics.Metric) {})
			if i == 1 {
				c.Watch = w
			}
			check(t, Run(t.Context(), c))
			trained, err := checkpoint.Read(filepath.Join(c.Dir, Newest))
			check(t, err)
			tensors[i] = trained.Tensors
		}
		for i, x := range tensors[0] {
			y := tensors[1][i]
			if !slices.Equal(x.Data, y.Data) {
				t.Errorf("%v: %s is another where somebody looks on", names, x.Name)
			}
			if x.Name == "conv1.weight" && !slices.Equal(x.Data, w.last) {
				t.Errorf("%v: the last kernels are not those of the checkpoint", names)
			}
		}
		if w.started != 1 || w.kernels != 23 {
			t.Errorf("%v: %d starts and %d steps were seen, want 1 and 23", names, w.started, w.kernels)
		}
		if n := len(w.tested); n != 2*21 || w.tested[n-1] != 20 {
			t.Errorf("%v: the test images %v were seen, want 0 to 20 twice", names, w.tested)
		}
	}
}
