/* From n tokens to logits, vocab x positions, and the loss; all positions together. Activations are features x positions, their
   rows `ld` apart; weights are rows x columns as in the script. */

/* y = w x for every position: w is rows x columns, x columns x positions, y rows x positions. */
static void linear(Team *team, size_t rows, size_t columns, size_t ld, const double *w, const double *x, double *y)
{
    const Product product = {rows, ld, columns, w, (ptrdiff_t)columns, 1, x, (ptrdiff_t)ld, y, (ptrdiff_t)ld, 0, 0};
    multiply_all(team, &product, 1);
}

static void add_each(size_t n, const double *x, double *to)
{
    for (size_t i = 0; i < n; i += LANES)
        store(to + i, load(to + i) + load(x + i));
}

static void relu_each(size_t n, double *x)
{
    for (size_t i = 0; i < n; i += LANES) {
        const Vec xi = load(x + i);
        store(x + i, zero_unless(xi, greater(xi, broadcast(0.0))));
    }
}

/* The embeddings of a token and its position, row by row, then transposed into features x positions. */
static void embed(size_t width, size_t ld, const Document *document, const double *wte, const double *wpe,
                  Workspace *work)
{
    const size_t stride = work->row_stride;
    for (size_t p = 0; p < document->positions; p++) {
        const double *token = wte + (size_t)document->tokens[p] * width, *position = wpe + p * width;
        for (size_t j = 0; j < width; j += LANES)
            store(work->rows + p * stride + j, load(token + j) + load(position + j));
    }
    for (size_t p = document->positions; p < ld; p++)
        memset(work->rows + p * stride, 0, width * sizeof(double));
    transpose(ld, width, work->rows, stride, work->embedded, ld);
}

static Head head_of(const Sizes *sizes, size_t n, size_t ld, const Layer *layer, const Workspace *work, size_t h)
{
    const size_t head_dim = sizes->width / sizes->heads, size = sizes->width * ld;
    const double *q = layer->qkv + h * head_dim * ld;
    const Head head = {n, ld, head_dim, work->score_factor, q, q + size, q + 2 * size};
    return head;
}

/* Attention of a layer, forward or backward, of which every head is a part. */
typedef struct {
    const Sizes *sizes;
    size_t n, ld;
    const Layer *layer;
    Workspace *work;
    const double *out_grad; /* backward only: of the heads' outputs */
} Attention;

static void attend_head(void *job, size_t h, size_t member)
{
    const Attention *all = job;
    const size_t n = all->n, ld = all->ld;
    const Layer *layer = all->layer;
    const Head head = head_of(all->sizes, n, ld, layer, all->work, h);
    double *exps = layer->exps + h * ld * ld, *inverse = layer->inverse + h * ld;
    double *weights = all->work->weights + member * ld * ld;
    head_exps(&head, exps, layer->totals + h * ld);
    power_m1_each(n, layer->totals + h * ld, inverse);
    head_weights(n, ld, exps, inverse, weights);
    sum_over_past(n, ld, head.head_dim, head.v, weights, 1, layer->attended + h * head.head_dim * ld, (ptrdiff_t)ld);
}

/* Runs one of the two for all heads. */
static void attend(Attention *all, TeamPart head)
{
    const size_t work = 2 * all->n * all->n * all->sizes->width;
    team_run(work >= SHARED_WORK ? all->work->team : NULL, all->sizes->heads, head, all);
}

static void layer_forward(const Sizes *sizes, const Layout *at, const double *params, size_t n, size_t ld,
                          const Layer *layer, Workspace *work, double *output)
{
    const size_t d = sizes->width;
    Attention attention = {sizes, n, ld, layer, work, NULL};
    normalise(d, n, ld, work->mean_factor, layer->input, &layer->norm, layer->normed);
    linear(work->team, 3 * d, d, ld, params + at->attn_wq, layer->normed, layer->qkv);
    attend(&attention, attend_head);
    linear(work->team, d, d, ld, params + at->attn_wo, layer->attended, layer->middle);
    add_each(d * ld, layer->input, layer->middle);
    normalise(d, n, ld, work->mean_factor, layer->middle, &layer->middle_norm, layer->middle_normed);
    linear(work->team, 4 * d, d, ld, params + at->mlp_fc1, layer->middle_normed, layer->hidden);
    relu_each(4 * d * ld, layer->hidden);
    linear(work->team, d, 4 * d, ld, params + at->mlp_fc2, layer->hidden, output);
    add_each(d * ld, layer->middle, output);
}

static void logits(const Sizes *sizes, const double *params, const Document *document, Workspace *work)
{
    const size_t n = document->positions, ld = padded_to_lanes(n), d = sizes->width;
    const Layout at = layout_of(sizes);
    embed(d, ld, document, params + at.wte, params + at.wpe, work);
    normalise(d, n, ld, work->mean_factor, work->embedded, &work->embedded_norm, work->layers[0].input);
    for (size_t l = 0; l < sizes->layers; l++)
        layer_forward(sizes, &at, params + l * at.layer_size, n, ld, &work->layers[l], work,
                      l + 1 < sizes->layers ? work->layers[l + 1].input : work->output);
    linear(work->team, sizes->vocab, d, ld, params + at.lm_head, work->output, work->logits);
}

/* x becomes e ** (x - the column's maximum); the totals are the columns' sums. */
static void exps_of_columns(size_t rows, size_t ld, double *x, double *totals)
{
    for (size_t p = 0; p < ld; p += LANES) {
        Vec max = load(x + p);
        for (size_t o = 1; o < rows; o++) {
            const Vec logit = load(x + o * ld + p);
            max = blend(greater(logit, max), logit, max);
        }
        for (size_t o = 0; o < rows; o++)
            store(x + o * ld + p, load(x + o * ld + p) + -max);
    }
    exp_each(rows * ld, x, x);
    for (size_t p = 0; p < ld; p += LANES) {
        Vec total = broadcast(0.0);
        for (size_t o = 0; o < rows; o++)
            total += load(x + o * ld + p);
        store(totals + p, total);
    }
}

static int loss(const Sizes *sizes, const double *params, const Document *document, Workspace *work, double *loss)
{
    const size_t n = document->positions, ld = padded_to_lanes(n);
    double sum = 0.0;
    logits(sizes, params, document, work);
    exps_of_columns(sizes->vocab, ld, work->logits, work->totals);
    power_m1_each(n, work->totals, work->inverse);
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
