package loader

import (
	"context"
	"fmt"
	"os"

	"alexnet/loader/picture"
)

// maxFile bounds the bytes of an image file.
const maxFile = 256 << 20

// Files returns image files as stills of height x width, made as `alexnet pack
// -size` makes them: the shorter side is scaled, and the centre cut out (section
// 2). Sizes that are not square cannot be scaled to: files must have them.
func Files(paths []string, height, width int) (*Stills, error) {
	var o picture.Options
	if height == width {
		o.Size = height
	}
	d, err := picture.NewDecoder(o)
	if err != nil {
		return nil, err
	}
	var pixels []byte
	read := func(ctx context.Context, i int, dst []byte) (int32, error) {
		path := paths[i]
		file, err := readFile(path)
		if err != nil {
			return 0, err
		}
		m, err := d.Decode(ctx, file, pixels)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		pixels = m.Pixels
		if m.Height != height || m.Width != width {
			return 0, fmt.Errorf("%s: it is %dx%d, and the network was trained on images of %dx%d, to which no image is scaled as they are not square: give a file of that size",
				path, m.Height, m.Width, height, width)
		}
		copy(dst, m.Pixels)
		return -1, nil
	}
	return &Stills{Height: height, Width: width, Count: len(paths), Read: read}, nil
}

// readFile reads an image file. It refuses what is none: opening a named pipe would
// wait for ever.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: this is no plain file (%v); give image files", path, info.Mode().Type())
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s: it has %d bytes, and an image may have %d", path, info.Size(), maxFile)
	}
	return os.ReadFile(path)
}

// Choose returns some images of a split, by their numbers, as stills. m must not
// be used beside them.
func (m *Images) Choose(numbers []int64) *Stills {
	return &Stills{Height: m.shape.Height, Width: m.shape.Width, Count: len(numbers),
		Read: func(_ context.Context, i int, dst []byte) (int32, error) { return m.Read(numbers[i], dst) }}
}
