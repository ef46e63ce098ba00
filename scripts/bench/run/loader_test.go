package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDecoderOf(t *testing.T) {
	for in, want := range map[string]string{
		"shorter side to 256 (bicubic); JPEG by libjpeg-turbo 2.1.5, /usr/lib/libturbojpeg.so.0": "libjpeg-turbo 2.1.5",
		"JPEG by Go's image/jpeg": "Go's image/jpeg",
	} {
		if got := decoderOf(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// TestMarkdown holds the text for people against what it was when somebody last
// looked at it.
func TestMarkdown(t *testing.T) {
	r := &LoaderResult{
		Result: Result{Benchmark: "loader", Date: "2026-11-24", Commit: "abc", Machine: Machine{"A CPU", "AVX2", 2, 32 << 20, "linux/amd64", "go1.26"},
			Load: &Load{0.1, []float64{0.02, 0, 0.04}, 0}},
		Cases: []Series{
			series(raw1, []float64{8000, 8200, 7800}), series(delta, []float64{4000, 4100, 3900}),
			series(raw2, []float64{16000, 16400, 14040}), series(torch, []float64{800, 820, 975}),
		},
		Packing: []Packing{{"libjpeg-turbo 2.1.5", 700, 3.04, 230.26, 0.97}, {"Go's image/jpeg", 700, 6.5, 107.7, 1}},
		PyTorch: &PyTorch{Torch: "2.9", PIL: "12.0", NumPy: "2.3", Turbo: true, Variables: torchVariables},
		Rounds:  3, Seconds: 5,
		Notes: []string{"Something was left out."},
	}
	r.Images.Originals, r.Images.Repeated, r.Images.Packed, r.Images.RawBytes, r.Images.DeltaBytes = 700, 3, 2100, 390<<20, 253<<20
	r.compare()
	want, err := os.ReadFile(filepath.Join("testdata", "loader.md"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.markdown(); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if name := r.fileName(); name != "loader-2026-11-24-a-cpu-avx2" {
		t.Error(name)
	}

	// Without PyTorch and a second core there is nothing to compare with them.
	r.Cases, r.Ratios = r.Cases[:2], nil
	r.compare()
	if len(r.Ratios) != 1 || r.Ratios[0].Median != 0.5 {
		t.Error(r.Ratios)
	}
}

// TestPacked: where Go's decoder is the only one, it is timed twice and counts once.
func TestPacked(t *testing.T) {
	var r LoaderResult
	r.packed(Packing{Decoder: "Go's", Seconds: 2})
	r.packed(Packing{Decoder: "Go's", Seconds: 1})
	if len(r.Packing) != 1 || r.Packing[0].Seconds != 1 || len(r.Notes) != 1 {
		t.Errorf("%+v", r)
	}
	r = LoaderResult{}
	r.packed(Packing{Decoder: "turbo"})
	r.packed(Packing{Decoder: "Go's"})
	if len(r.Packing) != 2 || len(r.Notes) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestPyTorch: what the Python script says comes into the result.
func TestPyTorch(t *testing.T) {
	python := fake(t, "python3", `
case "$2" in
prepare) mkdir "$4" ;;
measure)
	[ -d "$3" ] || exit 1
	[ "$MALLOC_TRIM_THRESHOLD_,$MALLOC_MMAP_THRESHOLD_" = 4294967296,4294967296 ] || exit 1
	[ -z "$BROKEN" ] || { echo "no $BROKEN" >&2; exit 1; }
	echo '{"images_per_second":846.5,"images":1024,"workers":1,"batch":128,"torch":"2.9","pil":"12.0","numpy":"2.3","libjpeg_turbo":true}' ;;
esac`)
	b := &loaderBench{root: t.TempDir(), work: t.TempDir(), seconds: 1, log: t.Output(), result: &LoaderResult{}}
	m, err := b.pytorch(t.Context(), python, &tree{dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if speed, err := m.run(t.Context()); err != nil || speed != 846.5 {
		t.Error(speed, err)
	}
	if p := b.result.PyTorch; p == nil || !reflect.DeepEqual(*p, PyTorch{"2.9", "12.0", "2.3", true, 1, 128, torchVariables}) {
		t.Error(p)
	}
	t.Setenv("BROKEN", "luck")
	if _, err := m.run(t.Context()); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Error(err)
	}
	if _, err := speed([]byte("Traceback"), nil); err == nil || !strings.Contains(err.Error(), "Traceback") {
		t.Error(err)
	}
}

// noise makes pictures that do not get smaller when they are compressed.
func noise(t *testing.T, count int) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	for i := range count {
		img := image.NewRGBA(image.Rect(0, 0, 300, 260))
		_, _ = random.Read(img.Pix) // never fails
		for i := 3; i < len(img.Pix); i += 4 {
			img.Pix[i] = 255
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprint("class", i%2), fmt.Sprint(i, ".png"))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var root = filepath.Join("..", "..", "..")

// TestLoader measures, for as short as can be.
func TestLoader(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	temp, out := t.TempDir(), filepath.Join(t.TempDir(), "results")
	t.Setenv("TMPDIR", temp)
	t.Setenv("ALEXNET_JPEG", "")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"bench", "-root", root, "loader", "-images", noise(t, 4), "-out", out,
		"-rounds", "1", "-seconds", "0.2", "-larger-than", "1", busyMachine, "-python", "none"}, &stdout, &stderr); code != 0 {
		t.Fatalf("status %d: %s", code, &stderr)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	files, err := filepath.Glob(filepath.Join(out, "loader-*"))
	if err != nil || len(files) != 2 || filepath.Ext(files[0]) != ".json" || filepath.Ext(files[1]) != ".md" {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var r LoaderResult
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if i := r.Images; i.Originals != 4 || i.Repeated != 2 || i.Packed != 8 || i.RawBytes <= 1<<20 || i.DeltaBytes == 0 {
		t.Errorf("%+v", i)
	}
	if len(r.Cases) < 2 || r.Cases[0].Name != raw1 || r.Cases[0].Median <= 0 || len(r.Ratios) == 0 || r.PyTorch != nil || len(r.Notes) == 0 {
		t.Errorf("%+v", r)
	}
	if len(r.Packing) == 0 || r.Packing[0].ImagesPerSecond <= 0 || r.Packing[0].Cores <= 0 {
		t.Errorf("%+v", r.Packing)
	}
	if bytes.Contains(text, []byte(temp)) {
		t.Errorf("there are names of this machine's folders in it: %s", text)
	}
	if markdown, err := os.ReadFile(files[1]); err != nil || !bytes.Equal(markdown, stdout.Bytes()) {
		t.Errorf("%s is not what was printed: %v", files[1], err)
	}
}

// stopper is a log that stops the run when it says a word.
type stopper struct {
	bytes.Buffer
	word string
	stop func()
}

func (s *stopper) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(s.word)) {
		s.stop()
	}
	return s.Buffer.Write(b)
}

// TestInterrupted: a run that is stopped leaves nothing.
func TestInterrupted(t *testing.T) {
	temp, out := t.TempDir(), filepath.Join(t.TempDir(), "results")
	t.Setenv("TMPDIR", temp)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := &stopper{word: "building", stop: stop}
	if code := run(ctx, []string{"bench", "-root", root, "loader", "-images", temp, "-out", out, "-larger-than", "1", "-python", "none"}, t.Output(), log); code != 1 {
		t.Errorf("status %d", code)
	}
	if !strings.HasSuffix(log.String(), "bench: stopped; no result was written\n") {
		t.Error(log.String())
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a result: %v", err)
	}
}

// TestScript runs the Python script where PyTorch is.
func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	python, err := choosePython(t.Context(), "", "torch, PIL, numpy")
	if err != nil {
		t.Skip(err)
	}
	originals, err := gather(t.Context(), noise(t, 4), filepath.Join(t.TempDir(), "originals"))
	if err != nil {
		t.Fatal(err)
	}
	b := &loaderBench{root: root, work: t.TempDir(), seconds: 0.1, log: t.Output(), result: &LoaderResult{}}
	m, err := b.pytorch(t.Context(), python, originals)
	if err != nil {
		t.Fatal(err)
	}
	jpegs := content(t, filepath.Join(b.work, "jpegs"))
	if len(jpegs) != 4 || !strings.HasPrefix(jpegs["class0/000000-0.jpg"], "\xff\xd8") {
		t.Errorf("%d files", len(jpegs))
	}
	speed, err := m.run(t.Context())
	if p := b.result.PyTorch; err != nil || speed <= 0 || p.Torch == "" || p.Workers != 1 || p.Batch != 128 {
		t.Error(speed, p, err)
	}
}
