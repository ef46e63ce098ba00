// Sums over rows, which the gradients of biases are:
//
//     y[b, j] = Σ x[i, j] over rows b * most to (b+1) * most - 1
//
// A block adds up to most rows of 64 columns, in 16 lanes of which lane l takes rows
// l, l + 16, ...; the lanes are joined in order. The sums of more rows are added in a
// second launch.

const int lanes = 16, wide = 64;

template <typename Of>
__device__ void sum_blocks(float *y, int rows, int width, int most, Of of)
{
    __shared__ float sums[lanes][wide];
    int across = (width + wide - 1) / wide, down = (rows + most - 1) / most;
    for (long long b = blockIdx.x; b < (long long)across * down; b += gridDim.x) {
        int from = (int)(b / across) * most, to = min((long long)from + most, (long long)rows), first = (int)(b % across) * wide;
        for (int t = threadIdx.x; t < lanes * wide; t += blockDim.x) {
            int lane = t / wide, column = t % wide;
            float sum = 0;
            if (first + column < width)
                for (long long i = from + lane; i < to; i += lanes)
                    sum += of(i * width + first + column);
            sums[lane][column] = sum;
        }
        __syncthreads();
        for (int column = threadIdx.x; column < wide; column += blockDim.x) {
            double sum = 0;
            for (int lane = 0; lane < lanes; lane++)
                sum += sums[lane][column];
            if (first + column < width)
                y[b / across * width + first + column] = sum;
        }
        __syncthreads(); // before the lanes are written again
    }
}

extern "C" __global__ void sum_columns(const float *x, float *y, int rows, int width, int most)
{
    sum_blocks(y, rows, width, most, [=](long long i) { return x[i]; });
}

extern "C" __global__ void sum_columns_half(const bfloat16 *x, float *y, int rows, int width, int most)
{
    sum_blocks(y, rows, width, most, [=](long long i) { return widen(x[i]); });
}
