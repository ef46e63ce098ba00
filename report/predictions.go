package report

import (
	"fmt"
	"image"
	"image/color"

	"alexnet/loader/picture"
)

// Guess is a class and how likely a network finds it.
type Guess struct {
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
}

// Prediction is an image and the classes that a network finds likeliest, the
// likeliest first.
type Prediction struct {
	Image   picture.Image
	True    string // its class; "" where that is not known
	Caption string // below the image instead of the class, where that is not known
	Guesses []Guess
}

const (
	predictionWidth = 220 // of a cell
	predictionGap   = 20  // between cells
	barHeight       = 18
)

var (
	barColor     = color.RGBA{0xb9, 0xd3, 0xee, 0xff}
	trueBarColor = color.RGBA{0xf6, 0xb3, 0xa6, 0xff}
)

// Predictions draws images in a grid, each with its true class below and a bar for
// each guess, that of the true class in another colour (figure 4, left).
func Predictions(list []Prediction) (*image.RGBA, error) {
	if len(list) == 0 || len(list) > maxTiles {
		return nil, fmt.Errorf("predictions: a picture of %d images; there must be from 1 to %d", len(list), maxTiles)
	}
	guesses := 0
	for _, p := range list {
		guesses = max(guesses, len(p.Guesses))
	}
	perRow := min(len(list), 4)
	rows := (len(list) + perRow - 1) / perRow
	cell := tileSide + lineHeight + 4 + guesses*(barHeight+3)
	img := sheet(2*sheetEdge+perRow*(predictionWidth+predictionGap)-predictionGap, 2*sheetEdge+rows*(cell+predictionGap)-predictionGap)
	for i, p := range list {
		at := image.Pt(sheetEdge+i%perRow*(predictionWidth+predictionGap), sheetEdge+i/perRow*(cell+predictionGap))
		drawPrediction(img, p, at)
	}
	return img, nil
}

func drawPrediction(img *image.RGBA, p Prediction, at image.Point) {
	drawTile(img, p.Image, at.Add(image.Pt((predictionWidth-tileSide)/2, 0)))
	at.Y += tileSide
	label, c := p.True, ink
	if label == "" {
		label, c = p.Caption, faintInk
	}
	label = fit(label, predictionWidth)
	write(img, label, at.Add(image.Pt((predictionWidth-measure(label))/2, lineAscent)), c)
	at.Y += lineHeight + 4
	for _, g := range p.Guesses {
		c := barColor
		if g.Class == p.True {
			c = trueBarColor
		}
		fill(img, image.Rect(at.X, at.Y, at.X+max(1, int(predictionWidth*g.Probability+0.5)), at.Y+barHeight), c)
		share := fmt.Sprintf("%.0f%%", 100*g.Probability)
		left := predictionWidth - measure("100%") - 10
		write(img, fit(g.Class, left), at.Add(image.Pt(4, barHeight-4)), ink)
		write(img, share, at.Add(image.Pt(predictionWidth-measure(share)-2, barHeight-4)), faintInk)
		at.Y += barHeight + 3
	}
}
