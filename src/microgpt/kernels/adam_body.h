/* One step of Adam over arrays of n: gradients in, both moments and the parameters in place, a register at a time.

   Method: the script raises to the powers 2 and 0.5 with `**`, which is libm's pow. The cheap x * x and sqrt(x) are correctly
   rounded; pow is not always, but it is wherever their exact residual is small enough (rounding_test_body.h). In the other
   lanes pow gives one of two candidates, the same or the adjacent double on the residual's side: its error is below one unit.
   If both lead to the same number that is kept (the second moment; the parameter), it does not matter which one it is. Only
   where they differ, in about one lane of a thousand, is the parameter computed again with pow. */
#include "adam.h"

#ifdef LANES
#define BLOCK 16         /* registers in the pipeline, a power of two above 2 * STAGE_DISTANCE */
#define STAGE_DISTANCE 4
#define EPS_MIN 1e-13    /* with a smaller eps every parameter goes through pow */

#include "vectors_body.h"

#include "rounding_test_body.h"

/* x * y - product, exactly. */
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

/* The double next to a positive one, further from zero if residual is positive, else nearer. */
INLINE Vec adjacent(Vec x, Vec residual)
{
    return as_doubles(as_integers(x) + (as_integers(residual) >> 63 | broadcast_int(1)));
}

static double libm_two(double x) { return pow(fabs(x), 2.0); }
static double libm_half(double x) { return pow(x, 0.5); }

/* The formulas of the script, with libm. */
static void update_scalar(const AdamStep *s, double grad, double *m, double *v, double *data)
{
    *m = s->beta1 * *m + s->one_minus_beta1 * grad;
    *v = s->beta2 * *v + s->one_minus_beta2 * libm_two(grad);
    *data -= s->lr * (*m / s->bias1) / (libm_half(*v / s->bias2) + s->eps);
}

/* The lanes of `retry` by update_scalar, the others as computed. */
static void update_lanes(const AdamStep *step, Mask retry, const double *grad, Vec new_m, Vec new_v, Vec new_data, double *m,
                         double *v, double *data)
{
    double results[3][LANES];
    int64_t lanes[LANES];
    memcpy(lanes, &retry, sizeof lanes);
    memcpy(results[0], &new_m, sizeof results[0]);
    memcpy(results[1], &new_v, sizeof results[1]);
    memcpy(results[2], &new_data, sizeof results[2]);
    for (size_t lane = 0; lane < LANES; lane++)
        if (lanes[lane] != 0) {
            update_scalar(step, grad[lane], m + lane, v + lane, data + lane);
        } else {
            m[lane] = results[0][lane];
            v[lane] = results[1][lane];
            data[lane] = results[2][lane];
        }
}

/* What a step does with every parameter, in registers; inverse_high + inverse_low is 1 / bias2. */
typedef struct {
    Vec lr, beta1, beta2, one_minus_beta1, one_minus_beta2, bias1, bias2, inverse_high, inverse_low, eps;
} Factors;

/* v / bias2, correctly rounded. The first quotient is within one unit, so the exact remainder times the rounded inverse
   corrects it (Markstein 1990), barring underflow of the remainder. */
INLINE Vec divide_by_bias2(Vec v, const Factors *f)
{
#if HAVE_FMA
    const Vec quotient = vec_fma(v, f->inverse_high, v * f->inverse_low);
    return vec_fma(vec_fma(-quotient, f->bias2, v), f->inverse_high, quotient);
#else
    return v / f->bias2;
#endif
}

/* BLOCK registers of parameters between their stages. */
typedef struct {
    Vec m[BLOCK], v[BLOCK], root[BLOCK], root_residual[BLOCK], scaled_m[BLOCK]; /* scaled_m = lr * m_hat */
    Mask retry[BLOCK]; /* not 0: by update_scalar */
} Pipeline;

INLINE void stage_moments(const Factors *f, const double *grad, const double *m, const double *v, size_t i, Pipeline *p)
{
    const Vec g = load(grad), square = g * g, residual = product_residual(g, g, square);
    const Vec kept = f->beta2 * load(v), new_v = kept + f->one_minus_beta2 * square;
    const Vec other_v = kept + f->one_minus_beta2 * adjacent(square, residual);
    p->m[i] = f->beta1 * load(m) + f->one_minus_beta1 * g;
    p->v[i] = new_v;
    p->root[i] = divide_by_bias2(new_v, f);
    p->retry[i] = rounding_uncertain(residual, broadcast(1.0), square, ERROR_BOUND_FAR) >> 63
                  & (as_integers(new_v) ^ as_integers(other_v));
}

/* A root below 2**-100 is lost in eps, so that only the moment itself must be exact there: it is unless the gradient moved it.
   Above, the moment is at least 2**-253, and squares below 2**-320, of which too little is known, are lost in it. */
INLINE void stage_sqrt(const Factors *f, const double *grad, size_t i, Pipeline *p)
{
    const Vec v_hat = p->root[i], root = vec_sqrt(v_hat);
    const Mask small = as_integers(root) - ((int64_t)(1023 - 100) << 52);
    const Mask large = (((int64_t)(1023 + 100) << 52) - as_integers(root)) | as_integers(root); /* or nan */
    const Mask moved = -as_integers(vec_abs(load(grad)));
    p->root[i] = root;
    p->root_residual[i] = -product_residual(root, root, v_hat);
    p->scaled_m[i] = f->lr * (p->m[i] / f->bias1);
    p->retry[i] |= ((small & moved) | large) >> 63;
}

INLINE void stage_update(const AdamStep *step, const Factors *f, const double *grad, size_t i, const Pipeline *p, double *m,
                         double *v, double *data)
{
    const Vec root = p->root[i], residual = p->root_residual[i], old_data = load(data);
    const Vec new_data = old_data - p->scaled_m[i] / (root + f->eps);
    const Vec other_data = old_data - p->scaled_m[i] / (adjacent(root, residual) + f->eps);
    const Mask retry = p->retry[i] | (rounding_uncertain(residual, root + root, root, ERROR_BOUND_FAR) >> 63
                                      & (as_integers(new_data) ^ as_integers(other_data)));
    if (all_zero(retry)) {
        store(m, p->m[i]);
        store(v, p->v[i]);
        store(data, new_data);
    } else {
        update_lanes(step, retry, grad, p->m[i], p->v[i], new_data, m, v, data);
    }
}

/* A register has to wait for its root and its quotients. So that others are worked on meanwhile, each turn of the loop takes
   three registers through one stage each, STAGE_DISTANCE registers apart. */
INLINE void update_registers(const AdamStep *step, const Factors *f, size_t registers, const double *grad, double *m,
                             double *v, double *data)
{
    Pipeline pipeline;
    for (size_t i = 0; i < registers + 2 * STAGE_DISTANCE; i++) {
        const size_t second = i - STAGE_DISTANCE, third = i - 2 * STAGE_DISTANCE; /* huge while there are none */
        if (i < registers)
            stage_moments(f, grad + i * LANES, m + i * LANES, v + i * LANES, i % BLOCK, &pipeline);
        if (second < registers)
            stage_sqrt(f, grad + second * LANES, second % BLOCK, &pipeline);
        if (third < registers)
            stage_update(step, f, grad + third * LANES, third % BLOCK, &pipeline, m + third * LANES, v + third * LANES,
                         data + third * LANES);
    }
}

static void update(const AdamStep *step, size_t n, const double *grad, double *m, double *v, double *data)
{
    const AdamStep s = *step;
    const double inverse = 1.0 / s.bias2;
    const Vec inverse_residual = -product_residual(broadcast(inverse), broadcast(s.bias2), broadcast(1.0));
    const Factors factors = {broadcast(s.lr), broadcast(s.beta1), broadcast(s.beta2), broadcast(s.one_minus_beta1),
                             broadcast(s.one_minus_beta2), broadcast(s.bias1), broadcast(s.bias2), broadcast(inverse),
                             inverse_residual * broadcast(inverse), broadcast(s.eps)};
    const size_t registers = LIBM_IS_KNOWN && s.eps >= EPS_MIN ? n / LANES : 0;
    update_registers(&s, &factors, registers, grad, m, v, data);
    for (size_t i = registers * LANES; i < n; i++)
        update_scalar(&s, grad[i], m + i, v + i, data + i);
}

/* Whether some gradient may be too large to be squared. */
static int may_overflow(size_t n, const double *grad)
{
    Mask large = broadcast_int(0);
    int some = 0;
    size_t i;
    for (i = 0; i + LANES <= n; i += LANES)
        large |= greater(vec_abs(load(grad + i)), broadcast(1e154));
    for (; i < n; i++)
        some |= fabs(grad[i]) > 1e154;
    return some | !all_zero(large);
}

/* The two powers alone, for tests: as a step takes them when it makes a difference. */
#define POWER_OF_A_STEP(name, cheap_power, residual, scale, libm)                                      \
    static void name(size_t n, const double *x, double *out)                                           \
    {                                                                                                  \
        size_t i = 0;                                                                                  \
        for (; LIBM_IS_KNOWN && i + LANES <= n; i += LANES) {                                          \
            const Vec xi = load(x + i);                                                                \
            Vec cheap = cheap_power;                                                                   \
            const Mask uncertain = rounding_uncertain(residual, scale, cheap, ERROR_BOUND_FAR);        \
            apply_libm(sign_bits(uncertain | out_of_range(cheap, 320)), xi, libm, &cheap);             \
            store(out + i, cheap);                                                                     \
        }                                                                                              \
        for (; i < n; i++)                                                                             \
            out[i] = libm(x[i]);                                                                       \
    }
POWER_OF_A_STEP(power_two, xi * xi, product_residual(xi, xi, cheap), broadcast(1.0), libm_two)
POWER_OF_A_STEP(power_half, vec_sqrt(xi), -product_residual(cheap, cheap, xi), cheap + cheap, libm_half)
#undef POWER_OF_A_STEP

const AdamKernels KERNELS = {update, may_overflow, power_two, power_half};
#endif
