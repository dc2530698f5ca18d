/* The replay loops: an instruction after the other, a `switch` each. One operation, one rounding, as everywhere; what an
   instruction does side by side are numbers that do not depend on each other, so every gradient receives its contributions in
   the recorded order.

   Nearly half of a recorded training step: of 0.77 million instructions forward takes 23 % with exp and pow, backward 22 %
   (AVX2; valgrind --tool=callgrind .venv/bin/python train_recorded.py, the difference between 1,000 and 500 steps). */
#include "replay.h"

#ifdef LANES
#include <float.h>
#include <math.h>
#include <string.h>

#include "vectors_body.h"

#include "squares_body.h"

/* As engine's power(): what is not here is rare, and Python's. */
static int power(double base, double exponent, double *result)
{
    double raised;
    if (base > 0.0 && isfinite(base) && isfinite(exponent)) {
        raised = pow(base, exponent);
        if (raised >= DBL_MIN && raised < INFINITY)
            return *result = raised, 0;
    } else if (base < 0.0 && isfinite(base) && isfinite(exponent) && exponent == floor(exponent)) {
        raised = pow(-base, exponent);
        if (raised >= DBL_MIN && raised < INFINITY)
            return *result = fmod(exponent, 2.0) != 0.0 ? -raised : raised, 0;
    } else if (base == 0.0 && exponent >= 0.0 && isfinite(exponent))
        return *result = pow(base, exponent), 0;
    return -1;
}

static int exponential(double x, double *result)
{
    *result = exp(x);
    return isinf(*result) && !isinf(x) ? -1 : 0;
}

static int logistic(double x, double *result)
{
    double e;
    if (exponential(-x, &e) < 0)
        return -1;
    *result = 1.0 / (1.0 + e);
    return 0;
}

/* A function of one number and its derivative, as engine/value computes them. */
static int function(int op, double c, double x, double *value, double *deriv)
{
    static const double sqrt_2 = 1.4142135623730951, sqrt_2_pi = 2.5066282746310002, sqrt_2_over_pi = 0.7978845608028654;
    double s, t, square, cube;
    switch (op) {
    case R_POW:
        if (power(x, c, value) < 0 || power(x, c - 1.0, &s) < 0)
            return -1;
        *deriv = c * s;
        return 0;
    case R_RPOW:
        if (power(c, x, value) < 0)
            return -1;
        *deriv = log(c) * *value;
        return 0;
    case R_LOG:
        if (x <= 0.0)
            return -1;
        *value = log(x);
        *deriv = 1.0 / x;
        return 0;
    case R_EXP:
        if (exponential(x, value) < 0)
            return -1;
        *deriv = *value;
        return 0;
    case R_TANH:
        t = tanh(x);
        if (power(t, 2.0, &square) < 0)
            return -1;
        *value = t;
        *deriv = 1.0 - square;
        return 0;
    case R_SIGMOID:
        if (logistic(x, &s) < 0)
            return -1;
        *value = s;
        *deriv = s * (1.0 - s);
        return 0;
    case R_SQRT:
        s = sqrt(x);
        if (x < 0.0 || s == 0.0)
            return -1;
        *value = s;
        *deriv = 0.5 / s;
        return 0;
    case R_SIN:
        *value = sin(x);
        *deriv = cos(x);
        return isinf(x) ? -1 : 0;
    case R_COS:
        *value = cos(x);
        *deriv = -sin(x);
        return isinf(x) ? -1 : 0;
    case R_ABS:
        *value = fabs(x);
        *deriv = x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0;
        return 0;
    case R_SILU:
        if (logistic(x, &s) < 0)
            return -1;
        *value = x * s;
        *deriv = s * (1.0 + x * (1.0 - s));
        return 0;
    case R_GELU:
        s = 0.5 * (1.0 + erf(x / sqrt_2));
        *value = x * s;
        *deriv = s + x * exp(-0.5 * x * x) / sqrt_2_pi;
        return 0;
    case R_GELU_TANH:
        if (power(x, 3.0, &cube) < 0 || power(x, 2.0, &square) < 0)
            return -1;
        t = tanh(sqrt_2_over_pi * (x + 0.044715 * cube));
        if (power(t, 2.0, &s) < 0)
            return -1;
        *value = 0.5 * x * (1.0 + t);
        *deriv = 0.5 * (1.0 + t) + 0.5 * x * (1.0 - s) * sqrt_2_over_pi * (1.0 + 3.0 * 0.044715 * square);
        return 0;
    }
    return -1;
}

/* Whether SIDE dot products are those of the rows of a matrix, side by side, with one vector. */
static int is_matrix(const Instruction *at)
{
    int k, same = 1;
    for (k = 1; k < SIDE; k++)
        same &= at[k].b == at->b && at[k].a == at->a + k * at->n;
    return same;
}

/* Dot products beside each other, which hides the latency of their chains of additions. */
static void dots(const Instruction *at, size_t count, double *restrict value)
{
    const size_t n = (size_t)at->n;
    size_t i, k;
    for (; count >= SIDE; count -= SIDE, at += SIDE) {
        const double *left[SIDE], *right[SIDE];
        double sums[SIDE];
        for (k = 0; k < SIDE; k++) {
            left[k] = value + at[k].a;
            right[k] = value + at[k].b;
            sums[k] = value[at[k].start];
        }
        for (i = is_matrix(at) ? add_squares(n, *left, *right, sums) : 0; i < n; i++)
            for (k = 0; k < SIDE; k++)
                sums[k] += left[k][i] * right[k][i];
        for (k = 0; k < SIDE; k++)
            value[at[k].out] = sums[k];
    }
    for (; count > 0; count--, at++) {
        double sum = value[at->start];
        for (i = 0; i < n; i++)
            sum += value[at->a + i] * value[at->b + i];
        value[at->out] = sum;
    }
}

/* A function of n numbers, or of one for all n places. */
static int functions(int op, size_t n, double c, const double *x, size_t step, double *value, double *deriv)
{
    const size_t different = step ? n : 1;
    size_t i;
    int status = 0;
    for (i = 0; i < different; i++)
        status |= function(op, c, x[i], &value[i], &deriv[i]);
    for (; i < n; i++) {
        value[i] = *value;
        deriv[i] = *deriv;
    }
    return status;
}

static int forward(const Instruction *program, size_t size, const int32_t *lists, double *restrict value,
                   double *restrict deriv)
{
    const Instruction *at, *end = program + size;
    for (at = program; at < end; at++) {
        const size_t n = (size_t)at->n, a_step = (size_t)at->a_step, b_step = (size_t)at->b_step;
        const double *a = value + at->a, *b = value + at->b;
        const int32_t *list;
        double *out = value + at->out, *slope = deriv + at->out, sum;
        const double c = at->number;
        size_t i;
        switch (at->op) {
        case R_ADD:
            for (i = 0; i < n; i++)
                out[i] = a[i * a_step] + b[i * b_step];
            break;
        case R_MUL:
            for (i = 0; i < n; i++)
                out[i] = a[i * a_step] * b[i * b_step];
            break;
        case R_MUL_INT:
            for (i = 0; i < n; i++)
                out[i] = a[i * a_step] * b[i * b_step] + 0.0;
            break;
        case R_ADD_C:
            for (i = 0; i < n; i++)
                out[i] = a[i * a_step] + c;
            break;
        case R_MUL_C:
            for (i = 0; i < n; i++)
                out[i] = a[i * a_step] * c;
            break;
        case R_MAX:
            list = lists + at->a;
            sum = value[list[0]];
            for (i = 1; i < n; i++)
                if (value[list[i]] > sum)
                    sum = value[list[i]];
            *out = sum;
            break;
        case R_SHIFT:
            for (i = 0; i < n; i++)
                out[i] = a[i * a_step] - b[i * b_step];
            break;
        case R_RELU:
            for (i = 0; i < n; i++) {
                const double x = a[i * a_step];
                out[i] = x > 0.0 ? x : 0.0;
                slope[i] = x > 0.0 ? 1.0 : 0.0;
            }
            break;
        case R_DOT:
            dots(at, (size_t)at->together, value);
            at += at->together - 1;
            break;
        case R_DOT_LIST:
            list = lists + at->a;
            sum = value[at->start];
            for (i = 0; i < n; i++)
                sum += value[list[2 * i]] * value[list[2 * i + 1]];
            *out = sum;
            break;
        case R_SUM:
            sum = value[at->start];
            for (i = 0; i < n; i++)
                sum += a[i];
            *out = sum;
            break;
        case R_SUM_LIST:
            list = lists + at->a;
            sum = value[at->start];
            for (i = 0; i < n; i++)
                sum += value[list[i]];
            *out = sum;
            break;
        default:
            if (functions(at->op, n, c, a, a_step, out, slope) < 0)
                return -1;
        }
    }
    return 0;
}

/* a[i] += a_factors[i] * g, b[i] += b_factors[i] * g: a and b are the same or apart. */
static void receive(size_t n, double *a, const double *a_factors, double *b, const double *b_factors, double g)
{
    size_t i;
    for (i = 0; i + LANES <= n; i += LANES) {
        store(a + i, load(a + i) + load(a_factors + i) * broadcast(g));
        store(b + i, load(b + i) + load(b_factors + i) * broadcast(g));
    }
    for (; i < n; i++) {
        a[i] += a_factors[i] * g;
        b[i] += b_factors[i] * g;
    }
}

static void backward(const Instruction *program, size_t size, const double *restrict value, const double *restrict deriv,
                     double *grad)
{
    const Instruction *at, *end = program + size;
    for (at = program; at < end; at++) {
        const size_t n = (size_t)at->n;
        double *const a = grad + at->a, *const b = grad + at->b;
        const double *const g = grad + at->out;
        size_t i;
        switch (at->op) {
        case R_BACK_ADD:
            if (at->a_step && at->b_step) {
                for (i = 0; i < n; i++)
                    a[i] += g[i];
                for (i = 0; i < n; i++)
                    b[i] += g[i];
            } else
                for (i = 0; i < n; i++) {
                    a[i * (size_t)at->a_step] += g[i];
                    b[i * (size_t)at->b_step] += g[i];
                }
            break;
        case R_BACK_MUL:
            if (at->a_step && at->b_step) {
                for (i = 0; i < n; i++)
                    a[i] += value[at->b + i] * g[i];
                for (i = 0; i < n; i++)
                    b[i] += value[at->a + i] * g[i];
            } else
                for (i = 0; i < n; i++) {
                    a[i * (size_t)at->a_step] += value[at->b + i * (size_t)at->b_step] * g[i];
                    b[i * (size_t)at->b_step] += value[at->a + i * (size_t)at->a_step] * g[i];
                }
            break;
        case R_BACK_C:
            for (i = 0; i < n; i++)
                a[i * (size_t)at->a_step] += at->number * g[i];
            break;
        case R_BACK_F:
            for (i = 0; i < n; i++)
                a[i * (size_t)at->a_step] += deriv[at->out + i] * g[i];
            break;
        case R_BACK_SUM:
            for (i = 0; i < n; i++)
                a[i] += *g;
            break;
        default: /* R_BACK_DOT, R_BACK_ROWS */
            receive(n, a, value + at->b, b, value + at->a, *g);
        }
    }
}

const ReplayKernels KERNELS = {forward, backward};
#endif
