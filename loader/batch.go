package loader

import (
	"fmt"
	"slices"
	"sync/atomic"

	"alexnet/internal/raw"
)

// Batch is Rows images. Its memory is used again after Release.
type Batch struct {
	Pixels []byte    // [Rows][Height][Width][3] RGB, cropped and mirrored
	Views  []float32 // [Rows][6]: top, left of the crop in the mean image; 1 if mirrored, else 0; what to add to R, G, B
	Labels []int32   // [Rows]; -1 where there is no image
	Images []int64   // [Rows]: number of the image in its split; -1 where there is none
	First  int64     // place of the first row in the sequence of rows

	left atomic.Int32  // rows to be made
	made chan struct{} // capacity 1: none is left
}

const (
	viewNumbers = 6        // a row of Views
	maxBatches  = 64 << 30 // bytes of all batches
)

// newBatches takes the memory of n batches in one piece.
func (o *Options) newBatches(n int) ([]*Batch, error) {
	const align = 4
	pixels := o.Rows * o.Height * o.Width * 3
	views := (pixels + align - 1) / align * align
	labels := views + o.Rows*viewNumbers*4
	size := labels + o.Rows*4
	if int64(n)*int64(size) > maxBatches {
		return nil, fmt.Errorf("%d batches of %d images of %dx%d take %d bytes, and may take %d; take smaller batches",
			n, o.Rows, o.Height, o.Width, int64(n)*int64(size), int64(maxBatches))
	}
	var memory []byte
	if o.Memory == nil {
		memory = raw.Bytes(make([]float32, n*size/4))
	} else {
		var err error
		if memory, err = o.Memory(int64(n) * int64(size)); err != nil {
			return nil, fmt.Errorf("memory for %d batches of %d images: %w", n, o.Rows, err)
		}
	}
	list := make([]*Batch, n)
	for i := range list {
		m := memory[i*size:][:size:size]
		list[i] = &Batch{
			Pixels: m[:pixels:pixels],
			Views:  raw.Numbers[float32](m[views:labels]),
			Labels: raw.Numbers[int32](m[labels:]),
			Images: make([]int64, o.Rows),
			made:   make(chan struct{}, 1),
		}
	}
	return list, nil
}

// blank makes a row one without an image.
func (t *Batch) blank(row int) {
	size := len(t.Pixels) / len(t.Labels)
	clear(t.Pixels[row*size:][:size])
	clear(t.Views[row*viewNumbers:][:viewNumbers])
	t.Labels[row], t.Images[row] = -1, -1
}

// mend gives each row without an image that of the next row that has one, and
// says whether there is any.
func (t *Batch) mend() bool {
	good := slices.IndexFunc(t.Labels, func(l int32) bool { return l >= 0 })
	if good < 0 {
		return false
	}
	size := len(t.Pixels) / len(t.Labels)
	for row := len(t.Labels) - 1; row >= 0; row-- {
		if t.Labels[row] >= 0 {
			good = row
			continue
		}
		copy(t.Pixels[row*size:][:size], t.Pixels[good*size:])
		copy(t.Views[row*viewNumbers:][:viewNumbers], t.Views[good*viewNumbers:])
		t.Labels[row], t.Images[row] = t.Labels[good], t.Images[good]
	}
	return true
}
