/* One position at a time, with the keys (features x positions) and values (positions x features) of those before. Activations are
   plain vectors; lanes lie along the rows of the matrices, which are transposed once, before the first token. */
#include "largest.h"

/* C registers of y[i] = sum over s, in order, of x[s] * b[s][i]; the rows of b are `step` apart. */
INLINE void row_registers(const size_t C, size_t depth, const double *x, const double *b, size_t step, double *y)
{
    Vec sums[8];
    for (size_t i = 0; i < C; i++)
        sums[i] = broadcast(0.0);
    for (size_t s = 0; s < depth; s++, b += step) {
        const Vec factor = broadcast(x[s]);
        _Pragma("GCC unroll 8") for (size_t i = 0; i < C; i++) sums[i] += factor * load(b + i * LANES);
    }
    for (size_t i = 0; i < C; i++)
        store(y + i * LANES, sums[i]);
}

/* The same for as many registers as the columns need. As many sums as can be are taken together: each waits for itself. */
static void multiply_row(size_t columns, size_t depth, const double *x, const double *b, size_t step, double *y)
{
    size_t i = 0;
    for (; i + 7 * LANES < columns; i += 8 * LANES)
        row_registers(8, depth, x, b + i, step, y + i);
    for (; i + 3 * LANES < columns; i += 4 * LANES)
        row_registers(4, depth, x, b + i, step, y + i);
    for (; i + LANES < columns; i += 2 * LANES)
        row_registers(2, depth, x, b + i, step, y + i);
    for (; i < columns; i += LANES)
        row_registers(1, depth, x, b + i, step, y + i);
}

/* y = w x for one position; transposed is w transposed, columns x rows, its rows padded. */
static void linear_transposed(size_t rows, size_t columns, const double *transposed, const double *x, double *y)
{
    multiply_row(rows, columns, x, transposed, padded_to_widest(rows), y);
}

static void normalise_one(size_t width, double mean_factor, const double *x, double *out)
{
    double sum = 0.0;
    Vec scale;
    for (size_t j = 0; j < width; j++)
        sum += x[j] * x[j];
    scale = broadcast(one_power_m05(sum * mean_factor + 1e-5));
    for (size_t j = 0; j < width; j += LANES)
        store(out + j, load(x + j) * scale);
}

/* x * factor minus its maximum; zeros behind it, to fill the register. Lane by lane, as maxima may be taken in any order: a nan
   that gets lost on the way makes the sum of the exps nan all the same. */
static void scale_and_subtract_max(size_t n, double factor, double *x)
{
    double lanes[LANES];
    const Vec first = broadcast(x[0]) * broadcast(factor);
    Vec max = first;
    for (size_t i = 0; i < n; i += LANES) {
        const Vec scaled = blend(lanes_from(min_size(n - i, LANES)), first, load(x + i) * broadcast(factor));
        store(x + i, scaled);
        max = blend(greater(scaled, max), scaled, max);
    }
    store(lanes, max);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
    for (size_t i = 0; i < n; i += LANES)
        store(x + i, zero_unless(load(x + i) + broadcast(-lanes[0]), ~lanes_from(min_size(n - i, LANES))));
}

static double sum_in_order(size_t n, const double *x)
{
    double total = 0.0;
    for (size_t i = 0; i < n; i++)
        total += x[i];
    return total;
}

/* softmax(x * factor) in place of `count` rows of n numbers, each row `stride` (a multiple of LANES) behind the one before. All
   rows together, so that the waiting times of one are filled by the others. */
static void softmax_rows(size_t count, size_t n, size_t stride, double factor, double *x)
{
    for (size_t r = 0; r < count; r++)
        scale_and_subtract_max(n, factor, x + r * stride);
    exp_each(count * stride, x, x);
    for (size_t r = 0; r < count; r++) {
        const Vec inverse = broadcast(one_power_m1(sum_in_order(n, x + r * stride)));
        for (size_t i = 0; i < n; i += LANES)
            store(x + r * stride + i, load(x + r * stride + i) * inverse);
    }
}

/* All heads at position p: keys are features x positions, values positions x features. */
static void attend_one(const Sizes *sizes, size_t p, const double *keys, const double *values, Generator *gen)
{
    const size_t d = sizes->width, head_dim = d / sizes->heads, block = padded_to_widest(sizes->block);
    const size_t stride = padded_to_lanes(p + 1);
    for (size_t h = 0; h < sizes->heads; h++)
        multiply_row(p + 1, head_dim, gen->qkv + h * head_dim, keys + h * head_dim * block, block, gen->weights + h * stride);
    softmax_rows(sizes->heads, p + 1, stride, gen->score_factor, gen->weights);
    /* What a head's last register writes beyond it is overwritten by the next head; behind the last one is gen->hidden. */
    for (size_t h = 0; h < sizes->heads; h++)
        multiply_row(head_dim, p + 1, gen->weights + h * stride, values + h * head_dim, d, gen->attended + h * head_dim);
}

static void layer_one(const Sizes *sizes, size_t p, const double *transposed, double *keys, double *values, Generator *gen)
{
    const size_t d = sizes->width, block = padded_to_widest(sizes->block);
    const double *wo = transposed + d * padded_to_widest(3 * d), *fc1 = wo + d * padded_to_widest(d);
    const double *fc2 = fc1 + d * padded_to_widest(4 * d);
    normalise_one(d, gen->mean_factor, gen->x, gen->normed);
    linear_transposed(3 * d, d, transposed, gen->normed, gen->qkv);
    for (size_t j = 0; j < d; j++)
        keys[j * block + p] = gen->qkv[d + j];
    memcpy(values + p * d, gen->qkv + 2 * d, d * sizeof(double));
    attend_one(sizes, p, keys, values, gen);
    linear_transposed(d, d, wo, gen->attended, gen->normed);
    add_each(d, gen->normed, gen->x);
    normalise_one(d, gen->mean_factor, gen->x, gen->normed);
    linear_transposed(4 * d, d, fc1, gen->normed, gen->hidden);
    relu_each(4 * d, gen->hidden);
    linear_transposed(d, 4 * d, fc2, gen->hidden, gen->normed);
    add_each(d, gen->normed, gen->x);
}

/* Transposes the matrices; the wq, wk and wv of a layer become one. */
static void generate_start(const Sizes *sizes, const double *params, Generator *gen)
{
    const Layout at = layout_of(sizes);
    const size_t d = sizes->width, size = transposed_layer_size(sizes);
    for (size_t l = 0; l < sizes->layers; l++) {
        const double *layer = params + l * at.layer_size;
        double *to = gen->transposed + l * size;
        transpose(3 * d, d, layer + at.attn_wq, d, to, padded_to_widest(3 * d));
        to += d * padded_to_widest(3 * d);
        transpose(d, d, layer + at.attn_wo, d, to, padded_to_widest(d));
        to += d * padded_to_widest(d);
        transpose(4 * d, d, layer + at.mlp_fc1, d, to, padded_to_widest(4 * d));
        to += d * padded_to_widest(4 * d);
        transpose(d, 4 * d, layer + at.mlp_fc2, 4 * d, to, padded_to_widest(d));
    }
    transpose(sizes->vocab, d, params + at.lm_head, d, gen->transposed + sizes->layers * size,
              padded_to_widest(sizes->vocab));
}

/* The logits after `token` at position p, into gen->logits. */
static void generate_step(const Sizes *sizes, const double *params, size_t token, size_t p, Generator *gen)
{
    const Layout at = layout_of(sizes);
    const size_t d = sizes->width, block = padded_to_widest(sizes->block), size = transposed_layer_size(sizes);
    for (size_t j = 0; j < d; j += LANES)
        store(gen->normed + j, load(params + at.wte + token * d + j) + load(params + at.wpe + p * d + j));
    normalise_one(d, gen->mean_factor, gen->normed, gen->x);
    for (size_t l = 0; l < sizes->layers; l++)
        layer_one(sizes, p, gen->transposed + l * size, gen->keys + l * d * block, gen->values + l * d * block, gen);
    linear_transposed(sizes->vocab, d, gen->transposed + sizes->layers * size, gen->x, gen->logits);
}

/* Logits into weights of the next token: softmax of logits * inverse_temperature; with 0 < top_k only the top_k largest
   keep their weight, of equal ones the first. */
static void generate_weights(size_t vocab, double inverse_temperature, size_t top_k, Generator *gen)
{
    softmax_rows(1, vocab, padded_to_lanes(vocab), inverse_temperature, gen->logits);
    if (top_k > 0 && top_k < vocab)
        keep_largest(vocab, top_k, gen->logits, gen->spare);
}
