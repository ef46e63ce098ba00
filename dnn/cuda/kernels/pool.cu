// Pools, over each map apart. Windows may hang over any edge; pixels outside do
// not exist, and every window has one that does.
//
//     max_pool_forward   y = the largest pixel of the window, where = its place in the map
//     max_pool_backward  dx = the sum of dy over the windows whose largest pixel it was
//     avg_pool_forward   y = the mean of the window's pixels
//     avg_pool_backward  dx = the sum of dy / pixels over the windows that see it
//
// Backward, each pixel looks for the windows that see it: no two threads add to
// one number.

// The first of equal pixels, and the first NaN before all others.
extern "C" __global__ void max_pool_forward(const float *x, float *y, int *where, int planes,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    EACH(i, (long long)planes * out_h * out_w) {
        place p = place_of(i, out_h, out_w);
        range rows = seen(p.row, kh, stride, pad, in_h), columns = seen(p.column, kw, stride, pad, in_w);
        const float *map = x + p.plane * in_h * in_w;
        int at = rows.from * in_w + columns.from;
        float largest = map[at];
        for (int r = rows.from; r < rows.to; r++)
            for (int c = columns.from; c < columns.to; c++) {
                float v = map[r * in_w + c];
                if (v > largest || (v != v && largest == largest)) {
                    largest = v;
                    at = r * in_w + c;
                }
            }
        y[i] = largest;
        where[i] = at;
    }
}

extern "C" __global__ void max_pool_backward(const int *where, const float *dy, float *dx, int planes,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    EACH(i, (long long)planes * in_h * in_w) {
        place p = place_of(i, in_h, in_w);
        range rows = seeing(p.row, kh, stride, pad, out_h), columns = seeing(p.column, kw, stride, pad, out_w);
        int pixel = p.row * in_w + p.column;
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int c = columns.from; c < columns.to; c++) {
                long long window = (p.plane * out_h + r) * out_w + c;
                if (where[window] == pixel)
                    sum += dy[window];
            }
        dx[i] = sum;
    }
}

extern "C" __global__ void avg_pool_forward(const float *x, float *y, int planes,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    EACH(i, (long long)planes * out_h * out_w) {
        place p = place_of(i, out_h, out_w);
        range rows = seen(p.row, kh, stride, pad, in_h), columns = seen(p.column, kw, stride, pad, in_w);
        const float *map = x + p.plane * in_h * in_w;
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int c = columns.from; c < columns.to; c++)
                sum += map[r * in_w + c];
        y[i] = sum / (float)((rows.to - rows.from) * (columns.to - columns.from));
    }
}

extern "C" __global__ void avg_pool_backward(const float *dy, float *dx, int planes,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    EACH(i, (long long)planes * in_h * in_w) {
        place p = place_of(i, in_h, in_w);
        range rows = seeing(p.row, kh, stride, pad, out_h), columns = seeing(p.column, kw, stride, pad, out_w);
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++) {
            range height = seen(r, kh, stride, pad, in_h);
            for (int c = columns.from; c < columns.to; c++) {
                range width = seen(c, kw, stride, pad, in_w);
                sum += dy[(p.plane * out_h + r) * out_w + c] / (float)((height.to - height.from) * (width.to - width.from));
            }
        }
        dx[i] = sum;
    }
}

// The same of bfloat16 with channels last. Threads take N channels of a pixel, whose
// places are worked out once for all of them.

template <int N>
__device__ void max_pool_forward_packs(const bfloat16 *x, bfloat16 *y, int *where, int batch, int c, int in_h, int in_w, int out_h, int out_w,
    int kh, int kw, int stride, int pad)
{
    int packs = c / N;
    EACH(i, (long long)batch * out_h * out_w * packs) {
        long long window = quotient(i, packs);
        int channel = (i - window * packs) * N;
        place p = place_of(window, out_h, out_w);
        range rows = seen(p.row, kh, stride, pad, in_h), columns = seen(p.column, kw, stride, pad, in_w);
        const bfloat16 *image = x + p.plane * in_h * in_w * c + channel;
        float largest[N];
        int at[N];
        load<N>(image + ((long long)rows.from * in_w + columns.from) * c, largest);
        for (int n = 0; n < N; n++)
            at[n] = rows.from * in_w + columns.from;
        for (int r = rows.from; r < rows.to; r++)
            for (int s = columns.from; s < columns.to; s++) {
                float v[N];
                load<N>(image + ((long long)r * in_w + s) * c, v);
                for (int n = 0; n < N; n++)
                    if (v[n] > largest[n] || (v[n] != v[n] && largest[n] == largest[n])) {
                        largest[n] = v[n];
                        at[n] = r * in_w + s;
                    }
            }
        store<N>(y + window * c + channel, largest);
        for (int n = 0; n < N; n++)
            where[window * c + channel + n] = at[n];
    }
}

extern "C" __global__ void max_pool_forward_last(const bfloat16 *x, bfloat16 *y, int *where, int batch,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    if (in_c % 8 == 0 && aligned(x, y))
        max_pool_forward_packs<8>(x, y, where, batch, in_c, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
    else
        max_pool_forward_packs<1>(x, y, where, batch, in_c, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
}

template <int N>
__device__ void max_pool_backward_packs(const int *where, const bfloat16 *dy, bfloat16 *dx, int batch, int c, int in_h, int in_w, int out_h, int out_w,
    int kh, int kw, int stride, int pad)
{
    int packs = c / N;
    EACH(i, (long long)batch * in_h * in_w * packs) {
        long long pixel = quotient(i, packs);
        int channel = (i - pixel * packs) * N;
        place p = place_of(pixel, in_h, in_w);
        range rows = seeing(p.row, kh, stride, pad, out_h), columns = seeing(p.column, kw, stride, pad, out_w);
        int own = p.row * in_w + p.column;
        float sum[N] = {};
        for (int r = rows.from; r < rows.to; r++)
            for (int s = columns.from; s < columns.to; s++) {
                long long window = ((p.plane * out_h + r) * out_w + s) * c + channel;
                float g[N];
                load<N>(dy + window, g);
                for (int n = 0; n < N; n++)
                    if (where[window + n] == own)
                        sum[n] += g[n];
            }
        store<N>(dx + pixel * c + channel, sum);
    }
}

extern "C" __global__ void max_pool_backward_last(const int *where, const bfloat16 *dy, bfloat16 *dx, int batch,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    if (in_c % 8 == 0 && aligned(dy, dx))
        max_pool_backward_packs<8>(where, dy, dx, batch, in_c, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
    else
        max_pool_backward_packs<1>(where, dy, dx, batch, in_c, in_h, in_w, out_h, out_w, kh, kw, stride, pad);
}

extern "C" __global__ void avg_pool_forward_last(const bfloat16 *x, bfloat16 *y, int batch,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    EACH(i, (long long)batch * out_h * out_w * in_c) {
        long long window = quotient(i, in_c);
        place p = place_of(window, out_h, out_w);
        range rows = seen(p.row, kh, stride, pad, in_h), columns = seen(p.column, kw, stride, pad, in_w);
        const bfloat16 *image = x + p.plane * in_h * in_w * in_c + (i - window * in_c);
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int s = columns.from; s < columns.to; s++)
                sum += widen(image[((long long)r * in_w + s) * in_c]);
        y[i] = narrow(sum / (float)((rows.to - rows.from) * (columns.to - columns.from)));
    }
}

extern "C" __global__ void avg_pool_backward_last(const bfloat16 *dy, bfloat16 *dx, int batch,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    EACH(i, (long long)batch * in_h * in_w * in_c) {
        long long pixel = quotient(i, in_c);
        place p = place_of(pixel, in_h, in_w);
        range rows = seeing(p.row, kh, stride, pad, out_h), columns = seeing(p.column, kw, stride, pad, out_w);
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++) {
            range height = seen(r, kh, stride, pad, in_h);
            for (int s = columns.from; s < columns.to; s++) {
                range width = seen(s, kw, stride, pad, in_w);
                long long window = ((p.plane * out_h + r) * out_w + s) * in_c + (i - pixel * in_c);
                sum += widen(dy[window]) / (float)((height.to - height.from) * (width.to - width.from));
            }
        }
        dx[i] = narrow(sum);
    }
}
