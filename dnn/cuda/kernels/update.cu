// Arithmetic on numbers one by one: the step of the weights, scaling, and biases
// where cuBLASLt's epilogues cannot add them.

// dnn.Update, the step of section 5 of the paper, with ε = rate times rate number
// index in control, which is the step, then the rates:
//
//     v ← momentum v - decay ε w - ε g,  w ← w + v
extern "C" __global__ void update(const unsigned *control, const float *g, float *w, float *v, long long count,
    float momentum, float decay, float rate, int index)
{
    float epsilon = rate * __uint_as_float(control[1 + index]);
    float shrink = decay * epsilon;
    EACH(i, count) {
        float step = momentum * v[i] - shrink * w[i] - epsilon * g[i];
        v[i] = step;
        w[i] += step;
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
