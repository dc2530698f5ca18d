/* Where everything lies in memory, and the table of kernels for each instruction set. */
#include "fused.h"
#include "isa.h"
#include "largest.h"

#include <math.h>

static size_t positions_padded(size_t n) { return (n + POSITIONS_PADDING - 1) / POSITIONS_PADDING * POSITIONS_PADDING; }

Layout layout_of(const Sizes *sizes)
{
    const size_t d = sizes->width, square = d * d;
    Layout at;
    at.wte = 0;
    at.wpe = sizes->vocab * d;
    at.lm_head = at.wpe + sizes->block * d;
    at.attn_wq = at.lm_head + sizes->vocab * d;
    at.attn_wk = at.attn_wq + square;
    at.attn_wv = at.attn_wk + square;
    at.attn_wo = at.attn_wv + square;
    at.mlp_fc1 = at.attn_wo + square;
    at.mlp_fc2 = at.mlp_fc1 + 4 * square;
    at.layer_size = 12 * square;
    at.total = at.attn_wq + sizes->layers * at.layer_size;
    return at;
}

static double mean_factor(const Sizes *sizes) { return pow((double)sizes->width, -1.0); }

static double score_factor(const Sizes *sizes) { return pow(pow((double)(sizes->width / sizes->heads), 0.5), -1.0); }

/* Hands out pieces of one allocation, each on a cache line of its own; without memory it only counts. */
typedef struct {
    char *memory;
    size_t used;
    int overflow;
} Carver;

static void *carve(Carver *carver, size_t rows, size_t bytes_per_row)
{
    const size_t most = SIZE_MAX / 4, start = carver->used;
    size_t bytes;
    if (bytes_per_row != 0 && rows > most / bytes_per_row)
        carver->overflow = 1;
    if (carver->overflow)
        return NULL;
    bytes = (rows * bytes_per_row + 63) / 64 * 64;
    if (bytes > most - start)
        carver->overflow = 1;
    else
        carver->used = start + bytes;
    return carver->memory != NULL && !carver->overflow ? carver->memory + start : NULL;
}

static void place_layer(Carver *carver, const Sizes *sizes, size_t ld, Layer *layer)
{
    const size_t d = sizes->width, row = ld * sizeof(double);
    layer->input = carve(carver, d, row);
    layer->normed = carve(carver, d, row);
    layer->qkv = carve(carver, 3 * d, row);
    layer->exps = carve(carver, sizes->heads, ld * row);
    layer->totals = carve(carver, sizes->heads, row);
    layer->inverse = carve(carver, sizes->heads, row);
    layer->attended = carve(carver, d, row);
    layer->middle = carve(carver, d, row);
    layer->middle_normed = carve(carver, d, row);
    layer->hidden = carve(carver, 4 * d, row);
    layer->norm.base = carve(carver, 1, row);
    layer->norm.scale = carve(carver, 1, row);
    layer->middle_norm.base = carve(carver, 1, row);
    layer->middle_norm.scale = carve(carver, 1, row);
}

size_t workspace_place(const Sizes *sizes, size_t positions, void *memory, Workspace *work)
{
    Carver carver = {memory, 0, positions > SIZE_MAX / 64};
    const size_t ld = positions_padded(positions), row = ld * sizeof(double), d = sizes->width;
    Layer unplaced;
    work->layers = carve(&carver, sizes->layers, sizeof(Layer));
    for (size_t l = 0; l < sizes->layers && !carver.overflow; l++)
        place_layer(&carver, sizes, ld, memory != NULL ? &work->layers[l] : &unplaced);
    work->embedded = carve(&carver, d, row);
    work->embedded_norm.base = carve(&carver, 1, row);
    work->embedded_norm.scale = carve(&carver, 1, row);
    work->output = carve(&carver, d, row);
    work->logits = carve(&carver, sizes->vocab, row);
    work->totals = carve(&carver, 1, row);
    work->inverse = carve(&carver, 1, row);
    work->probs = carve(&carver, 1, row);
    work->target_grads = carve(&carver, 1, row);
    work->weights = carve(&carver, ld, row);
    work->weight_grads = carve(&carver, ld, row);
    work->turned = carve(&carver, ld, row);
    work->grad_a = carve(&carver, d, row);
    work->grad_b = carve(&carver, d, row);
    work->grad_hidden = carve(&carver, 4 * d, row);
    work->grad_qkv = carve(&carver, 3 * d, row);
    work->ordered_qkv = carve(&carver, 3 * d, d * sizeof(double));
    work->slope = carve(&carver, sizes->heads, row);
    work->row_stride = positions_padded(4 * d);
    work->rows = carve(&carver, ld, work->row_stride * sizeof(double));
    work->mean_factor = mean_factor(sizes);
    work->score_factor = score_factor(sizes);
    return carver.overflow ? 0 : carver.used;
}

static size_t turned_layer_size(const Sizes *sizes)
{
    const size_t d = sizes->width;
    return d * (positions_padded(3 * d) + positions_padded(d) + positions_padded(4 * d)) + 4 * d * positions_padded(d);
}

size_t generator_place(const Sizes *sizes, void *memory, Generator *gen)
{
    Carver carver = {memory, 0, sizes->block > SIZE_MAX / 64};
    const size_t d = sizes->width, block = positions_padded(sizes->block), item = sizeof(double);
    gen->turned = carve(&carver, sizes->layers, turned_layer_size(sizes) * item);
    /* directly behind: the layers fill whole cache lines */
    (void)carve(&carver, d, positions_padded(sizes->vocab) * item);
    gen->keys = carve(&carver, sizes->layers, d * block * item);
    gen->values = carve(&carver, sizes->layers, d * block * item);
    (void)carve(&carver, 1, POSITIONS_PADDING * item); /* a register read at the last features reaches here */
    gen->x = carve(&carver, 1, positions_padded(d) * item);
    gen->normed = carve(&carver, 1, positions_padded(d) * item);
    gen->qkv = carve(&carver, 1, positions_padded(3 * d) * item);
    gen->attended = carve(&carver, 1, positions_padded(d) * item);
    gen->hidden = carve(&carver, 1, positions_padded(4 * d) * item);
    gen->logits = carve(&carver, 1, positions_padded(sizes->vocab) * item);
    gen->spare = carve(&carver, 1, positions_padded(sizes->vocab) * item);
    gen->weights = carve(&carver, sizes->heads, block * item);
    gen->totals = carve(&carver, 1, positions_padded(sizes->heads) * item);
    gen->inverse = carve(&carver, 1, positions_padded(sizes->heads) * item);
    gen->mean_factor = mean_factor(sizes);
    gen->score_factor = score_factor(sizes);
    return carver.overflow ? 0 : carver.used;
}

/* ---- types of the bodies that do not depend on the instruction set ---- */

/* See product_body.h. */
typedef struct {
    size_t rows, columns, depth;
    const double *a;
    ptrdiff_t a_row, a_step; /* from a[r][s] to a[r + 1][s], and to a[r][s + 1] */
    const double *b;
    ptrdiff_t b_step;        /* from b[s][i] to b[s + 1][i]; b[s][i + 1] is the neighbour. Read up to a whole register. */
    double *c;
    ptrdiff_t c_row;
    int accumulate;          /* begin with c */
    int exact_columns;       /* write no element of c beyond `columns`; otherwise whole registers are written */
} Product;

/* One head of attention, see attention_body.h. */
typedef struct {
    size_t n, ld;     /* positions of the document, and padded */
    size_t head_dim;
    double factor;    /* of the scores: (head_dim ** 0.5) ** -1 */
    const double *q, *k, *v; /* head_dim x positions each */
} Head;

#define FAMILY fused
#define BODY "fused_body.h"
#include "each_isa.h"

#define KERNELS(set)                                                                                     \
    {fused_logits_##set, fused_padded_##set, fused_loss_##set, fused_backward_##set,               \
     fused_generate_start_##set, fused_generate_step_##set, fused_generate_weights_##set,                \
     {fused_power_m05_each_##set, fused_power_m1_each_##set, fused_power_m15_each_##set,                 \
      fused_power_m2_each_##set, fused_exp_each_##set}, fused_spin_##set}

static const FusedKernels kernels[] = {
    [ISA_BASELINE] = KERNELS(baseline),
#ifdef MICROGPT_X86
    [ISA_AVX2] = KERNELS(avx2),
    [ISA_AVX512] = KERNELS(avx512),
#endif
};

const FusedKernels *fused_kernels(int isa) { return &kernels[isa]; }
