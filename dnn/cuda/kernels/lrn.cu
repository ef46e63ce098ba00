// dnn.LRN: response normalisation. With s = k + α Σ x²,
//
//     y  = x s^-β
//     dx = dy s^-β − 2αβ x Σ' dy y / s
//
// Across maps, Σ runs over size maps of the same group and place, size/2 of them
// (rounded down) before; within maps, over size x size pixels likewise. Σ' runs
// over the numbers whose Σ takes this one. Both end where the group or the map
// does. Σ' makes each s it needs anew, from neighbours that are in the cache,
// which costs less than keeping them in memory as long as windows have a few
// numbers.

// around returns the range of limits from before numbers before i, which is in
// them, to ahead after. No sum may be beyond an int.
__device__ inline range around(int i, int before, int ahead, range limits)
{
    return {max(i - before, limits.from), i + 1 + min(ahead, limits.to - 1 - i)};
}

// power returns s^-beta, with square roots for the betas that networks have.
__device__ inline float power(float s, float beta)
{
    if (beta == 0.75f) {
        float r = sqrtf(s);
        return 1 / (r * sqrtf(r));
    }
    if (beta == 0.5f)
        return 1 / sqrtf(s);
    if (beta == 1)
        return 1 / s;
    return powf(s, -beta);
}

// group_of returns the maps of the group that a map is in.
__device__ inline range group_of(int map, int maps)
{
    int from = map / maps * maps;
    return {from, from + maps};
}

// scale_across returns s of a map, at the place that x points to in map 0.
__device__ inline float scale_across(const float *x, int map, long long area, range group, int size, float alpha, float k)
{
    range maps = around(map, size / 2, size - 1 - size / 2, group);
    float sum = 0;
    for (int m = maps.from; m < maps.to; m++) {
        float v = x[m * area];
        sum += v * v;
    }
    return k + alpha * sum;
}

extern "C" __global__ void lrn_across_forward(const float *x, float *y, int batch, int groups, int c, int h, int w, int size,
    float alpha, float beta, float k)
{
    int area = h * w;
    EACH(i, (long long)batch * c * area) {
        long long plane = quotient(i, area);
        int map = plane - quotient(plane, c) * c;
        const float *first = x + (i - (long long)map * area); // the same place in map 0
        y[i] = x[i] * power(scale_across(first, map, area, group_of(map, c / groups), size, alpha, k), beta);
    }
}

extern "C" __global__ void lrn_across_backward(const float *x, const float *y, const float *dy, float *dx, int batch, int groups,
    int c, int h, int w, int size, float alpha, float beta, float k)
{
    int area = h * w;
    EACH(i, (long long)batch * c * area) {
        long long plane = quotient(i, area);
        int map = plane - quotient(plane, c) * c;
        long long first = i - (long long)map * area;
        range group = group_of(map, c / groups);
        range takers = around(map, size - 1 - size / 2, size / 2, group);
        float sum = 0;
        for (int m = takers.from; m < takers.to; m++) {
            long long at = first + (long long)m * area;
            sum += dy[at] * y[at] / scale_across(x + first, m, area, group, size, alpha, k);
        }
        float s = scale_across(x + first, map, area, group, size, alpha, k);
        dx[i] = dy[i] * power(s, beta) - 2 * alpha * beta * x[i] * sum;
    }
}

// scale_within returns s of a pixel of the map x.
__device__ inline float scale_within(const float *x, int row, int column, int h, int w, int size, float alpha, float k)
{
    int before = size / 2, ahead = size - 1 - size / 2;
    range rows = around(row, before, ahead, {0, h}), columns = around(column, before, ahead, {0, w});
    float sum = 0;
    for (int r = rows.from; r < rows.to; r++)
        for (int c = columns.from; c < columns.to; c++) {
            float v = x[r * w + c];
            sum += v * v;
        }
    return k + alpha * sum;
}

extern "C" __global__ void lrn_within_forward(const float *x, float *y, int planes, int h, int w, int size,
    float alpha, float beta, float k)
{
    EACH(i, (long long)planes * h * w) {
        place p = place_of(i, h, w);
        y[i] = x[i] * power(scale_within(x + p.plane * h * w, p.row, p.column, h, w, size, alpha, k), beta);
    }
}

extern "C" __global__ void lrn_within_backward(const float *x, const float *y, const float *dy, float *dx, int planes,
    int h, int w, int size, float alpha, float beta, float k)
{
    EACH(i, (long long)planes * h * w) {
        place p = place_of(i, h, w);
        long long first = p.plane * h * w; // of the map
        int before = size - 1 - size / 2, ahead = size / 2;
        range rows = around(p.row, before, ahead, {0, h}), columns = around(p.column, before, ahead, {0, w});
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int c = columns.from; c < columns.to; c++) {
                long long at = first + r * w + c;
                sum += dy[at] * y[at] / scale_within(x + first, r, c, h, w, size, alpha, k);
            }
        float s = scale_within(x + first, p.row, p.column, h, w, size, alpha, k);
        dx[i] = dy[i] * power(s, beta) - 2 * alpha * beta * x[i] * sum;
    }
}
