/* Loops over the rows of a matrix, rows x n, and a vector of n. Every sum runs in the script's order; what goes on side by side
   are rows in `products` and elements elsewhere. */
#include "rows.h"

#ifdef LANES

#include "vectors_body.h"

#include "squares_body.h"

static void products(size_t n, size_t n_rows, const double *restrict rows, const double *restrict shared,
                     double *restrict results)
{
    size_t i, k, row;
    for (row = 0; row + SIDE <= n_rows; row += SIDE, rows += SIDE * n) {
        double sums[SIDE] = {0.0};
        for (i = add_squares(n, rows, shared, sums); i < n; i++)
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
