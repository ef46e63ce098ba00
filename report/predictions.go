package report

import (
	"errors"
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// Prediction is an image and what a network takes it for.
type Prediction struct {
	Image     *image.RGBA
	Caption   string // below it: its class, if that is known
	Likeliest []Likely
}

// Likely is a class that an image may be of.
type Likely struct {
	Class       string
	Probability float64 // 0 to 1
	Right       bool    // the image is of it
}

// Lengths of a picture of predictions, in pixels.
const (
	predictionColumns = 4
	predictionSide    = 160 // of an image
	predictionCell    = 192 // width of an image's part
	predictionGap     = 24  // between parts
	predictionEdge    = 24  // around all
	predictionText    = 13
	captionLine       = 26 // from an image to its bars
	barLine           = 19 // a bar and the space below it
	barHeight         = 17
)

var (
	barGround = color.RGBA{0xf1, 0xf2, 0xf4, 0xff}
	bar       = color.RGBA{0xa9, 0xc4, 0xe8, 0xff}
	rightBar  = color.RGBA{0xf2, 0xa6, 0x8c, 0xff}
)

// Predictions draws images in rows of four, as figure 4 of the paper does on its
// left: below each its caption, and the likeliest classes as bars, whose full width
// is probability 1. The bar of the right class is red, the others are blue.
func Predictions(list []Prediction) (*image.RGBA, error) {
	bars := 0
	for i, p := range list {
		bars = max(bars, len(p.Likeliest))
		for _, l := range p.Likeliest {
			if !(l.Probability >= 0 && l.Probability <= 1+1e-6) {
				return nil, fmt.Errorf("image %d: class %s has probability %g, which cannot be drawn: the network's weights are damaged, or diverged", i, l.Class, l.Probability)
			}
		}
	}
	if len(list) == 0 {
		return nil, errors.New("there are no predictions to draw")
	}
	columns := min(predictionColumns, len(list))
	rows := (len(list) + columns - 1) / columns
	height := predictionSide + captionLine + bars*barLine
	img, err := newPaper(2*predictionEdge+columns*(predictionCell+predictionGap)-predictionGap, 2*predictionEdge+rows*(height+predictionGap)-predictionGap)
	if err != nil {
		return nil, err
	}
	face := newFace(predictionText)
	for i, p := range list {
		at := image.Pt(predictionEdge+i%columns*(predictionCell+predictionGap), predictionEdge+i/columns*(height+predictionGap))
		tile(img, p.Image, at.Add(image.Pt((predictionCell-predictionSide)/2, 0)), predictionSide)
		caption := fit(face, className(p.Caption), predictionCell)
		write(img, face, caption, at.Add(image.Pt((predictionCell-measure(face, caption))/2, predictionSide+predictionText+5)), ink)
		for j, l := range p.Likeliest {
			y := at.Y + predictionSide + captionLine + j*barLine
			c := bar
			if l.Right {
				c = rightBar
			}
			fill := func(width int, c color.RGBA) {
				draw.Draw(img, image.Rect(at.X, y, at.X+width, y+barHeight), image.NewUniform(c), image.Point{}, draw.Src)
			}
			fill(predictionCell, barGround)
			fill(min(predictionCell, int(l.Probability*predictionCell+0.5)), c)
			write(img, face, fit(face, className(l.Class), predictionCell-8), image.Pt(at.X+4, y+predictionText), ink)
		}
	}
	return img, nil
}
