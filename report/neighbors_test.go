package report

import (
	"image"
	"image/color"
	"testing"
)

// plain is an image of one colour.
func plain(width, height int, c color.RGBA) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		m.SetRGBA(i%width, i/width, c)
	}
	return m
}

// TestNeighbors: the query stands apart from its neighbours, and those of another
// class have a red line.
func TestNeighbors(t *testing.T) {
	red, green, blue := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}
	img, err := Neighbors([]Nearest{
		{Labelled{plain(32, 32, red), "cat"}, []Labelled{{plain(256, 256, green), "cat"}, {plain(300, 600, blue), "dog"}}},
		{Labelled{plain(1, 1, blue), "dog"}, []Labelled{{plain(32, 32, red), "cat"}}}, // there were no more
	})
	if err != nil {
		t.Fatal(err)
	}
	const first, second = neighborEdge + neighborSide + neighborApart, neighborEdge + 2*neighborSide + neighborApart + neighborGap
	const row, line, middle = neighborSide + neighborLine + neighborGap, neighborEdge + neighborSide + 3, neighborSide / 2
	wantPixel(t, img, neighborEdge, neighborEdge, red)
	wantPixel(t, img, neighborEdge-1, neighborEdge, paper)
	wantPixel(t, img, first-1, neighborEdge, paper)
	wantPixel(t, img, first+middle, neighborEdge+middle, green)
	wantPixel(t, img, second+middle, neighborEdge+1, blue)
	wantPixel(t, img, second+middle/2-1, neighborEdge+middle, paper) // beside the narrow one
	wantPixel(t, img, first+middle, line, paper)
	wantPixel(t, img, second+middle, line, wrong)
	wantPixel(t, img, neighborEdge+middle, neighborEdge+row+middle, blue)
	wantPixel(t, img, first+middle, row+line, wrong)
	wantPixel(t, img, second+middle, neighborEdge+row+middle, paper)

	if _, err := Neighbors(nil); err == nil {
		t.Error("no neighbours are drawn")
	}
	if _, err := Neighbors(make([]Nearest, 1e6)); err == nil {
		t.Error("a million rows are drawn")
	}
}

func TestRGB(t *testing.T) {
	img, err := RGB([]byte{1, 2, 3, 4, 5, 6}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	wantPixel(t, img, 1, 0, color.RGBA{4, 5, 6, 255})
	for _, wrong := range [][2]int{{2, 2}, {0, 1}, {-1, -2}} {
		if _, err := RGB(make([]byte, 6), wrong[0], wrong[1]); err == nil {
			t.Errorf("6 bytes are %v pixels", wrong)
		}
	}
}

func TestNamesOfClasses(t *testing.T) {
	for name, want := range map[string]string{
		"n01440764 tench, Tinca tinca": "tench", "n01440764_great_white_shark": "great white shark", "n01440764": "n01440764",
		"red-green spots": "red-green spots", "a\tb\n": "a b",
	} {
		if got := className(name); got != want {
			t.Errorf("%q is drawn as %q, want %q", name, got, want)
		}
	}
	f := newFace(13)
	long := "Staffordshire bullterrier of some age"
	for _, width := range []int{300, 112, 40, 5} {
		text := fit(f, long, width)
		if text != long && (measure(f, text) > width && text != "…" || text[len(text)-len("…"):] != "…") {
			t.Errorf("%q has %d pixels, and %d are there", text, measure(f, text), width)
		}
		if width == 300 && text != long {
			t.Errorf("%q is cut to %q for no reason", long, text)
		}
	}
}
