/* Adam over contiguous arrays, one implementation per instruction set, all with the bits of the interpreted script. */
#ifndef MICROGPT_ADAM_H
#define MICROGPT_ADAM_H

#include <stddef.h>

enum { ADAM_CHUNK = 256 }; /* most parameters a call: its temporaries stay in the first-level cache */

typedef struct {
    double lr;            /* learning rate of this step */
    double beta1, beta2;  /* decay of the two moments */
    double rest1, rest2;  /* 1 - beta1, 1 - beta2 */
    double bias1, bias2;  /* 1 - beta1**t, 1 - beta2**t; t counts from 1 */
    double eps;
} AdamStep;

typedef struct {
    const char *name; /* as in MICROGPT_ISA */
    void (*update)(const AdamStep *step, size_t n, const double *grad, double *m, double *v, double *data);
    void (*square)(size_t n, const double *x, double *out); /* x ** 2.0 as Python has it */
    void (*root)(size_t n, const double *x, double *out);   /* x ** 0.5, x not negative */
} AdamKernels;

/* The kernels of this name, NULL if there are none of it or this CPU cannot run them; the best ones for NULL. */
const AdamKernels *adam_kernels(const char *name);

#endif
