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

// cutter cuts views out of images.
type cutter struct {
	options Options
	train   bool // views are random, as in training
	views   int  // of an image
	color   [3][3]float64
	shape   record.Shape
}

// cut makes a row of a batch: view n of an image.
func (k *cutter) cut(t *Batch, row int, im record.Image, pixels []byte, pass uint32, image, n int) {
	var v view
	if k.train {
		v = k.random(pass, uint32(image), im)
	} else {
		v = k.fixed(n, im)
	}
	size := k.options.Height * k.options.Width * 3
	crop(t.Pixels[row*size:][:size], pixels, im.Width, k.options.Height, k.options.Width, v)
	k.put(v, im, t.Views[row*viewNumbers:])
	t.Images[row] = int64(image)
	t.Labels[row] = im.Label
}

// put writes v, of an image of a given size, as a row of Batch.Views.
func (k *cutter) put(v view, im record.Image, to []float32) {
	// The mean is that of the middle of an image. What is cut beside it gets what
	// is nearest.
	top, left := k.shape.Middle(im.Height, im.Width)
	to[0] = float32(min(max(v.top-top, 0), k.shape.Height-k.options.Height))
	to[1] = float32(min(max(v.left-left, 0), k.shape.Width-k.options.Width))
	to[2] = 0
	if v.mirror {
		to[2] = 1
	}
	copy(to[3:viewNumbers], v.color[:])
}

// random returns the view of an image in a pass of training.
func (k *cutter) random(pass, image uint32, im record.Image) view {
	numbers := philox.NewStream(k.options.Seed, philox.Crop, pass, image)
	v := view{
		top:  numbers.IntN(im.Height - k.options.Height + 1),
		left: numbers.IntN(im.Width - k.options.Width + 1),
	}
	v.mirror = numbers.Uint32()&1 == 1 && k.options.Mirror
	if o := k.options; o.Color > 0 && (o.ColorPasses == 0 || int64(pass) < int64(o.ColorPasses)) {
		var sum [3]float64
		numbers := philox.NewStream(k.options.Seed, philox.Color, pass, image)
		for _, axis := range k.color {
			alpha := k.options.Color * numbers.Normal()
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
func (k *cutter) fixed(n int, im record.Image) view {
	bottom, right := k.shape.Height-k.options.Height, k.shape.Width-k.options.Width
	v := view{top: bottom / 2, left: right / 2}
	if k.views > 1 {
		v = [5]view{{}, {left: right}, {top: bottom}, {top: bottom, left: right}, v}[n%5]
		v.mirror = n >= 5
	}
	top, left := k.shape.Middle(im.Height, im.Width)
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
