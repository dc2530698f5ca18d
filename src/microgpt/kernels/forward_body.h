/* From tokens to logits and loss, all positions together. */

/* y = w x for every position: w is rows x columns, x columns x positions, y rows x positions. */
static void ISA(linear)(size_t rows, size_t columns, size_t ld, const double *w, const double *x, double *y)
{
    const Product product = {rows, ld, columns, w, (ptrdiff_t)columns, 1, x, (ptrdiff_t)ld, y, (ptrdiff_t)ld, 0, 0};
    ISA(multiply)(&product);
}

static void ISA(add_each)(size_t n, const double *x, double *to)
{
    for (size_t i = 0; i < n; i += LANES)
        ISA(store)(to + i, ISA(load)(to + i) + ISA(load)(x + i));
}

static void ISA(relu_each)(size_t n, double *x)
{
    for (size_t i = 0; i < n; i += LANES) {
        const Vec xi = ISA(load)(x + i);
        ISA(store)(x + i, ISA(keep)(xi, ISA(greater)(xi, ISA(all)(0.0))));
    }
}

/* The embeddings of a token and its position, row by row, then turned into features x positions. */
static void ISA(embed)(size_t width, size_t ld, const Document *document, const double *wte, const double *wpe,
                       Workspace *work)
{
    const size_t stride = work->row_stride;
    for (size_t p = 0; p < document->positions; p++) {
        const double *token = wte + (size_t)document->tokens[p] * width, *position = wpe + p * width;
        for (size_t j = 0; j < width; j += LANES)
            ISA(store)(work->rows + p * stride + j, ISA(load)(token + j) + ISA(load)(position + j));
    }
    for (size_t p = document->positions; p < ld; p++)
        memset(work->rows + p * stride, 0, width * sizeof(double));
    ISA(transpose)(ld, width, work->rows, stride, work->embedded, ld);
}

static Head ISA(head_of)(const Sizes *sizes, size_t n, size_t ld, const Layer *layer, const Workspace *work, size_t h)
{
    const size_t head_dim = sizes->width / sizes->heads, size = sizes->width * ld;
    const double *q = layer->qkv + h * head_dim * ld;
    const Head head = {n, ld, head_dim, work->score_factor, q, q + size, q + 2 * size};
    return head;
}

static void ISA(attend)(const Sizes *sizes, size_t n, size_t ld, const Layer *layer, Workspace *work)
{
    for (size_t h = 0; h < sizes->heads; h++) {
        const Head head = ISA(head_of)(sizes, n, ld, layer, work, h);
        ISA(head_exps)(&head, layer->exps + h * ld * ld, layer->totals + h * ld);
        ISA(power_m1_each)(n, layer->totals + h * ld, layer->inverse + h * ld);
    }
    for (size_t h = 0; h < sizes->heads; h++) {
        const Head head = ISA(head_of)(sizes, n, ld, layer, work, h);
        ISA(head_weights)(n, ld, layer->exps + h * ld * ld, layer->inverse + h * ld, work->weights);
        ISA(sum_over_past)(n, ld, head.head_dim, head.v, work->weights, 1, layer->attended + h * head.head_dim * ld,
                           (ptrdiff_t)ld);
    }
}

static void ISA(layer_forward)(const Sizes *sizes, const Layout *at, const double *params, size_t n, size_t ld,
                               const Layer *layer, Workspace *work, double *output)
{
    const size_t d = sizes->width;
    ISA(normalise)(d, n, ld, work->mean_factor, layer->input, &layer->norm, layer->normed);
    ISA(linear)(3 * d, d, ld, params + at->attn_wq, layer->normed, layer->qkv);
    ISA(attend)(sizes, n, ld, layer, work);
    ISA(linear)(d, d, ld, params + at->attn_wo, layer->attended, layer->middle);
    ISA(add_each)(d * ld, layer->input, layer->middle);
    ISA(normalise)(d, n, ld, work->mean_factor, layer->middle, &layer->middle_norm, layer->middle_normed);
    ISA(linear)(4 * d, d, ld, params + at->mlp_fc1, layer->middle_normed, layer->hidden);
    ISA(relu_each)(4 * d * ld, layer->hidden);
    ISA(linear)(d, 4 * d, ld, params + at->mlp_fc2, layer->hidden, output);
    ISA(add_each)(d * ld, layer->middle, output);
}

static void ISA(logits)(const Sizes *sizes, const double *params, const Document *document, Workspace *work)
{
    const size_t n = document->positions, ld = ISA(padded)(n), d = sizes->width;
    const Layout at = layout_of(sizes);
    ISA(embed)(d, ld, document, params + at.wte, params + at.wpe, work);
    ISA(normalise)(d, n, ld, work->mean_factor, work->embedded, &work->embedded_norm, work->layers[0].input);
    for (size_t l = 0; l < sizes->layers; l++)
        ISA(layer_forward)(sizes, &at, params + l * at.layer_size, n, ld, &work->layers[l], work,
                           l + 1 < sizes->layers ? work->layers[l + 1].input : work->output);
    ISA(linear)(sizes->vocab, d, ld, params + at.lm_head, work->output, work->logits);
}

/* x becomes e ** (x - the column's maximum); the totals are the columns' sums. */
static void ISA(exps_of_columns)(size_t rows, size_t ld, double *x, double *totals)
{
    for (size_t p = 0; p < ld; p += LANES) {
        Vec most = ISA(load)(x + p);
        for (size_t o = 1; o < rows; o++) {
            const Vec logit = ISA(load)(x + o * ld + p);
            most = ISA(choose)(ISA(greater)(logit, most), logit, most);
        }
        for (size_t o = 0; o < rows; o++)
            ISA(store)(x + o * ld + p, ISA(load)(x + o * ld + p) + -most);
    }
    ISA(exp_each)(rows * ld, x, x);
    for (size_t p = 0; p < ld; p += LANES) {
        Vec total = ISA(all)(0.0);
        for (size_t o = 0; o < rows; o++)
            total += ISA(load)(x + o * ld + p);
        ISA(store)(totals + p, total);
    }
}

static int ISA(loss)(const Sizes *sizes, const double *params, const Document *document, Workspace *work, double *loss)
{
    const size_t n = document->positions, ld = ISA(padded)(n);
    double sum = 0.0;
    ISA(logits)(sizes, params, document, work);
    ISA(exps_of_columns)(sizes->vocab, ld, work->logits, work->totals);
    ISA(power_m1_each)(n, work->totals, work->inverse);
    for (size_t p = 0; p < n; p++) {
        const double prob = work->logits[(size_t)document->tokens[p + 1] * ld + p] * work->inverse[p];
        if (prob == 0.0)
            return FUSED_LOG_OF_ZERO;
        work->probs[p] = prob;
        sum += log(prob) * -1.0;
    }
    *loss = sum * (1.0 / (double)n);
    return FUSED_OK;
}
