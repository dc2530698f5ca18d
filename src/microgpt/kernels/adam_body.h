/* One step of Adam over arrays of n: gradients in, both moments and the parameters in place, a register at a time.

   Method: the script raises to the powers 2 and 0.5 with `**`, which is libm's pow. The cheap x * x and sqrt(x) are correctly
   rounded; pow is not always, but it gives one of two candidates, the correctly rounded power or the double next to it on the
   side of the exact power (rounding_test_body.h). Where both candidates lead to the same second moment and the same parameter,
   it does not matter which one it is. Only where they differ, in about one lane of a thousand, is pow asked.

   A register takes one of three ways. Nearly all take the pipeline of update_registers. One with a number so small that a
   product would be subnormal, which costs a microcode assist on Intel, is computed by update_still or update_tiny: that is what a weight comes
   to whose gradient is 0 for thousands of steps. Lanes that neither can be sure of go through update_scalar. */
#include "adam.h"

#ifdef LANES
#define BLOCK 16         /* registers in the pipeline, a power of two above 2 * STAGE_DISTANCE */
#define STAGE_DISTANCE 4
#define TINY 0x1p-400    /* moments and gradients below this, but for 0, are update_tiny's */
#define V_HAT_MIN 0x1p-200
#define V_HAT_MAX 0x1p200

#include "vectors_body.h"

#include "rounding_test_body.h"

static double libm_two(double x) { return pow(fabs(x), 2.0); }
static double libm_half(double x) { return pow(x, 0.5); }

/* The formulas of the script, with libm. */
static void update_scalar(const AdamStep *s, double grad, double *m, double *v, double *data)
{
    *m = s->beta1 * *m + s->one_minus_beta1 * grad;
    *v = s->beta2 * *v + s->one_minus_beta2 * libm_two(grad);
    *data -= s->lr * (*m / s->bias1) / (libm_half(*v / s->bias2) + s->eps);
}

/* What a step does with every parameter, in registers; inverse_high + inverse_low is 1 / bias2. */
typedef struct {
    Vec lr, beta1, beta2, one_minus_beta1, one_minus_beta2, bias1, bias2, inverse_high, inverse_low, eps;
} Factors;

static Factors factors_of(const AdamStep *s)
{
    const double inverse = 1.0 / s->bias2;
    const Vec residual = -product_residual(broadcast(inverse), broadcast(s->bias2), broadcast(1.0));
    const Factors f = {broadcast(s->lr), broadcast(s->beta1), broadcast(s->beta2), broadcast(s->one_minus_beta1),
                       broadcast(s->one_minus_beta2), broadcast(s->bias1), broadcast(s->bias2), broadcast(inverse),
                       residual * broadcast(inverse), broadcast(s->eps)};
    return f;
}

/* May the pipeline be used? Its proofs want these ranges. Then every number on the way is 0 or well inside the range of normal
   doubles: a first moment is 0 or above 2**-400 * 2**-54 * 2**-53, the least that two products can leave of each other. */
static int in_proven_range(const AdamStep *s)
{
    return LIBM_IS_KNOWN && s->eps >= 1e-13 && s->eps <= 0x1p100 && (s->lr == 0.0 || fabs(s->lr) >= 0x1p-60)
           && fabs(s->lr) <= 0x1p40 && (s->beta1 >= 0x1p-54 || s->beta1 == 0.0);
}

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
    Vec m[BLOCK], v[BLOCK], v_hat[BLOCK], denominator[BLOCK], candidate[BLOCK]; /* candidate: of the denominator */
    Flags retry[BLOCK]; /* lanes for update_scalar */
    int done[BLOCK];    /* by update_tiny */
} Pipeline;

/* Both moments, and v_hat. From the two candidates of the square come two second moments, which mostly are the same double.

   A square below 2**-320, of which too little is known, is lost in any second moment that ends as a v_hat of V_HAT_MIN or more:
   that moment is above 2**-254, and half a unit of it above 2**-308. Below V_HAT_MIN stage_sqrt wants a gradient of 0. */
INLINE void stage_moments(const Factors *f, int bias2_is_1, const double *grad, const double *m, const double *v, size_t i,
                          Pipeline *p)
{
    const Vec g = load(grad), square = g * g, residual = product_residual(g, g, square);
    const Vec candidate = multiply_add(residual, broadcast(SQUARE_MARGIN), square);
    const Vec kept = f->beta2 * load(v), new_v = kept + f->one_minus_beta2 * square;
    p->m[i] = f->beta1 * load(m) + f->one_minus_beta1 * g;
    p->v[i] = new_v;
    p->v_hat[i] = bias2_is_1 ? new_v : divide_by_bias2(new_v, f);
    p->retry[i] = differ(new_v, kept + f->one_minus_beta2 * candidate);
}

/* The denominator, from each candidate of the root.

   A root below 2**-100 is lost in eps, whichever candidate it is; then only the second moment must be exact, which it is where
   the gradient is 0. */
INLINE void stage_sqrt(const Factors *f, const double *grad, size_t i, Pipeline *p)
{
    const Vec v_hat = p->v_hat[i], root = vec_sqrt(v_hat), residual = -product_residual(root, root, v_hat);
    const Vec candidate = multiply_add(residual * reciprocal_sqrt_estimate(v_hat), broadcast(SQRT_MARGIN / 2), root);
    p->denominator[i] = root + f->eps;
    p->candidate[i] = candidate + f->eps;
    p->retry[i] |= less(v_hat, broadcast(V_HAT_MIN)) & differ(load(grad), broadcast(0.0));
    p->retry[i] |= less(broadcast(V_HAT_MAX), v_hat);
}

/* The lanes of `retry` by update_scalar, the others as computed. */
static void update_lanes(const AdamStep *step, unsigned retry, const double *grad, Vec new_m, Vec new_v, Vec new_data, double *m,
                         double *v, double *data)
{
    double results[3][LANES];
    store(results[0], new_m);
    store(results[1], new_v);
    store(results[2], new_data);
    for (size_t lane = 0; lane < LANES; lane++)
        if (retry >> lane & 1) {
            update_scalar(step, grad[lane], m + lane, v + lane, data + lane);
        } else {
            m[lane] = results[0][lane];
            v[lane] = results[1][lane];
            data[lane] = results[2][lane];
        }
}

/* The parameters. Let q be the quotient scaled / d, and q2 the other candidate's, scaled / d2, both rounded. If d2 is d, so is
   q2 q. Else |d2 - d| >= 2**-53 * d, so that what the two roundings can add, 2**-53 of each quotient, is at most twice that:
   |q2 - q| <= 3 * |q| * |d2 - d| / d, and a trifle. So q2 lies between q and `bound`, where FAR is 3.2: the estimate of 1 / root
   is too small by 3.5 % at most, and 1 / d is smaller. Rounding is monotonic: if q and `bound` lead to the same parameter, so
   does q2. Only where they do not is q2 computed. */
#define FAR 3.2
INLINE void stage_update(const AdamStep *step, const Factors *f, int bias1_is_1, const double *grad, size_t i, const Pipeline *p,
                         double *m, double *v, double *data)
{
    const Vec denominator = p->denominator[i], difference = p->candidate[i] - denominator, old_data = load(data);
    const Vec m_hat = bias1_is_1 ? (Vec)p->m[i] : (Vec)(p->m[i] / f->bias1);
    const Vec scaled = f->lr * m_hat, quotient = scaled / denominator;
    const Vec change = quotient * reciprocal_sqrt_estimate(p->v_hat[i]) * difference;
    const Vec bound = multiply_add(change, broadcast(-FAR), quotient), new_data = old_data - quotient;
    const Flags check = differ(new_data, old_data - bound);
    if (any_lane(p->retry[i] | check)) {
        const Flags retry = p->retry[i] | (check & differ(new_data, old_data - scaled / p->candidate[i]));
        update_lanes(step, lane_bits(retry), grad, p->m[i], p->v[i], new_data, m, v, data);
    } else {
        store(m, p->m[i]);
        store(v, p->v[i]);
        store(data, new_data);
    }
}

/* One register through all stages. */
static void update_register(const AdamStep *step, const Factors *f, const double *grad, double *m, double *v, double *data)
{
    Pipeline p;
    stage_moments(f, 0, grad, m, v, 0, &p);
    stage_sqrt(f, grad, 0, &p);
    stage_update(step, f, 0, grad, 0, &p, m, v, data);
}

/* x * y, not negative and below 2**52, rounded to a whole number; product is x * y rounded. Without FMA that is a second
   rounding, which matters only if the first one ended halfway between two whole numbers: what it cut off decides then. */
INLINE Vec whole_product(Vec x, Vec y, Vec product)
{
    const Vec shift = broadcast(0x1p52);
#if HAVE_FMA
    (void)product;
    return vec_fma(x, y, shift) - shift;
#else
    const Vec zero = broadcast(0.0), one = broadcast(1.0);
    Vec rounded = (product + shift) - shift;
    const Vec left = product - rounded;
    if (!all_zero(equal(vec_abs(left), broadcast(0.5)))) {
        const Vec cut_off = product_residual(x, y, product);
        rounded += zero_unless(one, equal(left, broadcast(0.5)) & greater(cut_off, zero));
        rounded -= zero_unless(one, equal(left, broadcast(-0.5)) & greater(zero, cut_off));
    }
    return rounded;
#endif
}

/* beta * x, correctly rounded, without an operation on subnormals; for |x| < TINY and 0 <= beta < 1.

   Counted in units of 2**-1074, x is a normal double, and so is the product. Where the product itself would be subnormal, it is
   rounded to a whole number of units, by adding and subtracting 2**52. The bits of a subnormal are its count. */
INLINE Vec decay(Vec x, Vec beta)
{
    const Vec shift = broadcast(0x1p52);
    const Mask bits = as_integers(vec_abs(x)), exponent = broadcast_int((int64_t)1074 << 52);
    const Vec of_subnormal = as_doubles(bits | as_integers(shift)) - shift, of_normal = as_doubles(bits + exponent);
    const Vec count = blend(greater(broadcast(0x1p-1022), as_doubles(bits)), of_subnormal, of_normal);
    const Vec product = count * beta;
    const Vec rounded = whole_product(count, beta, product);
    const Mask subnormal = as_integers(rounded + shift) - as_integers(shift);
    const Vec normal = as_doubles(as_integers(product) - exponent);
    const Vec result = blend(greater(shift, product), as_doubles(subnormal), normal);
    return as_doubles(as_integers(result) | (as_integers(x) & broadcast_int(INT64_MIN)));
}

/* Lanes that hold something below the limit, but not 0. */
INLINE Mask is_below(Vec x, double limit)
{
    return greater(broadcast(limit), vec_abs(x)) & greater(vec_abs(x), broadcast(0.0));
}

/* beta2 * v + (1 - beta2) * 0, without an operation on subnormals. */
INLINE Vec decayed_v(Vec v, const Factors *f)
{
    const Mask tiny = is_below(v, 0x1p-900);
    const Vec kept = f->beta2 * zero_unless(v, ~tiny) + broadcast(0.0);
    return all_zero(tiny) ? kept : blend(tiny, decay(zero_unless(v, tiny), f->beta2), kept);
}

/* A lane is still if it has no gradient and a first moment that is tiny or 0: it keeps its parameter, as lr * m_hat / (root + eps)
   is below 2**40 * 2**-400 * 2**54 * 2**44, and half a unit of a parameter of 2**-200 or more is 2**-254. Its moments decay. */
INLINE Mask still_lanes(Vec g, Vec m, Vec v, Vec data)
{
    return equal(g, broadcast(0.0)) & greater(broadcast(TINY), vec_abs(m)) & greater(broadcast(V_HAT_MAX), v)
           & greater(vec_abs(data), broadcast(0x1p-200));
}

/* A register whose lanes are all still. False, with nothing done, for another. */
static int update_still(const Factors *f, const double *grad, double *m, double *v, const double *data)
{
    const Vec g = load(grad), old_m = load(m), old_v = load(v);
    if (sign_bits(still_lanes(g, old_m, old_v, load(data))) != ALL_LANES)
        return 0;
    store(m, decay(old_m, f->beta1) + f->one_minus_beta1 * g);
    store(v, decayed_v(old_v, f));
    return 1;
}

/* A register with something tiny in it, whose lanes are not all still. The others take the stages, where zeros stand for those
   that are still, so that no subnormal comes up; and update_scalar does the lanes where something tiny meets a gradient or a
   tiny parameter. */
static void update_tiny(const AdamStep *step, const Factors *f, const double *grad, double *m, double *v, double *data)
{
    const Vec g = load(grad), old_m = load(m), old_v = load(v);
    const Mask still = still_lanes(g, old_m, old_v, load(data));
    const Mask others = ~still & (is_below(g, TINY) | is_below(old_m, TINY) | is_below(old_v, TINY));
    const Vec still_m = decay(zero_unless(old_m, still), f->beta1) + f->one_minus_beta1 * zero_unless(g, still);
    double lanes[4][LANES];
    store(lanes[0], zero_unless(g, ~(still | others)));
    store(lanes[1], zero_unless(old_m, ~(still | others)));
    store(lanes[2], zero_unless(old_v, ~(still | others)));
    store(lanes[3], load(data));
    update_register(step, f, lanes[0], lanes[1], lanes[2], lanes[3]);
    update_lanes(step, sign_bits(others), grad, blend(still, still_m, load(lanes[1])),
                 blend(still, decayed_v(zero_unless(old_v, still), f), load(lanes[2])), load(lanes[3]), m, v, data);
}

/* A register has to wait for its root and its quotient. So that others are worked on meanwhile, each turn of the loop takes three
   registers through one stage each, STAGE_DISTANCE registers apart. */
INLINE void update_registers(const AdamStep *step, const Factors *f, int bias1_is_1, int bias2_is_1, size_t registers,
                             const double *grad, double *m, double *v, double *data)
{
    Pipeline p;
    for (size_t i = 0; i < registers + 2 * STAGE_DISTANCE; i++) {
        const size_t second = i - STAGE_DISTANCE, third = i - 2 * STAGE_DISTANCE; /* huge while there are none */
        if (i < registers) {
            const size_t at = i * LANES;
            p.done[i % BLOCK] = any_tiny(load(grad + at), load(m + at), TINY);
            if (!p.done[i % BLOCK])
                stage_moments(f, bias2_is_1, grad + at, m + at, v + at, i % BLOCK, &p);
            else if (!update_still(f, grad + at, m + at, v + at, data + at))
                update_tiny(step, f, grad + at, m + at, v + at, data + at);
        }
        if (second < registers && !p.done[second % BLOCK])
            stage_sqrt(f, grad + second * LANES, second % BLOCK, &p);
        if (third < registers && !p.done[third % BLOCK])
            stage_update(step, f, bias1_is_1, grad + third * LANES, third % BLOCK, &p, m + third * LANES, v + third * LANES,
                         data + third * LANES);
    }
}

/* The registers, with as few operations as the step's bias corrections allow: from step 226 on bias1 is 1, with the script's
   betas, and from 3,660 on bias2. Dividing by it changes nothing then. */
static void update_all(const AdamStep *step, const Factors *f, size_t registers, const double *grad, double *m, double *v,
                       double *data)
{
    if (step->bias1 != 1.0)
        update_registers(step, f, 0, 0, registers, grad, m, v, data);
    else if (step->bias2 != 1.0)
        update_registers(step, f, 1, 0, registers, grad, m, v, data);
    else
        update_registers(step, f, 1, 1, registers, grad, m, v, data);
}

/* What is left behind the last whole register, as a register of its own. */
static void update_end(const AdamStep *step, const Factors *f, size_t n, const double *grad, double *m, double *v, double *data)
{
    double lanes[4][LANES] = {{0}};
    const double *from[4] = {grad, m, v, data};
    for (size_t k = 0; k < 4; k++)
        memcpy(lanes[k], from[k], n * sizeof(double));
    update_all(step, f, 1, lanes[0], lanes[1], lanes[2], lanes[3]);
    memcpy(m, lanes[1], n * sizeof(double));
    memcpy(v, lanes[2], n * sizeof(double));
    memcpy(data, lanes[3], n * sizeof(double));
}

static void update(const AdamStep *step, size_t n, const double *grad, double *m, double *v, double *data)
{
    const AdamStep s = *step;
    const size_t whole = n / LANES * LANES;
    if (in_proven_range(&s)) {
        const Factors f = factors_of(&s);
        update_all(&s, &f, n / LANES, grad, m, v, data);
        if (n > whole)
            update_end(&s, &f, n - whole, grad + whole, m + whole, v + whole, data + whole);
    } else {
        for (size_t i = 0; i < n; i++)
            update_scalar(&s, grad[i], m + i, v + i, data + i);
    }
}

/* Whether some gradient may be too large to be squared. */
static int may_overflow(size_t n, const double *grad)
{
    Flags large = less(broadcast(0.0), broadcast(0.0));
    int some = 0;
    size_t i;
    for (i = 0; i + LANES <= n; i += LANES)
        large |= less(broadcast(1e154), vec_abs(load(grad + i)));
    for (; i < n; i++)
        some |= fabs(grad[i]) > 1e154;
    return some || any_lane(large);
}

/* The two powers alone, for tests: libm's where the candidates differ, as a step takes it when it makes a difference. */
#define POWER_OF_A_STEP(name, cheap_power, candidate, libm)                                            \
    static void name(size_t n, const double *x, double *out)                                           \
    {                                                                                                  \
        size_t i = 0;                                                                                  \
        for (; LIBM_IS_KNOWN && i + LANES <= n; i += LANES) {                                          \
            const Vec xi = load(x + i);                                                                \
            Vec cheap = cheap_power;                                                                   \
            const unsigned uncertain = lane_bits(differ(cheap, candidate));                            \
            apply_libm(uncertain | sign_bits(out_of_range(cheap, POWER_RANGE)), xi, libm, &cheap);     \
            store(out + i, cheap);                                                                     \
        }                                                                                              \
        for (; i < n; i++)                                                                             \
            out[i] = libm(x[i]);                                                                       \
    }
#define POWER_RANGE 320
POWER_OF_A_STEP(power_two, xi * xi, multiply_add(product_residual(xi, xi, cheap), broadcast(SQUARE_MARGIN), cheap), libm_two)
#undef POWER_RANGE
#define POWER_RANGE 100
POWER_OF_A_STEP(power_half, vec_sqrt(xi),
                multiply_add(-product_residual(cheap, cheap, xi) * reciprocal_sqrt_estimate(xi), broadcast(SQRT_MARGIN / 2),
                             cheap),
                libm_half)
#undef POWER_RANGE
#undef POWER_OF_A_STEP

const AdamKernels KERNELS = {update, may_overflow, power_two, power_half};
#endif
