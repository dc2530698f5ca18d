/* Replaying a recorded graph: two programs over arrays of doubles, a kernel for each instruction set.

   A slot is an index into three arrays: value, the number there; deriv, its derivative by its one operand where it has one;
   grad, d loss / d slot. An instruction works on n slots from `out` on, and on operands that stand side by side as well. */
#ifndef MICROGPT_REPLAY_H
#define MICROGPT_REPLAY_H

#include "isa.h"
#include <stdint.h>

/* Forward. a, b: the operands' first slots; c: `number`. */
enum {
    R_NOTHING,
    R_ADD,       /* a + b */
    R_MUL,       /* a * b */
    R_MUL_INT,   /* a * b of ints, which have no -0.0 */
    R_ADD_C,     /* a + c */
    R_MUL_C,     /* a * c */
    R_MAX,       /* the largest of n values: lists[a ...], as Python's max() finds it */
    R_SHIFT,     /* a - b */
    R_POW,       /* a ** c */
    R_RPOW,      /* c ** a */
    R_LOG,
    R_EXP,
    R_RELU,
    R_TANH,
    R_SIGMOID,
    R_SQRT,
    R_SIN,
    R_COS,
    R_ABS,
    R_SILU,
    R_GELU,
    R_GELU_TANH,
    R_DOT,       /* start + a0 * b0 + a1 * b1 ...: n terms */
    R_DOT_LIST,  /* the same, the pairs of slots at lists[a ...] */
    R_SUM,       /* start + a0 + a1 ... */
    R_SUM_LIST,
    /* Backward, each from the gradient g at `out`. */
    R_BACK_ADD,  /* a += g; b += g */
    R_BACK_MUL,  /* a += b * g; b += a * g */
    R_BACK_C,    /* a += c * g */
    R_BACK_F,    /* a += deriv * g */
    R_BACK_SUM,  /* each of n: a += g */
    R_BACK_DOT,  /* each of n terms: a += b * g; b += a * g */
    R_BACK_ROWS, /* R_BACK_DOT of the rows of a vector of logits: the target's row comes last, see `start` */
    R_COUNT
};

enum { MOST_TERMS = 1 << 24 }; /* Instruction.n is less */

/* 24 bytes: a program is read once a replay, and most often from a cache that is far away. */
typedef struct {
    uint32_t op : 6;
    uint32_t a_step : 1, b_step : 1; /* 1: a vector; 0: one operand for all */
    uint32_t n : 24;                 /* slots, or terms */
    int32_t out, a, b;
    union {
        double number;
        struct {
            int32_t start;    /* of a sum: the slot that it begins with. R_DOT: */
            int32_t together; /* how many dot products of as many terms follow, this one included; they are independent */
        };
    };
} Instruction;

typedef struct {
    /* 0, or -1 at the first number that needs Python's own care: an error, an overflow, a subnormal power. */
    int (*forward)(const Instruction *program, size_t n, const int32_t *lists, double *value, double *deriv);
    void (*backward)(const Instruction *program, size_t n, const double *value, const double *deriv, double *grad);
} ReplayKernels;

KERNEL_TABLES(ReplayKernels, replay_kernels, replay)

#endif
