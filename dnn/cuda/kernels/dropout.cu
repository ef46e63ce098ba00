// dnn.Dropout, forward and backward: y = 0 where the random number is below
// threshold, else x. Numbers are those of package philox: number e of the whole
// network's batch has word e mod 4 of the block with
//
//     key = seed, counter = e/4 (low, high), step, purpose
//
// so that columns of a network drop the same together and apart.

struct words {
    unsigned w[4];
};

// philox is Philox4x32-10.
__device__ inline words philox(unsigned long long seed, words c)
{
    unsigned key0 = seed, key1 = seed >> 32;
    for (int round = 0; round < 10; round++) {
        unsigned long long a = 0xD2511F53ull * c.w[0], b = 0xCD9E8D57ull * c.w[2];
        c = {(unsigned)(b >> 32) ^ c.w[1] ^ key0, (unsigned)b, (unsigned)(a >> 32) ^ c.w[3] ^ key1, (unsigned)a};
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return c;
}

// word returns word i mod 4, picked out: registers have no index, and words would
// have to go through memory.
__device__ inline unsigned word(words c, unsigned i)
{
    unsigned even = i & 2 ? c.w[2] : c.w[0], odd = i & 2 ? c.w[3] : c.w[1];
    return i & 1 ? odd : even;
}

// kept reports whether feature f of image n, number n * features + first + f, is.
__device__ inline bool kept(const unsigned *control, unsigned long long seed, unsigned long long threshold, long long n, long long f,
    int first, int features, unsigned purpose)
{
    unsigned long long e = (unsigned long long)n * features + first + f;
    words random = philox(seed, {(unsigned)(e / 4), (unsigned)(e / 4 >> 32), control[0], purpose});
    return word(random, e) >= threshold;
}

// control is the step, then the rate. Y may be X.
extern "C" __global__ void dropout(const unsigned *control, const float *x, float *y, unsigned long long seed,
    unsigned long long threshold, int batch, int before, int count, int first, int features, unsigned purpose)
{
    EACH(i, (long long)batch * count) {
        long long image = quotient(i, count);
        y[i] = kept(control, seed, threshold, before + image, i - image * count, first, features, purpose) ? x[i] : 0;
    }
}

extern "C" __global__ void dropout_half(const unsigned *control, const bfloat16 *x, bfloat16 *y, unsigned long long seed,
    unsigned long long threshold, int batch, int before, int count, int first, int features, unsigned purpose)
{
    EACH(i, (long long)batch * count) {
        long long image = quotient(i, count);
        y[i] = kept(control, seed, threshold, before + image, i - image * count, first, features, purpose) ? x[i] : (bfloat16)0;
    }
}
