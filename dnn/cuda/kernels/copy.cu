// Copies between layouts: planes with other sides, and the slabs of dnn.Sum.

// y[p, i, j] = x[p, i, j], or 0 where x has no such place.
extern "C" __global__ void fit(const float *x, float *y, int planes, int h, int w, int out_h, int out_w)
{
    EACH(i, (long long)planes * out_h * out_w) {
        place p = place_of(i, out_h, out_w);
        y[i] = p.row < h && p.column < w ? x[(p.plane * h + p.row) * w + p.column] : 0;
    }
}

// Rows of width numbers of one slab go to, or with add are added to, those of
// another. Y may be X if the slabs are one slab, or do not touch.
extern "C" __global__ void slab(const float *x, float *y, int rows, int width,
    long long x_offset, long long x_stride, long long y_offset, long long y_stride, int add)
{
    EACH(i, (long long)rows * width) {
        long long row = quotient(i, width), column = i - row * width;
        float v = x[x_offset + row * x_stride + column];
        float *to = y + (y_offset + row * y_stride + column);
        *to = add ? *to + v : v;
    }
}

extern "C" __global__ void fit_last(const bfloat16 *x, bfloat16 *y, int batch, int c, int h, int w, int out_h, int out_w)
{
    EACH(i, (long long)batch * out_h * out_w * c) {
        long long pixel = quotient(i, c);
        int channel = i - pixel * c;
        place p = place_of(pixel, out_h, out_w);
        y[i] = p.row < h && p.column < w ? x[((p.plane * h + p.row) * w + p.column) * c + channel] : 0;
    }
}

extern "C" __global__ void slab_half(const bfloat16 *x, bfloat16 *y, int rows, int width,
    long long x_offset, long long x_stride, long long y_offset, long long y_stride, int add)
{
    EACH(i, (long long)rows * width) {
        long long row = quotient(i, width), column = i - row * width;
        bfloat16 v = x[x_offset + row * x_stride + column];
        bfloat16 *to = y + (y_offset + row * y_stride + column);
        *to = add ? narrow(widen(*to) + widen(v)) : v;
    }
}
