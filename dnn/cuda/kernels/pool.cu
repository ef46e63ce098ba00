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
