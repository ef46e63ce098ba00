package cpu

import (
	"fmt"

	"alexnet/dnn"
)

// input turns images of bytes, channels last, into maps of floats: a number is
// its byte minus the mean, plus what its image adds to its colour.
func (p *preparation) input(op dnn.Input) []loop {
	channels, height, width := op.Out.C, op.Out.H, op.Out.W
	size := channels * height * width
	pixels := p.bytes(op.Pixels, op.Batch*size)
	views := p.floats(op.Views, op.Batch, dnn.ViewFloats)
	mean := p.floats(op.Mean, op.MeanH, op.MeanW, channels)
	y := p.floats(op.Y, op.Batch, size)
	const colours = 3 // at the end of a view
	return []loop{{n: op.Batch, body: func(_ *worker, n int) {
		view := views[n*dnn.ViewFloats:][:dnn.ViewFloats]
		top, left := view[0], view[1]
		if !(top >= 0 && top <= float32(op.MeanH-height) && left >= 0 && left <= float32(op.MeanW-width)) {
			panic(badInput{fmt.Errorf("image %d of the batch: a patch of %dx%d at row %g, column %g is not inside %dx%d",
				n, height, width, top, left, op.MeanH, op.MeanW)})
		}
		step, first := channels, int(left)
		if view[2] != 0 { // mirrored: the mean runs from right to left
			step, first = -channels, int(left)+width-1
		}
		for i := range height {
			in := pixels[n*size+i*width*channels:][:width*channels]
			m := ((int(top)+i)*op.MeanW + first) * channels
			for j := range width {
				for c := range channels {
					y[n*size+(c*height+i)*width+j] = float32(in[j*channels+c]) - mean[m+c] + view[dnn.ViewFloats-colours+c]
				}
				m += step
			}
		}
	}}}
}
