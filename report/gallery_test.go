package report

import (
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"alexnet/loader/picture"
)

// plain is an image of one colour.
func plain(c color.RGBA, height, width int) picture.Image {
	m := picture.Image{Pixels: make([]byte, height*width*3), Height: height, Width: width}
	for i := range height * width {
		m.Pixels[3*i], m.Pixels[3*i+1], m.Pixels[3*i+2] = c.R, c.G, c.B
	}
	return m
}

// bounds returns the smallest rectangle with all pixels of a colour within r, and
// how many there are.
func bounds(img *image.RGBA, c color.RGBA, r image.Rectangle) (box image.Rectangle, n int) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if img.RGBAAt(x, y) == c {
				box = box.Union(image.Rect(x, y, x+1, y+1))
				n++
			}
		}
	}
	return box, n
}

var blue = color.RGBA{10, 20, 200, 255}

func TestTiles(t *testing.T) {
	for _, c := range []struct{ h, w, wantH, wantW int }{
		{32, 32, 160, 160}, {24, 24, 144, 144}, {256, 256, 160, 160}, {300, 150, 160, 80}, {1, 1000, 1, 160}, {100, 100, 160, 160},
	} {
		img := sheet(400, 400)
		drawTile(img, plain(blue, c.h, c.w), image.Pt(100, 100))
		box, n := bounds(img, blue, img.Bounds())
		if box.Dy() != c.wantH || box.Dx() != c.wantW || n != c.wantH*c.wantW || !box.In(image.Rect(100, 100, 260, 260)) {
			t.Errorf("%dx%d is drawn at %v, %d pixels, want %dx%d", c.h, c.w, box, n, c.wantH, c.wantW)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name  string
		width int
		want  string
	}{
		{"n01440764 tench", 300, "n01440764 tench"},
		{"n01440764 tench", 80, "tench"},
		{"tench, Tinca tinca", 80, "tench"},
		{"great  white shark, white shark", 140, "great white shark"},
		{"airplane", 50, "airpl…"},
		{"n01440764", 40, "n01…"},
		{"漢字漢字", 0, "…"},
	} {
		got := fit(c.name, c.width)
		if got != c.want {
			t.Errorf("%q in %d pixels is %q (%d), want %q", c.name, c.width, got, measure(got), c.want)
		}
	}
}

func TestPredictionsDrawBars(t *testing.T) {
	p := Prediction{Image: plain(blue, 32, 32), True: "cat", Guesses: []Guess{{"dog", 0.75}, {"cat", 0.25}, {"ship", 0}}}
	img, err := Predictions(slices.Repeat([]Prediction{p}, 5)) // a row and one
	if err != nil {
		t.Fatal(err)
	}
	cell := image.Rect(0, 0, sheetEdge+predictionWidth+predictionGap/2, img.Bounds().Dy()/2)
	other, _ := bounds(img, barColor, cell)
	right, _ := bounds(img, trueBarColor, cell)
	if other.Dx() != predictionWidth*3/4 || right.Dx() != predictionWidth/4 || right.Min.Y <= other.Min.Y {
		t.Errorf("bars %v and %v of %d pixels", other, right, predictionWidth)
	}
	// Without a known class no bar is marked.
	p.True = ""
	unknown, err := Predictions([]Prediction{p})
	if err != nil {
		t.Fatal(err)
	}
	if _, n := bounds(unknown, trueBarColor, unknown.Bounds()); n > 0 {
		t.Errorf("%d pixels of a bar are marked as right", n)
	}
	if _, err := Predictions(nil); err == nil || !strings.Contains(err.Error(), "0 images") {
		t.Error(err)
	}
}

func TestNeighborsMarkOtherClasses(t *testing.T) {
	at := func(class string) Labelled { return Labelled{plain(blue, 32, 32), class} }
	img, err := Neighbors([]Labelled{at("cat"), at("dog")}, [][]Labelled{{at("cat"), at("dog")}, {at("dog")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, n := bounds(img, blue, img.Bounds()); n != 5*tileSide*tileSide {
		t.Errorf("%d pixels of images, want %d", n, 5*tileSide*tileSide)
	}
	below := sheetEdge + tileSide + lineHeight
	box, n := bounds(img, wrongInk, image.Rect(0, below, img.Bounds().Dx(), below+1))
	if left := sheetEdge + 2*(tileSide+neighborGap) + queryGap; n != tileSide || box.Min.X != left {
		t.Errorf("marked at %v, %d pixels, want %d from %d", box, n, tileSide, left)
	}
	if _, n := bounds(img, wrongInk, image.Rect(0, below+1, img.Bounds().Dx(), img.Bounds().Dy())); n > 0 {
		t.Errorf("%d pixels mark what is right", n)
	}
	if _, err := Neighbors([]Labelled{at("cat")}, nil); err == nil {
		t.Error("a query without its list was drawn")
	}
}
