// dnn.Input: cropped images of bytes, channels last, become maps of floats,
//
//     y[n, c, i, j] = pixels[n, i, j, c] - mean[top + i, left + j, c] + colour[c]
//
// with top, left and colour from the image's view, and j counted from the right
// in the mean if the view is mirrored.

// A view is top, left, mirrored, red, green, blue. All numbers of an image whose
// patch is not inside the mean are NaN.
__device__ inline bool inside(const float *view, int h, int w, int mean_h, int mean_w)
{
    float top = view[0], left = view[1];
    return top >= 0 && top <= (float)(mean_h - h) && left >= 0 && left <= (float)(mean_w - w); // no NaN is
}

extern "C" __global__ void input(const unsigned char *pixels, const float *views, const float *mean, float *y,
    int batch, int c, int h, int w, int mean_h, int mean_w)
{
    EACH(i, (long long)batch * c * h * w) {
        place p = place_of(i, h, w);
        long long image = quotient(p.plane, c);
        int channel = p.plane - image * c;
        const float *view = views + image * 6;
        if (!inside(view, h, w, mean_h, mean_w)) {
            y[i] = nan32();
            continue;
        }
        long long row = (int)view[0] + p.row;
        int column = (int)view[1] + (view[2] != 0 ? w - 1 - p.column : p.column);
        float pixel = pixels[((image * h + p.row) * w + p.column) * c + channel];
        y[i] = pixel - mean[(row * mean_w + column) * c + channel] + view[3 + channel];
    }
}

// The same in bfloat16 with channels last, folded as dnn.Fold says: pixel [i, j] of y
// holds side x side pixels of the patch, whose first is [i, j] * side - pad, then zeros
// up to channels. A thread takes a row of them, which is one of the patch, too.
extern "C" __global__ void input_last(const unsigned char *pixels, const float *views, const float *mean, bfloat16 *y,
    int batch, int c, int h, int w, int mean_h, int mean_w, int side, int pad, int channels, int out_h, int out_w)
{
    EACH(i, (long long)batch * out_h * out_w * side) {
        long long pixel = quotient(i, side);
        int within = i - pixel * side;
        place p = place_of(pixel, out_h, out_w);
        const float *view = views + p.plane * 6;
        bool good = inside(view, h, w, mean_h, mean_w);
        long long row = (long long)p.row * side + within - pad, first = (long long)p.column * side - pad;
        bfloat16 *to = y + pixel * channels + within * side * c;
        for (int s = 0; s < side; s++) {
            long long column = first + s;
            bool exists = row >= 0 && row < h && column >= 0 && column < w;
            for (int channel = 0; channel < c; channel++) {
                float v = 0;
                if (exists && good) {
                    long long mean_row = (long long)view[0] + row, mean_column = (long long)view[1] + (view[2] != 0 ? w - 1 - column : column);
                    v = (float)pixels[((p.plane * h + row) * w + column) * c + channel] - mean[(mean_row * mean_w + mean_column) * c + channel] + view[3 + channel];
                }
                *to++ = narrow(good ? v : nan32());
            }
        }
        if (within == side - 1)
            for (int channel = side * side * c; channel < channels; channel++)
                *to++ = 0;
    }
}
