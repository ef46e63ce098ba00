// Unshared convolutions: every place o of the output has kernels of its own, w
// [out channels, out height, out width, in channels/groups, kernel height, width],
// b [out channels, out height, out width].
//
//     local_forward           y[n, k, o]     = b[k, o] + Σ_cij w[k, o, c, i, j] x[n, c, o + ij]
//     local_backward_data     dx[n, c, p]    = Σ_ko w[k, o, c, p - o] dy[n, k, o]
//     local_backward_weights  dw[k, o, c, ij] = Σ_n x[n, c, o + ij] dy[n, k, o]
//
// where "o + ij" is place ij of the window at o, and c counts the maps of the
// group that kernel k is in. Pixels outside the input are zero. The gradient by
// b is a sum over images, sum_columns. What one map or one kernel adds is summed
// apart, so that rounding grows slowly with their count.

// Neighbouring threads take the columns of an output row, then the same row of the
// next image: they read neighbouring pixels, and all images use the row's weights
// while the cache has them.
extern "C" __global__ void local_forward(const float *x, const float *w, const float *b, float *y, int batch, int groups,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    int maps = in_c / groups, kernels = out_c / groups;
    EACH(i, (long long)out_c * out_h * batch * out_w) {
        place p = place_of(i, batch, out_w);
        long long image = p.row;
        int kernel = quotient(p.plane, out_h), row = p.plane - (long long)kernel * out_h;
        long long own = p.plane * out_w + p.column; // of the kernels of all places
        range rows = seen(row, kh, stride, pad, in_h), columns = seen(p.column, kw, stride, pad, in_w);
        long long top = (long long)row * stride - pad, left = (long long)p.column * stride - pad;
        float sum = 0;
        for (int c = 0; c < maps; c++) {
            const float *map = x + (image * in_c + kernel / kernels * maps + c) * in_h * in_w;
            const float *weights = w + (own * maps + c) * kh * kw;
            float part = 0;
            for (int r = rows.from; r < rows.to; r++)
                for (int s = columns.from; s < columns.to; s++)
                    part += map[r * in_w + s] * weights[(r - top) * kw + s - left];
            sum += part;
        }
        y[image * out_c * out_h * out_w + own] = sum + b[own];
    }
}

extern "C" __global__ void local_backward_data(const float *w, const float *dy, float *dx, int batch, int groups,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    int maps = in_c / groups, kernels = out_c / groups;
    EACH(i, (long long)batch * in_c * in_h * in_w) {
        place p = place_of(i, in_h, in_w);
        long long image = quotient(p.plane, in_c);
        int map = p.plane - image * in_c, group = map / maps, c = map - group * maps;
        range rows = seeing(p.row, kh, stride, pad, out_h), columns = seeing(p.column, kw, stride, pad, out_w);
        const float *gradients = dy + image * out_c * out_h * out_w;
        float sum = 0;
        for (int k = group * kernels; k < (group + 1) * kernels; k++) {
            float part = 0;
            for (int r = rows.from; r < rows.to; r++)
                for (int s = columns.from; s < columns.to; s++) {
                    long long own = ((long long)k * out_h + r) * out_w + s;
                    int in_window = (p.row + pad - r * stride) * kw + p.column + pad - s * stride;
                    part += w[(own * maps + c) * kh * kw + in_window] * gradients[own];
                }
            sum += part;
        }
        dx[i] = sum;
    }
}

extern "C" __global__ void local_backward_weights(const float *x, const float *dy, float *dw, int batch, int groups,
    int in_c, int in_h, int in_w, int out_c, int out_h, int out_w, int kh, int kw, int stride, int pad)
{
    int maps = in_c / groups, kernels = out_c / groups;
    long long in = (long long)in_c * in_h * in_w, out = (long long)out_c * out_h * out_w;
    EACH(i, out * maps * kh * kw) {
        place in_window = place_of(i, kh, kw);
        long long own = quotient(in_window.plane, maps);
        int c = in_window.plane - own * maps;
        place o = place_of(own, out_h, out_w);
        long long row = (long long)o.row * stride - pad + in_window.row;
        long long column = (long long)o.column * stride - pad + in_window.column;
        float sum = 0;
        if (row >= 0 && row < in_h && column >= 0 && column < in_w) {
            const float *pixel = x + (((int)o.plane / kernels * maps + c) * in_h + row) * in_w + column;
            for (int n = 0; n < batch; n++)
                sum += pixel[n * in] * dy[n * out + own];
        }
        dw[i] = sum;
    }
}
