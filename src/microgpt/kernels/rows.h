/* Dot products of the rows of a matrix with one vector, forward and backward, a kernel for each instruction set. */
#ifndef MICROGPT_ROWS_H
#define MICROGPT_ROWS_H

#include "isa.h"

typedef struct {
    /* results[r] = ((0 + rows[r][0] * shared[0]) + rows[r][1] * shared[1]) + ..., rows of n elements one after another */
    void (*products)(size_t n, size_t n_rows, const double *rows, const double *shared, double *results);
    /* grads[i] += factors[i] * grad */
    void (*axpy)(size_t n, double grad, double *grads, const double *factors);
    /* the same for a row and the shared vector, each with the other's numbers as factors */
    void (*axpy_pair)(size_t n, double grad, double *row_grads, const double *shared, double *shared_grads,
                      const double *row);
} RowKernels;

KERNEL_TABLES(RowKernels, row_kernels, rows)

#endif
