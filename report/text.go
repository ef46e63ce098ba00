package report

import (
	"image"
	"image/color"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// The line of text below a picture, in pixels.
const (
	captionSize   = 15
	captionAscent = 14 // from the top of the line to the feet of the letters
	captionHeight = 30
)

// goFont is parsed once. A face keeps a buffer, so each use makes its own.
var goFont = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })

// newFace returns the letters of pictures, size pixels high.
func newFace(size float64) font.Face {
	f, err := goFont()
	if err == nil {
		var face font.Face
		if face, err = opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull}); err == nil {
			return face
		}
	}
	panic(err) // the font is part of the program
}

// measure returns the width of text in pixels.
func measure(f font.Face, text string) int { return font.MeasureString(f, text).Ceil() }

// write writes text from p, at the letters' feet.
func write(img *image.RGBA, f font.Face, text string, p image.Point, c color.Color) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: f, Dot: fixed.P(p.X, p.Y)}
	d.DrawString(text)
}

// fit returns text, cut to what has room in a width.
func fit(f font.Face, text string, width int) string {
	if measure(f, text) <= width {
		return text
	}
	letters := []rune(text)
	for len(letters) > 0 && measure(f, string(letters)+"…") > width {
		letters = letters[:len(letters)-1]
	}
	return strings.TrimRight(string(letters), " ,") + "…"
}

// synset is WordNet's number before a class's name.
var synset = regexp.MustCompile(`^n\d{8}[ _](.+)`)

// className returns the name of a class as a picture has it: of ImageNet's, such as
// "n01440764 tench, Tinca tinca", the first word alone.
func className(name string) string {
	if m := synset.FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	name, _, _ = strings.Cut(name, ",")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, name))
}
