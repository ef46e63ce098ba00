// Copies between formats: dnn.Convert, of maps, and dnn.Narrow, of weights.

// offset is where number [image, channel, place] stands in a format that has its
// channels last, or not.
__device__ inline long long offset(long long image, int channel, int place, int channels, int places, int last)
{
    return image * channels * places + (last ? (long long)place * channels + channel : (long long)channel * places + place);
}

// x_half and y_half say which side is bfloat16 and not float32, x_last and y_last
// which has its channels last.
extern "C" __global__ void convert(const void *x, void *y, int batch, int channels, int places, int x_half, int x_last, int y_half, int y_last)
{
    EACH(i, (long long)batch * channels * places) { // in the order of y
        long long image = quotient(i, channels * places);
        int inside = i - image * channels * places;
        int channel = y_last ? inside % channels : inside / places, place = y_last ? inside / channels : inside % places;
        long long from = offset(image, channel, place, channels, places, x_last);
        float v = x_half ? widen(((const bfloat16 *)x)[from]) : ((const float *)x)[from];
        if (y_half)
            ((bfloat16 *)y)[i] = narrow(v);
        else
            ((float *)y)[i] = v;
    }
}

// folding is how kernels of c x h x w stand in their copy: pixels of channels
// numbers, each of them side x side of the kernel's, with zeros that fill up.
struct folding {
    int c, h, w, side, channels;

    __device__ int width() const { return (w + side - 1) / side; }
    __device__ int size() const { return (h + side - 1) / side * width() * channels; }

    // of returns where a number of a kernel stands in the kernel's copy.
    __device__ int of(int channel, int row, int column) const
    {
        return (row / side * width() + column / side) * channels + (row % side * side + column % side) * c + channel;
    }

    // from returns where in a kernel number i of the copy comes from, or -1.
    __device__ int from(int i) const
    {
        int pixel = i / channels, inside = i - pixel * channels, within = inside / c;
        int row = pixel / width() * side + within / side, column = pixel % width() * side + within % side;
        return within < side * side && row < h && column < w ? (inside % c * h + row) * w + column : -1;
    }
};

extern "C" __global__ void narrow_weights(const float *x, bfloat16 *y, int count, int c, int h, int w, int side, int channels)
{
    folding f = {c, h, w, side, channels};
    int size = c * h * w, copied = f.size();
    EACH(i, (long long)count * copied) {
        long long kernel = quotient(i, copied);
        int from = f.from(i - kernel * copied);
        y[i] = from < 0 ? 0 : narrow(x[kernel * size + from]);
    }
}
