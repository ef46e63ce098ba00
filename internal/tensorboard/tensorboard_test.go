package tensorboard

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/internal/tensorboard/eventtest"
	"alexnet/internal/testenv"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// written returns the events of the files in dir.
func written(t *testing.T, dir string) []eventtest.Event {
	t.Helper()
	events, err := eventtest.Read(dir)
	check(t, err)
	for _, e := range events {
		if age := time.Since(time.UnixMicro(int64(1e6 * e.Time))); age < -time.Second || age > time.Hour {
			t.Errorf("an event is %v old", age)
		}
	}
	return events
}

func picture() image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 5, 3))
	img.SetRGBA(4, 2, color.RGBA{200, 100, 50, 255})
	return img
}

// run writes what a run does that is stopped after step 20, and goes on from step 10.
func run(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	w, err := Create(dir, 0)
	check(t, err)
	check(t, w.Text(0, "network", "    net tiny\n"))
	check(t, w.Scalars(10, Scalar{"train/loss", 0.5}, Scalar{"rate", 0.01}))
	check(t, w.Scalars(20, Scalar{"train/loss", math.NaN()}))
	check(t, w.Image(20, "conv1/kernels", picture()))
	check(t, w.Close())
	w, err = Create(dir, 11)
	check(t, err)
	check(t, w.Scalars(20, Scalar{"train/loss", 0.25}))
	check(t, w.Image(20, "conv1/kernels", picture()))
	check(t, w.Close())
	return dir
}

func TestEvents(t *testing.T) {
	events := written(t, run(t))
	want := []string{
		"0 brain.Event:2", "0 started", "0 network", "10 train/loss 0.5, rate 0.01", "20 train/loss NaN", "20 conv1/kernels",
		"0 brain.Event:2", "11 started", "20 train/loss 0.25", "20 conv1/kernels",
	}
	var got []string
	for _, e := range events {
		var says []string
		if e.Started {
			says = append(says, "started")
		}
		if e.Version != "" {
			says = append(says, e.Version)
		}
		for _, v := range e.Values {
			s := v.Tag
			switch {
			case v.PNG != nil:
				img, err := png.Decode(bytes.NewReader(v.PNG))
				check(t, err)
				if img.Bounds().Size() != image.Pt(5, 3) || v.Width != 5 || v.Height != 3 || v.Colorspace != 4 {
					t.Errorf("a picture of %v, said to be %dx%d in colour space %d; want 5x3 in 4 (RGBA)", img.Bounds(), v.Width, v.Height, v.Colorspace)
				}
				if c := color.RGBAModel.Convert(img.At(4, 2)); c != (color.RGBA{200, 100, 50, 255}) {
					t.Errorf("its last pixel is %v", c)
				}
			case v.Plugin != "":
				if v.Plugin != "text" || v.Text != "    net tiny\n" || v.Kind != 7 || v.Dimension != 1 || v.DataClass != 2 {
					t.Errorf("a text is %+v", v)
				}
			default:
				s += fmt.Sprintf(" %.4g", v.Scalar)
			}
			says = append(says, s)
		}
		got = append(got, fmt.Sprintf("%d %s", e.Step, strings.Join(says, ", ")))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Another file comes after those that are there, whatever the clock says.
func TestNamesSort(t *testing.T) {
	dir := t.TempDir()
	future := time.Now().Add(1000 * time.Hour).Unix()
	check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s%d.elsewhere", prefix, future)), nil, 0o666))
	for _, odd := range []string{"xyz.host", "", "99999999999999.host", "-1"} {
		check(t, os.WriteFile(filepath.Join(dir, prefix+odd), nil, 0o666))
	}
	for i := range 3 {
		w, err := Create(dir, 0)
		check(t, err)
		check(t, w.Close())
		if want := fmt.Sprintf("%s%d.", prefix, future+1+int64(i)); !strings.HasPrefix(filepath.Base(w.f.Name()), want) {
			t.Errorf("file %d is %s, want %s and the machine's name", i, w.f.Name(), want)
		}
	}
}

func TestErrors(t *testing.T) {
	if _, err := Create(filepath.Join(t.TempDir(), "absent"), 0); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("in a folder that is not there: %v", err)
	}
	w, err := Create(t.TempDir(), 0)
	check(t, err)
	if err := w.Image(0, "conv1/kernels", image.NewRGBA(image.Rectangle{})); err == nil || !strings.Contains(err.Error(), "the picture conv1/kernels") {
		t.Errorf("a picture of no size: %v", err)
	}
	check(t, w.Close())
	if err := w.Scalars(1, Scalar{"train/loss", 1}); err == nil {
		t.Error("it was written into a file that is closed")
	}
}

func TestFullDisk(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
	dir := t.TempDir()
	w, err := Create(dir, 0)
	check(t, err)
	before, err := os.Stat(w.f.Name())
	check(t, err)
	point := func(step int64) error { return w.Scalars(step, Scalar{"train/loss", 0.5}) }
	if err := testenv.FullDisk(t, uint64(before.Size())+20, func() error { return point(1) }); err == nil {
		t.Fatal("a record was written beyond the limit")
	}
	check(t, point(2)) // there is room again
	check(t, w.Close())
	if e := written(t, dir); len(e) != 3 || e[2].Step != 2 {
		t.Errorf("the events are %+v, want the first two and that of step 2", e)
	}
	if err := testenv.FullDisk(t, 20, func() error { _, err := Create(dir, 0); return err }); err == nil {
		t.Fatal("a file was begun beyond the limit")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("the folder holds %v, error %v", files, err)
	}
}

// TensorBoard itself, where Python finds it, reads what is meant: no point of what
// the run did again is there twice.
func TestInTensorBoard(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 to run TensorBoard with")
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import tensorboard").CombinedOutput(); err != nil {
		t.Skipf("this python3 has no TensorBoard (pip install tensorboard): %s", bytes.TrimSpace(out))
	}
	const read = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1])
a.Reload()
print(json.dumps({
	"scalars": {t: [[e.step, e.value] for e in a.Scalars(t)] for t in a.Tags()["scalars"]},
	"images": {t: [[e.step, e.width, e.height] for e in a.Images(t)] for t in a.Tags()["images"]},
	"texts": {t: [a.Tensors(t)[0].tensor_proto.string_val[0].decode(), a.SummaryMetadata(t).plugin_data.plugin_name] for t in a.Tags()["tensors"]},
}, sort_keys=True).replace(" ", ""))`
	cmd := exec.CommandContext(t.Context(), python, "-c", read, run(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	const want = `{"images":{"conv1/kernels":[[20,5,3]]},` +
		`"scalars":{"rate":[[10,0.009999999776482582]],"train/loss":[[10,0.5],[20,0.25]]},` +
		`"texts":{"network":["nettiny\n","text"]}}`
	if got := string(bytes.TrimSpace(out)); got != want {
		t.Errorf("TensorBoard reads\n%s\nwant\n%s", got, want)
	}
}
