/* From the loss back to every parameter: gradients of activations are features x positions, those of weights rows x columns.

   Whatever the script's reversed depth-first walk adds up, is added up here in the same order; where that order is not
   simply "from last to first", a comment says so. Gradients of weights are finished in registers: one contribution a
   position, last position first. */

/* Gradient of the weights of y = w x: grads[o][j] = sum over positions, last to first, of y_grad[o] * x[j].
   y_row is the distance between the rows of y_grad, which may run backwards; x comes as rows of positions. */
INLINE Product weight_grads(size_t rows, size_t columns, size_t n, const double *y_grad, ptrdiff_t y_row,
                            const Workspace *work, double *grads)
{
    const ptrdiff_t stride = (ptrdiff_t)work->row_stride;
    return (Product){rows, columns, n, y_grad + n - 1, y_row, -1, work->rows + (ptrdiff_t)(n - 1) * stride, -stride,
                     grads, (ptrdiff_t)columns, 0, 1};
}

/* Gradient of x in y = w x: x_grad[j] = sum over rows o, last to first, of w[o][j] * y_grad[o]. */
INLINE Product input_grads(size_t rows, size_t columns, size_t ld, const double *w, const double *y_grad, double *x_grad)
{
    return (Product){columns, ld, rows, w + (rows - 1) * columns, 1, -(ptrdiff_t)columns,
                     y_grad + (rows - 1) * ld, -(ptrdiff_t)ld, x_grad, (ptrdiff_t)ld, 0, 0};
}

/* Both for one linear. */
static void linear_backward(size_t rows, size_t columns, size_t n, size_t ld, const double *w, const double *x,
                            const double *y_grad, double *x_grad, double *w_grad, Workspace *work)
{
    const Product products[] = {weight_grads(rows, columns, n, y_grad, (ptrdiff_t)ld, work, w_grad),
                                input_grads(rows, columns, ld, w, y_grad, x_grad)};
    transpose(columns, n, x, ld, work->rows, work->row_stride);
    multiply_all(work->team, products, 2);
}

/* Gradients of the logits, in the place of their exps; those of the targets also into target_grads. */
static void loss_backward(const Sizes *sizes, const Document *document, Workspace *work, double *target_grads)
{
    const size_t n = document->positions, ld = padded_to_lanes(n);
    double *total_grads = work->deriv;
    power_m2_each(n, work->totals, work->deriv);
    for (size_t p = 0; p < n; p++) {
        const double e = work->logits[(size_t)document->tokens[p + 1] * ld + p];
        const double prob_grad = 1.0 / work->probs[p] * (-1.0 * (1.0 / (double)n));
        total_grads[p] = -1.0 * work->deriv[p] * (e * prob_grad);
        target_grads[p] = e * (work->inverse[p] * prob_grad + total_grads[p]);
    }
    for (size_t p = 0; p < ld; p += LANES) {
        const Vec total_grad = load(total_grads + p);
        for (size_t o = 0; o < sizes->vocab; o++)
            store(work->logits + o * ld + p, load(work->logits + o * ld + p) * total_grad);
    }
    for (size_t p = 0; p < n; p++)
        work->logits[(size_t)document->tokens[p + 1] * ld + p] = target_grads[p];
}

/* The walk enters lm_head through each position's target: that row comes last into the gradient of x. Its place in the
   sum over all rows is taken by a zero, which changes nothing: were its weights not finite, neither would the target's
   logit be, and then every gradient of the position is nan. */
static void lm_head_backward(const Sizes *sizes, const Document *document, const double *w, double *w_grad,
                             Workspace *work)
{
    const size_t n = document->positions, ld = padded_to_lanes(n), d = sizes->width;
    const Product of_weights = weight_grads(sizes->vocab, d, n, work->logits, (ptrdiff_t)ld, work, w_grad);
    const Product of_inputs = input_grads(sizes->vocab, d, ld, w, work->logits, work->grad_a);
    double *target_grads = work->target_grads;
    loss_backward(sizes, document, work, target_grads);
    transpose(d, n, work->output, ld, work->rows, work->row_stride);
    multiply_all(work->team, &of_weights, 1);
    for (size_t p = 0; p < n; p++)
        work->logits[(size_t)document->tokens[p + 1] * ld + p] = 0.0;
    multiply_all(work->team, &of_inputs, 1);
    for (size_t p = 0; p < n; p++)
        for (size_t j = 0; j < d; j += LANES)
            store(work->rows + p * work->row_stride + j,
                  load(w + (size_t)document->tokens[p + 1] * d + j) * broadcast(target_grads[p]));
    transpose(ld, d, work->rows, work->row_stride, work->grad_b, ld);
    add_each(d * ld, work->grad_b, work->grad_a);
}

static void relu_backward(size_t n, const double *y, double *grad)
{
    for (size_t i = 0; i < n; i += LANES) {
        const Vec deriv = zero_unless(broadcast(1.0), greater(load(y + i), broadcast(0.0)));
        store(grad + i, deriv * load(grad + i));
    }
}

/* The rows of wq, wk and wv meet their common input head by head from the last, in each head v before k before q, rows
   from last to first. grad_qkv and ordered_qkv are in this order; these are a head's first rows, which stand last. */
static size_t qkv_row(const Sizes *sizes, size_t which, size_t h)
{
    const size_t head_dim = sizes->width / sizes->heads;
    return ((sizes->heads - 1 - h) * 3 + (2 - which) + 1) * head_dim - 1;
}

/* Gradients of q, k and v of one head from that of its output. */
static void attend_head_backward(void *job, size_t h, size_t member)
{
    const Attention *all = job;
    const size_t n = all->n, ld = all->ld, panels = member * ld * ld;
    const Layer *layer = all->layer;
    const Workspace *work = all->work;
    const Head head = head_of(all->sizes, n, ld, layer, work, h);
    const ptrdiff_t up = -(ptrdiff_t)ld;
    const double *exps = layer->exps + h * ld * ld, *inverse = layer->inverse + h * ld;
    const double *head_grad = all->out_grad + h * head.head_dim * ld;
    double *weights = work->weights + panels, *score_grads = work->weight_grads + panels;
    double *transposed = work->transposed + panels, *deriv = work->deriv + h * ld, *grads[3];
    for (size_t which = 0; which < 3; which++)
        grads[which] = work->grad_qkv + qkv_row(all->sizes, which, h) * ld;
    power_m2_each(n, layer->totals + h * ld, deriv);
    head_weights(n, ld, exps, inverse, weights);
    transpose_panels(n, ld, weights, transposed);
    sum_over_future(n, ld, head.head_dim, head_grad, transposed, grads[2], up);
    head_score_grads(&head, exps, inverse, deriv, head_grad, score_grads);
    sum_over_past(n, ld, head.head_dim, head.k, score_grads, 0, grads[0], up);
    transpose_panels(n, ld, score_grads, transposed);
    sum_over_future(n, ld, head.head_dim, head.q, transposed, grads[1], up);
}

/* Position 0 sees only itself, and the walk comes to its k and q rows in turn: k, q of the last row first. */
static void first_position_backward(const Sizes *sizes, size_t ld, const double *wq, const Workspace *work,
                                    double *x_grad)
{
    const size_t d = sizes->width, head_dim = d / sizes->heads;
    for (size_t j = 0; j < d; j += LANES) {
        double sums[LANES];
        Vec sum = broadcast(0.0);
        for (size_t h = sizes->heads; h-- > 0;) {
            const double *rows[3], *grads[3];
            for (size_t which = 0; which < 3; which++) {
                rows[which] = wq + which * d * d + h * head_dim * d + j;
                grads[which] = work->grad_qkv + (qkv_row(sizes, which, h) - (head_dim - 1)) * ld;
            }
            for (size_t i = 0; i < head_dim; i++)
                sum += load(rows[2] + (head_dim - 1 - i) * d) * broadcast(grads[2][i * ld]);
            for (size_t i = 0; i < head_dim; i++) {
                sum += load(rows[1] + (head_dim - 1 - i) * d) * broadcast(grads[1][i * ld]);
                sum += load(rows[0] + (head_dim - 1 - i) * d) * broadcast(grads[0][i * ld]);
            }
        }
        memcpy(sums, &sum, sizeof sums);
        for (size_t i = 0; i < LANES && j + i < d; i++)
            x_grad[(j + i) * ld] = sums[i];
    }
}

/* What a part of the gradients of wq, wk and wv needs: a head's rows of one of them. */
typedef struct {
    const Sizes *sizes;
    size_t n, ld;
    const double *wq;
    double *wq_grad;
    const Workspace *work;
} HeadRows;

/* The gradients of these rows, and a copy of them in the order in which their common input meets them. */
static void head_rows_backward(void *job, size_t part, size_t member)
{
    const HeadRows *all = job;
    const size_t d = all->sizes->width, head_dim = d / all->sizes->heads, h = part / 3, which = part % 3;
    const size_t at = which * d * d + h * head_dim * d, row = qkv_row(all->sizes, which, h), ld = all->ld;
    const Product product = weight_grads(head_dim, d, all->n, all->work->grad_qkv + row * ld, -(ptrdiff_t)ld, all->work,
                                         all->wq_grad + at);
    (void)member;
    multiply(&product);
    for (size_t i = 0; i < head_dim; i++)
        memcpy(all->work->ordered_qkv + (row - i) * d, all->wq + at + i * d, d * sizeof(double));
}

static void qkv_backward(const Sizes *sizes, size_t n, size_t ld, const double *wq, const Layer *layer, double *x_grad,
                         double *wq_grad, Workspace *work)
{
    const size_t d = sizes->width;
    const Product product = {d, ld, 3 * d, work->ordered_qkv, 1, (ptrdiff_t)d, work->grad_qkv, (ptrdiff_t)ld,
                             x_grad, (ptrdiff_t)ld, 0, 0};
    HeadRows rows = {sizes, n, ld, wq, wq_grad, work};
    transpose(d, n, layer->normed, ld, work->rows, work->row_stride);
    team_run(work->team, 3 * sizes->heads, head_rows_backward, &rows);
    multiply_all(work->team, &product, 1);
    first_position_backward(sizes, ld, wq, work, x_grad);
}

/* grad_a comes as the gradient of the layer's output and leaves as that of its input. */
static void layer_backward(const Sizes *sizes, const Layout *at, const double *params, size_t n, size_t ld,
                           const Layer *layer, Workspace *work, double *grads)
{
    const size_t d = sizes->width;
    Attention attention = {sizes, n, ld, layer, work, work->grad_b};
    linear_backward(d, 4 * d, n, ld, params + at->mlp_fc2, layer->hidden, work->grad_a, work->grad_hidden,
                    grads + at->mlp_fc2, work);
    relu_backward(4 * d * ld, layer->hidden, work->grad_hidden);
    linear_backward(4 * d, d, n, ld, params + at->mlp_fc1, layer->middle_normed, work->grad_hidden, work->grad_b,
                    grads + at->mlp_fc1, work);
    normalise_backward(d, n, ld, layer->middle, &layer->middle_norm, work->grad_b, work, work->grad_a);
    linear_backward(d, d, n, ld, params + at->attn_wo, layer->attended, work->grad_a, work->grad_b,
                    grads + at->attn_wo, work);
    attend(&attention, attend_head_backward);
    qkv_backward(sizes, n, ld, params + at->attn_wq, layer, work->grad_b, grads + at->attn_wq, work);
    normalise_backward(d, n, ld, layer->input, &layer->norm, work->grad_b, work, work->grad_a);
}

/* Adds a row to one that has neighbours behind it. */
static void add_row(size_t width, const double *row, double *to)
{
    for (size_t j = 0; j < width; j += LANES)
        store_columns(to + j, load(to + j) + load(row + j), width - j);
}

static void embed_backward(const Sizes *sizes, const Layout *at, const Document *document, Workspace *work,
                           double *grads)
{
    const size_t n = document->positions, ld = padded_to_lanes(n), d = sizes->width;
    memset(work->grad_b, 0, d * ld * sizeof(double));
    normalise_backward(d, n, ld, work->embedded, &work->embedded_norm, work->grad_a, work, work->grad_b);
    memset(grads + at->wte, 0, (at->lm_head - at->wte) * sizeof(double)); /* wte and wpe */
    transpose(d, n, work->grad_b, ld, work->rows, work->row_stride);
    for (size_t p = n; p-- > 0;) {
        add_row(d, work->rows + p * work->row_stride, grads + at->wte + (size_t)document->tokens[p] * d);
        add_row(d, work->rows + p * work->row_stride, grads + at->wpe + p * d);
    }
}

static void backward(const Sizes *sizes, const double *params, const Document *document, Workspace *work,
                     double *grads)
{
    const size_t n = document->positions, ld = padded_to_lanes(n);
    const Layout at = layout_of(sizes);
    lm_head_backward(sizes, document, params + at.lm_head, grads + at.lm_head, work);
    for (size_t l = sizes->layers; l-- > 0;)
        layer_backward(sizes, &at, params + l * at.layer_size, n, ld, &work->layers[l], work,
                       grads + l * at.layer_size);
    embed_backward(sizes, &at, document, work, grads);
}
