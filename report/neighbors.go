package report

import (
	"errors"
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// Labelled is an image and the name of its class.
type Labelled struct {
	Image *image.RGBA
	Class string
}

// Nearest is an image and those that are nearest to it, the nearest first.
type Nearest struct {
	Query     Labelled
	Neighbors []Labelled
}

// Lengths of a picture of neighbours, in pixels.
const (
	neighborSide  = 128 // of an image
	neighborGap   = 8   // between images, and from an image to its text
	neighborApart = 28  // between the query and its neighbours
	neighborEdge  = 20  // around all
	neighborText  = 13
	neighborLine  = 24 // from an image to the one below, for its text
)

// Neighbors draws a row for each query, as figure 4 of the paper does on its right:
// the query in the first column, then its neighbours. Below each stands its class,
// in red, with a red line above, where it is not that of the query.
func Neighbors(rows []Nearest) (*image.RGBA, error) {
	most := 0
	for _, r := range rows {
		most = max(most, len(r.Neighbors))
	}
	if most == 0 {
		return nil, errors.New("there are no neighbours to draw")
	}
	width := 2*neighborEdge + (1+most)*(neighborSide+neighborGap) - neighborGap + neighborApart - neighborGap
	height := 2*neighborEdge + len(rows)*(neighborSide+neighborLine+neighborGap) - neighborGap
	img, err := newPaper(width, height)
	if err != nil {
		return nil, err
	}
	face := newFace(neighborText)
	for i, r := range rows {
		p := image.Pt(neighborEdge, neighborEdge+i*(neighborSide+neighborLine+neighborGap))
		for j, l := range append([]Labelled{r.Query}, r.Neighbors...) {
			tile(img, l.Image, p, neighborSide)
			c := color.Color(faint)
			switch {
			case j == 0:
				c = ink
			case l.Class != r.Query.Class:
				c = wrong
				line := image.Rect(p.X, p.Y+neighborSide+2, p.X+neighborSide, p.Y+neighborSide+4)
				draw.Draw(img, line, image.NewUniform(wrong), image.Point{}, draw.Src)
			}
			text := fit(face, className(l.Class), neighborSide)
			x := p.X + (neighborSide-measure(face, text))/2
			write(img, face, text, image.Pt(x, p.Y+neighborSide+neighborText+5), c)
			p.X += neighborSide + neighborGap
			if j == 0 {
				p.X += neighborApart - neighborGap
			}
		}
	}
	return img, nil
}
