package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/metrics"
	"alexnet/internal/philox"
)

var nan = math.NaN()

// falling makes a run whose loss and errors fall from epoch 0 to 10.
func falling(kind string, n int, level float64) []metrics.Metric {
	var ms []metrics.Metric
	for i := range n {
		e := 10 * float64(i+1) / float64(n)
		err := level + (1-level)*math.Exp(-e)
		ms = append(ms, metrics.Metric{Kind: kind, Step: int64(i + 1), Epoch: e, Loss: 7 * err, Top1Error: err, Top5Error: err / 2})
	}
	return ms
}

func mustCurves(t *testing.T, runs ...Run) image.Image {
	t.Helper()
	return mustCurvesUntil(t, 0, runs...)
}

func mustCurvesUntil(t *testing.T, until float64, runs ...Run) image.Image {
	t.Helper()
	img, err := curves(runs, until)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// count returns how many pixels of the panels, legends left out, have exactly
// the colour c, in the left and in the right half.
func count(picture image.Image, c color.RGBA) (left, right int) {
	img := picture.(*image.RGBA)
	b := img.Bounds()
	for y := range int(2 * (outer + panelHeight)) {
		for x := range b.Dx() {
			if img.RGBAAt(x, y) != c {
				continue
			}
			if x < b.Dx()/2 {
				left++
			} else {
				right++
			}
		}
	}
	return left, right
}

func TestCurvesFile(t *testing.T) {
	dir := t.TempDir()
	run := Run{"x", falling(metrics.Test, 10, 0.4)}
	path := filepath.Join(dir, "a")
	if err := Curves(path, []Run{run}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	pixels := func(img image.Image) []byte { return img.(*image.RGBA).Pix }
	if !bytes.Equal(pixels(img), pixels(mustCurves(t, run))) {
		t.Error("the same run is drawn otherwise")
	}
	if bytes.Equal(pixels(img), pixels(mustCurves(t, Run{"x", falling(metrics.Test, 10, 0.41)}))) {
		t.Error("another run is drawn the same")
	}
	// 330 of panels, 12 and two rows of 18 of legends, two margins of 18; two
	// pixels a point.
	if got, want := img.Bounds(), image.Rect(0, 0, 1600, 2*(330+12+36+36)); got != want {
		t.Errorf("the picture is %v, want %v", got, want)
	}
	if err := Curves(filepath.Join(dir, "absent", "a"), []Run{run}); err == nil {
		t.Error("written into a folder that is not there")
	}
}

func TestCurvesShowWhatThereIs(t *testing.T) {
	blue, paleBlue := runColors[0], pale(runColors[0])
	noErrors := falling(metrics.Test, 9, 0.4)
	for i := range noErrors {
		noErrors[i].Top1Error, noErrors[i].Top5Error = nan, nan
	}
	for _, c := range []struct {
		name                  string
		ms                    []metrics.Metric
		thick, thin, rightToo bool
	}{
		{"train only", falling(metrics.Train, 9, 0.4), false, true, true},
		{"test only", falling(metrics.Test, 9, 0.4), true, false, true},
		{"both", append(falling(metrics.Train, 900, 0.4), falling(metrics.Test, 9, 0.5)...), true, true, true},
		{"one training point", falling(metrics.Train, 1, 0.4), false, true, true},
		{"one test point", falling(metrics.Test, 1, 0.4), true, false, true},
		{"at epoch 0", []metrics.Metric{{Kind: metrics.Test}}, true, false, true},
		{"loss alone", noErrors, true, false, false},
	} {
		img := mustCurves(t, Run{c.name, c.ms})
		check := func(what string, ink color.RGBA, want bool) {
			left, right := count(img, ink)
			if (left > 0) != want || (right > 0) != (want && c.rightToo) {
				t.Errorf("%s: %d and %d pixels of a %s line", c.name, left, right, what)
			}
		}
		check("thick", blue, c.thick)
		check("thin", paleBlue, c.thin)
	}
}

// Test lines are thicker than training lines, and those of top-5 errors are
// dashed: the same curve has fewer pixels.
func TestLooks(t *testing.T) {
	top1 := falling(metrics.Train, 100, 0.4)
	top5 := falling(metrics.Train, 100, 0.4)
	test := falling(metrics.Test, 100, 0.4)
	for i := range top1 {
		top5[i].Top5Error, top5[i].Top1Error = top1[i].Top1Error, nan
		top1[i].Top5Error, test[i].Top5Error = nan, nan
	}
	_, solid := count(mustCurves(t, Run{"", top1}), pale(runColors[0]))
	_, dashed := count(mustCurves(t, Run{"", top5}), pale(runColors[0]))
	_, thick := count(mustCurves(t, Run{"", test}), runColors[0])
	if dashed > solid*4/5 || solid > thick*4/5 {
		t.Errorf("%d pixels dashed, %d solid, %d thick", dashed, solid, thick)
	}
	// Part of that is the markers.
	thin := stroke{kind: metrics.Train}.line(runColors[0]).Width
	if wide := (stroke{kind: metrics.Test}).line(runColors[0]).Width; wide < 2*thin {
		t.Errorf("test lines are %v wide, training lines %v", wide, thin)
	}
}

// All 12 runs are there, each in its own colour.
func TestTwelveRuns(t *testing.T) {
	var runs []Run
	for i := range 12 {
		runs = append(runs, Run{Metrics: falling(metrics.Test, 10, 0.05*float64(i))})
	}
	img := mustCurves(t, runs...)
	for i, c := range runColors {
		if left, right := count(img, c); left < 200 || right < 200 {
			t.Errorf("run %d has %d and %d pixels", i, left, right)
		}
		for j, d := range runColors[:i] {
			distance := math.Hypot(math.Hypot(float64(c.R)-float64(d.R), float64(c.G)-float64(d.G)), float64(c.B)-float64(d.B))
			if distance < 60 { // of 441 from black to white
				t.Errorf("colours %d and %d are only %.0f apart", j, i, distance)
			}
		}
	}
}

// A loss that is NaN for a while leaves a gap: fewer pixels than without.
func TestGap(t *testing.T) {
	whole := falling(metrics.Train, 100, 0.4)
	broken := falling(metrics.Train, 100, 0.4)
	for i := 40; i < 60; i++ {
		broken[i].Loss = []float64{nan, math.Inf(1), 1e30}[i%3]
	}
	before, _ := count(mustCurves(t, Run{"", whole}), pale(runColors[0]))
	after, _ := count(mustCurves(t, Run{"", broken}), pale(runColors[0]))
	if after == 0 || after >= before {
		t.Errorf("%d pixels with a gap, %d without", after, before)
	}
	loss := func(m metrics.Metric) float64 { return m.Loss }
	if p := pieces(broken, metrics.Train, loss); len(p) != 2 || len(p[0]) != 40 || len(p[1]) != 40 {
		t.Errorf("pieces are %v, want two of 40", p)
	}
}

// Means by hand: bins of 2 for a count just above maxPoints.
func TestThinning(t *testing.T) {
	var ms []metrics.Metric
	for i := range maxPoints + 1 {
		ms = append(ms, metrics.Metric{Kind: metrics.Train, Epoch: float64(i), Loss: float64(10 * i)},
			metrics.Metric{Kind: metrics.Test, Epoch: float64(i), Loss: 1e6})
	}
	ms[0].Loss = nan // the first of training: its bin has one value, 10
	p := pieces(ms, metrics.Train, func(m metrics.Metric) float64 { return m.Loss })
	if len(p) != 1 || len(p[0]) != maxPoints/2+1 {
		t.Fatalf("%d pieces, the first of %d points, want one of %d", len(p), len(p[0]), maxPoints/2+1)
	}
	for i, want := range [][2]float64{{0.5, 10}, {2.5, 25}, {4.5, 45}} {
		if got := p[0][i]; got.X != want[0] || got.Y != want[1] {
			t.Errorf("point %d is %v, want %v", i, got, want)
		}
	}
	if last := p[0][maxPoints/2]; last.X != maxPoints || last.Y != 10*maxPoints {
		t.Errorf("the last point is %v", last)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		span, step float64
		labels     string
	}{
		{1, 0.2, "0 0.2 0.4 0.6 0.8 1"},
		{7, 1, "0 1 2 3 4 5 6 7"},
		{90, 20, "0 20 40 60 80"},
		{0.03, 0.005, "0 0.005 0.01 0.015 0.02 0.025 0.03"},
		{2e6, 5e5, "0 500000 1e+06 1.5e+06 2e+06"},
	} {
		step := tickStep(c.span)
		var labels []string
		for _, tick := range ticks(step).Ticks(0, c.span) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); math.Abs(step/c.step-1) > 1e-12 || got != c.labels {
			t.Errorf("span %v: step %v, %s; want %v, %s", c.span, step, got, c.step, c.labels)
		}
	}
}

func TestCurveErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		runs []Run
		want string
	}{
		{"no run", nil, "there is no run to draw: name"},
		{"no metrics", []Run{{Name: "a"}}, "train until"},
		{"nothing finite", []Run{{"a", []metrics.Metric{{Kind: metrics.Train, Loss: nan, Top1Error: nan, Top5Error: nan}, {Kind: metrics.Test, Epoch: nan}}}}, "train until"},
		{"13 runs", make([]Run, 13), "13 runs, and only 12"},
	} {
		path := filepath.Join(t.TempDir(), "a")
		if err := Curves(path, c.runs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: a file is there", c.name)
		}
	}
}

// Numbers and names of any kind are drawn without a panic.
func TestCurvesWithOddities(t *testing.T) {
	s := philox.NewStream(1, philox.Draw, 0, 0)
	odd := []float64{0, math.Copysign(0, -1), 5e-324, -5e-324, 1e-12, 1e-300, -1, 1, 1e9, -1e9, 1.1e9, math.MaxFloat64, nan, math.Inf(1), math.Inf(-1)}
	pick := func() float64 { return odd[s.IntN(len(odd))] }
	for range 8 {
		ms := []metrics.Metric{{Kind: metrics.Test, Loss: 1}} // one point at least
		for range s.IntN(6) {
			ms = append(ms, metrics.Metric{Kind: []string{metrics.Train, metrics.Test}[s.IntN(2)], Epoch: pick(), Loss: pick(), Top1Error: pick(), Top5Error: pick()})
		}
		mustCurves(t, Run{"line\nbreak\x00\xff 世界 " + strings.Repeat("long ", 100), ms})
	}
}

func TestRunName(t *testing.T) {
	for name, want := range map[string]string{
		"":                      "run 3",
		" \n":                   "run 3",
		"a\tb":                  "a b",
		strings.Repeat("é", 40): strings.Repeat("é", 40),
		strings.Repeat("é", 41): "…" + strings.Repeat("é", 39),
	} {
		if got := runName(name, 2); got != want {
			t.Errorf("runName(%q) = %q, want %q", name, got, want)
		}
	}
}
