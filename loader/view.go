package loader

import (
	"alexnet/internal/philox"
	"alexnet/loader/record"
)

// view is how an image is seen: a crop of it, perhaps mirrored, in a light.
type view struct {
	top, left int // in the image
	mirror    bool
	color     [3]float32 // added to R, G and B
}

// put writes v, of an image of a given size, as a row of Batch.Views.
func (b *Batches) put(v view, im record.Image, to []float32) {
	// The mean is that of the middle of an image. What is cut beside it gets what
	// is nearest.
	top, left := b.shape.Middle(im.Height, im.Width)
	to[0] = float32(min(max(v.top-top, 0), b.shape.Height-b.options.Height))
	to[1] = float32(min(max(v.left-left, 0), b.shape.Width-b.options.Width))
	to[2] = 0
	if v.mirror {
		to[2] = 1
	}
	copy(to[3:viewNumbers], v.color[:])
}

// random returns the view of an image in a pass of training.
func (b *Batches) random(pass, image uint32, im record.Image) view {
	numbers := philox.NewStream(b.options.Seed, philox.Crop, pass, image)
	v := view{
		top:  numbers.IntN(im.Height - b.options.Height + 1),
		left: numbers.IntN(im.Width - b.options.Width + 1),
	}
	v.mirror = numbers.Uint32()&1 == 1 && b.options.Mirror
	if o := b.options; o.Color > 0 && (o.ColorPasses == 0 || int64(pass) < int64(o.ColorPasses)) {
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

// fixed returns view n of a test, as Test documents them. Of whole images the
// middle is seen, as it would be if that had been cut out when they were packed.
func (b *Batches) fixed(n int, im record.Image) view {
	bottom, right := b.shape.Height-b.options.Height, b.shape.Width-b.options.Width
	v := view{top: bottom / 2, left: right / 2}
	if b.views > 1 {
		v = [5]view{{}, {left: right}, {top: bottom}, {top: bottom, left: right}, v}[n%5]
		v.mirror = n >= 5
	}
	top, left := b.shape.Middle(im.Height, im.Width)
	v.top += top
	v.left += left
	return v
}

// crop copies the view v, height x width, of an image of the given stored
// width.
func crop(dst, image []byte, stored, height, width int, v view) {
	for y := range height {
		from := image[((v.top+y)*stored+v.left)*3:][:width*3]
		to := dst[y*width*3:][:width*3]
		if v.mirror {
			n := mirrorFast(to, from)
			mirror(to[n:], from[:len(from)-n])
		} else {
			copy(to, from)
		}
	}
}
