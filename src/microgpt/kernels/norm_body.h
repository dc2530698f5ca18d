/* rmsnorm and its gradient; x and the results are features x positions. */

static void ISA(normalise)(size_t width, size_t n, size_t ld, double mean_factor, const double *x, const Norm *norm, double *out)
{
    for (size_t p = 0; p < ld; p += LANES) {
        Vec sum = ISA(all)(0.0);
        for (size_t j = 0; j < width; j++) {
            const Vec xj = ISA(load)(x + j * ld + p);
            sum += xj * xj;
        }
        ISA(store)(norm->base + p, sum * ISA(all)(mean_factor) + ISA(all)(1e-5));
    }
    ISA(power_m05_each)(n, norm->base, norm->scale);
    for (size_t p = 0; p < ld; p += LANES) {
        const Vec scale = ISA(load)(norm->scale + p);
        for (size_t j = 0; j < width; j++)
            ISA(store)(out + j * ld + p, ISA(load)(x + j * ld + p) * scale);
    }
}

/* Adds to grad (of x) what out_grad (of the norm's result) sends back. x_j stands in the graph three times: once in
   x_j * scale and twice in its square. */
static void ISA(normalise_backward)(size_t width, size_t n, size_t ld, const double *x, const Norm *norm,
                                    const double *out_grad, const Workspace *work, double *grad)
{
    double *slope = work->slope;
    ISA(power_m15_each)(n, norm->base, slope);
    for (size_t p = 0; p < ld; p += LANES) {
        const Vec scale = ISA(load)(norm->scale + p);
        Vec scale_grad = ISA(all)(0.0), square_grad;
        for (size_t j = width; j-- > 0;)
            scale_grad += ISA(load)(x + j * ld + p) * ISA(load)(out_grad + j * ld + p);
        square_grad = ISA(all)(work->mean_factor) * (ISA(all)(-0.5) * ISA(load)(slope + p) * scale_grad);
        for (size_t j = 0; j < width; j++) {
            const Vec part = ISA(load)(x + j * ld + p) * square_grad;
            const Vec through = scale * ISA(load)(out_grad + j * ld + p);
            ISA(store)(grad + j * ld + p, ISA(load)(grad + j * ld + p) + through + part + part);
        }
    }
}
