/* Loops over the rows of a matrix, rows x n, and a vector of n. Every sum runs in the script's order; what goes on side by side
   are rows in `products` and elements elsewhere. */
#include "rows.h"

#ifdef LANES

#include "vectors_body.h"

#include "transpose_body.h"

enum { SIDE = 8 }; /* sums at once, enough to hide the latency of an addition */

#if LANES >= 4
/* Adds to the sums of SIDE rows, each in a lane of its own, the terms of a whole number of registers: squares of them are
   transposed on the way. Gives how many terms that were. */
INLINE size_t add_squares(size_t n, const double *rows, const double *shared, double *sums)
{
    size_t i, k, r;
    for (r = 0; r < SIDE; r += LANES) {
        double columns[LANES * LANES];
        Vec sum = broadcast(0.0);
        for (i = 0; i + LANES <= n; i += LANES) {
            transpose_square(rows + r * n + i, n, columns, LANES, LANES);
            for (k = 0; k < LANES; k++)
                sum += load(columns + k * LANES) * broadcast(shared[i + k]);
        }
        store(sums + r, sum);
    }
    return n / LANES * LANES;
}
#endif

static void products(size_t n, size_t n_rows, const double *restrict rows, const double *restrict shared,
                     double *restrict results)
{
    size_t i, k, row;
    for (row = 0; row + SIDE <= n_rows; row += SIDE, rows += SIDE * n) {
        double sums[SIDE] = {0.0};
        i = 0;
#if LANES >= 4
        if (n >= LANES)
            i = add_squares(n, rows, shared, sums);
#endif
        for (; i < n; i++)
            for (k = 0; k < SIDE; k++)
                sums[k] += rows[k * n + i] * shared[i];
        for (k = 0; k < SIDE; k++)
            results[row + k] = sums[k];
    }
    for (; row < n_rows; row++, rows += n) {
        double sum = 0.0;
        for (i = 0; i < n; i++)
            sum += rows[i] * shared[i];
        results[row] = sum;
    }
}

static void axpy(size_t n, double grad, double *restrict grads, const double *restrict factors)
{
    size_t i;
    for (i = 0; i < n; i++)
        grads[i] += factors[i] * grad;
}

static void axpy_pair(size_t n, double grad, double *restrict row_grads, const double *restrict shared,
                      double *restrict shared_grads, const double *restrict row)
{
    size_t i;
    for (i = 0; i < n; i++) {
        row_grads[i] += shared[i] * grad;
        shared_grads[i] += row[i] * grad;
    }
}

const RowKernels KERNELS = {products, axpy, axpy_pair};
#endif
