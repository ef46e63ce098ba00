// bfloat16 is the upper half of a float32: sign, the same exponent, and 7 bits of
// its fraction.

// Rounds to the nearest, of two equally near to the one whose last bit is 0. What
// is too large becomes infinite. A NaN keeps its upper half and is made quiet,
// since rounding could carry it over to infinity.
extern "C" __global__ void to_bfloat16(const float *x, unsigned short *y, long long count)
{
    EACH(i, count) {
        unsigned bits = __float_as_uint(x[i]);
        if (x[i] != x[i])
            bits |= 1u << 22;
        else
            bits += 0x7fff + (bits >> 16 & 1);
        y[i] = bits >> 16;
    }
}

extern "C" __global__ void from_bfloat16(const unsigned short *x, float *y, long long count)
{
    EACH(i, count)
        y[i] = __uint_as_float((unsigned)x[i] << 16);
}
