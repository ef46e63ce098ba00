// Package nvrtc binds NVIDIA's run-time compiler, NVRTC: CUDA C++ to code that
// package cu loads. It needs no GPU. A program that imports it builds without cgo
// and CUDA, and runs, and says what is missing, where there is none.
//
// It needs libnvrtc of CUDA 12 or newer, and libnvrtc-builtins of the same
// version beside it.
//
//	lib, err := nvrtc.Open()
//	cubin, err := lib.Compile(source, "twice.cu", "-arch=sm_90")
//	module, err := ctx.LoadData(cubin)
//
// A program that does not compile is a [CompileError], with the compiler's words;
// other calls that fail are an [Error].
package nvrtc
