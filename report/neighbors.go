package report

import (
	"fmt"
	"image"

	"alexnet/loader/picture"
)

// Labelled is an image and the name of its class.
type Labelled struct {
	Image picture.Image
	Class string
}

const (
	neighborGap = 8  // between tiles
	queryGap    = 28 // between a query and its neighbours
)

// Neighbors draws a row for each query: first the query, then its neighbours, the
// nearest first (figure 4, right), with their classes below. A thin line below marks
// those of another class than the query's.
func Neighbors(queries []Labelled, neighbors [][]Labelled) (*image.RGBA, error) {
	most := 0
	for _, list := range neighbors {
		most = max(most, len(list))
	}
	if len(queries) == 0 || len(queries) != len(neighbors) || len(queries)*(most+1) > maxTiles {
		return nil, fmt.Errorf("neighbors: a picture of %d queries, %d of them with neighbours, up to %d each; there may be %d images in all",
			len(queries), len(neighbors), most, maxTiles)
	}
	cell := tileSide + lineHeight + neighborGap
	img := sheet(2*sheetEdge+(most+1)*(tileSide+neighborGap)-neighborGap+queryGap, 2*sheetEdge+len(queries)*cell-neighborGap)
	for row, q := range queries {
		at := image.Pt(sheetEdge, sheetEdge+row*cell)
		drawLabelled(img, q, at, true)
		at.X += queryGap
		for _, n := range neighbors[row] {
			at.X += tileSide + neighborGap
			drawLabelled(img, n, at, n.Class == q.Class)
		}
	}
	return img, nil
}

// drawLabelled draws an image with its class below.
func drawLabelled(img *image.RGBA, l Labelled, at image.Point, right bool) {
	drawTile(img, l.Image, at)
	c := ink
	if !right {
		c = wrongInk
		fill(img, image.Rect(at.X, at.Y+tileSide+lineHeight, at.X+tileSide, at.Y+tileSide+lineHeight+1), wrongInk)
	}
	name := fit(l.Class, tileSide)
	write(img, name, at.Add(image.Pt((tileSide-measure(name))/2, tileSide+lineAscent)), c)
}
