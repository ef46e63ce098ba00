// dnn.NormPool: response normalisation across maps (see lrn.cu) with a max pool of
// what it makes, of bfloat16 with channels last. What is normalised is made anew
// for each window that sees it, and backward from x, which costs less than to write
// and read it. A pool of 1x1 windows with stride 1, and no where, is normalisation
// alone.
//
// Threads take 8 channels of a pixel where channels come in eights and the sums are
// of five, as in the paper; else one.

// lowered is s^-beta and 1/s. For the paper's beta both come of reciprocal square
// roots, which GPUs have in hardware.
struct lowered {
    float power, inverse;

    __device__ lowered(float s, float beta)
    {
        if (beta == 0.75f) {
            float r = rsqrtf(s);
            inverse = r * r;
            power = inverse * rsqrtf(r);
        } else {
            inverse = 1 / s;
            power = ::power(s, beta);
        }
    }
};

// normed is what makes the numbers of a pixel, at x, from those around them.
struct normed {
    int c, maps, size; // maps of a group
    float alpha, beta, k;

    // scale returns s of a channel.
    __device__ float scale(const bfloat16 *x, int channel) const
    {
        range list = around(channel, size / 2, size - 1 - size / 2, group_of(channel, maps));
        float sum = 0;
        for (int m = list.from; m < list.to; m++)
            sum += widen(x[m]) * widen(x[m]);
        return k + alpha * sum;
    }

    // near loads channels first - H to first + 7 + H, those outside the group as 0.
    // They are read by packs of H.
    template <int H>
    __device__ void near(const bfloat16 *x, int first, float *v) const
    {
        range group = group_of(first, maps);
        for (int n = 0; n < H; n++)
            v[n] = v[8 + H + n] = 0;
        load<8>(x + first, v + H);
        if (first > group.from)
            load<H>(x + first - H, v);
        if (first + 8 < group.to)
            load<H>(x + first + 8, v + 8 + H);
    }

    // forward makes 8 channels, or one.
    __device__ void forward(const bfloat16 *x, int first, float (&y)[8]) const
    {
        float v[12];
        near<2>(x, first, v);
        for (int n = 0; n < 8; n++) {
            float sum = 0;
            for (int m = n; m < n + 5; m++)
                sum += v[m] * v[m];
            y[n] = v[n + 2] * lowered(k + alpha * sum, beta).power;
        }
    }
    __device__ void forward(const bfloat16 *x, int channel, float (&y)[1]) const
    {
        y[0] = widen(x[channel]) * lowered(scale(x, channel), beta).power;
    }
};

template <int N>
__device__ void norm_pool_forward_packs(const bfloat16 *x, bfloat16 *y, unsigned char *where, int batch, normed norm,
    int in_h, int in_w, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    int packs = norm.c / N;
    EACH(i, (long long)batch * out_h * out_w * packs) {
        long long window = quotient(i, packs);
        int channel = (i - window * packs) * N;
        place p = place_of(window, out_h, out_w);
        range rows = seen(p.row, kh, stride, pad, in_h), columns = seen(p.column, kw, stride, pad, in_w);
        const bfloat16 *image = x + p.plane * in_h * in_w * norm.c;
        int top = p.row * stride - pad, left = p.column * stride - pad;
        float largest[N];
        pack<unsigned char, N> at;
        bool first = true;
        for (int r = rows.from; r < rows.to; r++)
            for (int s = columns.from; s < columns.to; s++) {
                float v[N];
                norm.forward(image + ((long long)r * in_w + s) * norm.c, channel, v);
                for (int n = 0; n < N; n++)
                    if (first || v[n] > largest[n] || (v[n] != v[n] && largest[n] == largest[n])) {
                        largest[n] = v[n];
                        at.v[n] = (r - top) * kw + s - left;
                    }
                first = false;
            }
        store<N>(y + window * norm.c + channel, largest);
        if (where)
            *(pack<unsigned char, N> *)(where + window * norm.c + channel) = at;
    }
}

extern "C" __global__ void norm_pool_forward(const bfloat16 *x, bfloat16 *y, unsigned char *where, int batch, int groups, int size,
    float alpha, float beta, float k, int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    normed norm = {in_c, in_c / groups, size, alpha, beta, k};
    if (norm.maps % 8 == 0 && size == 5 && aligned(x, y, where))
        norm_pool_forward_packs<8>(x, y, where, batch, norm, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
    else
        norm_pool_forward_packs<1>(x, y, where, batch, norm, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
}

// unpooled is the gradient by what was normalised, of one pixel: the sum of dy over
// the windows whose largest it was.
struct unpooled {
    const unsigned char *where;
    const bfloat16 *dy;
    long long image;     // of windows
    range rows, columns; // windows that see the pixel
    int c, row, column, out_w, kw, stride, pad;

    // gather adds up channels first to first + N - 1.
    template <int N>
    __device__ void gather(int first, float *g) const
    {
        for (int n = 0; n < N; n++)
            g[n] = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int s = columns.from; s < columns.to; s++) {
                long long at = (image + (long long)r * out_w + s) * c + first;
                int own = (row + pad - r * stride) * kw + column + pad - s * stride;
                float v[N];
                load<N>(dy + at, v);
                if (!where) {
                    for (int n = 0; n < N; n++)
                        g[n] += v[n];
                    continue;
                }
                pack<unsigned char, N> w = *(const pack<unsigned char, N> *)(where + at);
                for (int n = 0; n < N; n++)
                    if (w.v[n] == own)
                        g[n] += v[n];
            }
    }
};

// backward makes 8 channels of a pixel at x. The loops are unrolled so that what is
// indexed stays in registers.
__device__ inline void norm_backward(const normed &norm, const unpooled &pool, const bfloat16 *x, int first, float *v, float (&dx)[8])
{
    range group = group_of(first, norm.maps);
    float near[16], g[12], powers[12], terms[12];
    norm.near<4>(x, first, near);
    for (int n = 0; n < 2; n++)
        g[n] = g[10 + n] = 0;
    pool.gather<8>(first, g + 2);
    if (first > group.from)
        pool.gather<2>(first - 2, g);
    if (first + 8 < group.to)
        pool.gather<2>(first + 8, g + 10);
#pragma unroll
    for (int j = 0; j < 12; j++) { // channels first - 2 to first + 9
        float sum = 0;
#pragma unroll
        for (int m = j; m < j + 5; m++)
            sum += near[m] * near[m];
        lowered s(norm.k + norm.alpha * sum, norm.beta);
        powers[j] = s.power;
        terms[j] = g[j] * near[j + 2] * s.power * s.inverse;
    }
#pragma unroll
    for (int n = 0; n < 8; n++) {
        float sum = 0;
#pragma unroll
        for (int m = n; m < n + 5; m++)
            sum += terms[m];
        v[n] = near[n + 4];
        dx[n] = g[n + 2] * powers[n + 2] - 2 * norm.alpha * norm.beta * v[n] * sum;
    }
}

// and one channel.
__device__ inline void norm_backward(const normed &norm, const unpooled &pool, const bfloat16 *x, int channel, float *v, float (&dx)[1])
{
    range takers = around(channel, norm.size - 1 - norm.size / 2, norm.size / 2, group_of(channel, norm.maps));
    float sum = 0, own = 0;
    for (int m = takers.from; m < takers.to; m++) {
        lowered s(norm.scale(x, m), norm.beta);
        float g;
        pool.gather<1>(m, &g);
        sum += g * widen(x[m]) * s.power * s.inverse;
        if (m == channel)
            own = g;
    }
    v[0] = widen(x[channel]);
    dx[0] = own * lowered(norm.scale(x, channel), norm.beta).power - 2 * norm.alpha * norm.beta * v[0] * sum;
}

template <int N>
__device__ void norm_pool_backward_packs(const bfloat16 *x, const unsigned char *where, const bfloat16 *dy, bfloat16 *dx, int batch, normed norm, int relu,
    int in_h, int in_w, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    int packs = norm.c / N;
    EACH(i, (long long)batch * in_h * in_w * packs) {
        long long pixel = quotient(i, packs);
        int channel = (i - pixel * packs) * N;
        place p = place_of(pixel, in_h, in_w);
        unpooled pool = {where, dy, p.plane * out_h * out_w, seeing(p.row, kh, stride, pad, out_h), seeing(p.column, kw, stride, pad, out_w),
            norm.c, p.row, p.column, out_w, kw, stride, pad};
        float v[N], g[N];
        norm_backward(norm, pool, x + pixel * norm.c, channel, v, g);
        if (relu)
            for (int n = 0; n < N; n++)
                g[n] = v[n] <= 0 ? 0 : g[n];
        store<N>(dx + pixel * norm.c + channel, g);
    }
}

extern "C" __global__ void norm_pool_backward(const bfloat16 *x, const unsigned char *where, const bfloat16 *dy, bfloat16 *dx, int batch, int groups, int size,
    float alpha, float beta, float k, int relu, int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    normed norm = {in_c, in_c / groups, size, alpha, beta, k};
    if (norm.maps % 8 == 0 && size == 5 && aligned(x, where, dy, dx))
        norm_pool_backward_packs<8>(x, where, dy, dx, batch, norm, relu, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
    else
        norm_pool_backward_packs<1>(x, where, dy, dx, batch, norm, relu, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
}
