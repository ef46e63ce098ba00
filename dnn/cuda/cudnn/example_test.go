package cudnn_test

import (
	"fmt"
	"log"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/sim"
)

// A convolution with a bias, forward, and backward to the gradients by its
// input, its weights and its bias.
func Example() {
	driver, lib, end := open() // cu.Open() and cudnn.Open()
	defer end()

	dev, err := driver.GetDevice(0)
	check(err)
	ctx, err := driver.PrimaryContext(dev)
	check(err)
	defer ctx.Close()
	stream, err := ctx.NewStream(cu.StreamNonBlocking)
	check(err)
	defer stream.Close()
	h, err := lib.NewHandle(ctx)
	check(err)
	defer h.Close()
	check(h.SetStream(stream))

	// One image of one channel and 3x3 pixels, one kernel of 2x2.
	xd, err := lib.NewTensor(cudnn.Float, cudnn.NCHW, 1, 1, 3, 3)
	check(err)
	defer xd.Close()
	wd, err := lib.NewFilter(cudnn.Float, cudnn.NCHW, 1, 1, 2, 2)
	check(err)
	defer wd.Close()
	bd, err := lib.NewTensor(cudnn.Float, cudnn.NCHW, 1, 1, 1, 1)
	check(err)
	defer bd.Close()
	conv, err := lib.NewConvolution(cudnn.ConvolutionOptions{Math: cudnn.FmaMath})
	check(err)
	defer conv.Close()
	n, c, height, width, err := conv.OutputDim(xd, wd)
	check(err)
	yd, err := lib.NewTensor(cudnn.Float, cudnn.NCHW, n, c, height, width)
	check(err)
	defer yd.Close()

	// put returns memory of the GPU with these numbers in it.
	put := func(numbers ...float32) *cu.Memory {
		m, err := ctx.MemAlloc(int64(4 * len(numbers)))
		check(err)
		check(stream.MemcpyHtoDAsync(m.Ptr(), bytes(numbers)))
		return m
	}
	x := put(1, 2, 3, 4, 5, 6, 7, 8, 9)
	defer x.Close()
	w := put(1, 2, 3, 4)
	defer w.Close()
	b := put(100)
	defer b.Close()
	y := put(make([]float32, n*c*height*width)...)
	defer y.Close()
	dy := put(1, 0, 0, 2)
	defer dy.Close()
	dx := put(make([]float32, 9)...)
	defer dx.Close()
	dw := put(make([]float32, 4)...)
	defer dw.Close()
	db := put(0)
	defer db.Close()

	// Algorithms come best first. Each needs a workspace of its own size.
	forward, err := h.ForwardAlgorithms(xd, wd, conv, yd)
	check(err)
	data, err := h.BackwardDataAlgorithms(wd, yd, conv, xd)
	check(err)
	filter, err := h.BackwardFilterAlgorithms(xd, yd, conv, wd)
	check(err)
	space, err := ctx.MemAlloc(int64(max(forward[0].Memory, data[0].Memory, filter[0].Memory)))
	check(err)
	defer space.Close()

	// y = x convolved with w, + b
	check(h.ConvolutionForward(1, xd, x.Ptr(), wd, w.Ptr(), conv, cudnn.ConvFwdAlgo(forward[0].Algo), space.Ptr(), space.Bytes(), 0, yd, y.Ptr()))
	check(h.AddTensor(1, bd, b.Ptr(), 1, yd, y.Ptr()))
	// What a change of x, w and b does to a loss, from what a change of y does.
	check(h.ConvolutionBackwardData(1, wd, w.Ptr(), yd, dy.Ptr(), conv, cudnn.ConvBwdDataAlgo(data[0].Algo), space.Ptr(), space.Bytes(), 0, xd, dx.Ptr()))
	check(h.ConvolutionBackwardFilter(1, xd, x.Ptr(), yd, dy.Ptr(), conv, cudnn.ConvBwdFilterAlgo(filter[0].Algo), space.Ptr(), space.Bytes(), 0, wd, dw.Ptr()))
	check(h.ConvolutionBackwardBias(1, yd, dy.Ptr(), 0, bd, db.Ptr()))

	// All of this is queued. Errors on the GPU come out of Synchronize.
	for _, m := range []*cu.Memory{y, dx, dw, db} {
		numbers := make([]float32, m.Bytes()/4)
		check(stream.MemcpyDtoHAsync(bytes(numbers), m.Ptr()))
		check(stream.Synchronize())
		fmt.Printf("%.1f\n", numbers) // algorithms round each in its own way
	}

	// Output:
	// [137.0 147.0 167.0 177.0]
	// [1.0 2.0 0.0 3.0 6.0 4.0 0.0 6.0 8.0]
	// [11.0 14.0 20.0 23.0]
	// [3.0]
}

// open returns the libraries of this machine or, where it has no GPU for them,
// those of a simulated one, and what ends their use.
func open() (*cu.Driver, *cudnn.Library, func()) {
	driver, err := cu.Open()
	if err == nil {
		var lib *cudnn.Library
		if lib, err = cudnn.Open(); err == nil {
			return driver, lib, func() {}
		}
	}
	m, err := sim.New(sim.Options{GPUs: 1})
	check(err)
	driver, err = cu.New(m.Driver(), "a simulated driver")
	check(err)
	lib, err := cudnn.New(m.CuDNN(), "a simulated cuDNN")
	check(err)
	return driver, lib, func() { check(m.Close()) }
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// bytes returns the memory of numbers.
func bytes(numbers []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(numbers))), 4*len(numbers))
}
