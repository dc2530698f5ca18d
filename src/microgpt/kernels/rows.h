/* Dot products of the rows of a matrix with one vector, forward and backward, a kernel for each instruction set. */
#ifndef MICROGPT_ROWS_H
#define MICROGPT_ROWS_H

#include <stddef.h>

typedef struct {
    /* results[r] = ((0 + rows[r][0] * shared[0]) + rows[r][1] * shared[1]) + ..., rows of n elements one after another */
    void (*products)(size_t n, size_t n_rows, const double *rows, const double *shared, double *results);
    /* grads[i] += factors[i] * grad */
    void (*receive)(size_t n, double grad, double *grads, const double *factors);
    /* the same for a row and the shared vector, whose gradients and factors are four arrays apart */
    void (*receive_both)(size_t n, double grad, double *row_grads, const double *shared, double *shared_grads, const double *row);
} RowKernels;

/* Of an instruction set in isa.h. */
const RowKernels *row_kernels(int isa);

#endif
