package report

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func grey(v uint8) color.RGBA { return color.RGBA{v, v, v, 0xff} }

func mustFilters(t *testing.T, w []float32, shape [4]int, o FilterOptions) *image.RGBA {
	t.Helper()
	img, err := Filters(w, shape, o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func wantPixel(t *testing.T, img *image.RGBA, x, y int, want color.RGBA) {
	t.Helper()
	if got := img.RGBAAt(x, y); got != want {
		t.Errorf("pixel %d,%d is %v, want %v", x, y, got, want)
	}
}

// At one pixel a weight the margin is 4*1+4 = 8 and the gap 1.
const margin1 = 8

func TestGreyKernel(t *testing.T) {
	img := mustFilters(t, []float32{0, 1, -1, 0.5, -0.25, 0}, [4]int{1, 1, 2, 3}, FilterOptions{Scale: 1})
	for i, want := range []uint8{128, 255, 1, 192, 96, 128} { // 128 + 127w: 191.5 and 96.25 in between
		wantPixel(t, img, margin1+i%3, margin1+i/3, grey(want))
	}
	wantPixel(t, img, margin1-1, margin1, background)
	wantPixel(t, img, margin1+3, margin1, background)
	wantPixel(t, img, margin1, margin1+2, background)
}

func TestColorKernels(t *testing.T) {
	// Two kernels of one weight a channel; the second at half the scale.
	w := []float32{2, 0, -2, -1, 1, 0}
	shape := [4]int{2, 3, 1, 1}
	img := mustFilters(t, w, shape, FilterOptions{Scale: 1})
	wantPixel(t, img, margin1, margin1, color.RGBA{255, 128, 1, 255})
	wantPixel(t, img, margin1+1, margin1, background)
	wantPixel(t, img, margin1+2, margin1, color.RGBA{64, 192, 128, 255}) // 64.5 and 191.5, to even
	each := mustFilters(t, w, shape, FilterOptions{Scale: 1, EachKernel: true})
	wantPixel(t, each, margin1, margin1, color.RGBA{255, 128, 1, 255})
	wantPixel(t, each, margin1+2, margin1, color.RGBA{1, 255, 128, 255})
}

func TestOtherChannelsTakeARow(t *testing.T) {
	img := mustFilters(t, []float32{1, -1, 0, 0.5}, [4]int{2, 2, 1, 1}, FilterOptions{Scale: 1})
	for i, want := range []uint8{255, 1, 128, 192} {
		wantPixel(t, img, margin1+i%2*2, margin1+i/2*2, grey(want))
	}
}

func TestDeadAndBrokenWeights(t *testing.T) {
	zero := mustFilters(t, make([]float32, 12), [4]int{1, 3, 2, 2}, FilterOptions{Scale: 1})
	wantPixel(t, zero, margin1, margin1, grey(128))
	wantPixel(t, zero, margin1+1, margin1+1, grey(128))

	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	img := mustFilters(t, []float32{nan, 1, 0, inf, 0.5, -1}, [4]int{2, 3, 1, 1}, FilterOptions{Scale: 1})
	wantPixel(t, img, margin1, margin1, notFinite)
	wantPixel(t, img, margin1+2, margin1, notFinite)
	img = mustFilters(t, []float32{nan, inf, 0.5}, [4]int{3, 1, 1, 1}, FilterOptions{Scale: 1})
	wantPixel(t, img, margin1, margin1, notFinite)
	wantPixel(t, img, margin1+2, margin1, notFinite)
	wantPixel(t, img, margin1+4, margin1, grey(255)) // the others do not count for the scale
	huge := mustFilters(t, []float32{math.MaxFloat32, -math.MaxFloat32}, [4]int{1, 1, 1, 2}, FilterOptions{Scale: 1})
	wantPixel(t, huge, margin1, margin1, grey(255))
	wantPixel(t, huge, margin1+1, margin1, grey(1))
}

// The paper's figure 3: 16 kernels in a row, three rows of each GPU, 48 below 48.
// At three pixels a weight tiles have 33, gaps 2, the margin and the space
// between the columns 12.
func TestGeometryOfThePaper(t *testing.T) {
	w := make([]float32, 96*3*11*11)
	for k := range 96 {
		for i := range 3 * 11 * 11 {
			w[k*3*11*11+i] = float32(k + 1)
		}
	}
	img := mustFilters(t, w, [4]int{96, 3, 11, 11}, FilterOptions{Columns: 2, Scale: 3})
	const tile, tall = 33, 3*35 - 2
	if got, want := img.Bounds(), image.Rect(0, 0, 12+16*35-2+12, 12+tall+12+tall+12+captionHeight); got != want {
		t.Fatalf("the picture is %v, want %v", got, want)
	}
	for k := range 96 {
		x := 12 + k%16*35
		y := 12 + k%48/16*35 + k/48*(tall+12)
		want := grey(uint8(math.RoundToEven(128 + 127*float64(k+1)/96)))
		wantPixel(t, img, x, y, want)
		wantPixel(t, img, x+tile-1, y+tile-1, want)
		for gap := 1; gap <= 2; gap++ {
			wantPixel(t, img, x+tile-1+gap, y, background)
			wantPixel(t, img, x-gap, y, background)
			wantPixel(t, img, x, y+tile-1+gap, background)
			wantPixel(t, img, x, y-gap, background)
		}
	}
}

func TestTilesInARow(t *testing.T) {
	for _, c := range []struct{ n, columns, want int }{
		{48, 2, 16}, {96, 1, 16}, {1, 1, 1}, {2, 2, 2}, {32, 1, 8}, {7, 1, 4}, {97, 1, 15},
	} {
		if got := tilesInARow(c.n, c.columns, 1); got != c.want {
			t.Errorf("%d kernels in each of %d columns: %d in a row, want %d", c.n, c.columns, got, c.want)
		}
	}
}

func TestPickedScale(t *testing.T) {
	img := mustFilters(t, make([]float32, 96*3*11*11), [4]int{96, 3, 11, 11}, FilterOptions{Columns: 2})
	if w := img.Bounds().Dx(); w < 1200 || w > 1500 {
		t.Errorf("the picture is %d pixels wide", w)
	}
}

func TestCaption(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		w     []float32
		shape [4]int
		o     FilterOptions
		want  string
	}{
		{[]float32{0.1234, -0.5678}, [4]int{2, 1, 1, 1}, FilterOptions{Columns: 2}, "2 kernels of 1×1×1 in 2 columns; grey is 0, full scale ±0.568"},
		{[]float32{0, 0}, [4]int{1, 2, 1, 1}, FilterOptions{}, "1 kernel of 1×1×2; every weight is 0"},
		{[]float32{1, nan}, [4]int{1, 1, 1, 2}, FilterOptions{EachKernel: true}, "1 kernel of 1×2×1; grey is 0, full scale is each kernel's largest, up to ±1; 1 weight not finite (magenta)"},
		{[]float32{nan}, [4]int{1, 1, 1, 1}, FilterOptions{}, "1 kernel of 1×1×1; 1 weight not finite (magenta)"},
	} {
		g, err := layout(len(c.w), c.shape, c.o)
		if err != nil {
			t.Fatal(err)
		}
		full, bad := fullScale(c.w)
		if got := g.caption(full, bad, c.o.EachKernel); got != c.want {
			t.Errorf("caption is %q\nwant       %q", got, c.want)
		}
	}
	// It is drawn, in the strip below the tiles, and is not cut off on the right.
	img := mustFilters(t, []float32{0.1}, [4]int{1, 1, 1, 1}, FilterOptions{Scale: 1})
	b := img.Bounds()
	ink := 0
	for y := range b.Dy() {
		for x := margin1 + 1; x < b.Dx(); x++ {
			if img.RGBAAt(x, y) == background {
				continue
			}
			ink++
			if y < 2*margin1 || x >= b.Dx()-margin1 {
				t.Fatalf("ink at %d,%d of %v", x, y, b)
			}
		}
	}
	if ink < 500 {
		t.Errorf("%d pixels of caption", ink)
	}
}

func TestFilterErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		n     int
		shape [4]int
		o     FilterOptions
		want  string
	}{
		{"zero", 0, [4]int{0, 3, 2, 2}, FilterOptions{}, "each 1 or more"},
		{"negative", 4, [4]int{-1, -1, 2, 2}, FilterOptions{}, "each 1 or more"},
		{"too few", 11, [4]int{1, 3, 2, 2}, FilterOptions{}, "needs more than the 11 weights"},
		{"too many", 13, [4]int{1, 3, 2, 2}, FilterOptions{}, "makes 12 weights, and there are 13"},
		{"overflow", 16, [4]int{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt}, FilterOptions{}, "needs more than"},
		{"columns", 12, [4]int{1, 3, 2, 2}, FilterOptions{Columns: 2}, "1 kernels do not make 2 columns"},
		{"negative columns", 12, [4]int{1, 3, 2, 2}, FilterOptions{Columns: -1}, "-1 columns"},
		{"negative scale", 12, [4]int{1, 3, 2, 2}, FilterOptions{Scale: -1}, "scale is -1"},
		{"huge scale", 12, [4]int{1, 3, 2, 2}, FilterOptions{Scale: 257}, "want 1 to 256"},
		{"huge picture", 96 * 363, [4]int{96, 3, 11, 11}, FilterOptions{Scale: 256}, "give a smaller scale"},
	} {
		if _, err := Filters(make([]float32, c.n), c.shape, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestWritePNG(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.png")
	img := mustFilters(t, []float32{1, -1, 0, 0.5}, [4]int{4, 1, 1, 1}, FilterOptions{})
	for range 2 { // the second replaces the first
		if err := WritePNG(path, img); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if got.Bounds() != img.Bounds() {
		t.Fatalf("read back as %v, want %v", got.Bounds(), img.Bounds())
	}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if color.RGBAModel.Convert(got.At(x, y)) != img.RGBAAt(x, y) {
				t.Fatalf("pixel %d,%d differs", x, y)
			}
		}
	}
	if err := WritePNG(filepath.Join(dir, "absent", "a.png"), img); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("into a folder that is not there: %v", err)
	}
	// A picture that cannot be encoded leaves the older one, and nothing else.
	if err := WritePNG(path, image.NewRGBA(image.Rectangle{})); err == nil {
		t.Error("a picture of no size was written")
	}
	if es, err := os.ReadDir(dir); err != nil || len(es) != 1 {
		t.Errorf("the folder holds %v, %v", es, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the older picture: %v, %v", info, err)
	}
}
