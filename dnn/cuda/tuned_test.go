package cuda_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/sim"
)

// TestTunedOnce: algorithms are measured at the first start on a GPU, not at the next;
// again if the file is damaged, or of other sizes; and never without Autotune.
func TestTunedOnce(t *testing.T) {
	dir := t.TempDir()
	conv := dnn.Conv{Batch: 2, Groups: 1, In: dnn.Shape{C: 3, H: 8, W: 8}, Out: dnn.Shape{C: 4, H: 8, W: 8}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}}
	full := dnn.Full{Batch: 4, Groups: 2, In: 32, Out: 64}
	// start opens a device and prepares operations, and returns how many functions that
	// measure were called.
	start := func(autotune bool, conv dnn.Conv) (found, timed int) {
		t.Helper()
		m, err := sim.New(sim.Options{GPUs: 1})
		check(t, err)
		defer func() { check(t, m.Close()) }()
		libs := tabled(t, m, func(f *tables) {
			count(&f.dnn.FindConvolutionForwardAlgorithmEx, &found)
			count(&f.dnn.FindConvolutionBackwardDataAlgorithmEx, &found)
			count(&f.dnn.FindConvolutionBackwardFilterAlgorithmEx, &found)
			count(&f.blas.Matmul, &timed)
		})
		d, err := libs.New("gpu", 0, cuda.Options{Autotune: autotune, KernelCache: dir})
		check(t, err)
		mem, err := d.NewBuffer(1 << 20)
		check(t, err)
		for _, op := range []dnn.Op{
			dnn.ConvForward{Conv: conv, X: 1, W: 2, B: 3, Y: 4}, dnn.ConvBackwardData{Conv: conv, W: 1, DY: 2, DX: 3}, dnn.ConvBackwardWeights{Conv: conv, X: 1, DY: 2, DW: 3, DB: 4},
			dnn.FullForward{Full: full, X: 1, W: 2, B: 3, Y: 4}, dnn.FullBackwardData{Full: full, W: 1, DY: 2, DX: 3},
		} {
			task, err := d.Prepare(op, func(x dnn.Tensor) dnn.Buffer { return mem.Slice(int64(x)<<17, 1<<17) })
			check(t, err)
			how := task.(interface{ How() string }).How()
			if conv := strings.HasPrefix(dnn.NameOf(op), "Conv"); conv != strings.HasPrefix(how, "float32, algorithm ") {
				t.Errorf("%s is done %q", dnn.NameOf(op), how)
			}
			check(t, task.Close())
		}
		check(t, mem.Close())
		check(t, d.Close())
		return found, timed
	}
	if found, timed := start(false, conv); found != 0 || timed != 0 {
		t.Errorf("without -autotune, %d and %d measurements", found, timed)
	}
	found, timed := start(true, conv)
	if found != 3 || timed == 0 {
		t.Errorf("at first %d searches and %d products, want 3 and some", found, timed)
	}
	if found, timed := start(true, conv); found != 0 || timed != 0 {
		t.Errorf("then %d searches and %d products, want none", found, timed)
	}
	other := conv
	other.Batch = 3
	if found, timed := start(true, other); found != 3 || timed != 0 {
		t.Errorf("with another batch %d searches and %d products, want 3 and none", found, timed)
	}
	if found, timed := start(true, conv); found != 0 || timed != 0 {
		t.Errorf("with the first batch again %d searches and %d products, want none", found, timed)
	}
	files, err := filepath.Glob(filepath.Join(dir, "tuned-*.json"))
	check(t, err)
	if len(files) != 1 {
		t.Fatalf("files %v, want one", files)
	}
	text, err := os.ReadFile(files[0])
	check(t, err)
	lost := regexp.MustCompile(`"Algo": \d+`).ReplaceAll(text, []byte(`"Algo": 3`)) // which does none of these
	check(t, os.WriteFile(files[0], lost, 0o600))
	if again, _ := start(true, conv); again != found {
		t.Errorf("after algorithms that do not work %d searches, want %d", again, found)
	}
	for _, damage := range []string{"", "{", `{"Convolutions": 5}`, `{"Products": {"x": [1]}}`} {
		check(t, os.WriteFile(files[0], []byte(damage), 0o600))
		if again, _ := start(true, conv); again != found {
			t.Errorf("with %q in the file %d searches, want %d", damage, again, found)
		}
	}
}

// count has calls of a function counted.
func count[F any](f *F, n *int) {
	old := reflect.ValueOf(*f)
	*f = reflect.MakeFunc(old.Type(), func(args []reflect.Value) []reflect.Value {
		*n++
		return old.Call(args)
	}).Interface().(F)
}
