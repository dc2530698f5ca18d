/* x ** -0.5, x ** -1, x ** -1.5, x ** -2 and e ** x over arrays of n, to the bit as libm computes them.

   Method: in double-double, a register at a time, rounded once; by libm itself in the few lanes where the rounding is uncertain
   (Ziv's test, rounding_test_body.h). */
#include "rounding_test_body.h"

#define IS_EXACT_FAST (HAVE_FMA && LIBM_IS_KNOWN && LANES > 1)

static double libm_m2(double x) { return pow(x, -2.0); }
static double libm_m1(double x) { return pow(x, -1.0); }
static double libm_m05(double x) { return pow(x, -0.5); }
static double libm_m15(double x) { return pow(x, -1.5); }

#if IS_EXACT_FAST
/* A number as the unevaluated sum of two doubles, high the sum rounded. */
typedef struct {
    Vec high, low;
} Pair;

INLINE Pair pair(Vec high, Vec low)
{
    Pair sum;
    sum.high = high + low;
    sum.low = (high - sum.high) + low;
    return sum;
}

INLINE Pair times(Pair a, Pair b)
{
    const Vec high = a.high * b.high;
    const Vec low = vec_fma(a.high, b.high, -high);
    return pair(high, vec_fma(a.high, b.low, vec_fma(a.low, b.high, low)));
}

/* x ** -1: what the quotient leaves of 1, divided by x. */
INLINE Pair reciprocal(Vec x)
{
    const Vec quotient = broadcast(1.0) / x;
    return pair(quotient, vec_fma(-quotient, x, broadcast(1.0)) * quotient);
}

/* x ** -0.5: one Newton step, of which only the remainder 1 - x * r**2 needs care. */
INLINE Pair reciprocal_root(Vec x)
{
    const Vec root = broadcast(1.0) / vec_sqrt(x);
    const Vec square = root * root, square_low = vec_fma(root, root, -square);
    const Vec residual = vec_fma(-square_low, x, vec_fma(-square, x, broadcast(1.0)));
    return pair(root, root * broadcast(0.5) * residual);
}

/* The power's lanes that are active: as computed where that is certain, else libm's. */
INLINE Vec round_or_libm(Pair power, Vec x, unsigned active, double (*libm)(double))
{
    active &= lane_bits(rounding_uncertain(power.high, power.low)) | sign_bits(out_of_range(power.high, 86));
    if (active)
        apply_libm(active, x, libm, &power.high);
    return power.high;
}

INLINE Vec power_m1(Vec x, unsigned active)
{
    return round_or_libm(reciprocal(x), x, active, libm_m1);
}

INLINE Vec power_m2(Vec x, unsigned active)
{
    const Pair inverse = reciprocal(x);
    return round_or_libm(times(inverse, inverse), x, active, libm_m2);
}

INLINE Vec power_m05(Vec x, unsigned active)
{
    return round_or_libm(reciprocal_root(x), x, active, libm_m05);
}

INLINE Vec power_m15(Vec x, unsigned active)
{
    const Pair root = reciprocal_root(x);
    return round_or_libm(times(times(root, root), root), x, active, libm_m15);
}

/* One number alone: the same steps, but scalar divisions and roots take half the time of those of a register. */
INLINE double round_one_or_libm(double power, double rest, double x, double (*libm)(double))
{
    const double high = power + rest, low = (power - high) + rest;
    return fma(low, MARGIN, high) == high && high > 0x1p-86 && high < 0x1p86 ? high : libm(x);
}

static double one_power_m1(double x)
{
    const double quotient = 1.0 / x;
    return round_one_or_libm(quotient, fma(-quotient, x, 1.0) * quotient, x, libm_m1);
}

static double one_power_m05(double x)
{
    const double root = 1.0 / sqrt(x), square = root * root, square_low = fma(root, root, -square);
    return round_one_or_libm(root, root * 0.5 * fma(-square_low, x, fma(-square, x, 1.0)), x, libm_m05);
}

/* e ** x = 2 ** (k / 16) * e ** r with |r| <= log(2) / 32: a table of 16 double-doubles for the one, a polynomial of degree 8
   for the other. */
INLINE Vec vec_exp(Vec x, unsigned active)
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
    const Vec shift = broadcast(0x1.8p52); /* adding it rounds to an integer, which then stands in the lowest bits */
    const Vec shifted = vec_fma(x, broadcast(0x1.71547652b82fep+4), shift); /* 16 / log(2) */
    const Mask k = as_integers(shifted);
    const Vec steps = shifted - shift;
    /* log(2) / 16 in two parts; the first has 38 bits, so that its product is exact */
    const Vec near = vec_fma(-steps, broadcast(0x1.62e42fefa0000p-5), x);
    const Vec far = steps * broadcast(0x1.cf79abc9e3b3ap-44);
    const Vec r = near - far, r_low = (near - r) - far;
    Vec series = vec_fma(r, broadcast(1.0 / 40320), broadcast(1.0 / 5040)), high, low, part, sum, result;
    series = vec_fma(r, series, broadcast(1.0 / 720));
    series = vec_fma(r, series, broadcast(1.0 / 120));
    series = vec_fma(r, series, broadcast(1.0 / 24));
    series = vec_fma(r, series, broadcast(1.0 / 6));
    series = vec_fma(r, series, broadcast(0.5));
    series = vec_fma(r * r, series, r_low); /* e ** r - 1 - r */
    high = table_lookup(table_high, k);
    low = table_lookup(table_low, k);
    part = high * r;
    low = vec_fma(high, series, vec_fma(low, r, low)) + vec_fma(high, r, -part);
    sum = high + part;
    low = ((high - sum) + part) + low;
    result = sum + low;
    active &= lane_bits(rounding_uncertain(result, (sum - result) + low) | less(broadcast(700.0), vec_abs(x)));
    result = as_doubles(as_integers(result) + (k << 48 & broadcast_int((int64_t)0xfff0000000000000)));
    if (active)
        apply_libm(active, x, exp, &result);
    return result;
}
#else
#define LIBM_ONLY(name, libm)                        \
    INLINE Vec name(Vec x, unsigned active)          \
    {                                                \
        apply_libm(active, x, libm, &x);             \
        return x;                                    \
    }
LIBM_ONLY(power_m1, libm_m1)
LIBM_ONLY(power_m2, libm_m2)
LIBM_ONLY(power_m05, libm_m05)
LIBM_ONLY(power_m15, libm_m15)
LIBM_ONLY(vec_exp, exp)
#undef LIBM_ONLY
#define one_power_m1 libm_m1
#define one_power_m05 libm_m05
#endif

/* Over arrays, which are read and written up to a whole register. */
#define OVER_ARRAY(name, function)                                                                            \
    static void name(size_t n, const double *x, double *out)                                                  \
    {                                                                                                         \
        for (size_t i = 0; i < n; i += LANES) {                                                               \
            const unsigned active = n - i < LANES ? (1u << (n - i)) - 1 : (unsigned)ALL_LANES;                \
            store(out + i, function(load(x + i), active));                                                    \
        }                                                                                                     \
    }
OVER_ARRAY(power_m1_each, power_m1)
OVER_ARRAY(power_m2_each, power_m2)
OVER_ARRAY(power_m05_each, power_m05)
OVER_ARRAY(power_m15_each, power_m15)
OVER_ARRAY(exp_each, vec_exp)
#undef OVER_ARRAY

/* For tests: the powers of one number, one after the other. */
#define EACH_ALONE(name, function)                            \
    static void name(size_t n, const double *x, double *out) \
    {                                                         \
        for (size_t i = 0; i < n; i++)                        \
            out[i] = function(x[i]);                          \
    }
EACH_ALONE(one_power_m05_each, one_power_m05)
EACH_ALONE(one_power_m1_each, one_power_m1)
#undef EACH_ALONE
