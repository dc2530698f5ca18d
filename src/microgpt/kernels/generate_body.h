/* One position at a time, with the keys and values of those before: lanes lie along the rows of the matrices, which are
   transposed once, before the first token. */

/* y = w x for one position; turned is w transposed, its rows padded. */
static void ISA(linear_turned)(size_t rows, size_t columns, const double *turned, const double *x, double *y)
{
    const Product product = {1, rows, columns, x, 0, 1, turned, (ptrdiff_t)positions_padded(rows), y, 0, 0, 0};
    ISA(multiply)(&product);
}

static void ISA(normalise_one)(size_t width, double mean_factor, const double *x, double *out)
{
    double sum = 0.0, base[LANES] = {0}, scale[LANES];
    for (size_t j = 0; j < width; j++)
        sum += x[j] * x[j];
    base[0] = sum * mean_factor + 1e-5;
    ISA(power_m05_each)(1, base, scale);
    for (size_t j = 0; j < width; j++)
        out[j] = x[j] * scale[0];
}

/* x minus its maximum; zeros behind it, to fill the register. */
static void ISA(below_maximum)(size_t n, double *x)
{
    double most = x[0];
    for (size_t i = 1; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < n; i++)
        x[i] += -most;
    for (size_t i = n; i % LANES != 0; i++)
        x[i] = 0.0;
}

static double ISA(sum)(size_t n, const double *x)
{
    double total = 0.0;
    for (size_t i = 0; i < n; i++)
        total += x[i];
    return total;
}

/* Softmax in place of `count` rows of n numbers, each row `stride` (a multiple of LANES) behind the one before. All rows
   together, so that the waiting times of one are filled by the others. totals, inverse: room for count numbers, padded. */
static void ISA(softmax_rows)(size_t count, size_t n, size_t stride, double *x, double *totals, double *inverse)
{
    for (size_t r = 0; r < count; r++)
        ISA(below_maximum)(n, x + r * stride);
    ISA(exp_each)(count * stride, x, x);
    for (size_t r = 0; r < count; r++)
        totals[r] = ISA(sum)(n, x + r * stride);
    ISA(power_m1_each)(count, totals, inverse);
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < n; i++)
            x[r * stride + i] *= inverse[r];
}

/* All heads at position p: keys are features x positions, values positions x features. */
static void ISA(attend_one)(const Sizes *sizes, size_t p, const double *keys, const double *values, Generator *gen)
{
    const size_t d = sizes->width, head_dim = d / sizes->heads, block = positions_padded(sizes->block);
    const size_t stride = ISA(padded)(p + 1);
    for (size_t h = 0; h < sizes->heads; h++) {
        double *scores = gen->weights + h * stride;
        const Product product = {1, p + 1, head_dim, gen->qkv + h * head_dim, 0, 1, keys + h * head_dim * block,
                                 (ptrdiff_t)block, scores, 0, 0, 0};
        ISA(multiply)(&product);
        for (size_t t = 0; t <= p; t++)
            scores[t] *= gen->score_factor;
    }
    ISA(softmax_rows)(sizes->heads, p + 1, stride, gen->weights, gen->totals, gen->inverse);
    for (size_t h = 0; h < sizes->heads; h++) {
        const Product product = {1, head_dim, p + 1, gen->weights + h * stride, 0, 1, values + h * head_dim, (ptrdiff_t)d,
                                 gen->attended + h * head_dim, 0, 0, 1};
        ISA(multiply)(&product);
    }
}

static void ISA(layer_one)(const Sizes *sizes, size_t p, const double *turned, double *keys, double *values, Generator *gen)
{
    const size_t d = sizes->width, block = positions_padded(sizes->block);
    const double *wo = turned + d * positions_padded(3 * d), *fc1 = wo + d * positions_padded(d);
    const double *fc2 = fc1 + d * positions_padded(4 * d);
    ISA(normalise_one)(d, gen->mean_factor, gen->x, gen->normed);
    ISA(linear_turned)(3 * d, d, turned, gen->normed, gen->qkv);
    for (size_t j = 0; j < d; j++)
        keys[j * block + p] = gen->qkv[d + j];
    memcpy(values + p * d, gen->qkv + 2 * d, d * sizeof(double));
    ISA(attend_one)(sizes, p, keys, values, gen);
    ISA(linear_turned)(d, d, wo, gen->attended, gen->normed);
    for (size_t j = 0; j < d; j++)
        gen->x[j] += gen->normed[j];
    ISA(normalise_one)(d, gen->mean_factor, gen->x, gen->normed);
    ISA(linear_turned)(4 * d, d, fc1, gen->normed, gen->hidden);
    for (size_t j = 0; j < 4 * d; j++)
        gen->hidden[j] = gen->hidden[j] > 0.0 ? gen->hidden[j] : 0.0;
    ISA(linear_turned)(d, 4 * d, fc2, gen->hidden, gen->normed);
    for (size_t j = 0; j < d; j++)
        gen->x[j] += gen->normed[j];
}

/* Transposes the matrices; the wq, wk and wv of a layer become one. */
static void ISA(generate_start)(const Sizes *sizes, const double *params, Generator *gen)
{
    const Layout at = layout_of(sizes);
    const size_t d = sizes->width, size = turned_layer_size(sizes);
    for (size_t l = 0; l < sizes->layers; l++) {
        const double *layer = params + l * at.layer_size;
        double *to = gen->turned + l * size;
        ISA(transpose)(3 * d, d, layer + at.attn_wq, d, to, positions_padded(3 * d));
        to += d * positions_padded(3 * d);
        ISA(transpose)(d, d, layer + at.attn_wo, d, to, positions_padded(d));
        to += d * positions_padded(d);
        ISA(transpose)(4 * d, d, layer + at.mlp_fc1, d, to, positions_padded(4 * d));
        to += d * positions_padded(4 * d);
        ISA(transpose)(d, 4 * d, layer + at.mlp_fc2, 4 * d, to, positions_padded(d));
    }
    ISA(transpose)(sizes->vocab, d, params + at.lm_head, d, gen->turned + sizes->layers * size,
                   positions_padded(sizes->vocab));
}

/* The logits after `token` at position p, into gen->logits. */
static void ISA(generate_step)(const Sizes *sizes, const double *params, size_t token, size_t p, Generator *gen)
{
    const Layout at = layout_of(sizes);
    const size_t d = sizes->width, block = positions_padded(sizes->block), size = turned_layer_size(sizes);
    for (size_t j = 0; j < d; j++)
        gen->normed[j] = params[at.wte + token * d + j] + params[at.wpe + p * d + j];
    ISA(normalise_one)(d, gen->mean_factor, gen->normed, gen->x);
    for (size_t l = 0; l < sizes->layers; l++)
        ISA(layer_one)(sizes, p, gen->turned + l * size, gen->keys + l * d * block, gen->values + l * d * block, gen);
    ISA(linear_turned)(sizes->vocab, d, gen->turned + sizes->layers * size, gen->x, gen->logits);
}

/* Logits into weights of the next token: softmax of logits * inverse_temperature; with 0 < top_k only the top_k largest
   keep their weight, of equal ones the first. */
static void ISA(generate_weights)(size_t vocab, double inverse_temperature, size_t top_k, Generator *gen)
{
    for (size_t o = 0; o < vocab; o++)
        gen->logits[o] *= inverse_temperature;
    ISA(softmax_rows)(1, vocab, ISA(padded)(vocab), gen->logits, gen->totals, gen->inverse);
    if (top_k > 0 && top_k < vocab)
        keep_largest(vocab, top_k, gen->logits, gen->spare);
}
