package loader

import (
	"encoding/binary"

	"alexnet/internal/philox"
)

// view is how an image is seen: a crop of it, perhaps mirrored, in a light.
type view struct {
	top, left int
	mirror    bool
	color     [3]float32 // added to R, G and B
}

// put writes v as a row of Batch.Views.
func (v view) put(to []float32) {
	to[0], to[1], to[2] = float32(v.top), float32(v.left), 0
	if v.mirror {
		to[2] = 1
	}
	copy(to[3:viewNumbers], v.color[:])
}

// random returns the view of an image in a pass of training.
func (b *Batches) random(pass, image uint32) view {
	numbers := philox.NewStream(b.options.Seed, philox.Crop, pass, image)
	v := view{
		top:  numbers.IntN(b.shape.Height - b.options.Height + 1),
		left: numbers.IntN(b.shape.Width - b.options.Width + 1),
	}
	v.mirror = numbers.Uint32()&1 == 1 && b.options.Mirror
	if b.options.Color > 0 {
		var sum [3]float64
		numbers := philox.NewStream(b.options.Seed, philox.Color, pass, image)
		for _, axis := range b.color {
			alpha := b.options.Color * numbers.Normal()
			for c := range 3 {
				sum[c] += alpha * axis[c]
			}
		}
		for c := range 3 {
			v.color[c] = float32(sum[c])
		}
	}
	return v
}

// fixed returns view n of a test, as Test documents them.
func (b *Batches) fixed(n int) view {
	bottom, right := b.shape.Height-b.options.Height, b.shape.Width-b.options.Width
	if b.views == 1 {
		return view{top: bottom / 2, left: right / 2}
	}
	v := [5]view{{}, {left: right}, {top: bottom}, {top: bottom, left: right}, {top: bottom / 2, left: right / 2}}[n%5]
	v.mirror = n >= 5
	return v
}

// crop copies the view v, height x width, of an image of the given stored
// width.
func crop(dst, image []byte, stored, height, width int, v view) {
	for y := range height {
		from := image[((v.top+y)*stored+v.left)*3:][:width*3]
		to := dst[y*width*3:][:width*3]
		if v.mirror {
			mirror(to, from)
		} else {
			copy(to, from)
		}
	}
}

// mirror copies the pixels of a row in reverse, four bytes at once: the fourth
// is put right by the next pixel. The ends, where there is no fourth, are
// copied by themselves.
func mirror(to, from []byte) {
	n := len(from)
	copy(to[:3], from[n-3:])
	for i, j := 3, n-6; j > 0; i, j = i+3, j-3 {
		binary.LittleEndian.PutUint32(to[i:], binary.LittleEndian.Uint32(from[j:]))
	}
	copy(to[n-3:], from[:3])
}
