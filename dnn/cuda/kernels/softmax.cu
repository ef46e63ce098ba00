// Softmax of each image's logits, with cross-entropy and errors, in double as on
// the CPU: exp of what is left after the largest logit is taken off cannot
// overflow, and the loss is log Σ exp(x) - x of the label.
//
//     softmax_forward   y = exp(x - max) / Σ exp(x - max); each = loss, top-1 error, top-5 error
//     softmax_stats     stats = Σ each over the images
//     softmax_backward  dx = (y - 1 at the label) / images
//
// A label below 0 is no label: nothing is added for it and its gradient is 0. A
// label that is no class is a mistake, and makes loss and gradient NaN.

struct plus {
    __device__ double operator()(double a, double b) const { return a + b; }
};

struct larger { // a NaN may get lost; the sum will be one
    __device__ double operator()(double a, double b) const { return a > b ? a : b; }
};

// reduce joins of(0), ..., of(n-1), by all threads of a block, which all get the
// result. Lane l takes numbers l, l + lanes, ... in order, then lanes are joined
// two by two: the result does not depend on how many threads share the lanes.
template <typename Join, typename Of>
__device__ double reduce(int n, double zero, Join join, Of of)
{
    const int lanes = 256;
    __shared__ double lane[lanes];
    for (int l = threadIdx.x; l < lanes; l += blockDim.x) {
        double v = zero;
        for (int i = l; i < n; i += lanes)
            v = join(v, of(i));
        lane[l] = v;
    }
    for (int half = lanes / 2; half > 0; half /= 2) {
        __syncthreads();
        for (int l = threadIdx.x; l < half; l += blockDim.x)
            lane[l] = join(lane[l], lane[l + half]);
    }
    __syncthreads();
    double result = lane[0];
    __syncthreads(); // all have it before a lane is written again
    return result;
}

// A block makes the probabilities of one image after the other.
extern "C" __global__ void softmax_forward(const float *x, float *y, const int *labels, float *each, int batch, int classes)
{
    for (int n = blockIdx.x; n < batch; n += gridDim.x) {
        const float *logits = x + (long long)n * classes;
        float *probabilities = y + (long long)n * classes;
        double largest = reduce(classes, __uint_as_float(0xff800000), larger(), [=](int c) { return (double)logits[c]; });
        double sum = reduce(classes, 0, plus(), [=](int c) {
            double e = exp((double)logits[c] - largest);
            probabilities[c] = e;
            return e;
        });
        for (int c = threadIdx.x; c < classes; c += blockDim.x)
            probabilities[c] = (double)probabilities[c] / sum;

        int label = labels[n];
        double loss = 0, rank = 0; // rank: how many classes are likelier, or as likely and come first
        if (label >= classes) {
            loss = nan32();
            rank = 5;
        } else if (label >= 0) {
            float own = logits[label];
            loss = log(sum) - ((double)own - largest);
            rank = reduce(classes, 0, plus(), [=](int c) { // a comparison with NaN counts against the label
                return c == label || logits[c] < own || (logits[c] == own && c > label) ? 0.0 : 1.0;
            });
        }
        if (threadIdx.x == 0) {
            each[n * 3ll] = loss;
            each[n * 3ll + 1] = rank >= 1;
            each[n * 3ll + 2] = rank >= 5;
        }
    }
}

extern "C" __global__ void softmax_stats(const float *each, float *stats, int batch)
{
    if (blockIdx.x > 0)
        return;
    for (int s = 0; s < 3; s++) {
        double sum = reduce(batch, 0, plus(), [=](int n) { return (double)each[n * 3ll + s]; });
        if (threadIdx.x == 0)
            stats[s] = sum;
    }
}

extern "C" __global__ void softmax_backward(const float *y, const int *labels, float *dx, int batch, int images, int classes)
{
    float share = 1 / (float)images;
    EACH(i, (long long)batch * classes) {
        long long n = quotient(i, classes);
        int label = labels[n];
        float gradient = (i - n * classes == label ? y[i] - 1 : y[i]) * share;
        dx[i] = label < 0 ? 0 : label < classes ? gradient : nan32();
    }
}
