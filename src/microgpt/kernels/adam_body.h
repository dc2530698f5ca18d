/* One Adam step over contiguous arrays, a register of parameters at a time.

   The script raises to the powers 2 and 0.5 with `**`, which is libm's pow. The cheap x * x and sqrt(x) are correctly
   rounded; pow is not always, but it is wherever their exact remainder is small enough (sure_body.h). For the
   other lanes pow gives either the same or the neighbour on the remainder's side: its error is below one unit. If both lead
   to the same number that is kept (the second moment; the parameter), it does not matter which one it is. Only where they
   differ, in about one lane of a thousand, is the parameter done again with pow. */
#undef EPS_LEAST
#undef BLOCK
#undef LAG
#define BLOCK 16        /* registers on their way, a power of two above 2 * LAG */
#define LAG 4
#define EPS_LEAST 1e-13 /* with a smaller eps every parameter goes through pow */

#include "vectors_body.h"

#include "sure_body.h"

/* x * y - product, exactly. */
INLINE Vec ISA(product_rest)(Vec x, Vec y, Vec product)
{
#if HAVE_FMA
    return ISA(fma)(x, y, -product);
#else /* Dekker's product: halves of 26 bits, whose products are exact */
    const Vec split = ISA(all)(134217729.0);
    const Vec x_high = split * x - (split * x - x), y_high = split * y - (split * y - y);
    const Vec x_low = x - x_high, y_low = y - y_high;
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low;
#endif
}

/* The neighbour of a positive double, further from zero if rest is positive, else nearer. */
INLINE Vec ISA(neighbour)(Vec x, Vec rest)
{
    return ISA(as_doubles)(ISA(as_integers)(x) + (ISA(as_integers)(rest) >> 63 | ISA(integers)(1)));
}

static double ISA(libm_2)(double x) { return pow(fabs(x), 2.0); }
static double ISA(libm_05)(double x) { return pow(x, 0.5); }

/* The formulas of the script, with libm. */
static void ISA(update_one)(const AdamStep *s, double grad, double *m, double *v, double *data)
{
    *m = s->beta1 * *m + s->rest1 * grad;
    *v = s->beta2 * *v + s->rest2 * ISA(libm_2)(grad);
    *data -= s->lr * (*m / s->bias1) / (ISA(libm_05)(*v / s->bias2) + s->eps);
}

/* The lanes of `again` by update_one, the others by what was computed. */
static void ISA(update_some)(const AdamStep *step, Mask again, const double *grad, Vec new_m, Vec new_v, Vec new_data, double *m,
                             double *v, double *data)
{
    double results[3][LANES];
    int64_t lanes[LANES];
    memcpy(lanes, &again, sizeof lanes);
    memcpy(results[0], &new_m, sizeof results[0]);
    memcpy(results[1], &new_v, sizeof results[1]);
    memcpy(results[2], &new_data, sizeof results[2]);
    for (size_t lane = 0; lane < LANES; lane++)
        if (lanes[lane] != 0) {
            ISA(update_one)(step, grad[lane], m + lane, v + lane, data + lane);
        } else {
            m[lane] = results[0][lane];
            v[lane] = results[1][lane];
            data[lane] = results[2][lane];
        }
}

/* What a step does with every parameter, in registers; inverse_high + inverse_low is 1 / bias2. */
typedef struct {
    Vec lr, beta1, beta2, rest1, rest2, bias1, bias2, inverse_high, inverse_low, eps;
} ISA(Factors);
#define Factors ISA(Factors)

/* v / bias2, correctly rounded. The first quotient is within one unit, so the exact remainder times the rounded inverse
   corrects it (Markstein 1990), barring underflow of the remainder. */
INLINE Vec ISA(unbiased)(Vec v, const Factors *f)
{
#if HAVE_FMA
    const Vec quotient = ISA(fma)(v, f->inverse_high, v * f->inverse_low);
    return ISA(fma)(ISA(fma)(-quotient, f->bias2, v), f->inverse_high, quotient);
#else
    return v / f->bias2;
#endif
}

/* BLOCK registers of parameters on their way through a step. */
typedef struct {
    Vec m[BLOCK], v[BLOCK], root[BLOCK], root_rest[BLOCK], way[BLOCK]; /* way = lr * m_hat */
    Mask again[BLOCK];                                                 /* not 0: by update_one */
} ISA(Passage);
#define Passage ISA(Passage)

INLINE void ISA(move_moments)(const Factors *f, const double *grad, const double *m, const double *v, size_t i, Passage *on)
{
    const Vec g = ISA(load)(grad), square = g * g, rest = ISA(product_rest)(g, g, square);
    const Vec kept = f->beta2 * ISA(load)(v), new_v = kept + f->rest2 * square;
    const Vec other_v = kept + f->rest2 * ISA(neighbour)(square, rest);
    on->m[i] = f->beta1 * ISA(load)(m) + f->rest1 * g;
    on->v[i] = new_v;
    on->root[i] = ISA(unbiased)(new_v, f);
    on->again[i] = ISA(doubt)(rest, ISA(all)(1.0), square, SURE_FAR) >> 63
                   & (ISA(as_integers)(new_v) ^ ISA(as_integers)(other_v));
}

/* A root below 2**-100 is lost in eps, so that only the moment itself must be exact there: it is unless the gradient moved it.
   Above, the moment is at least 2**-253, and squares below 2**-320, of which too little is known, are lost in it. */
INLINE void ISA(take_root)(const Factors *f, const double *grad, size_t i, Passage *on)
{
    const Vec v_hat = on->root[i], root = ISA(sqrt)(v_hat);
    const Mask small = ISA(as_integers)(root) - ((int64_t)(1023 - 100) << 52);
    const Mask large = (((int64_t)(1023 + 100) << 52) - ISA(as_integers)(root)) | ISA(as_integers)(root); /* or nan */
    const Mask moved = -ISA(as_integers)(ISA(magnitude)(ISA(load)(grad)));
    on->root[i] = root;
    on->root_rest[i] = -ISA(product_rest)(root, root, v_hat);
    on->way[i] = f->lr * (on->m[i] / f->bias1);
    on->again[i] |= ((small & moved) | large) >> 63;
}

INLINE void ISA(move_data)(const AdamStep *step, const Factors *f, const double *grad, size_t i, const Passage *on, double *m,
                           double *v, double *data)
{
    const Vec root = on->root[i], rest = on->root_rest[i], old_data = ISA(load)(data);
    const Vec new_data = old_data - on->way[i] / (root + f->eps);
    const Vec other_data = old_data - on->way[i] / (ISA(neighbour)(root, rest) + f->eps);
    const Mask again = on->again[i] | (ISA(doubt)(rest, root + root, root, SURE_FAR) >> 63
                                       & (ISA(as_integers)(new_data) ^ ISA(as_integers)(other_data)));
    if (ISA(is_zero)(again)) {
        ISA(store)(m, on->m[i]);
        ISA(store)(v, on->v[i]);
        ISA(store)(data, new_data);
    } else {
        ISA(update_some)(step, again, grad, on->m[i], on->v[i], new_data, m, v, data);
    }
}

/* A register has to wait for its root and its quotients. So that others are worked on meanwhile, each turn of the loop takes
   three registers through one stage each, LAG registers apart. */
INLINE void ISA(update_registers)(const AdamStep *step, const Factors *f, size_t registers, const double *grad, double *m,
                                  double *v, double *data)
{
    Passage on;
    for (size_t i = 0; i < registers + 2 * LAG; i++) {
        const size_t second = i - LAG, third = i - 2 * LAG; /* huge while there are none */
        if (i < registers)
            ISA(move_moments)(f, grad + i * LANES, m + i * LANES, v + i * LANES, i % BLOCK, &on);
        if (second < registers)
            ISA(take_root)(f, grad + second * LANES, second % BLOCK, &on);
        if (third < registers)
            ISA(move_data)(step, f, grad + third * LANES, third % BLOCK, &on, m + third * LANES, v + third * LANES,
                           data + third * LANES);
    }
}

static void ISA(update)(const AdamStep *step, size_t n, const double *grad, double *m, double *v, double *data)
{
    const AdamStep s = *step;
    const double inverse = 1.0 / s.bias2;
    const Vec inverse_rest = -ISA(product_rest)(ISA(all)(inverse), ISA(all)(s.bias2), ISA(all)(1.0));
    const Factors factors = {ISA(all)(s.lr), ISA(all)(s.beta1), ISA(all)(s.beta2), ISA(all)(s.rest1), ISA(all)(s.rest2),
                             ISA(all)(s.bias1), ISA(all)(s.bias2), ISA(all)(inverse), inverse_rest * ISA(all)(inverse),
                             ISA(all)(s.eps)};
    const size_t registers = LIBM_IS_KNOWN && s.eps >= EPS_LEAST ? n / LANES : 0;
    ISA(update_registers)(&s, &factors, registers, grad, m, v, data);
    for (size_t i = registers * LANES; i < n; i++)
        ISA(update_one)(&s, grad[i], m + i, v + i, data + i);
}

/* Whether some gradient may be too large to be squared. */
static int ISA(may_overflow)(size_t n, const double *grad)
{
    Mask large = ISA(integers)(0);
    int some = 0;
    size_t i;
    for (i = 0; i + LANES <= n; i += LANES)
        large |= ISA(greater)(ISA(magnitude)(ISA(load)(grad + i)), ISA(all)(1e154));
    for (; i < n; i++)
        some |= fabs(grad[i]) > 1e154;
    return some | !ISA(is_zero)(large);
}

/* The two powers alone, for tests: as a step takes them when it makes a difference. */
#define POWER_OF_A_STEP(name, cheap_power, rest, scale, libm)                                                             \
    static void ISA(name)(size_t n, const double *x, double *out)                                                         \
    {                                                                                                                     \
        size_t i = 0;                                                                                                     \
        for (; LIBM_IS_KNOWN && i + LANES <= n; i += LANES) {                                                             \
            const Vec xi = ISA(load)(x + i);                                                                              \
            Vec cheap = cheap_power;                                                                                      \
            ISA(correct)(ISA(sign_bits)(ISA(doubt)(rest, scale, cheap, SURE_FAR) | ISA(outside)(cheap, 320)), xi,    \
                         libm, &cheap);                                                                                   \
            ISA(store)(out + i, cheap);                                                                                   \
        }                                                                                                                 \
        for (; i < n; i++)                                                                                                \
            out[i] = libm(x[i]);                                                                                          \
    }
POWER_OF_A_STEP(square, xi * xi, ISA(product_rest)(xi, xi, cheap), ISA(all)(1.0), ISA(libm_2))
POWER_OF_A_STEP(root, ISA(sqrt)(xi), -ISA(product_rest)(cheap, cheap, xi), cheap + cheap, ISA(libm_05))
#undef POWER_OF_A_STEP
#undef Factors
#undef Passage
