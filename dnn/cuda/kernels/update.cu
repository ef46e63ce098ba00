// Arithmetic on numbers one by one: the step of the weights, scaling, activations
// of bfloat16, and biases where the libraries cannot add them.

// parameter is a weight or a bias that is updated: kernels of c x h x w in float32.
// g stands like w, or if narrow like the bfloat16 copy, which may be missing.
// Numbers first_chunk to first_chunk + chunks of all chunks are its.
struct parameter {
    const void *g;
    float *w, *v;
    bfloat16 *copy;
    long long count, first_chunk;
    int c, h, wide, side, channels, narrow, index;
    float decay, rate;
};

// parameters are all of one launch; of those that are not there, count is 0.
struct parameters {
    parameter list[32];
};

const int chunk = 4096; // numbers that a block takes at a time

// step is the new w of a number, whose v it changes.
__device__ inline float step(float g, float w, float &v, float momentum, float shrink, float epsilon)
{
    v = momentum * v - shrink * w - epsilon * g;
    return w + v;
}

// dnn.Update, the step of section 5 of the paper, of all parameters, with ε = rate
// times rate number index in control, which is the step, then the rates:
//
//     v ← momentum v - decay ε w - ε g,  w ← w + v
//
// Most numbers are of full layers, whose copies are in the order of w: they are
// taken by fours.
extern "C" __global__ void update(const unsigned *control, float momentum, long long chunks, parameters params)
{
    int i = 0;
    for (long long number = blockIdx.x; number < chunks; number += gridDim.x) {
        while (i < 31 && params.list[i + 1].count > 0 && params.list[i + 1].first_chunk <= number)
            i++;
        const parameter &p = params.list[i];
        float epsilon = p.rate * __uint_as_float(control[1 + p.index]), shrink = p.decay * epsilon;
        folding f = {p.c, p.h, p.wide, p.side, p.channels};
        int size = p.c * p.h * p.wide, copied = f.size();
        long long from = (number - p.first_chunk) * chunk, to = min(from + chunk, p.count * size);
        if (size == 1 && copied == 1 && to - from == chunk && aligned(p.g, p.w, p.v, p.copy)) {
            for (long long at = from + 4 * threadIdx.x; at < to; at += 4 * blockDim.x) {
                pack<float, 4> g, w = *(pack<float, 4> *)(p.w + at), v = *(pack<float, 4> *)(p.v + at);
                if (p.narrow)
                    load<4>((const bfloat16 *)p.g + at, g.v);
                else
                    g = *(const pack<float, 4> *)((const float *)p.g + at);
                for (int n = 0; n < 4; n++)
                    w.v[n] = step(g.v[n], w.v[n], v.v[n], momentum, shrink, epsilon);
                *(pack<float, 4> *)(p.w + at) = w;
                *(pack<float, 4> *)(p.v + at) = v;
                if (p.copy)
                    store<4>(p.copy + at, w.v);
            }
            continue;
        }
        for (long long at = from + threadIdx.x; at < to; at += blockDim.x) {
            long long kernel = quotient(at, size);
            int inside = at - kernel * size, channel = inside / (p.h * p.wide), row = inside / p.wide % p.h, column = inside % p.wide;
            long long other = kernel * copied + f.of(channel, row, column);
            float g = p.narrow ? widen(((const bfloat16 *)p.g)[other]) : ((const float *)p.g)[at];
            float w = step(g, p.w[at], p.v[at], momentum, shrink, epsilon);
            p.w[at] = w;
            if (p.copy)
                p.copy[other] = narrow(w);
        }
    }
}

// dnn.Scale: y = factor x. Y may be X.
extern "C" __global__ void scale(const float *x, float *y, long long count, float factor)
{
    EACH(i, count)
        y[i] = factor * x[i];
}

// y[i, j] += b[j]; then, with relu, what is not above 0 becomes 0, and NaN stays.
extern "C" __global__ void add_bias(const float *b, float *y, int rows, int width, int relu)
{
    EACH(i, (long long)rows * width) {
        float v = y[i] + b[i - quotient(i, width) * width];
        y[i] = relu && v <= 0 ? 0 : v;
    }
}

extern "C" __global__ void scale_half(const bfloat16 *x, bfloat16 *y, long long count, float factor)
{
    EACH(i, count)
        y[i] = narrow(factor * widen(x[i]));
}

extern "C" __global__ void add_bias_half(const bfloat16 *b, bfloat16 *y, int rows, int width, int relu)
{
    EACH(i, (long long)rows * width) {
        float v = widen(y[i]) + widen(b[i - quotient(i, width) * width]);
        y[i] = narrow(relu && v <= 0 ? 0 : v);
    }
}

// An activation is 0 for ReLU, 1 for tanh, 2 for the logistic function.
__device__ inline float activated(int function, float v)
{
    return function == 0 ? (v <= 0 ? 0 : v) : function == 1 ? tanhf(v) : 1 / (1 + expf(-v));
}

// slope returns dy times the derivative, told from y. Of ReLU's NaN it keeps dy.
__device__ inline float slope(int function, float y, float dy)
{
    return function == 0 ? (y <= 0 ? 0 : dy) : function == 1 ? dy * (1 - y * y) : dy * y * (1 - y);
}

template <int N>
__device__ void activate(const bfloat16 *x, bfloat16 *y, long long count, int function)
{
    EACH(i, count / N) {
        float v[N];
        load<N>(x + i * N, v);
        for (int n = 0; n < N; n++)
            v[n] = activated(function, v[n]);
        store<N>(y + i * N, v);
    }
}

// Y may be X.
extern "C" __global__ void activation_forward_half(const bfloat16 *x, bfloat16 *y, long long count, int function)
{
    if (count % 8 == 0 && aligned(x, y))
        activate<8>(x, y, count, function);
    else
        activate<1>(x, y, count, function);
}

template <int N>
__device__ void slopes(const bfloat16 *y, const bfloat16 *dy, bfloat16 *dx, long long count, int function)
{
    EACH(i, count / N) {
        float v[N], g[N];
        load<N>(y + i * N, v);
        load<N>(dy + i * N, g);
        for (int n = 0; n < N; n++)
            g[n] = slope(function, v[n], g[n]);
        store<N>(dx + i * N, g);
    }
}

// DX may be DY.
extern "C" __global__ void activation_backward_half(const bfloat16 *y, const bfloat16 *dy, bfloat16 *dx, long long count, int function)
{
    if (count % 8 == 0 && aligned(y, dy, dx))
        slopes<8>(y, dy, dx, count, function);
    else
        slopes<1>(y, dy, dx, count, function);
}
