/* Where everything lies in memory. */
#include "fused.h"

#include <math.h>

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
} Bump;

static void *bump_alloc(Bump *bump, size_t rows, size_t bytes_per_row)
{
    const size_t limit = SIZE_MAX / 4, start = bump->used;
    size_t bytes;
    if (bytes_per_row != 0 && rows > limit / bytes_per_row)
        bump->overflow = 1;
    if (bump->overflow)
        return NULL;
    bytes = (rows * bytes_per_row + 63) / 64 * 64;
    if (bytes > limit - start)
        bump->overflow = 1;
    else
        bump->used = start + bytes;
    return bump->memory != NULL && !bump->overflow ? bump->memory + start : NULL;
}

static void place_layer(Bump *bump, const Sizes *sizes, size_t ld, Layer *layer)
{
    const size_t d = sizes->width, row = ld * sizeof(double);
    layer->input = bump_alloc(bump, d, row);
    layer->normed = bump_alloc(bump, d, row);
    layer->qkv = bump_alloc(bump, 3 * d, row);
    layer->exps = bump_alloc(bump, sizes->heads, ld * row);
    layer->totals = bump_alloc(bump, sizes->heads, row);
    layer->inverse = bump_alloc(bump, sizes->heads, row);
    layer->attended = bump_alloc(bump, d, row);
    layer->middle = bump_alloc(bump, d, row);
    layer->middle_normed = bump_alloc(bump, d, row);
    layer->hidden = bump_alloc(bump, 4 * d, row);
    layer->norm.base = bump_alloc(bump, 1, row);
    layer->norm.scale = bump_alloc(bump, 1, row);
    layer->middle_norm.base = bump_alloc(bump, 1, row);
    layer->middle_norm.scale = bump_alloc(bump, 1, row);
}

size_t workspace_place(const Sizes *sizes, size_t positions, size_t members, void *memory, Workspace *work)
{
    Bump bump = {memory, 0, positions > SIZE_MAX / 64 / members};
    const size_t ld = padded_to_widest(positions), row = ld * sizeof(double), d = sizes->width;
    Layer unplaced;
    work->layers = bump_alloc(&bump, sizes->layers, sizeof(Layer));
    for (size_t l = 0; l < sizes->layers && !bump.overflow; l++)
        place_layer(&bump, sizes, ld, memory != NULL ? &work->layers[l] : &unplaced);
    work->embedded = bump_alloc(&bump, d, row);
    work->embedded_norm.base = bump_alloc(&bump, 1, row);
    work->embedded_norm.scale = bump_alloc(&bump, 1, row);
    work->output = bump_alloc(&bump, d, row);
    work->logits = bump_alloc(&bump, sizes->vocab, row);
    work->totals = bump_alloc(&bump, 1, row);
    work->inverse = bump_alloc(&bump, 1, row);
    work->probs = bump_alloc(&bump, 1, row);
    work->target_grads = bump_alloc(&bump, 1, row);
    work->weights = bump_alloc(&bump, members * ld, row);
    work->weight_grads = bump_alloc(&bump, members * ld, row);
    work->transposed = bump_alloc(&bump, members * ld, row);
    work->grad_a = bump_alloc(&bump, d, row);
    work->grad_b = bump_alloc(&bump, d, row);
    work->grad_hidden = bump_alloc(&bump, 4 * d, row);
    work->grad_qkv = bump_alloc(&bump, 3 * d, row);
    work->ordered_qkv = bump_alloc(&bump, 3 * d, d * sizeof(double));
    work->deriv = bump_alloc(&bump, sizes->heads, row);
    work->row_stride = padded_to_widest(4 * d);
    work->rows = bump_alloc(&bump, ld, work->row_stride * sizeof(double));
    work->mean_factor = mean_factor(sizes);
    work->score_factor = score_factor(sizes);
    return bump.overflow ? 0 : bump.used;
}

size_t generator_place(const Sizes *sizes, void *memory, Generator *gen)
{
    Bump bump = {memory, 0, sizes->block > SIZE_MAX / 64};
    const size_t d = sizes->width, block = padded_to_widest(sizes->block), item = sizeof(double);
    gen->transposed = bump_alloc(&bump, sizes->layers, transposed_layer_size(sizes) * item);
    /* directly behind: the layers fill whole cache lines */
    (void)bump_alloc(&bump, d, padded_to_widest(sizes->vocab) * item);
    gen->keys = bump_alloc(&bump, sizes->layers, d * block * item);
    gen->values = bump_alloc(&bump, sizes->layers, d * block * item);
    (void)bump_alloc(&bump, 1, POSITIONS_PADDING * item); /* a register read at the last features reaches here */
    gen->x = bump_alloc(&bump, 1, padded_to_widest(d) * item);
    gen->normed = bump_alloc(&bump, 1, padded_to_widest(d) * item);
    gen->qkv = bump_alloc(&bump, 1, padded_to_widest(3 * d) * item);
    gen->attended = bump_alloc(&bump, 1, padded_to_widest(d) * item);
    gen->hidden = bump_alloc(&bump, 1, padded_to_widest(4 * d) * item);
    gen->logits = bump_alloc(&bump, 1, padded_to_widest(sizes->vocab) * item);
    gen->spare = bump_alloc(&bump, 1, padded_to_widest(sizes->vocab) * item);
    gen->first = bump_alloc(&bump, 1, padded_to_widest(sizes->vocab) * item);
    gen->weights = bump_alloc(&bump, sizes->heads, block * item);
    gen->mean_factor = mean_factor(sizes);
    gen->score_factor = score_factor(sizes);
    return bump.overflow ? 0 : bump.used;
}
