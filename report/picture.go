// Package report draws the paper's pictures of what is at hand: curves of loss and
// error (figure 1), a network (figure 2), the kernels of the first layer (figure
// 3), predictions, and nearest images (figure 4).
package report

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/png"
	"path/filepath"

	"github.com/google/renameio/v2"
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
