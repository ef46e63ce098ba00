// What the kernels share. NVRTC gets this file and the others as one source and
// no folder to include from, so that nothing but the language is used.
//
// Tensors are float32, images first, [batch, channels, height, width], with
// nothing between the numbers; or bfloat16, and in kernels named _last with the
// channels last, [batch, height, width, channels]. A kernel writes every number of its results once,
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

// A bfloat16 is the upper half of a float32: sign, the same exponent, and 7 bits of
// its fraction.
typedef unsigned short bfloat16;

__device__ inline float widen(bfloat16 b) { return __uint_as_float((unsigned)b << 16); }

// narrow rounds to the nearest, of two equally near to the one whose last bit is 0.
// What is too large becomes infinite. A NaN keeps its upper half and is made quiet,
// since rounding could carry it over to infinity.
__device__ inline bfloat16 narrow(float v)
{
    unsigned bits = __float_as_uint(v);
    return (v != v ? bits | 1u << 22 : bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// pack is neighbours that are read and written in one access.
template <typename T, int N>
struct alignas(sizeof(T) * N) pack {
    T v[N];
};

template <int N>
__device__ inline void load(const bfloat16 *from, float *v)
{
    pack<bfloat16, N> p = *(const pack<bfloat16, N> *)from;
    for (int n = 0; n < N; n++)
        v[n] = widen(p.v[n]);
}

// store writes words of two, which compilers join more readily than halves of them.
template <int N>
__device__ inline void store(bfloat16 *to, const float *v)
{
    pack<unsigned, N / 2> p;
    for (int n = 0; n < N / 2; n++)
        p.v[n] = narrow(v[2 * n]) | (unsigned)narrow(v[2 * n + 1]) << 16;
    *(pack<unsigned, N / 2> *)to = p;
}

template <>
__device__ inline void store<1>(bfloat16 *to, const float *v)
{
    *to = narrow(*v);
}

// aligned reports whether tensors start where packs of eight may.
__device__ inline bool aligned(const void *a, const void *b, const void *c = 0, const void *d = 0)
{
    return (((unsigned long long)a | (unsigned long long)b | (unsigned long long)c | (unsigned long long)d) & 15) == 0;
}
