/* The whole GPT of the script in C: loss, gradients and logits, one implementation per instruction set with the same bits.

   Parameters, gradients and Adam's moments are arrays in the order of state_dict, every matrix row by row. Activations
   are matrices of positions: one row a feature, the positions of the document side by side (in SIMD lanes), padded to a
   multiple of the register's lanes. Positions beyond the document hold numbers nobody reads. */
#ifndef MICROGPT_FUSED_H
#define MICROGPT_FUSED_H

#include "isa.h"
#include "team.h"

#include <stdint.h>

enum { POSITIONS_PADDING = 8 }; /* rows are padded to a multiple of this, the widest register in doubles */

typedef struct {
    size_t vocab;  /* tokens */
    size_t layers;
    size_t width;  /* n_embd: features of the residual stream */
    size_t heads;  /* a divisor of width */
    size_t block;  /* block_size: the most positions */
} Sizes;

/* Where each matrix starts, counted in doubles from the first parameter. */
typedef struct {
    size_t wte, wpe, lm_head;               /* vocab x width, block x width, vocab x width */
    size_t attn_wq, attn_wk, attn_wv, attn_wo; /* width x width; of layer 0, the next layer is layer_size further */
    size_t mlp_fc1, mlp_fc2;                /* 4 width x width, width x 4 width; likewise */
    size_t layer_size, total;
} Layout;

/* What one rmsnorm leaves for the backward pass, a number a position each. */
typedef struct {
    double *base;  /* mean square + 1e-5 */
    double *scale; /* base ** -0.5 */
} Norm;

/* The activations of one layer; features x positions. */
typedef struct {
    double *input;           /* width: the residual stream as it enters */
    double *normed;          /* width */
    double *qkv;             /* 3 width: q, then k, then v */
    double *exps;            /* heads x panels of attention_body.h: e ** (score - max), 0 where t > p */
    double *totals, *inverse; /* heads: sum of exps over t, and total ** -1 */
    double *attended;        /* width: the heads' outputs */
    double *middle;          /* width: the residual stream between attention and MLP */
    double *middle_normed;   /* width */
    double *hidden;          /* 4 width: after relu */
    Norm norm, middle_norm;
} Layer;

/* All scratch memory of a training step or a loss: one allocation, carved up by workspace_place. */
typedef struct {
    Layer *layers;
    double *embedded;          /* width: token plus position embedding */
    Norm embedded_norm;
    double *output;            /* width: the residual stream that leaves the last layer */
    double *logits;            /* vocab: logits, then their exps, then their gradients */
    double *totals, *inverse;  /* of the exps */
    double *probs;             /* of the targets */
    double *target_grads;      /* of the targets' logits */
    /* temporary; the first three are panels of one head, for each member of a team */
    double *weights;           /* attention weights */
    double *weight_grads;
    double *transposed;
    double *grad_a, *grad_b;   /* width: gradient of the residual stream, and of what entered a linear */
    double *grad_hidden;       /* 4 width */
    double *grad_qkv;          /* 3 width, rows in the order in which backward comes to them */
    double *ordered_qkv;       /* 3 width x width: rows of wq, wk and wv in that order */
    double *deriv;             /* of a power or a softmax's total: one number a position, for each head */
    double *rows;              /* positions x 4 width: inputs of a linear, one row a position */
    size_t row_stride;         /* doubles from one of those rows to the next */
    /* constants of the model */
    double mean_factor;        /* width ** -1 */
    double score_factor;       /* (head_dim ** 0.5) ** -1 */
    Team *team;                /* who shares the work of a large model, or NULL */
} Workspace;

/* One document as the model sees it. */
typedef struct {
    const int32_t *tokens; /* positions + 1 of them: token p's target is token p + 1 */
    size_t positions;
} Document;

enum { FUSED_OK = 0, FUSED_LOG_OF_ZERO = 1 };

/* Keys and values of the positions so far, and the temporaries of one position, while text is generated. */
typedef struct {
    double *transposed;     /* every matrix of the layers and lm_head transposed, rows padded to POSITIONS_PADDING */
    double *keys;           /* layers x width x block, padded */
    double *values;         /* layers x block x width */
    double *x, *normed, *qkv, *attended, *hidden, *logits, *spare;
    double *first;          /* vocab: what the first token of every document is drawn from */
    double *weights;        /* of attention: heads x positions */
    double mean_factor, score_factor; /* as in Workspace */
} Generator;

typedef struct {
    /* Logits into work->logits, features x positions padded. */
    void (*logits)(const Sizes *, const double *params, const Document *, Workspace *);
    size_t (*padded_to_lanes)(size_t positions); /* of this set: the distance between rows of work->logits */
    /* The loss; FUSED_LOG_OF_ZERO when the probability of a target is 0. */
    int (*loss)(const Sizes *, const double *params, const Document *, Workspace *, double *loss);
    /* After loss(): the gradient of every parameter, written over what was in grads. */
    void (*backward)(const Sizes *, const double *params, const Document *, Workspace *, double *grads);
    /* Before the first token, and whenever parameters have changed. */
    void (*generate_start)(const Sizes *, const double *params, Generator *);
    /* The token at position p, after those before it: logits of the next one into gen->logits. */
    void (*generate_step)(const Sizes *, const double *params, size_t token, size_t p, Generator *);
    /* gen->logits into probabilities at a temperature; with top_k > 0 only the top_k largest are kept, others become 0. */
    void (*generate_weights)(size_t vocab, double inverse_temperature, size_t top_k, Generator *);
    /* For tests: x ** -0.5, x ** -1, x ** -1.5, x ** -2 and e ** x as the kernels take them, of arrays that are read and
       written up to a whole register; and the first two as they are taken of one number. */
    void (*functions[7])(size_t n, const double *x, double *out);
    double (*spin)(size_t depth); /* for benchmarks: see product_body.h */
} FusedKernels;

KERNEL_TABLES(FusedKernels, fused_kernels, fused)

/* Rows that every set reads: padded to the widest register, unlike padded_to_lanes() of fused_body.h. */
static inline size_t padded_to_widest(size_t n) { return (n + POSITIONS_PADDING - 1) / POSITIONS_PADDING * POSITIONS_PADDING; }

/* Of one layer in Generator.transposed, in doubles. */
static inline size_t transposed_layer_size(const Sizes *sizes)
{
    const size_t d = sizes->width;
    return d * (padded_to_widest(3 * d) + padded_to_widest(d) + padded_to_widest(4 * d)) + 4 * d * padded_to_widest(d);
}

Layout layout_of(const Sizes *sizes);

/* Places a workspace for up to `positions` and a team of up to `members` in memory (aligned to 64 bytes) and returns the bytes
   it takes; with memory NULL it only counts. 0 if they do not fit a size_t. */
size_t workspace_place(const Sizes *sizes, size_t positions, size_t members, void *memory, Workspace *work);
size_t generator_place(const Sizes *sizes, void *memory, Generator *gen);

#endif
