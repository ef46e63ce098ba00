// Package cudnn binds NVIDIA's cuDNN 9 at run time: a program that imports it
// builds without cgo, CUDA or cuDNN, and runs, and says what is missing, where
// there is none. It knows nothing of networks: convolutions, activations, pools,
// normalisation and softmax over memory of the GPU, for any program.
//
// It needs, at run time, an NVIDIA driver for CUDA 12 or newer (package cu) and
// libcudnn.so.9, which [Open] looks for in ALEXNET_CUDA_PATH, where the system's
// loader does, and in the folders of the CUDA toolkit, conda and pip (package
// libraries). Linux is where NVIDIA has them; elsewhere Open returns an error.
//
// There are three levels. [Functions] are the library's own functions, which
// [Functions.Bindings] pairs with their C prototypes; a program may put functions
// of its own in their place, as the simulated GPUs of package sim do, and give
// them to [New]. [Error] is a call that failed. [Library], [Handle] and the
// descriptors ([Tensor], [Filter], [Convolution], [Activation], [Pooling], [LRN])
// are safe to hold: each is given back once, and is an error when it is used
// after Close. Names are cuDNN's without their cudnn.
//
// # Goroutines, threads, contexts
//
// A Library is for all goroutines. A Handle is for one at a time, on any thread:
// its methods make the context that it was made in current on the thread that
// they are called from, which makes another context of the same thread not
// current. Programs that use several streams at once have a Handle for each.
// Descriptors belong to no GPU; they do not change, and any number of goroutines
// and handles may use one.
//
// # Lifetimes
//
// All that was made must be closed: nothing is left to the garbage collector. The
// order does not matter, since a handle keeps alive what it depends on: the
// context stays as long as handles of it are open, and the stream as long as a
// handle works in it. A second Close does nothing. Descriptors may be closed
// while work that was queued with them still runs; memory must not. What another
// package made is wrapped ([Library.WrapHandle], [Library.WrapTensor] and so on)
// and not destroyed.
//
// # Errors
//
// An [Error] has the function and the arguments that matter, cuDNN's name for
// what went wrong and, if there is one, its explanation:
//
//	cudnnSetTensor4dDescriptorEx(float32, n 0, c 3, h 5, w 7, strides [105 35 7 1]): CUDNN_STATUS_BAD_PARAM (2000): ...
//
// errors.Is(err, cudnn.NotSupported) looks for one, and for the finer ones of its
// thousand. Methods of a Handle queue work and return; an error on the GPU itself
// comes out of a later call, at the latest of [cu.Stream.Synchronize], as a
// [cu.Error].
package cudnn
