package report

import (
	"image/color"
	"math"
	"testing"
)

// TestPredictions: bars are as long as the probabilities, and the right class's has
// a colour of its own.
func TestPredictions(t *testing.T) {
	green := color.RGBA{0, 255, 0, 255}
	one := Prediction{plain(32, 32, green), "cat", []Likely{{"dog", 0.75, false}, {"cat", 0.25, true}}}
	img, err := Predictions([]Prediction{one, one, one, one, one})
	if err != nil {
		t.Fatal(err)
	}
	const right, down = predictionCell + predictionGap, predictionSide + captionLine + 2*barLine + predictionGap
	if b := img.Bounds(); b.Dx() != 4*right+predictionGap || b.Dy() != 2*down+predictionGap {
		t.Errorf("the picture is %v", b)
	}
	for _, at := range [][2]int{{0, 0}, {3 * right, 0}, {0, down}} {
		x, y := predictionEdge+at[0], predictionEdge+at[1]
		wantPixel(t, img, x+predictionCell/2, y+1, green)
		y += predictionSide + captionLine
		wantPixel(t, img, x+143, y, bar)
		wantPixel(t, img, x+144, y, barGround)
		wantPixel(t, img, x+47, y+barLine, rightBar)
		wantPixel(t, img, x+48, y+barLine, barGround)
	}
	wantPixel(t, img, predictionEdge+right+predictionCell/2, predictionEdge+down+1, paper) // there is no sixth

	for _, bad := range []float64{math.NaN(), -0.1, 1.1, math.Inf(1)} {
		if _, err := Predictions([]Prediction{{plain(1, 1, green), "", []Likely{{"cat", bad, false}}}}); err == nil {
			t.Errorf("a probability of %g is drawn", bad)
		}
	}
	if _, err := Predictions(nil); err == nil {
		t.Error("nothing is drawn")
	}
}
