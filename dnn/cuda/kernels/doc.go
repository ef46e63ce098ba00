// Package kernels holds the operations that cuDNN lacks, as CUDA C++ that NVRTC
// compiles for the GPU at hand.
//
// Each .cu file opens with the formulas of what it computes. [Load] compiles them
// all, or finds them compiled in a folder of the user, and [Module.Prepare] makes
// one ready to be launched with its arguments, one of the structs of this package.
// Their numbers are those of package cpu, to the bit where the arithmetic is the
// same; package emulate runs them without a GPU and the tests show it.
package kernels
