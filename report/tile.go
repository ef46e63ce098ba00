package report

import (
	"image"
	"image/color"
	"regexp"
	"strings"

	"golang.org/x/image/draw"

	"alexnet/loader/picture"
)

// What pictures of images on white have in common. Lengths are in pixels.
const (
	tileSide   = 160 // of the square that an image is drawn into
	lineHeight = 20  // of a line of text
	lineAscent = 15  // from its top to the feet of the letters
	sheetEdge  = 16  // around everything
	maxTiles   = 4096
)

var (
	ink      = color.RGBA{0x22, 0x24, 0x28, 0xff}
	faintInk = color.RGBA{0x6a, 0x6d, 0x73, 0xff}
	wrongInk = color.RGBA{0xb0, 0x3a, 0x2e, 0xff}
)

// sheet returns a white picture.
func sheet(width, height int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	return img
}

func fill(img *image.RGBA, r image.Rectangle, c color.Color) {
	draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// drawTile draws m as large as it fits into the middle of a square of tileSide at
// p. Pixels of images that are far smaller stay squares, so that one sees what the
// network saw.
func drawTile(img *image.RGBA, m picture.Image, p image.Point) {
	from := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	for i := range m.Height * m.Width {
		copy(from.Pix[4*i:], m.Pixels[3*i:3*i+3])
		from.Pix[4*i+3] = 0xff
	}
	var scaler draw.Scaler = draw.CatmullRom
	longer := max(m.Height, m.Width)
	h, w := m.Height*tileSide/longer, m.Width*tileSide/longer
	if times := tileSide / longer; times >= 2 {
		scaler = draw.NearestNeighbor
		h, w = m.Height*times, m.Width*times
	}
	at := p.Add(image.Pt((tileSide-w)/2, (tileSide-h)/2))
	scaler.Scale(img, image.Rectangle{at, at.Add(image.Pt(max(w, 1), max(h, 1)))}, from, from.Bounds(), draw.Src, nil)
}

// synset is WordNet's number before a name.
var synset = regexp.MustCompile(`^n\d{8}[ _]+`)

// fit shortens the name of a class to a width: it takes away a synset before it,
// then synonyms after a comma, and then letters at the end.
func fit(name string, width int) string {
	name = strings.Join(strings.Fields(name), " ")
	shorter := []func(string) string{
		func(s string) string { return synset.ReplaceAllString(s, "") },
		func(s string) string { s, _, _ = strings.Cut(s, ","); return s },
	}
	for _, f := range shorter {
		if measure(name) <= width {
			return name
		}
		name = f(name)
	}
	letters := []rune(name)
	for n := len(letters); n > 0 && measure(name) > width; n-- {
		name = strings.TrimRight(string(letters[:n-1]), " ") + "…"
	}
	return name
}
