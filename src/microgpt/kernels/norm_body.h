/* rmsnorm and its gradient: x, out, out_grad and grad are width x positions, norm->base and norm->scale one number a position.
   Positions lie in the lanes, so that a sum over features is one addition a row. */

static void normalise(size_t width, size_t n, size_t ld, double mean_factor, const double *x, const Norm *norm, double *out)
{
    for (size_t p = 0; p < ld; p += LANES) {
        Vec sum = broadcast(0.0);
        for (size_t j = 0; j < width; j++) {
            const Vec xj = load(x + j * ld + p);
            sum += xj * xj;
        }
        store(norm->base + p, sum * broadcast(mean_factor) + broadcast(1e-5));
    }
    power_m05_each(n, norm->base, norm->scale);
    for (size_t p = 0; p < ld; p += LANES) {
        const Vec scale = load(norm->scale + p);
        for (size_t j = 0; j < width; j++)
            store(out + j * ld + p, load(x + j * ld + p) * scale);
    }
}

/* Adds to grad (of x) what out_grad (of the norm's result) sends back. x_j stands in the graph three times: once in
   x_j * scale and twice in its square. */
static void normalise_backward(size_t width, size_t n, size_t ld, const double *x, const Norm *norm,
                               const double *out_grad, const Workspace *work, double *grad)
{
    double *deriv = work->deriv;
    power_m15_each(n, norm->base, deriv);
    for (size_t p = 0; p < ld; p += LANES) {
        const Vec scale = load(norm->scale + p);
        Vec scale_grad = broadcast(0.0), square_grad;
        for (size_t j = width; j-- > 0;)
            scale_grad += load(x + j * ld + p) * load(out_grad + j * ld + p);
        square_grad = broadcast(work->mean_factor) * (broadcast(-0.5) * load(deriv + p) * scale_grad);
        for (size_t j = 0; j < width; j++) {
            const Vec part = load(x + j * ld + p) * square_grad;
            const Vec through = scale * load(out_grad + j * ld + p);
            store(grad + j * ld + p, load(grad + j * ld + p) + through + part + part);
        }
    }
}
