/* The negative powers and exponentials of the script over arrays, to the bit as libm computes them: in higher precision, a
   register at a time, and by libm itself in the few lanes where that leaves a doubt (see sure_body.h). */
#include "sure_body.h"

#undef IS_EXACT_FAST
#define IS_EXACT_FAST (HAVE_FMA && LIBM_IS_KNOWN && LANES > 1)

static double ISA(libm_m2)(double x) { return pow(x, -2.0); }
static double ISA(libm_m1)(double x) { return pow(x, -1.0); }
static double ISA(libm_m05)(double x) { return pow(x, -0.5); }
static double ISA(libm_m15)(double x) { return pow(x, -1.5); }

#if IS_EXACT_FAST
/* A number as the unevaluated sum of two doubles, high the sum rounded. */
typedef struct {
    Vec high, low;
} ISA(Pair);
#define Pair ISA(Pair)

INLINE Pair ISA(pair)(Vec high, Vec low)
{
    Pair sum;
    sum.high = high + low;
    sum.low = (high - sum.high) + low;
    return sum;
}

INLINE Pair ISA(times)(Pair a, Pair b)
{
    const Vec high = a.high * b.high;
    const Vec low = ISA(fma)(a.high, b.high, -high);
    return ISA(pair)(high, ISA(fma)(a.high, b.low, ISA(fma)(a.low, b.high, low)));
}

/* x ** -1: what the quotient leaves of 1, divided by x. */
INLINE Pair ISA(reciprocal)(Vec x)
{
    const Vec quotient = ISA(all)(1.0) / x;
    return ISA(pair)(quotient, ISA(fma)(-quotient, x, ISA(all)(1.0)) * quotient);
}

/* x ** -0.5: one Newton step, of which only the remainder 1 - x * r**2 needs care. */
INLINE Pair ISA(reciprocal_root)(Vec x)
{
    const Vec root = ISA(all)(1.0) / ISA(sqrt)(x);
    const Vec square = root * root, square_low = ISA(fma)(root, root, -square);
    const Vec rest = ISA(fma)(-square_low, x, ISA(fma)(-square, x, ISA(all)(1.0)));
    return ISA(pair)(root, root * ISA(all)(0.5) * rest);
}

/* The power's lanes that are wanted: as computed where that is sure, else libm's. */
INLINE Vec ISA(settle)(Pair power, Vec x, unsigned wanted, double (*libm)(double))
{
    wanted &= ISA(sign_bits)(ISA(doubt)(power.low, ISA(all)(1.0), power.high, SURE) | ISA(outside)(power.high, 86));
    if (wanted)
        ISA(correct)(wanted, x, libm, &power.high);
    return power.high;
}

/* x ** -1, of which 1 ** -1 is 1, and comes with every first position. */
INLINE Vec ISA(power_m1)(Vec x, unsigned wanted)
{
    return ISA(settle)(ISA(reciprocal)(x), x, wanted & ~ISA(sign_bits)(ISA(equal)(x, ISA(all)(1.0))), ISA(libm_m1));
}

INLINE Vec ISA(power_m2)(Vec x, unsigned wanted)
{
    const Pair inverse = ISA(reciprocal)(x);
    return ISA(settle)(ISA(times)(inverse, inverse), x, wanted & ~ISA(sign_bits)(ISA(equal)(x, ISA(all)(1.0))), ISA(libm_m2));
}

INLINE Vec ISA(power_m05)(Vec x, unsigned wanted)
{
    return ISA(settle)(ISA(reciprocal_root)(x), x, wanted, ISA(libm_m05));
}

INLINE Vec ISA(power_m15)(Vec x, unsigned wanted)
{
    const Pair root = ISA(reciprocal_root)(x);
    return ISA(settle)(ISA(times)(ISA(times)(root, root), root), x, wanted, ISA(libm_m15));
}
#undef Pair

/* e ** x = 2 ** (k / 16) * e ** r with |r| <= log(2) / 32: a table for the one, a polynomial for the other. */
INLINE Vec ISA(exp)(Vec x, unsigned wanted)
{
    static const double table_high[16] = {
        0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
        0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0,
        0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
        0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0};
    static const double table_low[16] = {
        0x0.0p+0, 0x1.8a62e4adc610bp-54, -0x1.19041b9d78a76p-55, 0x1.9b07eb6c70573p-54,
        0x1.6f46ad23182e4p-55, 0x1.ada0911f09ebcp-55, 0x1.d4397afec42e2p-56, 0x1.6324c054647adp-54,
        -0x1.bdd3413b26456p-54, -0x1.41577ee04992fp-55, 0x1.6e9f156864b27p-54, 0x1.c7c46b071f2bep-56,
        0x1.7a1cd345dcc81p-54, 0x1.11065895048ddp-55, 0x1.2ed02d75b3707p-55, -0x1.e9c23179c2893p-54};
    const Vec shift = ISA(all)(0x1.8p52); /* adding it rounds to an integer, which then stands in the lowest bits */
    const Vec shifted = ISA(fma)(x, ISA(all)(0x1.71547652b82fep+4), shift); /* 16 / log(2) */
    const Mask k = ISA(as_integers)(shifted);
    const Vec steps = shifted - shift;
    /* log(2) / 16 in two parts; the first has 38 bits, so that its product is exact */
    const Vec near = ISA(fma)(-steps, ISA(all)(0x1.62e42fefa0000p-5), x);
    const Vec far = steps * ISA(all)(0x1.cf79abc9e3b3ap-44);
    const Vec r = near - far, r_low = (near - r) - far;
    Vec series = ISA(fma)(r, ISA(all)(1.0 / 40320), ISA(all)(1.0 / 5040)), high, low, part, sum, result;
    series = ISA(fma)(r, series, ISA(all)(1.0 / 720));
    series = ISA(fma)(r, series, ISA(all)(1.0 / 120));
    series = ISA(fma)(r, series, ISA(all)(1.0 / 24));
    series = ISA(fma)(r, series, ISA(all)(1.0 / 6));
    series = ISA(fma)(r, series, ISA(all)(0.5));
    series = ISA(fma)(r * r, series, r_low); /* e ** r - 1 - r */
    high = ISA(look_up)(table_high, k);
    low = ISA(look_up)(table_low, k);
    part = high * r;
    low = ISA(fma)(high, series, ISA(fma)(low, r, low)) + ISA(fma)(high, r, -part);
    sum = high + part;
    low = ((high - sum) + part) + low;
    result = sum + low;
    wanted &= ISA(sign_bits)((ISA(doubt)((sum - result) + low, ISA(all)(1.0), result, SURE)
                              | ISA(as_integers)(ISA(all)(700.0) - ISA(magnitude)(x)))
                             & ~ISA(equal)(x, ISA(all)(0.0)));
    result = ISA(as_doubles)(ISA(as_integers)(result) + (k << 48 & ISA(integers)((int64_t)0xfff0000000000000)));
    if (wanted)
        ISA(correct)(wanted, x, exp, &result);
    return result;
}
#else
#define LIBM_ONLY(name, libm)                             \
    INLINE Vec ISA(name)(Vec x, unsigned wanted)          \
    {                                                     \
        ISA(correct)(wanted, x, libm, &x);                \
        return x;                                         \
    }
LIBM_ONLY(power_m1, ISA(libm_m1))
LIBM_ONLY(power_m2, ISA(libm_m2))
LIBM_ONLY(power_m05, ISA(libm_m05))
LIBM_ONLY(power_m15, ISA(libm_m15))
LIBM_ONLY(exp, exp)
#undef LIBM_ONLY
#endif

/* Over arrays, which are read and written up to a whole register. */
#define OVER_ARRAY(name)                                                                                      \
    static void ISA(name##_each)(size_t n, const double *x, double *out)                                      \
    {                                                                                                         \
        for (size_t i = 0; i < n; i += LANES) {                                                               \
            const unsigned wanted = n - i < LANES ? (1u << (n - i)) - 1 : (unsigned)ISA(ALL_LANES);           \
            ISA(store)(out + i, ISA(name)(ISA(load)(x + i), wanted));                                         \
        }                                                                                                     \
    }
OVER_ARRAY(power_m1)
OVER_ARRAY(power_m2)
OVER_ARRAY(power_m05)
OVER_ARRAY(power_m15)
OVER_ARRAY(exp)
#undef OVER_ARRAY
