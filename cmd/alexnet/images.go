package main

import (
	"errors"
	"fmt"
	"os"

	"alexnet/loader"
	"alexnet/loader/picture"
	"alexnet/report"
	"alexnet/train"
)

// maxImageFile bounds the memory that an image file takes before it is decoded.
const maxImageFile = 256 << 20

// imageFiles returns what reads image files as alexnet pack does, to the size of
// the images that the network was trained on: the shorter side is scaled to it and
// the centre cut out.
func imageFiles(paths []string, m *train.Model) train.Load {
	height, width := m.Stored()
	return func(image int64) (pixels []byte, label int32, err error) {
		im, err := readImage(paths[image], height, width)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", paths[image], err)
		}
		return im.Pixels, 0, nil
	}
}

// readImage reads an image file as one of height x width.
func readImage(path string, height, width int) (im picture.Image, err error) {
	var o picture.Options
	if height == width {
		o.Size = height
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return im, err
	case !info.Mode().IsRegular(): // to open a pipe could take forever
		return im, errors.New("this is no plain file; name an image")
	case info.Size() > maxImageFile:
		return im, fmt.Errorf("the file has %d bytes, and an image may have %d", info.Size(), maxImageFile)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return im, err
	}
	d, err := picture.NewDecoder(o)
	if err != nil {
		return im, err
	}
	defer d.Close() // which gives back memory, and cannot fail by that
	if im, err = d.Decode(file, nil); err != nil {
		return im, err
	}
	if im.Height != height || im.Width != width { // only where those are no square
		return im, fmt.Errorf("it is %dx%d, and the network was trained on images of %dx%d: scale and crop it first", im.Height, im.Width, height, width)
	}
	return im, nil
}

// labelled reads an image of a data set, to be drawn with its class.
func labelled(set *loader.Set, split string, image int64) (report.Labelled, error) {
	pixels, label, err := set.Image(split, image)
	if err != nil {
		return report.Labelled{}, err
	}
	info := set.Info()
	img, err := report.RGB(pixels, info.Height, info.Width)
	return report.Labelled{Image: img, Class: info.Classes[label].Name}, err
}
