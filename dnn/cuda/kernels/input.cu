// dnn.Input: cropped images of bytes, channels last, become maps of floats,
//
//     y[n, c, i, j] = pixels[n, i, j, c] - mean[top + i, left + j, c] + colour[c]
//
// with top, left and colour from the image's view, and j counted from the right
// in the mean if the view is mirrored.

// A view is top, left, mirrored, red, green, blue. All numbers of an image whose
// patch is not inside the mean are NaN.
extern "C" __global__ void input(const unsigned char *pixels, const float *views, const float *mean, float *y,
    int batch, int c, int h, int w, int mean_h, int mean_w)
{
    EACH(i, (long long)batch * c * h * w) {
        place p = place_of(i, h, w);
        long long image = quotient(p.plane, c);
        int channel = p.plane - image * c;
        const float *view = views + image * 6;
        float top = view[0], left = view[1];
        if (!(top >= 0 && top <= (float)(mean_h - h) && left >= 0 && left <= (float)(mean_w - w))) { // NaN, too
            y[i] = nan32();
            continue;
        }
        long long row = (int)top + p.row;
        int column = (int)left + (view[2] != 0 ? w - 1 - p.column : p.column);
        float pixel = pixels[((image * h + p.row) * w + p.column) * c + channel];
        y[i] = pixel - mean[(row * mean_w + column) * c + channel] + view[3 + channel];
    }
}
