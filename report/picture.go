// Package report draws what a run leaves behind: the curves of loss and error
// (figure 1 of the paper), the network with its columns (figure 2), the kernels of
// the first layer (figure 3), and what the network says of images and which it finds
// alike (figure 4).
package report

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// WritePNG writes img to path, whole or not at all: under another name in the
// same folder first, and then renamed.
func WritePNG(path string, img image.Image) error {
	if err := writePNG(path, img); err != nil {
		return fmt.Errorf("picture %s: %w", path, err)
	}
	return nil
}

func writePNG(path string, img image.Image) (err error) {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o666))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Cleanup()) }()
	w := bufio.NewWriter(f)
	if err := png.Encode(w, img); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// The line of text below a picture, in pixels.
const (
	captionSize   = 15
	captionAscent = 14 // from the top of the line to the feet of the letters
	captionHeight = 30
)

// captionFont is parsed once. A face keeps a buffer, so each use makes its own.
var captionFont = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })

func captionFace() font.Face {
	f, err := captionFont()
	if err == nil {
		var face font.Face
		if face, err = opentype.NewFace(f, &opentype.FaceOptions{Size: captionSize, DPI: 72, Hinting: font.HintingFull}); err == nil {
			return face
		}
	}
	panic(err) // the font is part of the program
}

// measure returns the width of text in pixels.
func measure(text string) int { return font.MeasureString(captionFace(), text).Ceil() }

// write writes text from p, at the letters' feet.
func write(img *image.RGBA, text string, p image.Point, c color.Color) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: captionFace(), Dot: fixed.P(p.X, p.Y)}
	d.DrawString(text)
}
