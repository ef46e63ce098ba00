package neighbors

import (
	"sync"

	"alexnet/loader"
)

// Pixels are the stored images of a split as vectors: height, width, RGB, 0 to 255.
// To subtract the mean from both sides would change no distance. They are [Rows].
type Pixels struct {
	images, width int
	readers       sync.Pool
}

// pixelReader is what one goroutine reads with.
type pixelReader struct {
	images *loader.Images
	bytes  []byte
}

// NewPixels opens a split.
func NewPixels(set *loader.Set, split string) (*Pixels, error) {
	images, err := set.Images(split)
	if err != nil {
		return nil, err
	}
	p := &Pixels{images: int(images.Len()), width: set.Info().Height * set.Info().Width * 3}
	p.readers.New = func() any {
		images, _ := set.Images(split) // it is there: it was opened above
		return &pixelReader{images, make([]byte, p.width)}
	}
	return p, nil
}

// Len returns the count of images.
func (p *Pixels) Len() int { return p.images }

// Width returns the count of numbers that each has.
func (p *Pixels) Width() int { return p.width }

// Read fills dst with the pixels of images from first on.
func (p *Pixels) Read(first int, dst []float32) error {
	r := p.readers.Get().(*pixelReader)
	defer p.readers.Put(r)
	for i := range len(dst) / p.width {
		if _, err := r.images.Read(int64(first+i), r.bytes); err != nil {
			return err
		}
		row := dst[i*p.width:][:p.width]
		for j, v := range r.bytes {
			row[j] = float32(v)
		}
	}
	return nil
}
