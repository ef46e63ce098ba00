// Package cu binds the CUDA driver, libcuda, at run time: a program that imports
// it builds without cgo and without CUDA, and runs, and says what is missing,
// where there is none.
//
// It has three levels: [Functions], the library's own functions; errors of the
// type [Error], which say what was called; and handles that are given back once,
// after all that was made with them, and that return an error when they are used
// after Close. Names are those of gorgonia.org/cu where the thing is the same.
//
//	driver, err := cu.Open()
//	dev, err := driver.GetDevice(0)
//	ctx, err := driver.PrimaryContext(dev)
//	defer ctx.Close()
//	stream, err := ctx.NewStream(cu.StreamNonBlocking)
//	defer stream.Close()
//	mem, err := ctx.MemAlloc(1 << 20)
//	defer mem.Close()
//	err = stream.MemcpyHtoDAsync(mem.Ptr(), data)
//	err = stream.Synchronize()
//
// Work is asynchronous: an error of a kernel or a copy comes out of a later
// call, and after some (an illegal address, a lost device) every later call of
// the process on that GPU fails.
package cu
