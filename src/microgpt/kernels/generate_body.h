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
    double sum = 0.0, base[LANES] = {0}, scale[LANES];
    for (size_t j = 0; j < width; j++)
        sum += x[j] * x[j];
    base[0] = sum * mean_factor + 1e-5;
    power_m05_each(1, base, scale);
    for (size_t j = 0; j < width; j++)
        out[j] = x[j] * scale[0];
}

/* x minus its maximum; zeros behind it, to fill the register. Lane by lane, as maxima may be taken in any order: a nan that gets
   lost on the way makes the sum of the exps nan all the same. */
static void subtract_max(size_t n, double *x)
{
    double lanes[LANES];
    Vec max;
    for (size_t i = n; i % LANES != 0; i++)
        x[i] = x[0];
    max = load(x);
    for (size_t i = LANES; i < n; i += LANES)
        max = blend(greater(load(x + i), max), load(x + i), max);
    store(lanes, max);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
    for (size_t i = 0; i < n; i += LANES)
        store(x + i, load(x + i) + broadcast(-lanes[0]));
    for (size_t i = n; i % LANES != 0; i++)
        x[i] = 0.0;
}

static double sum_in_order(size_t n, const double *x)
{
    double total = 0.0;
    for (size_t i = 0; i < n; i++)
        total += x[i];
    return total;
}

/* Softmax in place of `count` rows of n numbers, each row `stride` (a multiple of LANES) behind the one before. All rows
   together, so that the waiting times of one are filled by the others. totals, inverse: room for count numbers, padded. */
static void softmax_rows(size_t count, size_t n, size_t stride, double *x, double *totals, double *inverse)
{
    for (size_t r = 0; r < count; r++)
        subtract_max(n, x + r * stride);
    exp_each(count * stride, x, x);
    for (size_t r = 0; r < count; r++)
        totals[r] = sum_in_order(n, x + r * stride);
    power_m1_each(count, totals, inverse);
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < n; i++)
            x[r * stride + i] *= inverse[r];
}

/* All heads at position p: keys are features x positions, values positions x features. */
static void attend_one(const Sizes *sizes, size_t p, const double *keys, const double *values, Generator *gen)
{
    const size_t d = sizes->width, head_dim = d / sizes->heads, block = padded_to_widest(sizes->block);
    const size_t stride = padded_to_lanes(p + 1);
    for (size_t h = 0; h < sizes->heads; h++) {
        double *scores = gen->weights + h * stride;
        multiply_row(p + 1, head_dim, gen->qkv + h * head_dim, keys + h * head_dim * block, block, scores);
        for (size_t t = 0; t <= p; t++)
            scores[t] *= gen->score_factor;
    }
    softmax_rows(sizes->heads, p + 1, stride, gen->weights, gen->totals, gen->inverse);
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
    for (size_t j = 0; j < d; j++)
        gen->x[j] += gen->normed[j];
    normalise_one(d, gen->mean_factor, gen->x, gen->normed);
    linear_transposed(4 * d, d, fc1, gen->normed, gen->hidden);
    for (size_t j = 0; j < 4 * d; j++)
        gen->hidden[j] = gen->hidden[j] > 0.0 ? gen->hidden[j] : 0.0;
    linear_transposed(d, 4 * d, fc2, gen->hidden, gen->normed);
    for (size_t j = 0; j < d; j++)
        gen->x[j] += gen->normed[j];
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
    for (size_t j = 0; j < d; j++)
        gen->normed[j] = params[at.wte + token * d + j] + params[at.wpe + p * d + j];
    normalise_one(d, gen->mean_factor, gen->normed, gen->x);
    for (size_t l = 0; l < sizes->layers; l++)
        layer_one(sizes, p, gen->transposed + l * size, gen->keys + l * d * block, gen->values + l * d * block, gen);
    linear_transposed(sizes->vocab, d, gen->transposed + sizes->layers * size, gen->x, gen->logits);
}

/* Logits into weights of the next token: softmax of logits * inverse_temperature; with 0 < top_k only the top_k largest
   keep their weight, of equal ones the first. */
static void generate_weights(size_t vocab, double inverse_temperature, size_t top_k, Generator *gen)
{
    for (size_t o = 0; o < vocab; o++)
        gen->logits[o] *= inverse_temperature;
    softmax_rows(1, vocab, padded_to_lanes(vocab), gen->logits, gen->totals, gen->inverse);
    if (top_k > 0 && top_k < vocab)
        keep_largest(vocab, top_k, gen->logits, gen->spare);
}
