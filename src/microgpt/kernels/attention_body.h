/* Causal attention of one head and its gradient: the only place where positions meet.

   Scores, exps and weights belong to pairs of positions, p in the lanes and t <= p. They stand in panels, one for each register
   of positions p, from p = start on: a register for each t, one behind the other. A register of lanes that all lie behind t
   needs no mask; the one that t itself is in needs lanes_from. */

/* One head. */
typedef struct {
    size_t n, ld;     /* positions of the document, and padded */
    size_t head_dim;
    double factor;    /* of the scores: (head_dim ** 0.5) ** -1 */
    const double *q, *k, *v; /* head_dim x positions each */
} Head;

/* Where the panel from `start` on begins. */
INLINE size_t panel(size_t start, size_t ld) { return start * ld; }

/* The registers of a panel: all t that its positions see. */
INLINE size_t panel_rows(size_t start, size_t n) { return start + LANES < n ? start + LANES : n; }

/* x where t <= p in a register of the panel from `start` on, else 0. */
INLINE Vec causal(Vec x, size_t t, size_t start) { return t > start ? zero_unless(x, lanes_from(t - start)) : x; }

/* Exps of the scores of one panel minus their maximum over t, 0 where t > p; and their totals over t. */
static Vec panel_exps(const Head *head, size_t start, double *x)
{
    const size_t rows = panel_rows(start, head->n);
    const Product product = {rows, LANES, head->head_dim, head->k, 1, (ptrdiff_t)head->ld,
                             head->q + start, (ptrdiff_t)head->ld, x, LANES, 0, 0};
    Vec max = broadcast(0.0), total = broadcast(0.0);
    multiply(&product);
    for (size_t t = 0; t < rows; t++) {
        const Vec score = load(x + t * LANES) * broadcast(head->factor);
        Mask above = greater(score, max);
        if (t > start)
            above &= lanes_from(t - start);
        max = t == 0 ? score : blend(above, score, max);
        store(x + t * LANES, score);
    }
    for (size_t t = 0; t < rows; t++)
        store(x + t * LANES, causal(load(x + t * LANES) + -max, t, start));
    exp_each(rows * LANES, x, x);
    for (size_t t = 0; t < rows; t++) {
        const Vec e = causal(load(x + t * LANES), t, start);
        store(x + t * LANES, e);
        total += e;
    }
    return total;
}

static void head_exps(const Head *head, double *exps, double *totals)
{
    for (size_t start = 0; start < head->n; start += LANES)
        store(totals + start, panel_exps(head, start, exps + panel(start, head->ld)));
}

/* weights[t][p] = exps[t][p] * inverse[p] */
static void head_weights(size_t n, size_t ld, const double *exps, const double *inverse, double *weights)
{
    for (size_t start = 0; start < n; start += LANES) {
        const size_t at = panel(start, ld), rows = panel_rows(start, n);
        const Vec factor = load(inverse + start);
        for (size_t t = 0; t < rows; t++)
            store(weights + at + t * LANES, load(exps + at + t * LANES) * factor);
    }
}

/* Panels with t in the lanes and a register for each p, from those with p in the lanes. */
static void transpose_panels(size_t n, size_t ld, const double *from, double *to)
{
    for (size_t p = 0; p < n; p += LANES)
        for (size_t t = 0; t <= p; t += LANES)
            transpose_square(from + panel(p, ld) + t * LANES, LANES, to + panel(t, ld) + p * LANES, LANES, LANES);
}

/* c[j][p] = sum over t <= p of a[j][t] * b[t][p], t rising or falling. */
static void sum_over_past(size_t n, size_t ld, size_t rows, const double *a, const double *b, int rising,
                          double *c, ptrdiff_t c_row)
{
    for (size_t start = 0; start < n; start += LANES) {
        const size_t near = n - start < LANES ? n - start : LANES;
        const ptrdiff_t step = rising ? 1 : -1, b_step = step * LANES;
        const size_t far_first = rising ? 0 : start - 1, near_first = rising ? start : start + near - 1;
        Mask masks[LANES];
        Product far = {rows, LANES, start, a + far_first, (ptrdiff_t)ld, step,
                       b + panel(start, ld) + far_first * LANES, b_step, c + start, c_row, !rising, 0};
        Product close = far;
        for (size_t s = 0; s < near; s++)
            masks[s] = lanes_from(rising ? s : near - 1 - s);
        close.depth = near;
        close.a = a + near_first;
        close.b = b + panel(start, ld) + near_first * LANES;
        close.accumulate = rising && start > 0;
        if (rising && start > 0)
            multiply(&far);
        multiply_masked(&close, masks);
        if (!rising && start > 0)
            multiply(&far);
    }
}

/* c[j][t] = sum over p >= t, p falling, of a[j][p] * b[p][t]. */
static void sum_over_future(size_t n, size_t ld, size_t rows, const double *a, const double *b, double *c,
                            ptrdiff_t c_row)
{
    for (size_t start = 0; start < n; start += LANES) {
        const size_t near = n - start < LANES ? n - start : LANES;
        const size_t far = n - start - near; /* positions behind these lanes */
        Mask masks[LANES];
        Product product = {rows, LANES, far, a + n - 1, (ptrdiff_t)ld, -1,
                           b + panel(start, ld) + (n - 1) * LANES, -LANES, c + start, c_row, 0, 0};
        for (size_t s = 0; s < near; s++)
            masks[s] = ~lanes_from(near - s);
        if (far > 0)
            multiply(&product);
        product.depth = near;
        product.a = a + start + near - 1;
        product.b = b + panel(start, ld) + (start + near - 1) * LANES;
        product.accumulate = far > 0;
        multiply_masked(&product, masks);
    }
}

/* Gradients of the scores (before the division by head_dim ** 0.5) from those of the head's output; 0 where t > p. */
static void head_score_grads(const Head *head, const double *exps, const double *inverse, const double *deriv,
                             const double *out_grad, double *grads)
{
    const size_t n = head->n, ld = head->ld, last = (head->head_dim - 1) * ld;
    for (size_t start = 0; start < n; start += LANES) {
        const size_t rows = panel_rows(start, n);
        const double *e = exps + panel(start, ld);
        double *g = grads + panel(start, ld);
        const Product product = {rows, LANES, head->head_dim, head->v + last, 1, -(ptrdiff_t)ld,
                                 out_grad + last + start, -(ptrdiff_t)ld, g, LANES, 0, 0};
        const Vec inv = load(inverse + start), total_deriv = broadcast(-1.0) * load(deriv + start);
        Vec total_grad = broadcast(0.0);
        multiply(&product);
        for (size_t t = rows; t-- > 0;)
            total_grad += causal(total_deriv * (load(e + t * LANES) * load(g + t * LANES)), t, start);
        for (size_t t = 0; t < rows; t++) {
            const Vec exp_grad = inv * load(g + t * LANES) + total_grad;
            const Vec grad = broadcast(head->factor) * (load(e + t * LANES) * exp_grad);
            store(g + t * LANES, causal(grad, t, start));
        }
    }
}
