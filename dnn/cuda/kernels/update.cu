// Arithmetic on numbers one by one: the step of the weights, and scaling.

// dnn.Update, the step of section 5 of the paper, with ε = rate times the rate in
// control, which is the step, then that rate:
//
//     v ← momentum v - decay ε w - ε g,  w ← w + v
extern "C" __global__ void update(const unsigned *control, const float *g, float *w, float *v, long long count,
    float momentum, float decay, float rate)
{
    float epsilon = rate * __uint_as_float(control[1]);
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
