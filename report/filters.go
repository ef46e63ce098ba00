package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
)

// FilterOptions says how Filters draws. The zero value draws a network of one
// column, with one scale for all kernels.
type FilterOptions struct {
	Columns    int  // columns of the network, each of as many kernels; 0 is 1
	Scale      int  // side of a weight in pixels, up to 256; 0 makes the longer side of the picture some 1400 pixels
	EachKernel bool // each kernel has its own full scale, so that weak ones show their shape
}

const (
	filterSide   = 1400    // longer side of a picture whose scale is not given, about
	filterAspect = 2.2     // width to height that the rows are chosen for
	maxPixels    = 1 << 26 // 256 MiB of memory
	maxScale     = 256
)

var (
	background = color.RGBA{0x16, 0x17, 0x1a, 0xff}
	captionInk = color.RGBA{0xb4, 0xb6, 0xba, 0xff}
	notFinite  = color.RGBA{0xff, 0x00, 0xff, 0xff} // a colour that no scale of grey has
)

// Filters draws the kernels of a first layer, as figure 3 of the paper does:
// one tile a kernel, row by row, and the columns of the network one above the
// other. Weights are row-major, shape is [kernels, channels, height, width].
//
// Three channels are drawn as red, green and blue, one as grey. Kernels of any
// other number of channels take a row each, with a grey tile for each channel.
//
// A weight of 0 is 128 of 255, and full scale, the largest |weight|, 127 above
// or below. By default all kernels have one full scale, so that strong and dead
// ones can be told apart. A line below the tiles says which scale that is.
// Weights that are not finite are magenta, and do not count for the scale.
func Filters(weights []float32, shape [4]int, o FilterOptions) (*image.RGBA, error) {
	g, err := layout(len(weights), shape, o)
	if err != nil {
		return nil, fmt.Errorf("filters: %w", err)
	}
	full, bad := fullScale(weights)
	text := g.caption(full, bad, o.EachKernel)
	width := max(g.width, measure(text)+2*g.margin)
	img := image.NewRGBA(image.Rect(0, 0, width, g.height+captionHeight))
	draw.Draw(img, img.Bounds(), image.NewUniform(background), image.Point{}, draw.Src)
	size := len(weights) / g.kernels
	for k := range g.kernels {
		w := weights[k*size : (k+1)*size]
		if o.EachKernel {
			full, _ = fullScale(w)
		}
		for tile := range g.tiles {
			g.draw(img, w[tile*g.channels*g.h*g.w:], g.at(k, tile), full)
		}
	}
	write(img, text, image.Pt(g.margin, g.height+captionAscent), captionInk)
	return img, nil
}

// grid is where the tiles lie. All lengths but h and w are in pixels.
type grid struct {
	kernels, columns    int
	tiles, channels     int // tiles of a kernel, and channels of a tile: 1, or 3 for RGB
	h, w                int // weights of a tile
	scale               int // of a weight
	perRow, rows        int // tiles in a row; rows of one column of the network
	gap, margin, parted int // between tiles; around them; between columns
	width, height       int // of the picture without its caption
}

func layout(n int, shape [4]int, o FilterOptions) (*grid, error) {
	product := 1
	for _, d := range shape {
		if d <= 0 {
			return nil, fmt.Errorf("shape %v: want [kernels, channels, height, width], each 1 or more", shape)
		}
		if product > n/d {
			return nil, fmt.Errorf("shape %v needs more than the %d weights that are there", shape, n)
		}
		product *= d
	}
	if product != n {
		return nil, fmt.Errorf("shape %v makes %d weights, and there are %d", shape, product, n)
	}
	g := &grid{kernels: shape[0], columns: max(o.Columns, 1), tiles: 1, channels: shape[1], h: shape[2], w: shape[3], scale: o.Scale}
	if o.Columns < 0 || g.kernels%g.columns != 0 {
		return nil, fmt.Errorf("%d kernels do not make %d columns of equal size", g.kernels, o.Columns)
	}
	if o.Scale < 0 || o.Scale > maxScale {
		return nil, fmt.Errorf("scale is %d pixels a weight, want 1 to %d, or 0 to have one picked", o.Scale, maxScale)
	}
	each := g.kernels / g.columns
	if g.channels == 3 || g.channels == 1 {
		g.perRow = tilesInARow(each, g.columns, float64(g.w+1)/float64(g.h+1))
		g.rows = (each + g.perRow - 1) / g.perRow
	} else {
		g.tiles, g.channels = g.channels, 1
		g.perRow, g.rows = g.tiles, each
	}
	if g.scale == 0 {
		longer := max(g.perRow*(g.w+1), g.columns*g.rows*(g.h+1))
		g.scale = min(max(filterSide/longer, 1), 20) // beyond, kernels look like mosaics
	}
	g.gap = (g.scale + 1) / 2
	g.margin = min(4*g.gap+4, 24)
	g.parted = 4*g.gap + 4
	g.width = 2*g.margin + g.perRow*(g.w*g.scale+g.gap) - g.gap
	g.height = 2*g.margin + g.columns*(g.rows*(g.h*g.scale+g.gap)-g.gap+g.parted) - g.parted
	if g.width > maxPixels/g.height {
		return nil, fmt.Errorf("the picture would have %d x %d pixels, and %d are allowed: give a smaller scale, or fewer kernels", g.width, g.height, maxPixels)
	}
	return g, nil
}

// tilesInARow returns how many of a column's n tiles make a row. Full rows are
// preferred, and then the picture whose aspect is nearest to filterAspect: 16
// for the paper's two columns of 48.
func tilesInARow(n, columns int, tileAspect float64) int {
	best, least := 1, math.Inf(1)
	for across := 1; across <= n; across++ {
		rows := columns * ((n + across - 1) / across)
		cost := math.Abs(math.Log(tileAspect * float64(across) / float64(rows) / filterAspect))
		if n%across != 0 {
			cost++
		}
		if cost < least {
			best, least = across, cost
		}
	}
	return best
}

// at returns the upper left corner of a tile of kernel k.
func (g *grid) at(k, tile int) image.Point {
	each := g.kernels / g.columns
	column, i := k/each, k%each*g.tiles+tile
	x, y := i%g.perRow, i/g.perRow
	height := g.rows*(g.h*g.scale+g.gap) - g.gap
	return image.Pt(g.margin+x*(g.w*g.scale+g.gap), g.margin+column*(height+g.parted)+y*(g.h*g.scale+g.gap))
}

// draw draws one tile: w is [channels, h, w] and may go on.
func (g *grid) draw(img *image.RGBA, w []float32, at image.Point, full float32) {
	plane := g.h * g.w
	for i := range plane {
		var c color.RGBA
		if g.channels == 3 {
			c = shade(w[i], w[plane+i], w[2*plane+i], full)
		} else {
			c = shade(w[i], w[i], w[i], full)
		}
		p := at.Add(image.Pt(i%g.w, i/g.w).Mul(g.scale))
		draw.Draw(img, image.Rectangle{p, p.Add(image.Pt(g.scale, g.scale))}, image.NewUniform(c), image.Point{}, draw.Src)
	}
}

func shade(r, g, b, full float32) color.RGBA {
	if !finite(r) || !finite(g) || !finite(b) {
		return notFinite
	}
	level := func(v float32) uint8 {
		if full == 0 {
			return 128
		}
		return uint8(math.RoundToEven(128 + 127*float64(v)/float64(full)))
	}
	return color.RGBA{level(r), level(g), level(b), 0xff}
}

func finite(v float32) bool { return v-v == 0 }

// fullScale returns the largest |w| of those that are finite, and how many are not.
func fullScale(w []float32) (full float32, bad int) {
	for _, v := range w {
		if finite(v) {
			full = max(full, v, -v)
		} else {
			bad++
		}
	}
	return full, bad
}

func (g *grid) caption(full float32, bad int, each bool) string {
	channels := g.channels * g.tiles
	s := plural(g.kernels, "kernel") + fmt.Sprintf(" of %d×%d×%d", g.h, g.w, channels)
	if g.columns > 1 {
		s += fmt.Sprintf(" in %d columns", g.columns)
	}
	switch {
	case full == 0 && bad == g.kernels*channels*g.h*g.w:
		// There is nothing to say of a scale.
	case full == 0:
		s += "; every weight is 0"
	case each:
		s += fmt.Sprintf("; grey is 0, full scale is each kernel's largest, up to ±%.3g", full)
	default:
		s += fmt.Sprintf("; grey is 0, full scale ±%.3g", full)
	}
	if bad > 0 {
		s += "; " + plural(bad, "weight") + " not finite (magenta)"
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
