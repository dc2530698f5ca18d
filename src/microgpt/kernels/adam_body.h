/* The Adam loops, compiled once for each instruction set: adam.c includes this file with ISA(name) defined.

   The script raises to the powers 2 and 0.5 with `**`, which is libm's pow. The cheap x * x and sqrt(x) are correctly
   rounded; pow is not always. But pow's error is bounded, and the exact remainder of the cheap result is one FMA away. So:
   take the cheap result where the remainder shows that pow, too, must round to it, and call pow for the others (2.3 % of
   random inputs). glibc and musl compute pow with an error below 0.509 + 1.3 * 2**-15 * |y * log(x)| units in the last
   place (0.52 in older glibc, which was correctly rounded in nearly all cases). With |y * log(x)| < 60 it can differ from
   the correctly rounded result only if the exact one lies within 0.0115 units of the middle between two doubles, which the
   bound SURE leaves out. Zeros, subnormals, the non-finite and powers of two (where the unit changes) go to pow as well.

   All loops over i are plain, so that the compiler puts neighbours into SIMD lanes. */

#define SURE 0.488

/* x * x - square, exactly. */
static inline double ISA(square_remainder)(double x, double square)
{
#if HAVE_FMA
    return fma(x, x, -square);
#else /* Dekker's product: halves of 26 bits, whose products are exact */
    double c = 134217729.0 * x;
    double high = c - (c - x);
    double low = x - high;
    return ((high * high - square) + 2.0 * high * low) + low * low;
#endif
}

/* x - root * root; exact for a correctly rounded root. */
static inline double ISA(root_remainder)(double x, double root)
{
    double square = root * root;
    return (x - square) - ISA(square_remainder)(root, square);
}

/* Whether result, correctly rounded, is surely pow's: `error` (exact minus result) is below SURE units in the last place,
   and result is normal, not a power of two, and between 2**-86 and 2**86 (then |y * log(x)| < 60 for both powers). */
static inline int64_t ISA(is_sure)(double error, double result)
{
    int64_t bits, exponent;
    double unit;
    memcpy(&bits, &result, sizeof bits);
    exponent = bits & 0x7ff0000000000000;
    memcpy(&unit, &exponent, sizeof unit);
    return (fabs(error) * 0x1p52 < SURE * unit) & (exponent > (int64_t)(1023 - 86) << 52)
           & (exponent < (int64_t)(1023 + 86) << 52) & ((bits & 0x000fffffffffffff) != 0);
}

static void ISA(square)(size_t n, const double *restrict x, double *restrict out)
{
    int64_t sure[ADAM_CHUNK];
    size_t i;
    for (i = 0; i < n; i++) {
        out[i] = x[i] * x[i];
        sure[i] = POW_IS_KNOWN & ISA(is_sure)(ISA(square_remainder)(x[i], out[i]), out[i]);
    }
    for (i = 0; i < n; i++)
        if (!sure[i])
            out[i] = pow(fabs(x[i]), 2.0);
}

static void ISA(root)(size_t n, const double *restrict x, double *restrict out)
{
    int64_t sure[ADAM_CHUNK];
    size_t i;
    for (i = 0; i < n; i++) {
        double root = sqrt(x[i]);
        /* exact root - root = remainder / (2 * root), to first order; the rest is far below the margin of SURE */
        sure[i] = POW_IS_KNOWN & ISA(is_sure)(ISA(root_remainder)(x[i], root) / (2.0 * root), root);
        out[i] = root;
    }
    for (i = 0; i < n; i++)
        if (!sure[i])
            out[i] = pow(x[i], 0.5);
}

static void ISA(update)(const AdamStep *step, size_t n, const double *restrict grad, double *restrict m,
                        double *restrict v, double *restrict data)
{
    const AdamStep s = *step;
    double square[ADAM_CHUNK], v_hat[ADAM_CHUNK], root[ADAM_CHUNK];
    size_t i;
    ISA(square)(n, grad, square);
    for (i = 0; i < n; i++) {
        m[i] = s.beta1 * m[i] + s.rest1 * grad[i];
        v[i] = s.beta2 * v[i] + s.rest2 * square[i];
        v_hat[i] = v[i] / s.bias2;
    }
    ISA(root)(n, v_hat, root);
    for (i = 0; i < n; i++)
        data[i] -= s.lr * (m[i] / s.bias1) / (root[i] + s.eps);
}
