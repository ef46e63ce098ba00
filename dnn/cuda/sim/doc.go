// Package sim is simulated NVIDIA GPUs: it fills the function tables of the
// driver, cuDNN, cuBLASLt and NVRTC with Go functions that behave like GPUs, so
// that everything in package cuda but the machine code runs, and is found wrong,
// without one.
//
// It is as unhelpful as the libraries' documentation allows:
//
//   - Device memory is not host memory. Every access is looked up, and must lie
//     within one allocation, of the GPU itself or of one whose memory it was
//     given access to. Addresses are never used twice. Fresh memory is poison
//     (all bits one, so every float32 is NaN), and so are the workspace of a
//     library call, before and after it, and a result that lies over an operand
//     where the operation does not allow that.
//   - Work is queued, and runs as late as the events allow: when somebody waits
//     for it. The work of all streams of all GPUs is then interleaved as the seed
//     says: seeds 0, 3, 6, ... run only what is waited for, 1, 4, 7, ... any
//     stream that can go on, 2, 5, 8, ... one stream as far as it goes, then
//     another. What CUDA copies when it is called is copied then; memory is read
//     when the work runs, page-locked memory too.
//   - Two pieces of work that use the same memory, one of them to write it, and
//     that no event and no waiting of the host puts in order, are a race, in
//     whatever order they ran: [Machine.Races] lists them, and Close fails.
//   - Handles must be valid and of the current context, which each thread of the
//     operating system has for itself. What was not given back is listed.
//   - Errors of work come out of later calls, and stay. What a copy cannot reach is
//     refused at once, as by a real driver. cuGetErrorString says what it was about.
//   - What a stream captures runs only when its graph is launched, piece by piece
//     like other work, with the arguments that it was captured with. A capture fails
//     if its thread waits, or takes or gives back memory or code, in all modes but
//     the relaxed one.
//   - Of two algorithms for a convolution, the one that real GPUs add up in any
//     order is off by a bit here and there.
//
// Numbers come from package cpu, rounded as a GPU would round them.
//
// What is not simulated: work that runs at the same time on one GPU (pieces of
// work run one after the other, in any order that the events allow), the time
// that work takes, more than one context a GPU, and captures that take in more than
// one stream. Convolutions and pools have
// the same pad and stride in both directions. Real GPUs finish the work on
// page-locked memory before they free it and on kernels before they unload them,
// though no documentation says so; here such work fails. Kernels are those of
// package kernels, whose machine code is not looked at.
package sim
