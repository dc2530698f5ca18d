/* Causal attention of one head and its gradient: the only place where positions meet.

   Scores, exps and weights belong to pairs of positions, p in the lanes and t <= p. They stand in panels, one for each register
   of positions p, from p = start on: a register for each t, one behind the other. A register of lanes that all lie behind t
   needs no mask; the one that t itself is in needs lanes_from. */

/* Where the panel from `start` on begins. */
INLINE size_t ISA(panel)(size_t start, size_t ld) { return start * ld; }


/* The registers of a panel: all t that its positions see. */
INLINE size_t ISA(panel_rows)(size_t start, size_t n) { return start + LANES < n ? start + LANES : n; }

/* x where t <= p in a register of the panel from `start` on, else 0. */
INLINE Vec ISA(causal)(Vec x, size_t t, size_t start) { return t > start ? ISA(keep)(x, ISA(lanes_from)(t - start)) : x; }

/* Exps of the scores of one panel minus their maximum over t, 0 where t > p; and their totals over t. */
static Vec ISA(panel_exps)(const Head *head, size_t start, double *x)
{
    const size_t rows = ISA(panel_rows)(start, head->n);
    const Product product = {rows, LANES, head->head_dim, head->k, 1, (ptrdiff_t)head->ld,
                             head->q + start, (ptrdiff_t)head->ld, x, LANES, 0, 0};
    Vec most = ISA(all)(0.0), total = ISA(all)(0.0);
    ISA(multiply)(&product);
    for (size_t t = 0; t < rows; t++) {
        const Vec score = ISA(load)(x + t * LANES) * ISA(all)(head->factor);
        Mask above = ISA(greater)(score, most);
        if (t > start)
            above &= ISA(lanes_from)(t - start);
        most = t == 0 ? score : ISA(choose)(above, score, most);
        ISA(store)(x + t * LANES, score);
    }
    for (size_t t = 0; t < rows; t++)
        ISA(store)(x + t * LANES, ISA(causal)(ISA(load)(x + t * LANES) + -most, t, start));
    ISA(exp_each)(rows * LANES, x, x);
    for (size_t t = 0; t < rows; t++) {
        const Vec e = ISA(causal)(ISA(load)(x + t * LANES), t, start);
        ISA(store)(x + t * LANES, e);
        total += e;
    }
    return total;
}

static void ISA(head_exps)(const Head *head, double *exps, double *totals)
{
    for (size_t start = 0; start < head->n; start += LANES)
        ISA(store)(totals + start, ISA(panel_exps)(head, start, exps + ISA(panel)(start, head->ld)));
}

/* weights[t][p] = exps[t][p] * inverse[p] */
static void ISA(head_weights)(size_t n, size_t ld, const double *exps, const double *inverse, double *weights)
{
    for (size_t start = 0; start < n; start += LANES) {
        const size_t at = ISA(panel)(start, ld), rows = ISA(panel_rows)(start, n);
        const Vec factor = ISA(load)(inverse + start);
        for (size_t t = 0; t < rows; t++)
            ISA(store)(weights + at + t * LANES, ISA(load)(exps + at + t * LANES) * factor);
    }
}

/* Panels with t in the lanes and a register for each p, from those with p in the lanes. */
static void ISA(turn_panels)(size_t n, size_t ld, const double *from, double *to)
{
    for (size_t p = 0; p < n; p += LANES)
        for (size_t t = 0; t <= p; t += LANES)
            ISA(transpose_square)(from + ISA(panel)(p, ld) + t * LANES, LANES, to + ISA(panel)(t, ld) + p * LANES, LANES, LANES);
}

/* c[j][p] = sum over t <= p of a[j][t] * b[t][p], t rising or falling. */
static void ISA(sum_over_past)(size_t n, size_t ld, size_t rows, const double *a, const double *b, int rising,
                               double *c, ptrdiff_t c_row)
{
    for (size_t start = 0; start < n; start += LANES) {
        const size_t near = n - start < LANES ? n - start : LANES;
        const ptrdiff_t step = rising ? 1 : -1, b_step = step * LANES;
        const size_t far_first = rising ? 0 : start - 1, near_first = rising ? start : start + near - 1;
        Mask masks[LANES];
        Product far = {rows, LANES, start, a + far_first, (ptrdiff_t)ld, step,
                       b + ISA(panel)(start, ld) + far_first * LANES, b_step, c + start, c_row, !rising, 0};
        Product close = far;
        for (size_t s = 0; s < near; s++)
            masks[s] = ISA(lanes_from)(rising ? s : near - 1 - s);
        close.depth = near;
        close.a = a + near_first;
        close.b = b + ISA(panel)(start, ld) + near_first * LANES;
        close.accumulate = rising && start > 0;
        if (rising && start > 0)
            ISA(multiply)(&far);
        ISA(multiply_masked)(&close, masks);
        if (!rising && start > 0)
            ISA(multiply)(&far);
    }
}

/* c[j][t] = sum over p >= t, p falling, of a[j][p] * b[p][t]. */
static void ISA(sum_over_future)(size_t n, size_t ld, size_t rows, const double *a, const double *b, double *c,
                                 ptrdiff_t c_row)
{
    for (size_t start = 0; start < n; start += LANES) {
        const size_t near = n - start < LANES ? n - start : LANES;
        const size_t far = n - start - near; /* positions behind these lanes */
        Mask masks[LANES];
        Product product = {rows, LANES, far, a + n - 1, (ptrdiff_t)ld, -1,
                           b + ISA(panel)(start, ld) + (n - 1) * LANES, -LANES, c + start, c_row, 0, 0};
        for (size_t s = 0; s < near; s++)
            masks[s] = ~ISA(lanes_from)(near - s);
        if (far > 0)
            ISA(multiply)(&product);
        product.depth = near;
        product.a = a + start + near - 1;
        product.b = b + ISA(panel)(start, ld) + (start + near - 1) * LANES;
        product.accumulate = far > 0;
        ISA(multiply_masked)(&product, masks);
    }
}

/* Gradients of the scores (before the division by head_dim ** 0.5) from those of the head's output; 0 where t > p. */
static void ISA(head_score_grads)(const Head *head, const double *exps, const double *inverse, const double *slope,
                                  const double *out_grad, double *grads)
{
    const size_t n = head->n, ld = head->ld, last = (head->head_dim - 1) * ld;
    for (size_t start = 0; start < n; start += LANES) {
        const size_t rows = ISA(panel_rows)(start, n);
        const double *e = exps + ISA(panel)(start, ld);
        double *g = grads + ISA(panel)(start, ld);
        const Product product = {rows, LANES, head->head_dim, head->v + last, 1, -(ptrdiff_t)ld,
                                 out_grad + last + start, -(ptrdiff_t)ld, g, LANES, 0, 0};
        const Vec inv = ISA(load)(inverse + start), total_slope = ISA(all)(-1.0) * ISA(load)(slope + start);
        Vec total_grad = ISA(all)(0.0);
        ISA(multiply)(&product);
        for (size_t t = rows; t-- > 0;)
            total_grad += ISA(causal)(total_slope * (ISA(load)(e + t * LANES) * ISA(load)(g + t * LANES)), t, start);
        for (size_t t = 0; t < rows; t++) {
            const Vec exp_grad = inv * ISA(load)(g + t * LANES) + total_grad;
            const Vec grad = ISA(all)(head->factor) * (ISA(load)(e + t * LANES) * exp_grad);
            ISA(store)(g + t * LANES, ISA(causal)(grad, t, start));
        }
    }
}
