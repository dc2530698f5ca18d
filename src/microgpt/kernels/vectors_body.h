/* A register of doubles, Vec, and one of 64-bit integers or masks (all ones: true), Mask, with the few operations the
   kernels need. Arithmetic on Vec is written with the operators of C: one rounding each, lanes independent. With LANES 1
   both are plain numbers, for compilers without vector types. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Is the error of this libm's pow and exp bounded as the shortcuts need it? Known for Linux (glibc, musl). */
#if defined(__linux__)
#define LIBM_IS_KNOWN 1
#else
#define LIBM_IS_KNOWN 0
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline, unused))
#define OUT_OF_LINE static __attribute__((unused))
#else
#define INLINE static inline
#define OUT_OF_LINE static
#endif

enum { ALL_LANES = (1 << LANES) - 1 }; /* as sign_bits() gives them */

#if LANES > 1
typedef double Vec __attribute__((vector_size(8 * LANES), may_alias));
typedef int64_t Mask __attribute__((vector_size(8 * LANES), may_alias));
typedef double Unaligned __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

INLINE Vec load(const double *from) { return *(const Unaligned *)from; }
INLINE void store(double *to, Vec x) { *(Unaligned *)to = x; }
INLINE Vec broadcast(double x) { return x - (Vec){0}; }
INLINE Mask broadcast_int(int64_t x) { return x - (Mask){0}; }
INLINE Mask as_integers(Vec x) { return (Mask)x; }
INLINE Vec as_doubles(Mask x) { return (Vec)x; }
INLINE Mask greater(Vec a, Vec b) { return a > b; }
INLINE Mask equal(Vec a, Vec b) { return a == b; }
INLINE Vec zero_unless(Vec x, Mask where) { return (Vec)((Mask)x & where); }
INLINE Vec blend(Mask where, Vec yes, Vec no) { return (Vec)(((Mask)yes & where) | ((Mask)no & ~where)); }
#else
typedef double Vec;
typedef int64_t Mask;

INLINE Vec load(const double *from) { return *from; }
INLINE void store(double *to, Vec x) { *to = x; }
INLINE Vec broadcast(double x) { return x; }
INLINE Mask broadcast_int(int64_t x) { return x; }
INLINE Mask as_integers(Vec x)
{
    Mask integers;
    memcpy(&integers, &x, sizeof integers);
    return integers;
}
INLINE Vec as_doubles(Mask x)
{
    Vec doubles;
    memcpy(&doubles, &x, sizeof doubles);
    return doubles;
}
INLINE Mask greater(Vec a, Vec b) { return -(Mask)(a > b); }
INLINE Mask equal(Vec a, Vec b) { return -(Mask)(a == b); }
INLINE Vec zero_unless(Vec x, Mask where) { return where ? x : 0.0; }
INLINE Vec blend(Mask where, Vec yes, Vec no) { return where ? yes : no; }
#endif

INLINE Vec vec_abs(Vec x) { return as_doubles(as_integers(x) & broadcast_int(INT64_MAX)); }

/* The lanes i with i >= first; first at most 8. */
INLINE Mask lanes_from(size_t first)
{
    static const int64_t ramp[16] = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};
    Mask mask;
    memcpy(&mask, ramp + 8 - first, sizeof mask);
    return mask;
}

/* What has an instruction of its own: square root, and a * b + c with one rounding (only with HAVE_FMA); whether all lanes
   are 0; the sign of each lane, a bit each; an entry of a table of 16 for each lane, by the lowest four bits of its integer. */
#if defined(MICROGPT_X86) && LANES == 8
INLINE Vec vec_sqrt(Vec x) { return _mm512_sqrt_pd(x); }
INLINE Vec vec_fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_pd(a, b, c); }
INLINE int all_zero(Mask x) { return _mm512_test_epi64_mask((__m512i)x, (__m512i)x) == 0; }
INLINE unsigned sign_bits(Mask mask) { return _mm512_movepi64_mask((__m512i)mask); }
INLINE Vec table_lookup(const double *table, Mask index)
{
    return _mm512_permutex2var_pd(_mm512_loadu_pd(table), (__m512i)index, _mm512_loadu_pd(table + 8));
}
#elif defined(MICROGPT_X86) && LANES == 4
INLINE Vec vec_sqrt(Vec x) { return _mm256_sqrt_pd(x); }
INLINE Vec vec_fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_pd(a, b, c); }
INLINE int all_zero(Mask x) { return _mm256_testz_si256((__m256i)x, (__m256i)x); }
INLINE unsigned sign_bits(Mask mask) { return (unsigned)_mm256_movemask_pd((__m256d)mask); }
INLINE Vec table_lookup(const double *table, Mask index)
{
    return _mm256_i64gather_pd(table, (__m256i)(index & broadcast_int(15)), 8);
}
#else
#define EACH_LANE(x) for (size_t lane = 0; lane < LANES; lane++) ((double *)&x)[lane]
INLINE Vec vec_sqrt(Vec x)
{
    EACH_LANE(x) = sqrt(((const double *)&x)[lane]);
    return x;
}
INLINE Vec vec_fma(Vec a, Vec b, Vec c)
{
    EACH_LANE(c) = fma(((const double *)&a)[lane], ((const double *)&b)[lane], ((const double *)&c)[lane]);
    return c;
}
INLINE int all_zero(Mask x)
{
    int64_t any = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        any |= ((const int64_t *)&x)[lane];
    return any == 0;
}
INLINE unsigned sign_bits(Mask mask)
{
    unsigned bits = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        bits |= (unsigned)(((const int64_t *)&mask)[lane] < 0) << lane;
    return bits;
}
INLINE Vec table_lookup(const double *table, Mask index)
{
    Vec x;
    EACH_LANE(x) = table[((const int64_t *)&index)[lane] & 15];
    return x;
}
#undef EACH_LANE
#endif

/* Lanes for which something holds, as the set keeps them best: in a mask register, or as a Mask. `&` and `|` go together with
   them; any_lane and lane_bits (a bit each) come last. Comparisons with nan: less is false, differ is true. */
#if defined(MICROGPT_X86) && LANES == 8
typedef __mmask8 Flags;
INLINE Flags less(Vec a, Vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
INLINE Flags differ(Vec a, Vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ); }
INLINE int any_lane(Flags flags) { return flags != 0; }
INLINE unsigned lane_bits(Flags flags) { return flags; }
#else
typedef Mask Flags;
INLINE Flags less(Vec a, Vec b) { return greater(b, a); }
INLINE Flags differ(Vec a, Vec b) { return ~equal(a, b); }
INLINE int any_lane(Flags flags) { return !all_zero(flags); }
INLINE unsigned lane_bits(Flags flags) { return sign_bits(flags); }
#endif

/* Whether some lane of a or b is smaller than `limit`, but not 0. */
INLINE int any_tiny(Vec a, Vec b, double limit)
{
    const Vec zero = broadcast(0.0), x = vec_abs(a), y = vec_abs(b), most = broadcast(limit);
    return any_lane((less(x, most) & less(zero, x)) | (less(y, most) & less(zero, y)));
}

/* a * b + c, for numbers where it makes no difference whether that is rounded once or twice. */
INLINE Vec multiply_add(Vec a, Vec b, Vec c)
{
#if HAVE_FMA
    return vec_fma(a, b, c);
#else
    return a * b + c;
#endif
}

/* x * y - product, exactly, barring underflow. */
INLINE Vec product_residual(Vec x, Vec y, Vec product)
{
#if HAVE_FMA
    return vec_fma(x, y, -product);
#else /* Dekker's product: halves of 26 bits, whose products are exact */
    const Vec split = broadcast(134217729.0);
    const Vec x_high = split * x - (split * x - x), y_high = split * y - (split * y - y);
    const Vec x_low = x - x_high, y_low = y - y_high;
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low;
#endif
}

/* About 1 / sqrt(x) for a positive x, 3.5 % too small or too large at most: half the exponent, negative (Lomont 2003). */
INLINE Vec reciprocal_sqrt_estimate(Vec x)
{
    return as_doubles(broadcast_int(0x5fe6eb50c7b537a9) - (as_integers(x) >> 1));
}

/* Calls libm for the lanes in `lanes`, where `result` may differ from what it gives. */
OUT_OF_LINE void apply_libm(unsigned lanes, Vec x, double (*function)(double), Vec *result)
{
    double from[LANES], to[LANES];
    memcpy(from, &x, sizeof from);
    memcpy(to, result, sizeof to);
    for (size_t lane = 0; lane < LANES; lane++)
        if (lanes >> lane & 1)
            to[lane] = function(from[lane]);
    memcpy(result, to, sizeof to);
}
