/* Adam over contiguous arrays, one implementation per instruction set, all with the bits of the interpreted script. */
#ifndef MICROGPT_ADAM_H
#define MICROGPT_ADAM_H

#include "isa.h"

typedef struct {
    double lr;            /* learning rate of this step */
    double beta1, beta2;  /* decay of the two moments */
    double one_minus_beta1, one_minus_beta2;
    double bias1, bias2;  /* 1 - beta1**t, 1 - beta2**t; t counts from 1 */
    double eps;
} AdamStep;

typedef struct {
    void (*update)(const AdamStep *step, size_t n, const double *grad, double *m, double *v, double *data);
    int (*may_overflow)(size_t n, const double *grad);      /* some finite gradient may be too large to be squared */
    void (*power_two)(size_t n, const double *x, double *out);  /* x ** 2.0 as Python has it */
    void (*power_half)(size_t n, const double *x, double *out); /* x ** 0.5, x not negative */
} AdamKernels;

KERNEL_TABLES(AdamKernels, adam_kernels, adam)

/* What the script would raise in a step, at the first parameter that makes it: the square of a gradient is past the range, or
   eps and a second moment are 0. (1 is FUSED_LOG_OF_ZERO.) */
enum { ADAM_OK = 0, ADAM_OVERFLOW = 2, ADAM_ZERO_DIVISION = 3 };
int adam_check(const AdamKernels *kernels, const AdamStep *step, size_t n, const double *grad, const double *v);

#endif
