// What the kernels share. NVRTC gets this file and the others as one source and
// no folder to include from, so that nothing but the language is used.
//
// Tensors are float32, images first, [batch, channels, height, width], with
// nothing between the numbers. A kernel writes every number of its results once,
// by one thread, which adds in a fixed order what it reads: any count of blocks
// and threads gives the same bits. Sizes have been checked by dnn.Needs: a map and
// a window have less than 2^31 pixels, a tensor may have more.

// EACH runs its body for the i of 0 to n-1 that fall to this thread.
#define EACH(i, n) \
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += (long long)gridDim.x * blockDim.x)

// quotient returns a / b for a of 0 or more. GPUs divide in software, and numbers
// of 64 bits take several times as long as the 32 that are nearly always enough.
__device__ inline long long quotient(long long a, int b)
{
    return a >> 31 ? a / b : (int)a / b;
}

// place is where a number stands in [planes, height, width].
struct place {
    long long plane;
    int row, column;
};

__device__ inline place place_of(long long i, int height, int width)
{
    long long row = quotient(i, width), plane = quotient(row, height);
    return {plane, (int)(row - plane * height), (int)(i - row * width)};
}

// range is from, from + 1, ..., to - 1. It is empty if to is not above from.
struct range {
    int from, to;
};

// seen returns the pixels, of a side of size, that window number w sees.
__device__ inline range seen(int w, int window, int stride, int pad, int size)
{
    long long from = (long long)w * stride - pad;
    return {(int)min(max(from, 0ll), (long long)size), (int)min(max(from + window, 0ll), (long long)size)};
}

// seeing returns which of a count of windows see pixel p.
__device__ inline range seeing(int p, int window, int stride, int pad, int count)
{
    int before = p + pad - window; // a window that starts here or before does not reach p
    return {before < 0 ? 0 : before / stride + 1, min((p + pad) / stride + 1, count)};
}

__device__ inline float nan32() { return __uint_as_float(0x7fc00000); }
